"""Each checker is shown a sound history and one in which its invariant is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.simulation.checkers.catalogue import CHECKERS, violations
from tests.simulation.history import (
    Acknowledged,
    Applied,
    Assigned,
    CommittedTo,
    Counted,
    Damaged,
    FoundCommitted,
    History,
    Keyed,
    Led,
    Load,
    Member,
    Read,
    Record,
    Replica,
    Restored,
    Seen,
    Unacknowledged,
    Watermark,
)

HERE = ("orders", 0)
STATES = ("states", 0)
ID = (bytes(16), 0)


def sound() -> History:
    """Two records on three nodes: both acknowledged, one of them read."""
    history = History(healed=True)
    records = (Record(0, 0, b"a"), Record(1, 0, b"b"))
    history.replicas = [
        Replica(node=node, partition=HERE, log_start=0, high_watermark=2, log_end=2, records=records)
        for node in ("node1", "node2", "node3")
    ]
    history.idempotent = {b"i0"}
    history.acknowledged = [Acknowledged(1.0, HERE, 0, b"a"), Acknowledged(1.1, HERE, 1, b"b")]
    history.unacknowledged = [Unacknowledged(1.2, HERE, b"c", "REQUEST_TIMED_OUT", False)]
    history.reads = [Read(1.3, "c1", HERE, 0, b"a"), Read(1.4, "c1", HERE, 1, b"b")]
    history.watermarks = [Watermark(1.3, "c1", HERE, 1), Watermark(1.4, "c1", HERE, 2)]
    # A compacted topic: of four records of two keys the older ones are gone, here or there.
    history.compacted = {"states"}
    history.keyed = [
        Keyed(1.0, STATES, 0, b"k", b"1"),
        Keyed(1.1, STATES, 1, b"j", b"2"),
        Keyed(1.2, STATES, 2, b"k", b"3"),
        Keyed(1.3, STATES, 3, b"j", None),
    ]
    states = (Record(1, 0, b"2", b"j"), Record(2, 0, b"3", b"k"), Record(3, 0, b"", b"j"))
    history.replicas += [
        Replica(node=node, partition=STATES, log_start=0, high_watermark=4, log_end=4, records=states[skipped:])
        for node, skipped in (("node1", 0), ("node2", 1), ("node3", 1))
    ]
    history.reads = [Read(1.3, "s1", STATES, 0, b"1"), Read(1.4, "s1", STATES, 2, b"3"), *history.reads]
    # A group: m1 has both partitions, then shares them with m2, who goes on where m1 was told it had come to.
    history.assigned = [
        Assigned(1.0, 1, "m1", (0, 1)),
        Assigned(2.0, 2, "m1", (0,)),
        Assigned(2.1, 2, "m2", (1,)),
        Assigned(2.2, 2, "m2", (1,)),
    ]
    history.committed_to = [
        CommittedTo(1.1, 1.2, 1, "m1", 1, 5),
        CommittedTo(1.3, 1.4, 1, "m1", 1, 7),
        CommittedTo(2.3, 2.4, 2, "m2", 1, 8),
    ]
    history.found_committed = [FoundCommitted(1.0, 1, "m1", 1, 0), FoundCommitted(2.2, 2, "m2", 1, 7)]
    history.led = [Led(0.5, "node1", ID, 0), Led(2.0, "node2", ID, 1)]
    history.applied = [
        Applied(0.1, "node1", 1, 5, b"x"),
        Applied(0.2, "node2", 1, 5, b"x"),
        Applied(0.3, "node1", 1, 6, b"y"),
    ]
    history.restored = [Restored(0.4, "node3", 1, 6)]
    history.seen = [Seen(1.0, "node1", 1, ID, True, 0, 1, 2), Seen(1.5, "node1", 1, ID, True, 0, 2, 2)]
    history.counted = [Counted(1.0, "node1", ID, 0, 1, (1, 2), (1, 2, 3)), Counted(1.5, "node1", ID, 0, 2, (), (1,))]
    history.members = [Member(1.0, "node2", ID, "ISR", 1, 1), Member(1.5, "node3", ID, "ELR", 2, 2)]
    history.loads = [Load(1.0, "node1", False, 9, 1_000, 3, 4, 30, 40), Load(9.0, "node1", True, 3, 0, 0, 2, 30, 30)]
    history.sent = {b"a", b"b", b"c", b"1", b"2", b"3", b""}
    return history


def lose_everywhere(history: History) -> None:
    history.replicas = [
        replace(replica, records=replica.records[:1], high_watermark=1, log_end=1) for replica in history.replicas
    ]
    history.reads.pop()


def lead_twice(history: History) -> None:
    history.led.append(Led(2.1, "node3", ID, 1))


def differ_below_the_watermark(history: History) -> None:
    other = (Record(0, 0, b"a"), Record(1, 1, b"b"))
    history.replicas[2] = replace(history.replicas[2], records=other)


def leave_a_gap(history: History) -> None:
    history.replicas[2] = replace(history.replicas[2], records=history.replicas[2].records[1:])


def change_what_was_read(history: History) -> None:
    history.reads.append(Read(1.5, "c2", HERE, 0, b"z"))


def take_back_what_was_read(history: History) -> None:
    history.reads.append(Read(1.5, "c1", HERE, 2, b"c"))


def skip_a_record(history: History) -> None:
    history.reads += [Read(1.5, "c2", HERE, 0, b"a"), Read(1.6, "c2", HERE, 2, b"c")]


def lower_the_watermark(history: History) -> None:
    history.watermarks.append(Watermark(1.5, "c1", HERE, 1))


def pass_the_end(history: History) -> None:
    history.seen.append(Seen(1.6, "node1", 1, ID, True, 0, 3, 2))


def move_the_start_back(history: History) -> None:
    history.seen += [Seen(1.6, "node1", 1, ID, True, 2, 2, 2), Seen(1.7, "node1", 1, ID, True, 1, 2, 2)]


def compact_too_much(history: History) -> None:
    history.replicas[4] = replace(history.replicas[4], records=history.replicas[4].records[1:])


def change_what_compaction_keeps(history: History) -> None:
    records = (Record(2, 0, b"3", b"j"), *history.replicas[4].records[1:])
    history.replicas[4] = replace(history.replicas[4], records=records)


def differ_where_both_have_a_record(history: History) -> None:
    records = (Record(2, 1, b"3", b"k"), *history.replicas[4].records[1:])
    history.replicas[4] = replace(history.replicas[4], records=records)


def apply_another_command(history: History) -> None:
    history.applied.append(Applied(0.5, "node2", 1, 6, b"z"))


def apply_twice(history: History) -> None:
    history.applied.append(Applied(0.5, "node1", 1, 6, b"y"))


def stay_broken(history: History) -> None:
    history.healed = False


def stop_of_its_own(history: History) -> None:
    history.unexpected.append("node1 stopped of its own")


def pass_a_member(history: History) -> None:
    history.counted.append(Counted(1.6, "node1", ID, 0, 3, (1, 2, 3), (1, 2)))


def lack_what_is_committed(history: History) -> None:
    history.members.append(Member(1.6, "node2", ID, "ISR", 1, 2))


def lack_it_in_the_elr(history: History) -> None:
    history.members.append(Member(1.6, "node3", ID, "ELR", 1, 2))


def read_what_nobody_wrote(history: History) -> None:
    history.reads.append(Read(1.5, "c2", HERE, 0, b"A"))


def hold_what_nobody_wrote(history: History) -> None:
    records = (Record(0, 0, b"A"), Record(1, 0, b"b"))
    history.replicas[2] = replace(history.replicas[2], records=records)


def replicate_damage(history: History) -> None:
    history.damaged.append(Damaged(1.6, "node2", ID, "appended as a follower", 1))


def open_too_many_files(history: History) -> None:
    history.loads.append(history.loads[0]._replace(open_files=5_000))


def let_a_produce_wait_for_ever(history: History) -> None:
    history.loads.append(history.loads[1]._replace(waiting_commits=1))


def call_the_unknown_failed(history: History) -> None:
    history.unacknowledged.append(Unacknowledged(1.2, HERE, b"b", "NOT_ENOUGH_REPLICAS", True))


def write_numbers(history: History, *numbers: int) -> None:
    """An idempotent producer's records behind the others, on all replicas."""
    more = tuple(Record(2 + at, 0, b"i0-%06d" % number) for at, number in enumerate(numbers))
    end = 2 + len(more)
    history.replicas = [
        replace(replica, records=replica.records + more, high_watermark=end, log_end=end)
        for replica in history.replicas
    ]


