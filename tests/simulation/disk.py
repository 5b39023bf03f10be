"""A disk in memory: what was not synced is lost, torn or reordered with the power; it fills up, slows down and decays.

`SimDisk` is the hardware and the kernel of one host and outlives its processes. `ProcessDisk` implements `ports.disk` for
one incarnation, with the bookkeeping of the real adapter (which names a sync makes durable), and does nothing any more
once that is dead.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Callable, Sequence
from random import Random

from raftkafka.model.errors import DiskFullError, StartupError, StorageError, SyncFailedError
from raftkafka.ports.disk import Bytes, File
from tests.simulation.loop import Incarnation
from tests.sync_then import SyncsThen

LOST_BYTES_MIN = 16
PAGE_BYTES = 4096


class Inode:
    """A file: what is seen, what is on the platter, and the operations between the two, numbered."""

    __slots__ = ("content", "durable", "first", "has_lost_pages", "pending")

    def __init__(self) -> None:
        self.content = bytearray()
        self.durable = bytearray()
        self.first = 0
        self.has_lost_pages = False
        self.pending: list[bytes | int] = []  # bytes: an append; a number: a truncation

    @property
    def last(self) -> int:
        return self.first + len(self.pending)

    def sync(self, upto: int | None = None) -> None:
        count = len(self.pending) if upto is None else upto - self.first
        if count > 0:
            for operation in self.pending[:count]:
                _replay(self.durable, operation)
            del self.pending[:count]
            self.first += count

    def fail_sync(self) -> None:
        """The kernel takes the dirty pages for clean: they are seen as before, and zeros are on the platter."""
        self.pending = [bytes(len(each)) if isinstance(each, bytes) else each for each in self.pending]
        self.sync()
        self.has_lost_pages = True

    def drop_cached(self) -> None:
        """What is clean is read from the platter again; dirty pages stay."""
        if self.has_lost_pages:
            self.has_lost_pages = False
            self.content = bytearray(self.durable)
            for operation in self.pending:
                _replay(self.content, operation)

    def lose_power(self, random: Random, mode: str) -> None:
        content = bytearray(self.durable)
        if mode == "all":
            for operation in self.pending:
                _replay(content, operation)
        elif mode != "none" and self.pending:
            survivors = random.randint(0, len(self.pending))
            for operation in self.pending[:survivors]:
                _replay(content, operation)
            if survivors < len(self.pending) and isinstance(torn := self.pending[survivors], bytes):
                content += torn[: random.randint(0, len(torn))]
            if mode == "reordered" and len(content) > len(self.durable):
                # Pages reach the platter in any order: one that did not leaves zeros in what was not synced.
                start = random.randrange(len(self.durable), len(content))
                end = min(len(content), (start // PAGE_BYTES + 1) * PAGE_BYTES)
                # A page is lost back to where it was written last, which is never within a few bytes of its end.
                start = min(start, max(len(self.durable), end - LOST_BYTES_MIN))
                content[start:end] = bytes(end - start)
        self.content = content
        self.durable = bytearray(content)
        self.pending.clear()
        self.has_lost_pages = False


def _replay(content: bytearray, operation: bytes | int) -> None:
    if isinstance(operation, bytes):
        content += operation
    else:
        del content[operation:]


class Directory:
    """Names: what is seen, what is durable, and the changes between the two (None for a removal)."""

    __slots__ = ("durable", "entries", "pending")

    def __init__(self) -> None:
        self.entries: dict[str, Inode | Directory] = {}
        self.durable: dict[str, Inode | Directory] = {}
        self.pending: list[dict[str, Inode | Directory | None]] = []

    def change(self, changes: dict[str, Inode | Directory | None]) -> None:
        self.pending.append(changes)
        _rename(self.entries, changes)

    def sync(self) -> None:
        if self.pending:
            self.durable = dict(self.entries)
            self.pending.clear()

    def lose_power(self, random: Random, mode: str) -> None:
        entries = dict(self.durable)
        survivors = {"none": 0, "all": len(self.pending)}.get(mode)
        if survivors is None:
            survivors = random.randint(0, len(self.pending))
        for changes in self.pending[:survivors]:
            _rename(entries, changes)
        self.entries, self.durable = entries, dict(entries)
        self.pending.clear()
        for name in sorted(entries):
            entries[name].lose_power(random, mode)


def _rename(entries: dict[str, Inode | Directory], changes: dict[str, Inode | Directory | None]) -> None:
    for name, node in changes.items():
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


class SimDisk:
    """The faults are attributes: `sync_s` is the time a sync takes (a range in seconds), `sync_failures` how many of the
    next syncs fail, `capacity_bytes` when the disk is full. `on_last_step` is called when `steps_left` operations have
    begun: a crash between two changes of the disk that belong together."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.root = Directory()
        self.locks: dict[str, Incarnation] = {}
        self.capacity_bytes = 1 << 40
        self.sync_s = (0.0002, 0.003)
        self.cold_chance = 0.02
        self.sync_failures = 0
        self.is_failing: Callable[[str], bool] = lambda path: True
        self.used_bytes = 0
        self.steps_left = 0
        self.on_last_step: Callable[[], None] = lambda: None
        self.syncs = 0
        self.failed_syncs = 0

    def lose_power(self, mode: str) -> None:
        """`mode`: "none" of what was not synced survives, "all" of it, "some" with a torn end, or "reordered" pages."""
        self.locks.clear()
        self.root.lose_power(self.random, mode)
        self.used_bytes = _used(self.root)

    def wipe(self, path: str) -> None:
        """Somebody put an empty disk where `path` was."""
        for entries in (self.root.entries, self.root.durable):
            entries.pop(path.strip("/"), None)
        self.root.pending.clear()
        self.used_bytes = _used(self.root)

    def files(self) -> list[tuple[str, Inode]]:
        """All files with their paths, sorted."""
        return list(_walk(self.root, ""))

    @staticmethod
    def flip(inode: Inode, position: int, mask: int) -> None:
        """Damage one byte, in the cache and on the platter."""
        inode.sync()
        inode.content[position] ^= mask
        inode.durable[position] ^= mask

    # What processes reach through ProcessDisk

    def find(self, path: str) -> Inode | Directory | None:
        node: Inode | Directory | None = self.root
        for name in _parts(path):
            node = node.entries.get(name) if isinstance(node, Directory) else None
        return node

    def directory(self, path: str) -> Directory:
        node = self.find(path)
        if not isinstance(node, Directory):
            raise StorageError(f"no directory {path}")
        return node

    def inode(self, path: str) -> Inode:
        node = self.find(path)
        if not isinstance(node, Inode):
            raise StorageError(f"no file {path}")
        return node

    def step(self) -> None:
        if self.steps_left:
            self.steps_left -= 1
            if self.steps_left == 0:
                self.on_last_step()

    def reserve(self, count: int, path: str) -> None:
        if self.used_bytes + count > self.capacity_bytes:
            raise DiskFullError(f"cannot write to {path}: no space left on device")
        self.used_bytes += count


