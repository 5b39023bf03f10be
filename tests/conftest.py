"""What every test shares: Hypothesis without deadlines, and the seed that replays a run."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# Deadlines measure the machine, not the code; a failure prints the blob that replays it.
settings.register_profile(
    "raftkafka", deadline=None, print_blob=True, derandomize=False, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("raftkafka")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    seed = config.getoption("randomly_seed", default=None)
    if seed is not None and terminalreporter.stats.get("failed"):
        terminalreporter.write_line(f"replay this order with: python -m pytest -p no:xdist --randomly-seed={seed}")
