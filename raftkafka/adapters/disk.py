"""`ports.disk` on the operating system's files.

Floor 4. A write to the page cache is shorter than the hop to a thread, so appends happen on the loop; syncs and reads
that may wait for the device happen in a few threads. Invariants: no symbolic link is followed, files are 0600
and directories 0700, and a descriptor is never closed while a thread works on it (its number could be somebody else's).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import fcntl
import os
import stat
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import aiofiles

from raftkafka.adapters.sync_threads import SyncThreads, ThreadWork, sync_files
from raftkafka.model.errors import DiskFullError, StartupError, StorageError, SyncFailedError
from raftkafka.ports.disk import Bytes, File

_T = TypeVar("_T")

FILE_MODE: Final = 0o600
DIRECTORY_MODE: Final = 0o700
CLOSE_OFF_LOOP_BYTES: Final = 8 << 20
"""Letting go of a removed file frees its blocks, which takes time; for files from this size on a thread does it."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_NOWAIT: Final = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})
_FALLOC_FL_KEEP_SIZE: Final = 1


def _bind_fallocate() -> Callable[[int, int, int, int], int] | None:
    try:
        function = ctypes.CDLL(None, use_errno=True).fallocate
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    function.restype = ctypes.c_int
    return function


_fallocate: Final = _bind_fallocate()