class SimFile:
    __slots__ = ("_path", "closed", "disk", "inode", "is_new")

    def __init__(self, disk: ProcessDisk, path: str, inode: Inode, *, is_new: bool) -> None:
        self.disk = disk
        self.inode = inode
        self.closed = False
        self.is_new = is_new
        self._path = path
        disk.process.open_files += 1

    @property
    def path(self) -> str:
        return self._path

    @property
    def size(self) -> int:
        return len(self.inode.content)

    def check(self) -> None:
        self.disk.check()
        if self.closed:
            raise StorageError(f"{self._path} is closed")

    def append(self, buffers: Sequence[Bytes]) -> None:
        self.check()
        written = b"".join(buffers)
        self.disk.host.reserve(len(written), self._path)
        self.inode.content += written
        self.inode.pending.append(written)

    def read(self, position: int, count: int) -> bytes:
        assert not self.closed, self._path
        return bytes(self.inode.content[position : position + count])

    def read_cached(self, position: int, count: int) -> bytes | None:
        host = self.disk.host
        if host.cold_chance and host.random.random() < host.cold_chance:
            return None
        return self.read(position, count)

    def truncate(self, size: int) -> None:
        self.check()
        self.disk.host.used_bytes -= max(0, self.size - size)
        if size > self.size:
            self.append([bytes(size - self.size)])
        elif size < self.size:
            del self.inode.content[size:]
            self.inode.pending.append(size)

    def preallocate(self, size: int) -> None: ...

    def close(self) -> None:
        if not self.closed:
            self.disk.process.open_files -= 1
        self.closed = True


