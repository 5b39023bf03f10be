"""A file system of its own for a node, on a loop device, whose power can be cut: what was not synced is gone.

The kernel is asked to shut the file system down without writing its journal or its dirty pages (FS_IOC_SHUTDOWN); mounting
it again replays the journal, as after a real loss of power. While it is shut down, every write and sync fails.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

FS_IOC_SHUTDOWN: Final = (2 << 30) | (4 << 16) | (ord("X") << 8) | 125
"""`_IOR('X', 125, __u32)` of linux/fs.h."""
WRITE_NOTHING: Final = 2
"""FS_SHUTDOWN_FLAGS_NOLOGFLUSH: neither data nor journal."""
PATIENCE_S: Final = 60.0
"""For what the kernel finishes some time after it was asked to."""


class LoopDisk:
    """An ext4 file system in an image file, mounted at `mount_point`."""

    def __init__(self, directory: Path, name: str, *, size_mib: int = 96) -> None:
        self.image = directory / f"{name}.img"
        self.mount_point = directory / name
        self.mount_point.mkdir(parents=True, exist_ok=True)
        with self.image.open("wb") as image:
            image.truncate(size_mib << 20)
        _run("mkfs.ext4", "-q", "-F", str(self.image))
        self._mounted = False
        self.mount()

    def mount(self) -> None:
        if not self._mounted:
            # Somebody else may be taking the same loop device.
            _until_done("mount", "-o", "loop", str(self.image), str(self.mount_point))
            self._mounted = True

    def cut_power(self) -> None:
        """From now on every write fails, and what was not synced before is lost."""
        directory = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(directory, FS_IOC_SHUTDOWN, struct.pack("I", WRITE_NOTHING))
        finally:
            os.close(directory)

    def unmount(self) -> None:
        """Nobody may have a file open there any more.

        The file system ends with its last mount, and whoever makes a mount namespace meanwhile has one of its own: mounted
        again before that, it would be the same one, shut down for ever.
        """
        if self._mounted:
            _until_done("umount", str(self.mount_point))
            self._mounted = False
            _until(lambda: not self._is_attached(), f"{self.image} has no loop device any more")

    def _is_attached(self) -> bool:
        image = str(self.image.resolve())
        for path in Path("/sys/block").glob("loop*/loop/backing_file"):
            try:
                if path.read_text().strip() == image:
                    return True
            except OSError:
                continue  # let go while we looked
        return False

    def close(self) -> None:
        if self._mounted:
            subprocess.run(["umount", "--lazy", str(self.mount_point)], check=False, capture_output=True)
            self._mounted = False
        self.image.unlink(missing_ok=True)


def why_no_disks(directory: Path) -> str | None:
    """Why this machine cannot do it, None when it can; found out by trying."""
    if os.geteuid() != 0:
        return "mounting file systems needs root"
    for program in ("mkfs.ext4", "mount", "umount"):
        if shutil.which(program) is None:
            return f"{program} is missing"
    try:
        disk = LoopDisk(directory, "probe", size_mib=16)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no file system can be mounted on a loop device here: {error}"
    try:
        disk.cut_power()
    except OSError as error:
        return f"this kernel cannot shut a file system down: {error}"
    finally:
        disk.close()
    return None


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)


def _until_done(*command: str) -> None:
    said = ""

    def works() -> bool:
        nonlocal said
        done = subprocess.run(command, check=False, capture_output=True, timeout=PATIENCE_S)
        said = done.stderr.decode(errors="replace").strip()
        return done.returncode == 0

    _until(works, lambda: f"{' '.join(command)}: {said}")


def _until(condition: Callable[[], bool], what: str | Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise OSError(f"not within {PATIENCE_S:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.02)
