"""What is remembered of a partition: causes, times, and a bound."""

from __future__ import annotations

from raftkafka.metadata import snapshot
from raftkafka.metadata.commands import ChangePartition, NoteTime, decode, encode_entries
from raftkafka.metadata.history import EVENTS_MAX, EVENTS_OF_MANY_MAX, MANY_PARTITIONS, room_for
from raftkafka.model.api.history import PartitionCause as Cause
from raftkafka.model.ids import TimestampMs


def causes(cluster, name="t"):
    return [(Cause(each.cause).name, each.node_id) for each in cluster.partition(name).history]


def test_every_change_is_remembered_with_its_cause(cluster):
    cluster.create("t", (1, 2, 3))
    cluster.fence(1)
    cluster.change("t", isr=cluster.isr(2))
    cluster.unfence(1)
    cluster.change("t", isr=cluster.isr(1, 2))
    cluster.change("t", leader=1)
    assert causes(cluster) == [
        ("CREATED", -1),
        ("BROKER_SILENT", 1),
        ("LEADER_REPORTED", 2),
        ("LEADER_REPORTED", 2),
        ("PREFERRED_ELECTION", 1),
    ]
    now = cluster.partition("t")
    last = now.history[-1]
    assert (last.leader, last.leader_epoch, last.isr) == (now.leader, now.leader_epoch, now.isr)


def test_starts_stops_and_losses_have_causes_of_their_own(cluster):
    cluster.create("t", (1, 2, 3))
    cluster.shut_down(1)
    cluster.register(2)
    cluster.lose("t", 3)
    assert causes(cluster)[1:] == [("BROKER_SHUTS_DOWN", 1), ("BROKER_RESTARTED", 2)]


def test_what_changes_nothing_that_anybody_sees_is_no_event(cluster):
    cluster.create("t", (1, 2, 3))
    cluster.defaults(min_insync_replicas=2)
    cluster.fence(3)
    before = cluster.partition("t").history
    cluster.defaults(min_insync_replicas=1)
    assert cluster.partition("t").history == before


def test_times_are_those_of_the_entries_and_never_go_back(cluster):
    def at(time_ms):
        return NoteTime(time_ms=TimestampMs(time_ms))

    cluster.apply(at(5_000))
    assert cluster.image.time_ms == 0, "an entry that changes nothing is no news"
    cluster.create("t", (1, 2))
    members = cluster.isr(1)
    cluster.change("t", isr=members)
    assert [each.time_ms for each in cluster.partition("t").history] == [0, 0]
    for time_ms, isr, expected in ((7_000, (1, 2), 7_000), (6_000, (1,), 7_000), (8_000, (1, 2), 8_000)):
        topic = cluster.image.topic_by_name("t")
        cluster.apply(
            at(time_ms),
            ChangePartition(
                topic_id=topic.topic_id,
                partition=0,
                partition_epoch=topic.partitions[0].partition_epoch,
                isr=cluster.isr(*isr),
            ),
        )
        assert cluster.partition("t").history[-1].time_ms == expected
    assert cluster.image.time_ms == 8_000


def test_a_follower_that_comes_and_goes_leaves_the_leaderships_remembered(cluster):
    cluster.create("t", (1, 2, 3))
    cluster.fence(1)
    cluster.unfence(1)
    for _ in range(20):
        cluster.change("t", isr=cluster.isr(2))
        cluster.change("t", isr=cluster.isr(2, 3))
    history = cluster.partition("t").history
    assert len(history) == EVENTS_MAX
    assert [Cause(each.cause) for each in history[:2]] == [Cause.CREATED, Cause.BROKER_SILENT]
    assert [each.isr for each in history[-2:]] == [(2,), (2, 3)]
    for _ in range(10):
        cluster.fence(2)
        cluster.unfence(2)
        cluster.change("t", isr=cluster.isr(3, 2))
        cluster.change("t", leader=2)
    assert len(cluster.partition("t").history) == EVENTS_MAX


def test_many_partitions_have_short_histories():
    assert room_for(MANY_PARTITIONS) == EVENTS_MAX
    assert room_for(MANY_PARTITIONS + 1) == EVENTS_OF_MANY_MAX


def test_it_survives_a_snapshot(cluster):
    cluster.create("t", (1, 2, 3))
    cluster.fence(1)
    again = snapshot.decode(snapshot.encode(cluster.image))
    assert again.topic_by_name("t").partitions[0].history == cluster.partition("t").history
    assert again.time_ms == cluster.image.time_ms


def test_every_entry_carries_the_time_in_front(cluster):
    cluster.create("t", (1, 2, 3))
    note = NoteTime(time_ms=TimestampMs(7))
    (entry,) = encode_entries([note], time_ms=TimestampMs(9))
    assert decode(entry) == (NoteTime(time_ms=TimestampMs(9)), note)
    assert list(encode_entries([], time_ms=TimestampMs(9))) == []
