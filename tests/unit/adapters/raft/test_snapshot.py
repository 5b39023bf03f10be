"""Snapshots: whole or refused, newer or refused, and on the disk whatever step a crash hits."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.adapters.raft.snapshot import Snapshot, SnapshotStore, decode, encode
from raftkafka.model.errors import CorruptionError, StartupError
from tests.simulation.raft.disk import SimDisk

DIRECTORY = "/raft"


def make(index, state=b"the state"):
    return Snapshot(previous=(b"\x00p", index - 1, 3), last=(b"\x00last", index, 4), state=state)


@given(st.integers(2, 2**60), st.binary(max_size=100), st.binary(max_size=20), st.binary(max_size=20))
def test_round_trip(index, state, previous, last):
    snapshot = Snapshot(previous=(previous, index - 1, 1), last=(last, index, 2), state=state)
    assert decode(encode(snapshot)) == snapshot


def test_any_damage_is_seen():
    content = encode(make(9))
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 4
        with pytest.raises(CorruptionError):
            decode(bytes(damaged))
        with pytest.raises(CorruptionError):
            decode(content[:position])


async def test_a_snapshot_survives_a_power_loss(disk):
    store = SnapshotStore(disk, DIRECTORY)
    assert store.load() is None
    await store.write(make(9))
    disk.power_loss()
    again = SnapshotStore(disk, DIRECTORY)
    assert again.load() == make(9)
    assert again.index == 9
    assert decode(again.read()) == make(9)


async def test_a_damaged_one_is_neither_loaded_nor_served(disk):
    store = SnapshotStore(disk, DIRECTORY)
    await store.write(make(9))
    disk.names[f"{DIRECTORY}/snapshot"].data[-1] ^= 1
    with pytest.raises(CorruptionError):
        store.read()
    with pytest.raises(StartupError, match="/raft/snapshot cannot be used"):
        SnapshotStore(disk, DIRECTORY).load()


class Crash(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("seed", range(8))
async def test_a_crash_at_any_step_leaves_the_old_or_the_new_one(seed):
    step = 0
    crashed = True
    while crashed:
        disk = SimDisk(Random(seed))
        disk.sync_s = (0, 0)
        store = SnapshotStore(disk, DIRECTORY)
        await store.write(make(9))
        left = step

        def on_step(name, path):
            nonlocal left
            left -= 1
            if left < 0:
                raise Crash

        disk.on_step = on_step
        crashed = False
        try:
            await store.write(make(20))
        except Crash:
            crashed = True
        disk.on_step = lambda name, path: None
        disk.power_loss()
        assert SnapshotStore(disk, DIRECTORY).load() in ((make(9), make(20)) if crashed else (make(20),))
        step += 1
    assert step >= 5
