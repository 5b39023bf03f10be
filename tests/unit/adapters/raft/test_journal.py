"""The journal through restarts, crashes at every step, and failing disks."""

from __future__ import annotations

import asyncio
import shutil
from random import Random

import pytest

from raftkafka.adapters.disk import OsDisk
from raftkafka.adapters.raft.journal import Journal
from raftkafka.adapters.raft.journal_load import load, segment_name
from raftkafka.model.errors import StartupError, StorageError
from raftkafka.ports.probe import NullProbe
from tests.simulation.raft.disk import Inode, SimDisk

DIRECTORY = "/raft"


def make(disk, *, directory=DIRECTORY, failures=None):
    failures = [] if failures is None else failures
    return Journal(disk, directory, probe=NullProbe(), on_durable=lambda: None, on_failure=failures.append)


async def opened(disk, **kwargs):
    journal = make(disk, **kwargs)
    await journal.open()
    return journal


async def settle(journal):
    journal.kick()
    if journal._sync_task is not None:
        await journal._sync_task


def entry(index, term=1, size=3):
    return b"\x00" + b"c" * size, index, term


async def test_what_is_synced_is_there_after_a_power_loss(disk):
    journal = await opened(disk)
    assert (journal.entries, journal.term, journal.vote) == ([], 0, None)
    for index in range(1, 6):
        journal.append(entry(index))
    journal.set_term(4, 2)
    journal.truncate_from(4)
    journal.append(entry(4, term=4))
    await settle(journal)
    journal.append(entry(5, term=4))
    disk.power_loss()
    again = await opened(disk)
    assert again.entries[:4] == [entry(1), entry(2), entry(3), entry(4, term=4)]
    assert (again.term, again.vote, again.durable_index) == (4, 2, len(again.entries))


async def test_the_real_disk_keeps_it_too(tmp_path):
    disk = OsDisk()
    journal = await opened(disk, directory=str(tmp_path))
    for index in range(1, 50):
        journal.append(entry(index, size=1000))
        if index % 7 == 0:
            await settle(journal)
    await settle(journal)
    journal.cut_to(30)
    await journal.close()
    assert [path.name for path in tmp_path.iterdir()] == [segment_name(2)]
    again = await opened(disk, directory=str(tmp_path))
    assert [each[1] for each in again.entries] == list(range(30, 50))
    await again.close()
    disk.close()


async def test_durable_index_and_callbacks_never_run_ahead_of_a_sync(disk):
    journal = await opened(disk)
    called = []
    journal.after_durable(lambda: called.append("nothing to wait for"))
    journal.append(entry(1))
    journal.after_durable(lambda: called.append("entry 1"))
    assert (journal.durable_index, called) == (0, ["nothing to wait for"])
    journal.kick()
    await asyncio.sleep(0)
    journal.append(entry(2))
    journal.after_durable(lambda: called.append("entry 2"))
    seen = []
    disk.on_step = lambda step, path: seen.append((step, journal.durable_index)) if step == "sync" else None
    await settle(journal)
    assert called == ["nothing to wait for", "entry 1", "entry 2"]
    assert seen == [("sync", 0), ("sync", 1)], "what came during a sync waits for the next"
    journal.truncate_from(2)
    assert journal.durable_index == 1
    journal.append(entry(2, term=2))
    assert journal.durable_index == 1


async def test_a_failed_sync_is_fatal_and_promises_nothing(disk):
    failures, called = [], []
    journal = await opened(disk, failures=failures)

    def fail(step, path):
        raise StorageError(f"{step} failed")

    journal.append(entry(1))
    journal.after_durable(lambda: called.append(1))
    disk.on_step = lambda step, path: fail(step, path) if step == "sync" else None
    await settle(journal)
    disk.on_step = lambda step, path: None
    journal.append(entry(2))
    journal.after_durable(lambda: called.append(2))
    await settle(journal)
    assert [str(error) for error in failures] == ["sync failed"], "and it is not tried again"
    assert (called, journal.durable_index) == ([], 0)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["removed", "moved"])
async def test_a_directory_that_disappears_is_fatal_and_promises_nothing(tmp_path, elsewhere):
    """The open file takes writes and syncs for ever, and the next start would find no vote."""
    failures, promised = [], []
    directory = tmp_path / "raft"
    directory.mkdir()
    journal = await opened(OsDisk(), directory=str(directory), failures=failures)
    journal.check()
    if elsewhere:
        directory.rename(tmp_path / "elsewhere")
    else:
        shutil.rmtree(directory)
    with pytest.raises(StorageError, match=r"removed or unmounted"):
        journal.check()
    journal.set_term(2, 3)
    journal.after_durable(lambda: promised.append("a vote"))
    await settle(journal)
    assert promised == []
    assert len(failures) == 1
    await journal.close()


