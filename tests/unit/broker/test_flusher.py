"""Group commit: one sync serves all that wait, the next one takes what came in between, a failure is final."""

from __future__ import annotations

import asyncio

import pytest

from raftkafka.broker.flusher import Flusher
from raftkafka.model.errors import StorageError
from raftkafka.ports.probe import NullProbe
from tests.sync_then import SyncsThen


class Log:
    def __init__(self, name: str) -> None:
        self.file = type("File", (), {"path": name})()
        self.end = 0
        self.flushed = 0

    def files_to_sync(self):
        return [self.file], self.end

    def on_flushed(self, end, files):
        assert files == [self.file]
        self.flushed = end


class Disk(SyncsThen):
    def __init__(self) -> None:
        self.gates: list[asyncio.Future] = []
        self.synced: list[list[str]] = []

    async def sync(self, files) -> None:
        self.synced.append([file.path for file in files])
        gate = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        await gate

    async def finish(self, error: Exception | None = None) -> None:
        while not self.gates:
            await asyncio.sleep(0)
        gate = self.gates.pop(0)
        if error is None:
            gate.set_result(None)
        else:
            gate.set_exception(error)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def failures() -> list[StorageError]:
    return []


@pytest.fixture
async def flusher(disk, failures) -> Flusher:
    return Flusher(disk=disk, probe=NullProbe(), on_failure=failures.append)


def append(flusher: Flusher, log: Log) -> None:
    log.end += 1
    flusher.request(log)


async def test_one_sync_serves_all_appends_of_a_turn(flusher, disk):
    one, two = Log("one"), Log("two")
    for _ in range(3):
        append(flusher, one)
        append(flusher, two)
    await disk.finish()
    assert (one.flushed, two.flushed) == (3, 3)
    assert disk.synced == [["one", "two"]]


async def test_what_comes_during_a_sync_is_taken_by_the_next(flusher, disk):
    log = Log("one")
    append(flusher, log)
    await asyncio.sleep(0)
    append(flusher, log)
    append(flusher, log)
    await disk.finish()
    assert log.flushed == 1
    await disk.finish()
    assert log.flushed == 3
    assert len(disk.synced) == 2


async def test_next_sync_waits_for_everything_requested_so_far(flusher, disk):
    log = Log("one")
    append(flusher, log)
    await asyncio.sleep(0)
    append(flusher, log)
    waiting = asyncio.ensure_future(flusher.next_sync())
    await disk.finish()
    assert not waiting.done()
    await disk.finish()
    await waiting
    assert log.flushed == 2


async def test_next_sync_of_an_idle_flusher_returns_at_once(flusher, disk):
    await flusher.next_sync()
    assert disk.synced == []


async def test_next_sync_during_the_last_sync_costs_no_further_one(flusher, disk):
    append(flusher, Log("one"))
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(flusher.next_sync())
    await asyncio.sleep(0)
    await disk.finish()
    await waiting
    assert len(disk.synced) == 1


async def test_a_cancelled_waiter_takes_nobody_with_it(flusher, disk):
    append(flusher, Log("one"))
    await asyncio.sleep(0)
    first, second = (asyncio.ensure_future(flusher.next_sync()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await disk.finish()
    await second


async def test_a_failed_sync_is_told_once_and_never_repeated(flusher, disk, failures):
    log = Log("one")
    append(flusher, log)
    await asyncio.sleep(0)
    append(flusher, log)
    waiting = asyncio.ensure_future(flusher.next_sync())
    await asyncio.sleep(0)
    error = StorageError("EIO")
    await disk.finish(error)
    await waiting
    append(flusher, log)
    await flusher.next_sync()
    assert failures == [error]
    assert log.flushed == 0
    assert len(disk.synced) == 1


async def test_a_forgotten_partition_is_not_synced(flusher, disk):
    gone, kept = Log("gone"), Log("kept")
    append(flusher, gone)
    append(flusher, kept)
    flusher.forget(gone)
    await disk.finish()
    assert disk.synced == [["kept"]]
    assert gone.flushed == 0


async def test_a_partition_without_dirty_files_needs_no_sync(flusher, disk):
    log = Log("one")
    log.files_to_sync = lambda: ([], 7)
    log.on_flushed = lambda end, files: setattr(log, "flushed", end)
    flusher.request(log)
    await flusher.next_sync()
    assert log.flushed == 7
    assert disk.synced == []