@contextlib.contextmanager
def _failures(action: str, path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = DiskFullError if error.errno in _FULL else StorageError
        raise kind(f"cannot {action} {path}: {error.strerror or error}") from error


@contextlib.contextmanager
def _failed_syncs(path: str) -> Iterator[None]:
    """A full disk is no excuse: what it did not take is gone from the cache as well."""
    try:
        yield
    except OSError as error:
        raise SyncFailedError(f"cannot sync {path}: {error.strerror or error}") from error


class OsFile:
    """One open file. Only the loop's thread appends, truncates and closes."""

    __slots__ = ("_closed", "_disk", "_fd", "_in_use", "_new", "_path", "_reserved", "_size")

    def __init__(self, disk: OsDisk, path: str, fd: int, size: int, *, new: bool) -> None:
        self._disk = disk
        self._path = path
        self._fd = fd
        self._size = size
        self._reserved = size
        self._new = new
        self._in_use = 0
        self._closed = False

    @property
    def path(self) -> str:
        return self._path

    @property
    def size(self) -> int:
        return self._size

    def append(self, buffers: Sequence[Bytes]) -> None:
        try:
            if len(buffers) == 1:
                wanted = len(buffers[0])
                written = os.write(self._fd, buffers[0])
            else:
                wanted = sum(map(len, buffers))
                written = os.writev(self._fd, buffers)
            if written != wanted:
                self._append_rest(b"".join(buffers), written)
        except OSError as error:
            self._cut_partial_write(error)
            kind = DiskFullError if error.errno in _FULL else StorageError
            raise kind(f"cannot write to {self._path}: {error.strerror or error}") from error
        self._size += wanted

    def _append_rest(self, whole: bytes, written: int) -> None:
        """A short write is how a filling disk announces itself; the next call says why."""
        rest = memoryview(whole)[written:]
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def _cut_partial_write(self, cause: OSError) -> None:
        try:
            os.ftruncate(self._fd, self._size)
        except OSError as error:
            raise StorageError(
                f"cannot write to {self._path} ({cause.strerror or cause}), nor cut off what was written: {error}"
            ) from error

    def read(self, position: int, count: int) -> bytes:
        with _failures("read", self._path):
            chunk = os.pread(self._fd, count, position)
            if len(chunk) == count or not chunk:
                return chunk
            parts = [chunk]
            missing = count - len(chunk)
            while missing:
                chunk = os.pread(self._fd, missing, position + count - missing)
                if not chunk:
                    break
                parts.append(chunk)
                missing -= len(chunk)
            return b"".join(parts)

    def read_cached(self, position: int, count: int) -> bytes | memoryview | None:
        count = min(count, self._size - position)
        if count <= 0:
            return b""
        if not self._disk.nowait_works:
            return self.read(position, count)
        buffer = bytearray(count)
        try:
            got = os.preadv(self._fd, (buffer,), position, os.RWF_NOWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno in _NO_NOWAIT:
                self._disk.nowait_works = False
                return self.read(position, count)
            raise StorageError(f"cannot read {self._path}: {error.strerror or error}") from error
        return memoryview(buffer).toreadonly() if got == count else None

    def truncate(self, size: int) -> None:
        with _failures("truncate", self._path):
            os.ftruncate(self._fd, size)
        self._size = self._reserved = size

    def preallocate(self, size: int) -> None:
        if size <= self._reserved or _fallocate is None:
            return
        # A refusal (no space, not supported) only costs speed; asking again for the same range would cost more.
        _fallocate(self._fd, _FALLOC_FL_KEEP_SIZE, self._reserved, size - self._reserved)
        self._reserved = size

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            if self._in_use == 0:
                self._disk.close_descriptor(self._fd, self._size)

    def hold(self) -> int:
        """The descriptor, kept open until `let_go`; loop's thread only."""
        if self._closed:
            raise StorageError(f"{self._path} is closed")
        self._in_use += 1
        return self._fd

    def let_go(self) -> None:
        self._in_use -= 1
        if self._closed and self._in_use == 0:
            self._disk.close_descriptor(self._fd, self._size)

    @property
    def is_closed(self) -> bool:
        return self._closed

    @property
    def is_new(self) -> bool:
        """True until its directory entry is known to be durable."""
        return self._new

    def entry_is_durable(self) -> None:
        self._new = False


class OsLock:
    """A lock file under flock; the lock ends with the process at the latest."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class OsDisk:
    """The real disk. `threads` bounds how many syncs run at once, and how many cold reads beside them."""

    def __init__(self, *, threads: int = 4) -> None:
        self.nowait_works = hasattr(os, "RWF_NOWAIT")
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="disk")
        self._syncs = SyncThreads(threads)
        self._unsynced_directories: set[str] = set()

    def open(self, path: str, *, create: bool = False) -> OsFile:
        flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with _failures("open", path):
            new = False
            try:
                fd = os.open(path, flags)
            except FileNotFoundError:
                if not create:
                    raise
                fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, FILE_MODE)
                new = True
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                os.close(fd)
                raise StorageError(f"cannot open {path}: not a regular file")
            return OsFile(self, path, fd, status.st_size, new=new)

    def exists(self, path: str) -> bool:
        return os.path.lexists(path)

    def list_dir(self, path: str) -> list[str]:
        with _failures("list", path):
            return sorted(os.listdir(path))

    def make_dir(self, path: str) -> None:
        with _failures("make the directory", path):
            missing = []
            parent = os.path.abspath(path)
            while not os.path.lexists(parent):
                missing.append(parent)
                parent = os.path.dirname(parent)
            for directory in reversed(missing):
                os.mkdir(directory, DIRECTORY_MODE)
                self._unsynced_directories.add(directory)
        if os.path.islink(path) or not os.path.isdir(path):
            raise StorageError(f"cannot make the directory {path}: something else has that name")

    def remove(self, path: str) -> None:
        with _failures("remove", path), contextlib.suppress(FileNotFoundError):
            if os.stat(path, follow_symlinks=False).st_size < CLOSE_OFF_LOOP_BYTES:
                os.unlink(path)
                return
            # An open descriptor keeps the blocks when the name goes; the thread that closes it frees them.
            fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.unlink(path)
            finally:
                self._pool.submit(os.close, fd)

    def remove_tree(self, path: str) -> None:
        with _failures("remove", path), contextlib.suppress(FileNotFoundError):
            if os.path.islink(path):
                raise StorageError(f"cannot remove {path}: it is a symbolic link")
            with os.scandir(path) as entries:
                for entry in list(entries):
                    if entry.is_dir(follow_symlinks=False):
                        self.remove_tree(entry.path)
                    else:
                        self.remove(entry.path)
            os.rmdir(path)

    def rename(self, source: str, target: str) -> None:
        with _failures("rename", source):
            os.rename(source, target)

    def file_size(self, path: str) -> int:
        with _failures("look up", path):
            return os.stat(path, follow_symlinks=False).st_size

    def drop_cached(self, path: str) -> None:
        with contextlib.suppress(OSError):
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(fd)

    def free_bytes(self, path: str) -> int:
        with _failures("look up", path):
            status = os.statvfs(path)
            return status.f_bavail * status.f_frsize

    def total_bytes(self, path: str) -> int:
        with _failures("look up", path):
            status = os.statvfs(path)
            return status.f_blocks * status.f_frsize

    def read_file(self, path: str) -> bytes:
        with _failures("read", path):
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(fd, "rb") as file:
                return file.read()

    def write_atomic(self, path: str, data: Bytes) -> None:
        new = f"{path}.tmp"
        with _failures("write", path):
            with os.fdopen(_open_anew(new, 0), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(new, path)
        self.sync_dir(os.path.dirname(path))

    async def replace(self, path: str, data: Bytes) -> None:
        new = f"{path}.new"
        loop = asyncio.get_running_loop()
        with _failures("write", path):
            async with aiofiles.open(new, "wb", opener=_open_anew, executor=self._pool) as file:
                await file.write(data)
                await file.flush()
                await loop.run_in_executor(self._pool, os.fsync, file.fileno())
            await loop.run_in_executor(self._pool, _rename_durably, new, path)

    def sync_dir(self, path: str) -> None:
        with _failed_syncs(f"the directory {path}"):
            _sync_directory(path)

    async def sync_names(self, path: str) -> None:
        await self._run(lambda: self.sync_dir(path))

    def lock(self, path: str) -> OsLock:
        with _failures("lock", path):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(fd)
                raise StartupError(f"{os.path.dirname(path)} is in use by another process (it holds {path})") from error
            return OsLock(fd)

    def sync(self, files: Sequence[File]) -> Awaitable[None]:
        return self._sync(files, None)

    def sync_then(self, files: Sequence[File], then: Callable[[BaseException | None], None]) -> None:
        self._sync(files, then)

    def _sync(self, files: Sequence[File], then: Callable[[BaseException | None], None] | None) -> ThreadWork:
        held = [file for file in files if isinstance(file, OsFile) and not file.is_closed]
        descriptors = [(file.hold(), file) for file in held]
        directories = self._directories_to_sync(file.path for file in held if file.is_new)

        def done(failure: BaseException | None) -> None:
            for file in held:
                file.let_go()
            if failure is None:
                for file in held:
                    file.entry_is_durable()
                self._unsynced_directories.difference_update(directories)

        if not directories:
            return self._syncs.sync(descriptors, done, then)
        return self._syncs.run(lambda: _sync_all(descriptors, directories), done, then)

    async def read_cold(self, file: File, position: int, count: int) -> bytes:
        assert isinstance(file, OsFile)
        file.hold()
        try:
            return await self._run(lambda: file.read(position, count))
        finally:
            file.let_go()

    def close(self) -> None:
        """End the threads; whatever they were doing is finished first."""
        self._syncs.close()
        self._pool.shutdown()

    def close_descriptor(self, fd: int, size_bytes: int) -> None:
        if size_bytes >= CLOSE_OFF_LOOP_BYTES:
            self._pool.submit(os.close, fd)
        else:
            os.close(fd)

    def _directories_to_sync(self, paths: Iterable[str]) -> list[str]:
        """The directories whose entries lead to new files: the parent, and its parents as far as they are new too."""
        wanted: dict[str, None] = {}
        for path in paths:
            directory = os.path.dirname(os.path.abspath(path))
            wanted[directory] = None
            while directory in self._unsynced_directories:
                directory = os.path.dirname(directory)
                wanted[directory] = None
        return list(wanted)

    async def _run(self, call: Callable[[], _T]) -> _T:
        """Run `call` in the pool. A cancelled caller waits for the thread first: it works on descriptors."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, call)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            if (failure := future.exception()) is not None:
                raise failure from None
            raise


def _open_anew(path: str, _flags: int) -> int:
    """A leftover may be a planted link: remove the name and insist on making the file."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)


def _rename_durably(source: str, target: str) -> None:
    os.rename(source, target)
    _sync_directory(os.path.dirname(target))


def _sync_all(descriptors: Sequence[tuple[int, OsFile]], directories: Sequence[str]) -> None:
    sync_files(descriptors)
    for directory in directories:
        with _failed_syncs(f"the directory {directory}"):
            _sync_directory(directory)


def _sync_directory(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
