"""The disk, as everything above the adapters sees it. A simulated disk implements the same Protocols.

Floor 1. Paths are absolute strings. Calls without `async` may run on the event loop: they touch the page cache or a
directory entry. What may wait for a device (sync, cold reads) is `async` and runs elsewhere. Failures are
`StorageError`, a full disk `DiskFullError`, a failed sync `SyncFailedError`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

Bytes = bytes | bytearray | memoryview


class File(Protocol):
    """One open file; `position` and counts are in bytes."""

    @property
    def path(self) -> str: ...

    @property
    def size(self) -> int:
        """The end of what was appended (preallocated space does not count)."""
        ...

    def append(self, buffers: Sequence[Bytes]) -> None:
        """Write all buffers at the end, in one call where possible.

        Raises:
            DiskFullError: nothing counts as appended; a partial write has been cut off again.
            StorageError: the device failed.
        """
        ...

    def read(self, position: int, count: int) -> bytes:
        """Up to `count` bytes from `position`; fewer only at the end. May wait for the device: cold paths only."""
        ...

    def read_cached(self, position: int, count: int) -> bytes | memoryview | None:
        """As `read` when every byte is in the page cache, None otherwise (then use `Disk.read_cold`)."""
        ...

    def truncate(self, size: int) -> None: ...

    def preallocate(self, size: int) -> None:
        """Reserve space up to `size` without changing the file's size; a refusal is not an error."""
        ...

    def close(self) -> None: ...


class Lock(Protocol):
    def release(self) -> None: ...


class Disk(Protocol):
    def open(self, path: str, *, create: bool = False) -> File:
        """Open for reading and appending; no symbolic link is followed. `create` makes a missing file (mode 0600)."""
        ...

    def exists(self, path: str) -> bool: ...

    def list_dir(self, path: str) -> list[str]:
        """Names in the directory, sorted."""
        ...

    def make_dir(self, path: str) -> None:
        """Make the directory (mode 0700) and its missing parents; an existing one is fine."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file; a missing one is fine."""
        ...

    def remove_tree(self, path: str) -> None: ...

    def rename(self, source: str, target: str) -> None:
        """Atomic; replaces a file at `target`. Durable after `sync_dir` of the parent."""
        ...

    def file_size(self, path: str) -> int: ...

    def drop_cached(self, path: str) -> None:
        """Let the next reads of the file come from the device.

        After a failed sync the page cache goes on showing what the device never got, and takes it for clean: whoever
        recovers must not believe it. What is still to be written stays. A missing file, or a refusal, is no error.
        """
        ...

    def free_bytes(self, path: str) -> int:
        """What this process may still write to the file system of `path`."""
        ...

    def total_bytes(self, path: str) -> int:
        """The size of the file system of `path`."""
        ...

    def read_file(self, path: str) -> bytes: ...

    def write_atomic(self, path: str, data: Bytes) -> None:
        """New file, synced, renamed over `path`, directory synced: afterwards old or new is there, whole."""
        ...

    async def replace(self, path: str, data: Bytes) -> None:
        """`write_atomic`, off the loop: for what is written again and again. One at a time per path."""
        ...

    def sync_dir(self, path: str) -> None:
        """Make the names in a directory durable.

        Raises:
            SyncFailedError: as in `sync`.
        """
        ...

    async def sync_names(self, path: str) -> None:
        """`sync_dir`, off the loop."""
        ...

    def lock(self, path: str) -> Lock:
        """Lock the file (made if missing) against other processes.

        Raises:
            StartupError: somebody else holds it.
        """
        ...

    def sync(self, files: Sequence[File]) -> Awaitable[None]:
        """Make the content of `files` durable (fdatasync), off the loop; for new files their directory entries too, up
        to the last directory that `make_dir` made. A file closed meanwhile is passed over: nobody wants its content. A
        failure must never be retried: the data may be gone although a second try succeeds.

        A coroutine will do (it begins when it is awaited); the real disk gives a future, which costs no task.

        Raises:
            SyncFailedError: the log directory has to go offline.
        """
        ...

    def sync_then(self, files: Sequence[File], then: Callable[[BaseException | None], None]) -> None:
        """`sync`; at its end `then` is told None, or why it failed, in the turn of the loop that hears of it.

        A `CancelledError` says that the loop is closing.
        """
        ...

    async def read_cold(self, file: File, position: int, count: int) -> bytes:
        """`File.read`, off the loop."""
        ...
