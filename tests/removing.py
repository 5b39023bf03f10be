"""Removing a directory that a process is writing to."""

from __future__ import annotations

import shutil
from pathlib import Path

TRIES = 1_000


def remove_in_use(directory: Path | str) -> None:
    """As `rm -r`, again where a file came into being behind its back; a node soon notices, and writes there no more."""
    for _ in range(TRIES):
        shutil.rmtree(directory, ignore_errors=True)
        if not Path(directory).exists():
            return
    raise AssertionError(f"{directory} comes back again and again")