def copy_a_record(history: History) -> None:
    write_numbers(history, 1, 2, 1)


def reorder_records(history: History) -> None:
    write_numbers(history, 2, 1)


def tell_another_offset(history: History) -> None:
    write_numbers(history, 1, 2)
    history.acknowledged.append(Acknowledged(1.2, HERE, 3, b"i0-%06d" % 1))


def leave_an_acknowledged_one_out(history: History) -> None:
    write_numbers(history, 1, 3)
    history.acknowledged.append(Acknowledged(1.2, HERE, 3, b"i0-%06d" % 2))


def go_back_to_an_older_commit(history: History) -> None:
    history.found_committed[1] = FoundCommitted(2.2, 2, "m2", 1, 5)


def lose_a_commit_of_this_generation(history: History) -> None:
    history.found_committed.append(FoundCommitted(2.5, 2, "m2", 1, 7))


def take_a_commit_of_an_older_generation(history: History) -> None:
    history.committed_to.append(CommittedTo(2.5, 2.6, 1, "m1", 0, 9))


def commit_less_than_before(history: History) -> None:
    history.committed_to.append(CommittedTo(2.5, 2.6, 2, "m2", 1, 6))


def assign_a_partition_twice(history: History) -> None:
    history.assigned.append(Assigned(2.5, 2, "m3", (0,)))


