"""The nodes of a benchmark end with it, however it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.clusters import PATIENCE_S, POLL_S

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PROGRAM = """
import time
from benchmarks.nodes import cluster
with cluster(1) as [node]:
    print(node.pid, flush=True)
    time.sleep(600)
"""


def running(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_nothing_is_left_of_a_benchmark_that_was_killed() -> None:
    benchmark = subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert benchmark.stdout is not None
    node = Path("/proc", benchmark.stdout.readline().strip())
    command = running(node)
    assert b"broker" in command
    # By then it has asked to be told: a child that finds its parent gone ends, too.
    benchmark.send_signal(signal.SIGKILL)
    benchmark.wait()
    benchmark.stdout.close()
    deadline = time.monotonic() + PATIENCE_S
    while running(node) == command:
        assert time.monotonic() < deadline, "the node goes on"
        time.sleep(POLL_S)
