"""Memory for the page cache, made ready before a measurement.

A virtual machine gets its memory from the host page by page, at its first use, and free pages may go back. Writing a new file
then measures the host's page faults (ten times slower than the copy, on some machines), whatever program writes. So the
pages that a run will need are touched before, and what others left to be written is on the disk.
"""

from __future__ import annotations

import os
from pathlib import Path

_CHUNK = bytes(1 << 20)


def prepare(directory: Path, size_bytes: int) -> None:
    """Leave at least `size_bytes` of memory that is free, was just in use, and owes the disk nothing."""
    path = directory / "pages"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        for _ in range(-(-size_bytes // len(_CHUNK))):
            os.write(descriptor, _CHUNK)
    finally:
        os.close(descriptor)
        path.unlink()
    os.sync()