def assign_something_else_in_the_same_generation(history: History) -> None:
    history.assigned.append(Assigned(2.5, 2, "m2", ()))


PLANTED: list[tuple[str, Callable[[History], None]]] = [
    ("I1", lose_everywhere),
    ("I2", lead_twice),
    ("I3", differ_below_the_watermark),
    ("I3", leave_a_gap),
    ("I4", lack_what_is_committed),
    ("I4", lack_it_in_the_elr),
    ("I5", pass_a_member),
    ("I6", change_what_was_read),
    ("I6", take_back_what_was_read),
    ("I6", skip_a_record),
    ("I7", lower_the_watermark),
    ("I8", copy_a_record),
    ("I8", reorder_records),
    ("I8", tell_another_offset),
    ("I8", leave_an_acknowledged_one_out),
    ("I11", go_back_to_an_older_commit),
    ("I11", lose_a_commit_of_this_generation),
    ("I11", take_a_commit_of_an_older_generation),
    ("I11", commit_less_than_before),
    ("I12", assign_a_partition_twice),
    ("I12", assign_something_else_in_the_same_generation),
    ("I13", pass_the_end),
    ("I13", move_the_start_back),
    ("I14", compact_too_much),
    ("I14", change_what_compaction_keeps),
    ("I3", differ_where_both_have_a_record),
    ("I15", read_what_nobody_wrote),
    ("I15", hold_what_nobody_wrote),
    ("I15", replicate_damage),
    ("I16", apply_another_command),
    ("I16", apply_twice),
    ("I17", stay_broken),
    ("I17", stop_of_its_own),
    ("I17 bounds", open_too_many_files),
    ("I17 bounds", let_a_produce_wait_for_ever),
    ("I18", call_the_unknown_failed),
]


def test_a_sound_history_passes() -> None:
    assert violations(sound()) == []


@pytest.mark.parametrize(("invariant", "plant"), PLANTED, ids=lambda each: getattr(each, "__name__", each))
def test_a_planted_violation_is_caught(invariant: str, plant: Callable[[History], None]) -> None:
    history = sound()
    plant(history)
    found = list(CHECKERS[invariant](history))
    assert found
    assert all(violation.startswith(invariant.split(maxsplit=1)[0]) for violation in found)


def test_every_checker_has_a_planted_violation() -> None:
    assert {invariant for invariant, _ in PLANTED} == set(CHECKERS)


def test_a_disk_that_lost_what_it_had_excuses_its_own_node_alone() -> None:
    history = sound()
    lack_what_is_committed(history)
    history.lossy = {"node2"}
    assert list(CHECKERS["I4"](history)) == []
    history.lossy = {"node3"}
    assert list(CHECKERS["I4"](history)) != []


@pytest.mark.parametrize("invariant", ["I1", "I4", "I6", "I7", "I11", "I12"])
def test_too_many_lost_disks_excuse_lost_records(invariant: str) -> None:
    history = sound()
    lack_what_is_committed(history)
    lose_everywhere(history)
    history.watermarks.append(Watermark(1.5, "c1", HERE, 1))
    take_back_what_was_read(history)
    go_back_to_an_older_commit(history)
    assign_a_partition_twice(history)
    history.lossy = {"node1", "node2"}
    assert list(CHECKERS[invariant](history)) == []


def test_what_an_idempotent_producer_may_leave_out_and_others_may_repeat() -> None:
    history = sound()
    write_numbers(history, 1, 3, 7)
    history.acknowledged.append(Acknowledged(1.2, HERE, 3, b"i0-%06d" % 3))
    assert list(CHECKERS["I8"](history)) == []
    history.idempotent = set()
    write_numbers(history, 1)
    assert list(CHECKERS["I8"](history)) == []
