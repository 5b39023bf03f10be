"""A disk that forgets what was not synced."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from raftkafka.model.errors import StorageError
from tests.sync_then import SyncsThen


@dataclass
class Inode:
    data: bytearray = field(default_factory=bytearray)
    durable: int = 0


class SimFile:
    def __init__(self, disk: SimDisk, path: str, inode: Inode) -> None:
        self.disk, self.path, self.inode = disk, path, inode

    @property
    def size(self) -> int:
        return len(self.inode.data)

    def append(self, buffers: Any) -> None:
        self.disk.check("append", self.path)
        for buffer in buffers:
            self.inode.data += buffer

    def read(self, position: int, count: int) -> bytes:
        return bytes(self.inode.data[position : position + count])

    def truncate(self, size: int) -> None:
        self.disk.check("truncate", self.path)
        del self.inode.data[size:]
        self.inode.durable = min(self.inode.durable, size)

    def close(self) -> None: ...


class SimLock:
    def __init__(self, disk: SimDisk, path: str) -> None:
        self.disk, self.path = disk, path

    def release(self) -> None:
        self.disk.locked.discard(self.path)


class SimDisk(SyncsThen):
    """Implements `ports.disk.Disk` as far as Raft uses it; `power_loss` forgets what was not synced, or half of it.

    `on_step` is called with a name before every change and every sync: raising there is a crash at that step.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.names: dict[str, Inode] = {}
        self.durable_names: dict[str, Inode] = {}
        self.locked: set[str] = set()
        self.sync_s: tuple[float, float] = (0.0002, 0.003)
        self.on_step: Callable[[str, str], None] = lambda step, path: None

    def check(self, step: str, path: str) -> None:
        self.on_step(step, path)

    def make_dir(self, path: str) -> None: ...

    def lock(self, path: str) -> SimLock:
        assert path not in self.locked
        self.locked.add(path)
        return SimLock(self, path)

    def list_dir(self, path: str) -> list[str]:
        return sorted(os.path.basename(name) for name in self.names if os.path.dirname(name) == path)

    def exists(self, path: str) -> bool:
        return path in self.names

    def drop_cached(self, path: str) -> None: ...

    def read_file(self, path: str) -> bytes:
        return bytes(self.names[path].data)

    def open(self, path: str, *, create: bool = False) -> SimFile:
        if path not in self.names:
            if not create:
                raise StorageError(f"no {path}")
            self.check("create", path)
            self.names[path] = Inode()
        return SimFile(self, path, self.names[path])

    def remove(self, path: str) -> None:
        if path in self.names:
            self.check("remove", path)
            del self.names[path]

    def rename(self, source: str, target: str) -> None:
        self.check("rename", target)
        self.names[target] = self.names.pop(source)

    def sync_dir(self, path: str) -> None:
        self.check("sync_dir", path)
        self.durable_names = dict(self.names)

    def write_atomic(self, path: str, data: Any) -> None:
        self.check("write_atomic", path)
        inode = Inode(bytearray(data), len(data))
        self.names[path] = inode
        self.sync_dir(os.path.dirname(path))

    async def replace(self, path: str, data: Any) -> None:
        file = self.open(f"{path}.tmp", create=True)
        file.truncate(0)
        file.append([data])
        await self.sync([file])
        self.rename(f"{path}.tmp", path)
        await asyncio.sleep(self.random.uniform(*self.sync_s))
        self.sync_dir(os.path.dirname(path))

    async def sync(self, files: Any) -> None:
        sizes = [(file, file.size) for file in files]
        await asyncio.sleep(self.random.uniform(*self.sync_s))
        for file, size in sizes:
            self.check("sync", file.path)
            file.inode.durable = max(file.inode.durable, min(size, file.size))
            if file.path not in self.durable_names and self.names.get(file.path) is file.inode:
                self.durable_names[file.path] = file.inode

    def power_loss(self) -> None:
        """Directory entries: all as synced, or all as written. Contents: the synced part and a torn rest."""
        if self.random.random() < 0.5:
            self.names = dict(self.durable_names)
        for inode in self.names.values():
            unsynced = len(inode.data) - inode.durable
            keep = self.random.choice([0, unsynced, self.random.randint(0, unsynced)])
            del inode.data[inode.durable + keep :]
            if keep and self.random.random() < 0.5:
                # Pages reach the disk in any order: a hole in what remained.
                hole = inode.durable + self.random.randrange(keep)
                end = min(len(inode.data), hole + self.random.randint(1, 64))
                inode.data[hole:end] = bytes(end - hole)
            inode.durable = len(inode.data)
        self.durable_names = dict(self.names)
        self.locked.clear()