async def test_a_refused_write_is_fatal(disk):
    failures = []
    journal = await opened(disk, failures=failures)

    def full(step, path):
        raise StorageError("no space")

    disk.on_step = full
    journal.append(entry(1))
    await settle(journal)
    assert len(failures) == 1


async def filled(disk):
    journal = await opened(disk)
    journal.set_term(2, 3)
    for index in range(1, 8):
        journal.append(entry(index))
        await settle(journal)
    return journal


async def test_a_tail_torn_at_any_byte_leaves_a_prefix_and_goes_on(disk):
    await filled(disk)
    (path,) = [name for name in disk.names if name.endswith(".seg")]
    whole = bytes(disk.names[path].data)
    prefixes = set()
    for cut in range(len(whole)):
        disk = SimDisk(Random(3))
        disk.sync_s = (0, 0)
        disk.names[path] = Inode(bytearray(whole[:cut]))
        journal = await opened(disk)
        assert journal.entries == [entry(index) for index in range(1, len(journal.entries) + 1)]
        prefixes.add(len(journal.entries))
        journal.append(entry(len(journal.entries) + 1, term=9))
        await settle(journal)
        last = (await opened(disk)).entries[-1]
        assert last[2] == 9
    assert prefixes == set(range(8))


async def test_a_flipped_bit_in_the_middle_refuses_to_start(disk):
    await filled(disk)
    (path,) = [name for name in disk.names if name.endswith(".seg")]
    whole = bytes(disk.names[path].data)
    for position in range(0, len(whole) - 60, 7):
        disk.names[path].data[:] = whole
        disk.names[path].data[position] ^= 0x10
        with pytest.raises(StartupError, match=r"cannot be trusted.*damaged at byte"):
            await opened(disk)


class Crash(BaseException):
    """The process dies here."""


async def compact_and_crash(disk, step_number):
    """Cut a journal of 20 entries to 12 with a crash before step `step_number`; False when there are fewer steps."""
    journal = await opened(disk)
    journal.set_term(5, 1)
    for index in range(1, 21):
        journal.append(entry(index))
    await settle(journal)
    steps = 0

    def on_step(step, path):
        nonlocal steps
        steps += 1
        if steps > step_number:
            raise Crash

    disk.on_step = on_step
    try:
        journal.cut_to(12)
        journal.append(entry(21))
        await settle(journal)
    except Crash:
        return True
    finally:
        disk.on_step = lambda step, path: None
    return False


@pytest.mark.parametrize("seed", range(12))
async def test_a_crash_at_any_step_of_a_compaction_loses_nothing(seed):
    step = 0
    while True:
        disk = SimDisk(Random(seed))
        disk.sync_s = (0, 0)
        crashed = await compact_and_crash(disk, step)
        disk.power_loss()
        journal = await opened(disk)
        assert (journal.term, journal.vote) == (5, 1)
        assert journal.entries[0][1] in (1, 12)
        assert journal.entries[-1][1] in ((20, 21) if crashed else (21,))
        assert [each[1] for each in journal.entries] == list(range(journal.entries[0][1], journal.entries[-1][1] + 1))
        names = [name for name in disk.names if name.endswith(".seg")]
        assert len(names) == 1, "leftovers are removed at start"
        if not crashed:
            break
        step += 1
    assert step >= 4


async def test_a_directory_without_a_complete_segment_refuses_to_start(disk):
    journal = await filled(disk)
    journal.cut_to(5)
    await settle(journal)
    path = f"{DIRECTORY}/{segment_name(2)}"
    disk.names[path].data[:] = disk.names[path].data[:30]
    with pytest.raises(StartupError, match="no journal segment"):
        load(disk, DIRECTORY)


async def test_a_crash_at_the_very_first_start_starts_afresh(disk):
    await opened(disk)
    path = f"{DIRECTORY}/{segment_name(1)}"
    disk.names[path].data[:] = disk.names[path].data[:30]
    journal = await opened(disk)
    assert journal.entries == []


async def test_large_bursts_are_written_before_the_end_of_the_turn(disk):
    journal = await opened(disk)
    for index in range(1, 4):
        journal.append(entry(index, size=600_000))
    assert len(disk.names[f"{DIRECTORY}/{segment_name(1)}"].data) > 1_000_000
    await settle(journal)
    await journal.close()
