"""Who is killed leaves no children behind."""

from __future__ import annotations

import signal
import subprocess
import sys

CHILD = """
import os, signal, sys
from raftkafka.cli.parent import stop_with_parent
stop_with_parent(int(sys.argv[1]))
print("up", flush=True)
signal.pause()
"""
PARENT = f"""
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}, str(os.getpid())])
child.wait()
"""


def test_a_child_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        parent.send_signal(signal.SIGKILL)
        # The child holds the other end of the pipe: it closes when the child is gone, and not before.
        assert parent.stdout.read() == b""


def test_a_parent_that_is_gone_already_is_an_error() -> None:
    program = (
        "from raftkafka.cli.parent import stop_with_parent\n"
        "from raftkafka.model.errors import StartupError\n"
        "try: stop_with_parent(1 << 22)\n"
        "except StartupError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "is gone" in done.stdout
