"""A child that does not outlive the command that started it, not even when that was killed with SIGKILL. Floor 5."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

from raftkafka.model.errors import StartupError

_PR_SET_PDEATHSIG: Final = 1


def stop_with_parent(parent: int) -> None:
    """Let the kernel send this process SIGTERM when its parent ends (prctl(2), PR_SET_PDEATHSIG).

    The child asks for it, rather than the parent between fork and exec: code there runs in a copy of a threaded process.

    Raises:
        StartupError: the parent is gone already.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise StartupError(f"process {parent}, which started this node, is gone")