class SimLock:
    def __init__(self, disk: ProcessDisk, path: str) -> None:
        self._disk = disk
        self._path = path

    def release(self) -> None:
        if self._disk.host.locks.get(self._path) is self._disk.process:
            del self._disk.host.locks[self._path]


class DeadProcessError(BaseException):
    """The process died in the middle of this step; unwinding must not reach anything outside of it."""


class _Unstoppable(asyncio.Future[None]):
    """Whoever waits for it and is cancelled hears of that when it is done."""

    def cancel(self, msg: object = None) -> bool:
        return False


class ProcessDisk(SyncsThen):
    """`ports.disk.Disk` for one life of a process."""

    def __init__(self, host: SimDisk, process: Incarnation) -> None:
        self.host = host
        self.process = process
        self._unsynced_directories: dict[str, None] = {}

    def check(self) -> None:
        """Every change of the disk begins here."""
        if self.process.alive:
            self.host.step()
        if not self.process.alive:
            raise DeadProcessError(self.process.host)

    def open(self, path: str, *, create: bool = False) -> SimFile:
        self.check()
        parent = self.host.directory(posixpath.dirname(path))
        name = posixpath.basename(path)
        node, is_new = parent.entries.get(name), False
        if node is None and create:
            node, is_new = Inode(), True
            parent.change({name: node})
        if not isinstance(node, Inode):
            raise StorageError(f"cannot open {path}: no such file")
        return SimFile(self, path, node, is_new=is_new)

    def exists(self, path: str) -> bool:
        return self.host.find(path) is not None

    def list_dir(self, path: str) -> list[str]:
        return sorted(self.host.directory(path).entries)

    def make_dir(self, path: str) -> None:
        self.check()
        node: Inode | Directory = self.host.root
        sofar = ""
        for name in _parts(path):
            sofar += "/" + name
            assert isinstance(node, Directory)
            if name not in node.entries:
                node.change({name: Directory()})
                self._unsynced_directories[sofar] = None
            node = node.entries[name]
            if not isinstance(node, Directory):
                raise StorageError(f"cannot make the directory {path}: something else has that name")

    def remove(self, path: str) -> None:
        self.check()
        parent = self.host.directory(posixpath.dirname(path))
        node = parent.entries.get(posixpath.basename(path))
        if isinstance(node, Directory):
            raise StorageError(f"cannot remove {path}: it is a directory")
        if node is not None:
            self.host.used_bytes -= len(node.content)
            parent.change({posixpath.basename(path): None})

    def remove_tree(self, path: str) -> None:
        self.check()
        node = self.host.find(path)
        if isinstance(node, Directory):
            for name in sorted(node.entries):
                self.remove_tree(f"{path}/{name}")
            self.host.directory(posixpath.dirname(path)).change({posixpath.basename(path): None})
        elif node is not None:
            self.remove(path)

    def rename(self, source: str, target: str) -> None:
        self.check()
        parent = self.host.directory(posixpath.dirname(source))
        assert posixpath.dirname(source) == posixpath.dirname(target), "renames stay within a directory"
        node = parent.entries.get(posixpath.basename(source))
        if node is None:
            raise StorageError(f"cannot rename {source}: no such file")
        parent.change({posixpath.basename(source): None, posixpath.basename(target): node})

    def file_size(self, path: str) -> int:
        return len(self.host.inode(path).content)

    def drop_cached(self, path: str) -> None:
        node = self.host.find(path)
        if isinstance(node, Inode):
            self.host.used_bytes -= len(node.content)
            node.drop_cached()
            self.host.used_bytes += len(node.content)

    def free_bytes(self, path: str) -> int:
        return max(0, self.host.capacity_bytes - self.host.used_bytes)

    def total_bytes(self, path: str) -> int:
        return self.host.capacity_bytes

    def read_file(self, path: str) -> bytes:
        self.check()
        return bytes(self.host.inode(path).content)

    def write_atomic(self, path: str, data: Bytes) -> None:
        self.check()
        self.host.reserve(len(data), path)
        parent, name = self.host.directory(posixpath.dirname(path)), posixpath.basename(path)
        old = parent.entries.get(name)
        if isinstance(old, Inode):
            self.host.used_bytes -= len(old.content)
        self._fail_perhaps(path)
        inode = Inode()
        inode.content += data
        inode.durable += data
        parent.change({name: inode})
        parent.sync()

    async def replace(self, path: str, data: Bytes) -> None:
        self.check()
        await asyncio.sleep(self.host.random.uniform(*self.host.sync_s))
        self.write_atomic(path, data)

    def sync_dir(self, path: str) -> None:
        self.check()
        self._fail_perhaps(path)
        self.host.directory(path).sync()

    async def sync_names(self, path: str) -> None:
        self.check()
        await asyncio.sleep(self.host.random.uniform(*self.host.sync_s))
        self.sync_dir(path)

    def lock(self, path: str) -> SimLock:
        self.check()
        if path in self.host.locks:
            raise StartupError(f"{posixpath.dirname(path)} is in use by another process (it holds {path})")
        self.open(path, create=True).close()
        self.host.locks[path] = self.process
        return SimLock(self, path)

    async def sync(self, files: Sequence[File]) -> None:
        self.check()
        host = self.host
        host.syncs += 1
        held = [(file, file.inode.last) for file in files if isinstance(file, SimFile) and not file.closed]
        directories = self._directories_to_sync([file.path for file, _ in held if file.is_new])
        # The kernel is not cancelled with who asked it; a cancelled caller waits for it, as in the real adapter.
        loop = asyncio.get_running_loop()
        done = _Unstoppable(loop=loop)
        loop.call_later(host.random.uniform(*host.sync_s), done.set_result, None)
        cancelled: asyncio.CancelledError | None = None
        try:
            await done
        except asyncio.CancelledError as error:
            cancelled = error
        for file, upto in held:
            self.check()
            self._fail_perhaps(file.path, file.inode)
            file.inode.sync(upto)
        for directory in directories:
            node = host.find(directory)
            if isinstance(node, Directory):
                node.sync()
        for file, _ in held:
            file.is_new = False
        for directory in directories:
            self._unsynced_directories.pop(directory, None)
        if cancelled is not None:
            raise cancelled

    async def read_cold(self, file: File, position: int, count: int) -> bytes:
        assert isinstance(file, SimFile)
        file.check()
        await asyncio.sleep(self.host.random.uniform(0.0002, 0.004))
        return bytes(file.inode.content[position : position + count])

    def _fail_perhaps(self, path: str, inode: Inode | None = None) -> None:
        if self.host.sync_failures and self.host.is_failing(path):
            self.host.sync_failures -= 1
            self.host.failed_syncs += 1
            if inode is not None:
                inode.fail_sync()
            raise SyncFailedError(f"cannot sync {path}: input/output error")

    def _directories_to_sync(self, paths: list[str]) -> list[str]:
        wanted: dict[str, None] = {}
        for path in paths:
            directory = posixpath.dirname(path)
            wanted[directory] = None
            while directory in self._unsynced_directories:
                directory = posixpath.dirname(directory)
                wanted[directory] = None
        return list(wanted)


def _parts(path: str) -> list[str]:
    assert path.startswith("/"), path
    return [part for part in path.split("/") if part]


def _walk(directory: Directory, prefix: str) -> list[tuple[str, Inode]]:
    found: list[tuple[str, Inode]] = []
    for name in sorted(directory.entries):
        node = directory.entries[name]
        if isinstance(node, Directory):
            found += _walk(node, f"{prefix}/{name}")
        else:
            found.append((f"{prefix}/{name}", node))
    return found


def _used(node: Inode | Directory) -> int:
    return len(node.content) if isinstance(node, Inode) else sum(map(_used, node.entries.values()))
