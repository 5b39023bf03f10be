"""A disk in memory that forgets what was not synced, and the batches and logs that the tests put on it.

The disk is pessimistic as a journalling file system may be: what an application did not sync may be gone after a crash
or there in part, but within one file, and within one directory, earlier operations survive before later ones.
"""

from __future__ import annotations

import posixpath
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import pytest

from raftkafka.model.errors import DiskFullError, StartupError, StorageError
from raftkafka.model.ids import LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicPartition
from raftkafka.ports.disk import Bytes, File
from raftkafka.record.build import encode_records
from raftkafka.record.header import read_header, stamp
from raftkafka.storage.config import LogConfig
from raftkafka.storage.log import Log
from tests.sync_then import SyncsThen

PAGE_BYTES = 4096


class Inode:
    """A file's content: what is seen, what is durable, and the operations between the two."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.durable = b""
        self.pending: list[bytes | int] = []  # bytes: an append; a number: a truncation
        self.has_lost_pages = False
        """A sync failed: the content is seen, and nothing will ever write it."""

    def sync(self) -> None:
        self.durable = bytes(self.content)
        self.pending.clear()

    def crash(self, random: Random | None) -> None:
        """Without `random` exactly the durable content stays; with it also some of what was under way."""
        content = bytearray(self.durable)
        if random is not None:
            survivors = random.randint(0, len(self.pending))
            for operation in self.pending[:survivors]:
                _replay(content, operation)
            if survivors < len(self.pending) and isinstance(torn := self.pending[survivors], bytes):
                content += torn[: random.randint(0, len(torn))]
        self.content = content
        self.sync()


def _replay(content: bytearray, operation: bytes | int) -> None:
    if isinstance(operation, bytes):
        content += operation
    else:
        del content[operation:]


class Directory:
    """Names: what is seen, what is durable, and the changes between the two (name -> node, None for a removal)."""

    def __init__(self) -> None:
        self.entries: dict[str, Node] = {}
        self.durable: dict[str, Node] = {}
        self.pending: list[dict[str, Node | None]] = []

    def change(self, changes: dict[str, Node | None]) -> None:
        self.pending.append(changes)
        _rename(self.entries, changes)

    def sync(self) -> None:
        self.durable = dict(self.entries)
        self.pending.clear()

    def sync_all(self) -> None:
        self.sync()
        for node in self.entries.values():
            if isinstance(node, Directory):
                node.sync_all()
            else:
                node.sync()

    def crash(self, random: Random | None) -> None:
        entries = dict(self.durable)
        survivors = random.randint(0, len(self.pending)) if random is not None else 0
        for changes in self.pending[:survivors]:
            _rename(entries, changes)
        self.entries = entries
        self.sync()
        for node in self.entries.values():
            node.crash(random)


Node = Inode | Directory


def _rename(entries: dict[str, Node], changes: dict[str, Node | None]) -> None:
    for name, node in changes.items():
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


class MemoryFile:
    """An open file; worthless after a crash."""

    def __init__(self, disk: MemoryDisk, path: str, inode: Inode) -> None:
        self.inode = inode
        self.closed = False
        self.preallocated = 0
        self._disk = disk
        self._path = path
        self._boot = disk.boots

    @property
    def path(self) -> str:
        return self._path

    @property
    def size(self) -> int:
        return len(self.inode.content)

    def check(self) -> None:
        if self.closed or self._boot != self._disk.boots:
            raise StorageError(f"{self._path} is closed")

    def append(self, buffers: Sequence[Bytes]) -> None:
        self.check()
        data = b"".join(buffers)
        if self._disk.append_error is not None:
            raise self._disk.append_error
        if self._disk.used_bytes() + len(data) > self._disk.capacity_bytes:
            raise DiskFullError(f"no space for {self._path}")
        self.inode.content += data
        self.inode.pending.append(data)

    def read(self, position: int, count: int) -> bytes:
        self.check()
        return bytes(self.inode.content[position : position + count])

    def read_cached(self, position: int, count: int) -> bytes | None:
        return None if self._disk.cold else self.read(position, count)

    def truncate(self, size: int) -> None:
        self.check()
        assert size <= self.size
        if size < self.size:
            del self.inode.content[size:]
            self.inode.pending.append(size)

    def preallocate(self, size: int) -> None:
        self.preallocated = max(self.preallocated, size)

    def close(self) -> None:
        self.closed = True


class MemoryLock:
    def __init__(self, disk: MemoryDisk, path: str) -> None:
        self._disk = disk
        self._path = path

    def release(self) -> None:
        self._disk.locks.discard(self._path)


class MemoryDisk(SyncsThen):
    """`ports.disk` in memory. Faults are attributes; `crash` is a loss of power followed by a start."""

    def __init__(self) -> None:
        self.root = Directory()
        self.boots = 0
        self.locks: set[str] = set()
        self.cold = False
        self.capacity_bytes = 1 << 40
        self.append_error: StorageError | None = None
        self.sync_error: StorageError | None = None
        self.on_sync: Callable[[], Awaitable[None]] | None = None
        self.on_read_cold: Callable[[], Awaitable[None]] | None = None
        self.syncs = 0

    def crash(self, random: Random | None = None) -> None:
        """Unsynced bytes and names vanish; with `random` some of them, in order, survive, the last one torn."""
        self.boots += 1
        self.locks.clear()
        self.root.crash(random)
        self.append_error = self.sync_error = None

    def sync_all(self) -> None:
        """Everything reaches the platter, as it does some time after an orderly stop."""
        self.root.sync_all()

    def flip(self, path: str, position: int, mask: int = 1) -> None:
        """Damage one byte, also on the platter."""
        inode = self._inode(path)
        inode.content[position] ^= mask
        inode.sync()

    def used_bytes(self) -> int:
        return _used(self.root)

    def open(self, path: str, *, create: bool = False) -> MemoryFile:
        parent, name = self._parent(path)
        node = parent.entries.get(name)
        if node is None and create:
            node = Inode()
            parent.change({name: node})
        if not isinstance(node, Inode):
            raise StorageError(f"cannot open {path}")
        return MemoryFile(self, path, node)

    def exists(self, path: str) -> bool:
        return self._find(path) is not None

    def list_dir(self, path: str) -> list[str]:
        return sorted(self._directory(path).entries)

    def make_dir(self, path: str) -> None:
        node: Node = self.root
        for name in _parts(path):
            assert isinstance(node, Directory)
            if name not in node.entries:
                node.change({name: Directory()})
            node = node.entries[name]
            if not isinstance(node, Directory):
                raise StorageError(f"cannot make {path}")

    def remove(self, path: str) -> None:
        parent, name = self._parent(path)
        if name in parent.entries:
            parent.change({name: None})

    def remove_tree(self, path: str) -> None:
        self.remove(path)

    def rename(self, source: str, target: str) -> None:
        from_parent, from_name = self._parent(source)
        to_parent, to_name = self._parent(target)
        assert from_parent is to_parent
        if from_name not in from_parent.entries:
            raise StorageError(f"cannot rename {source}")
        from_parent.change({from_name: None, to_name: from_parent.entries[from_name]})

    def file_size(self, path: str) -> int:
        return len(self._inode(path).content)

    def drop_cached(self, path: str) -> None:
        node = self._find(path)
        if isinstance(node, Inode) and node.has_lost_pages:
            node.content = bytearray(node.durable)
            node.pending.clear()
            node.has_lost_pages = False

    def free_bytes(self, path: str) -> int:
        return self.capacity_bytes - self.used_bytes()

    def total_bytes(self, path: str) -> int:
        return self.capacity_bytes

    def read_file(self, path: str) -> bytes:
        return bytes(self._inode(path).content)

    def write_atomic(self, path: str, data: Bytes) -> None:
        if self.append_error is not None:
            raise self.append_error
        if self.used_bytes() + len(data) > self.capacity_bytes:
            raise DiskFullError(f"no space for {path}")
        inode = Inode()
        inode.content += data
        inode.sync()
        parent, name = self._parent(path)
        parent.change({name: inode})
        parent.sync()

    async def replace(self, path: str, data: Bytes) -> None:
        self.write_atomic(path, data)

    def sync_dir(self, path: str) -> None:
        self._directory(path).sync()

    async def sync_names(self, path: str) -> None:
        self.sync_dir(path)

    def lock(self, path: str) -> MemoryLock:
        if path in self.locks:
            raise StartupError(f"{posixpath.dirname(path)} is in use by another process")
        self.locks.add(path)
        self.open(path, create=True)
        return MemoryLock(self, path)

    async def sync(self, files: Sequence[File]) -> None:
        self.syncs += 1
        began = self.boots
        wanted = [file for file in files if isinstance(file, MemoryFile) and not file.closed]
        if self.on_sync is not None:
            await self.on_sync()
        if self.boots != began:
            raise StorageError("the machine went down")
        if self.sync_error is not None:
            # The kernel drops the dirty pages: they are seen until the crash and never written.
            for file in wanted:
                file.inode.has_lost_pages = True
            raise self.sync_error
        for file in wanted:
            file.inode.sync()
            self._sync_names(posixpath.dirname(file.path))

    async def read_cold(self, file: File, position: int, count: int) -> bytes:
        assert isinstance(file, MemoryFile)
        file.check()
        if self.on_read_cold is not None:
            await self.on_read_cold()
        return bytes(file.inode.content[position : position + count])

    def _sync_names(self, path: str) -> None:
        """Make the way from the root to the directory `path` durable, and the directory's own names."""
        node: Node = self.root
        for name in _parts(path):
            assert isinstance(node, Directory)
            if name not in node.durable:
                node.sync()
            node = node.entries[name]
        assert isinstance(node, Directory)
        node.sync()

    def _find(self, path: str) -> Node | None:
        node: Node | None = self.root
        for name in _parts(path):
            node = node.entries.get(name) if isinstance(node, Directory) else None
        return node

    def _directory(self, path: str) -> Directory:
        node = self._find(path)
        if not isinstance(node, Directory):
            raise StorageError(f"no directory {path}")
        return node

    def _inode(self, path: str) -> Inode:
        node = self._find(path)
        if not isinstance(node, Inode):
            raise StorageError(f"no file {path}")
        return node

    def _parent(self, path: str) -> tuple[Directory, str]:
        return self._directory(posixpath.dirname(path)), posixpath.basename(path)


