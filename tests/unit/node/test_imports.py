"""What a node loads that does not ask for it, because every node pays for it in memory and in the time of its start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_node_without_traces_loads_nothing_of_them() -> None:
    program = "import sys, raftkafka.node.main; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    loaded = set(done.stdout.split())
    assert "raftkafka.node.assembly" in loaded
    assert not {name for name in loaded if name.partition(".")[0] in {"opentelemetry", "google", "requests"}}
    assert not loaded & {"raftkafka.broker.tracing", "raftkafka.adapters.tracing_export"}