def _parts(path: str) -> list[str]:
    assert path.startswith("/")
    return [part for part in path.split("/") if part]


def _used(node: Node) -> int:
    return len(node.content) if isinstance(node, Inode) else sum(map(_used, node.entries.values()))


class Logs:
    """Makes batches and opens logs with short calls."""

    KEY = TopicPartition(TopicId(bytes(range(16))), PartitionIndex(0))
    PATH = "/data/orders-0"

    def disk(self) -> MemoryDisk:
        disk = MemoryDisk()
        disk.make_dir("/data")
        disk.sync_dir("/")
        return disk

    def batch(self, *values: bytes, timestamp: int = 1_000) -> memoryview:
        """A produced batch, writable as the connection's ring is."""
        return memoryview(encode_records([(b"key", value, timestamp + at, ()) for at, value in enumerate(values)]))

    def fetched(self, offset: int, epoch: int, *values: bytes) -> bytes:
        """A batch as a leader would send it."""
        batch = self.batch(*values)
        stamp(batch, 0, offset, epoch)
        return bytes(batch)

    def split(self, records: bytes | memoryview) -> list[bytes]:
        batches = []
        position = 0
        while position < len(records):
            size = read_header(records, position).batch_size
            batches.append(bytes(records[position : position + size]))
            position += size
        assert position == len(records)
        return batches

    async def open(
        self,
        disk: object,
        path: str = PATH,
        *,
        clean: bool = False,
        recovery_point: int = 0,
        log_start_offset: int = 0,
        now_ms: int = 1_000,
        cleaned_until: int = 0,
        **config: object,
    ) -> Log:
        return await Log.open(
            disk,  # type: ignore[arg-type]
            path,
            topic_partition=self.KEY,
            topic="orders",
            config=LogConfig(**config),  # type: ignore[arg-type]
            clean=clean,
            recovery_point=Offset(recovery_point),
            log_start_offset=Offset(log_start_offset),
            now_ms=TimestampMs(now_ms),
            cleaned_until=Offset(cleaned_until),
        )

    def append(self, log: Log, *values: bytes, epoch: int = 0, now_ms: int = 1_000, timestamp: int = 1_000) -> bytes:
        """Append one batch as leader; the bytes as they stand in the log."""
        batch = self.batch(*values, timestamp=timestamp)
        log.append_as_leader(batch, leader_epoch=LeaderEpoch(epoch), now_ms=TimestampMs(now_ms))
        return bytes(batch)

    async def flush(self, log: Log, disk: MemoryDisk) -> None:
        files, end = log.files_to_sync()
        await disk.sync(files)
        log.mark_flushed(end, files)

    async def read_all(self, log: Log, *, max_bytes: int = 1 << 20) -> list[bytes]:
        """Every batch from the log start to the log end."""
        batches = []
        offset = log.log_start_offset
        while offset < log.log_end_offset:
            result = log.read(offset, max_bytes=max_bytes, end=log.log_end_offset)
            if result is None:
                result = await log.read_cold(offset, max_bytes=max_bytes, end=log.log_end_offset)
            assert result.next_offset > offset
            batches += self.split(result.records)
            offset = result.next_offset
        return batches


@pytest.fixture(scope="session")
def logs() -> Logs:
    return Logs()


@pytest.fixture
def disk(logs: Logs) -> MemoryDisk:
    return logs.disk()
