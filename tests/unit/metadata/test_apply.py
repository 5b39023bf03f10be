"""Applying: what follows from each fact, which stale facts are refused, and that no command can break an image."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.metadata import snapshot
from raftkafka.metadata.apply import apply, apply_all
from raftkafka.metadata.changes import Changes
from raftkafka.metadata.commands import (
    ChangePartition,
    CreateTopic,
    DeleteTopic,
    FenceBroker,
    InitializeCluster,
    RegisterBroker,
    SetDefaults,
    UnfenceBroker,
    decode,
    encode,
)
from raftkafka.metadata.image import Image
from raftkafka.model.api.broker_lifecycle import IsrMember
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import (
    NO_NODE,
    BrokerEpoch,
    LeaderEpoch,
    NodeId,
    PartitionEpoch,
    PartitionIndex,
    RaftIndex,
    TopicId,
    TopicPartition,
)

UNCLEAN = "unclean.leader.election.enable"


# Cluster and brokers


def test_the_cluster_is_named_once(cluster):
    cluster.apply(InitializeCluster(cluster_id="other", feature_level=1), expect=ErrorCode.INCONSISTENT_CLUSTER_ID)
    assert not cluster.apply(InitializeCluster(cluster_id="c", feature_level=1)).changes
    assert cluster.image.cluster_id == "c"


def test_a_registration_takes_the_index_of_its_entry_and_is_fenced(new_cluster):
    cluster = new_cluster()
    cluster.index = RaftIndex(41)
    cluster.start(1)
    assert cluster.epoch(1) == 42
    cluster.apply(_registration(1, incarnation=1, replaces=42))
    assert cluster.image.brokers[NodeId(1)].fenced


def _registration(node_id, *, incarnation, replaces):
    return RegisterBroker(
        node_id=NodeId(node_id), incarnation_id=bytes([incarnation]) * 16, listeners=(), replaces=BrokerEpoch(replaces)
    )


def test_the_same_incarnation_again_changes_nothing(cluster):
    before = cluster.image
    cluster.apply(_registration(1, incarnation=0, replaces=-1))
    assert cluster.image is before


def test_a_registration_that_does_not_replace_the_one_in_force_is_refused(cluster):
    stale = _registration(1, incarnation=1, replaces=-1)
    cluster.apply(stale, expect=ErrorCode.DUPLICATE_BROKER_REGISTRATION)


def test_of_two_registrations_in_one_entry_the_first_stands(cluster):
    epoch = cluster.epoch(1)
    one, two = _registration(1, incarnation=1, replaces=epoch), _registration(1, incarnation=2, replaces=epoch)
    applied = cluster.apply(one, two, expect=ErrorCode.DUPLICATE_BROKER_REGISTRATION)
    assert applied.errors == (ErrorCode.NONE, ErrorCode.DUPLICATE_BROKER_REGISTRATION)
    assert cluster.image.brokers[NodeId(1)].incarnation_id == bytes([1]) * 16
    again = _registration(1, incarnation=3, replaces=cluster.index)
    assert apply(cluster.image, cluster.index, again).error is ErrorCode.DUPLICATE_BROKER_REGISTRATION


def test_a_new_incarnation_loses_its_leaderships_and_isrs(cluster):
    cluster.create("a", (1, 2, 3), (2, 1))
    cluster.apply(_registration(1, incarnation=1, replaces=cluster.epoch(1)))
    led, followed = cluster.partition("a", 0), cluster.partition("a", 1)
    assert (led.leader, led.isr, led.leader_epoch, led.partition_epoch) == (2, (2, 3), 1, 1)
    assert (followed.leader, followed.isr, followed.leader_epoch, followed.partition_epoch) == (2, (2,), 0, 1)


def test_the_last_member_stays_and_leads_again_in_a_new_epoch(cluster):
    cluster.create("a", (1,))
    cluster.start(1, incarnation=1)
    partition = cluster.partition("a")
    assert (partition.leader, partition.isr, partition.leader_epoch) == (1, (1,), 2)


def test_a_fenced_broker_leads_nothing_and_nobody_outside_the_isr_takes_over(cluster):
    cluster.create("a", (1, 2))
    cluster.fence(2)
    cluster.unfence(2)
    assert cluster.partition("a").isr == (1,)
    cluster.fence(1)
    partition = cluster.partition("a")
    assert (*cluster.eligible("a"), partition.leader_epoch) == (NO_NODE, (), (1,), 1)
    assert partition.last_known_leader == 1
    cluster.unfence(1)
    assert (cluster.partition("a").leader, cluster.partition("a").leader_epoch) == (1, 2)


def test_an_unclean_election_starts_a_new_isr(cluster):
    cluster.create("a", (1, 2), configs={UNCLEAN: "true"})
    cluster.create("b", (1, 2), configs={UNCLEAN: "false"})
    cluster.create("c", (1, 2))
    cluster.defaults(unclean=True)
    cluster.fence(2)
    cluster.unfence(2)
    cluster.fence(1)
    assert cluster.eligible("a") == (2, (2,), ())
    assert cluster.eligible("b") == (NO_NODE, (), (1,))
    assert cluster.eligible("c") == (2, (2,), ())


def test_unclean_elections_that_are_allowed_later_help_an_offline_partition(cluster):
    cluster.create("a", (1, 2))
    cluster.create("b", (1, 2), configs={UNCLEAN: "false"})
    cluster.fence(2)
    cluster.unfence(2)
    cluster.fence(1)
    assert cluster.eligible("a") == (NO_NODE, (), (1,))
    cluster.defaults(unclean=True)
    assert cluster.eligible("a") == (2, (2,), ())
    assert cluster.eligible("b") == (NO_NODE, (), (1,))
    cluster.unfence(1)
    assert cluster.eligible("b") == (1, (1,), ())


def test_defaults_that_cannot_be_change_nothing(cluster):
    before = cluster.image
    command = SetDefaults(min_insync_replicas=0, unclean_leader_election=True)
    cluster.apply(command, expect=ErrorCode.INVALID_REQUEST)
    assert cluster.image is before
    assert cluster.defaults(min_insync_replicas=2).changes.cluster
    assert not cluster.defaults(min_insync_replicas=2).changes


# Eligible leader replicas, and disks that come back otherwise


@pytest.fixture
def promising(cluster):
    """A cluster that commits nothing with fewer than two in sync, and a topic whose ISR has shrunk to broker 1."""
    cluster.defaults(min_insync_replicas=2)
    cluster.create("a", (1, 2, 3))
    cluster.fence(3)
    cluster.fence(2)
    assert cluster.eligible("a") == (1, (1,), (2,))
    return cluster


def test_the_topics_own_least_isr_goes_first(cluster):
    cluster.defaults(min_insync_replicas=2)
    cluster.create("a", (1, 2, 3), configs={"min.insync.replicas": "3"})
    cluster.create("b", (1, 2, 3), configs={"min.insync.replicas": "1"})
    cluster.fence(3)
    assert cluster.eligible("a") == (1, (1, 2), (3,))
    cluster.fence(2)
    assert cluster.eligible("b") == (1, (1,), ())


def test_an_eligible_replica_that_comes_back_waits_for_the_leader_to_take_it_in(promising):
    promising.unfence(2)
    assert promising.eligible("a") == (1, (1,), (2,))
    promising.change("a", isr=promising.isr(1, 2))
    assert promising.eligible("a") == (1, (1, 2), ())


def test_an_eligible_replica_leads_when_the_last_member_goes(promising):
    promising.unfence(2)
    promising.unfence(3)
    promising.fence(1)
    assert promising.eligible("a") == (2, (2,), (1,))


def test_only_eligible_replicas_lead_when_all_are_gone(promising):
    promising.fence(1)
    assert promising.eligible("a") == (NO_NODE, (), (1, 2))
    promising.unfence(3)
    assert promising.eligible("a") == (NO_NODE, (), (1, 2))
    promising.unfence(2)
    assert promising.eligible("a") == (2, (2,), (1,))


def test_a_kill_loses_nothing_that_was_synced(promising):
    promising.register(1)
    assert promising.eligible("a") == (NO_NODE, (), (1, 2))
    promising.register(2)
    assert promising.eligible("a") == (NO_NODE, (), (1, 2))


def test_a_kill_may_lose_what_was_not_synced(promising):
    promising.register(1, synced=False)
    assert promising.eligible("a") == (NO_NODE, (), (2,))
    # The last one is no worse than anybody else.
    promising.register(2, synced=False)
    assert promising.eligible("a") == (NO_NODE, (), (2,))


def test_an_orderly_stop_loses_nothing_whatever_the_policy(promising):
    promising.register(1, synced=False, previous=promising.epoch(1))
    assert promising.eligible("a") == (NO_NODE, (), (1, 2))


def test_the_mark_of_an_older_stop_says_that_the_disk_is_an_old_copy(promising):
    promising.register(1, previous=promising.epoch(1) - 1)
    assert promising.eligible("a") == (NO_NODE, (), (2,))


def test_an_emptied_disk_never_leads_though_it_was_the_last(promising):
    promising.register(2, disks=(22,))
    assert promising.eligible("a") == (1, (1,), ())
    promising.register(1, disks=(11,))
    assert promising.eligible("a") == (NO_NODE, (), ())
    for node_id in (1, 2, 3):
        promising.unfence(node_id)
    assert promising.eligible("a") == (NO_NODE, (), ())
    promising.defaults(min_insync_replicas=2, unclean=True)
    assert promising.eligible("a") == (3, (3,), ())
    assert promising.partition("a").emptied == (2, 1)


def test_an_eligible_replica_leads_when_the_last_member_has_lost_its_disk(promising):
    promising.unfence(2)
    promising.register(1, disks=(11,), previous=promising.epoch(1))
    assert promising.eligible("a") == (2, (2,), ())


def test_only_the_logs_of_a_lost_directory_are_lost(cluster):
    cluster.register(1, disks=(1, 11))
    cluster.unfence(1)
    kept, lost = cluster.create("kept", (1,)), cluster.create("lost", (1,))
    cluster.register(1, disks=(1, 12), held={kept: (0,)})
    assert cluster.eligible("kept") == (NO_NODE, (), (1,))
    assert cluster.eligible("lost") == (NO_NODE, (), ())
    assert lost != kept
    # Directories that are added, or named in another order, say nothing of the logs.
    cluster.register(1, disks=(13, 12, 1))
    assert cluster.eligible("kept") == (NO_NODE, (), (1,))


def test_without_a_word_about_its_logs_a_lost_directory_costs_them_all(cluster):
    cluster.register(1, disks=(1, 11))
    cluster.create("a", (1,))
    cluster.register(1, disks=(1,))
    assert cluster.eligible("a") == (NO_NODE, (), ())


def test_a_damaged_last_member_hands_over_to_an_eligible_replica(promising):
    promising.lose("a", 1)
    assert promising.eligible("a") == (NO_NODE, (), (2,))
    promising.unfence(2)
    assert promising.eligible("a") == (2, (2,), ())


def test_fencing_twice_or_a_former_registration_is_without_effect(cluster):
    cluster.fence(1)
    before = cluster.image
    cluster.fence(1)
    assert cluster.image is before
    stale = UnfenceBroker(node_id=NodeId(1), epoch=BrokerEpoch(0))
    cluster.apply(stale, expect=ErrorCode.STALE_BROKER_EPOCH)
    unknown = FenceBroker(node_id=NodeId(9), epoch=BrokerEpoch(0))
    cluster.apply(unknown, expect=ErrorCode.BROKER_ID_NOT_REGISTERED)


def test_a_controlled_shutdown_moves_leaders_and_never_elects_uncleanly(cluster):
    cluster.create("a", (1, 2), (1,), configs={UNCLEAN: "true"})
    changes = cluster.shut_down(1).changes
    assert cluster.partition("a", 0).leader == 2
    assert cluster.eligible("a", 1) == (NO_NODE, (), (1,))
    assert changes.brokers == {1}
    assert {key.partition for key in changes.partitions} == {0, 1}
    cluster.fence(1)
    cluster.apply(UnfenceBroker(node_id=NodeId(1), epoch=cluster.epoch(1)), expect=ErrorCode.INVALID_REQUEST)
    cluster.start(1, incarnation=1)
    assert cluster.partition("a", 1).leader == 1


# Topics


def test_a_topic_starts_with_its_active_replicas_in_sync(cluster):
    cluster.fence(2)
    topic_id = cluster.create("a", (2, 3, 1), (2,))
    first, second = cluster.partition("a", 0), cluster.partition("a", 1)
    assert (first.leader, first.isr, first.leader_epoch, first.partition_epoch) == (3, (3, 1), 0, 0)
    assert (second.leader, second.isr, second.elr) == (NO_NODE, (), (2,))
    assert cluster.image.partition(TopicPartition(topic_id, PartitionIndex(1))) is second


def test_topics_that_cannot_be(cluster):
    topic_id = cluster.create("a", (1,))
    cases = [
        ("a", b"x" * 16, ((1,),), ErrorCode.TOPIC_ALREADY_EXISTS),
        ("b", topic_id, ((1,),), ErrorCode.TOPIC_ALREADY_EXISTS),
        ("b", bytes(16), ((1,),), ErrorCode.INVALID_REQUEST),
        ("b/c", b"x" * 16, ((1,),), ErrorCode.INVALID_TOPIC_EXCEPTION),
        ("b", b"x" * 16, (), ErrorCode.INVALID_PARTITIONS),
        ("b", b"x" * 16, ((),), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        ("b", b"x" * 16, ((1, 1),), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        ("b", b"x" * 16, ((9,),), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    ]
    before = cluster.image
    for name, wanted_id, partitions, error in cases:
        command = CreateTopic(name=name, topic_id=TopicId(wanted_id), partitions=partitions, configs={})
        cluster.apply(command, expect=error)
    assert cluster.image is before


def test_deleting_and_creating_again_in_one_entry(cluster):
    topic_id = cluster.create("a", (1,), (2,))
    again = CreateTopic(name="a", topic_id=TopicId(b"x" * 16), partitions=((NodeId(3),),), configs={})
    applied = cluster.apply(DeleteTopic(topic_id=topic_id), again)
    assert (applied.changes.topics_deleted, applied.changes.topics_created) == ({topic_id}, {b"x" * 16})
    assert len(applied.changes.partitions) == 3
    assert cluster.image.topic_by_name("a").topic_id == b"x" * 16
    cluster.apply(DeleteTopic(topic_id=topic_id), expect=ErrorCode.UNKNOWN_TOPIC_ID)


# Partitions


def test_an_isr_change_keeps_the_leader_epoch(cluster):
    cluster.create("a", (1, 2, 3))
    cluster.change("a", isr=cluster.isr(1, 2))
    cluster.change("a", isr=cluster.isr(1, 2, 3))
    partition = cluster.partition("a")
    assert (partition.isr, partition.leader_epoch, partition.partition_epoch) == ((1, 2, 3), 0, 2)


def test_a_new_leader_comes_from_the_isr_in_force(cluster):
    cluster.create("a", (1, 2, 3))
    cluster.change("a", isr=cluster.isr(1, 2))
    cluster.change("a", leader=NodeId(2))
    partition = cluster.partition("a")
    assert (partition.leader, partition.leader_epoch, partition.partition_epoch) == (2, 1, 2)
    cluster.change("a", isr=cluster.isr(1, 2, 3), leader=NodeId(3), expect=ErrorCode.INELIGIBLE_REPLICA)
    cluster.change("a", leader=NO_NODE, expect=ErrorCode.INELIGIBLE_REPLICA)


def test_a_stale_partition_epoch_is_refused(cluster):
    topic_id = cluster.create("a", (1, 2, 3))
    cluster.change("a", isr=cluster.isr(1, 2))
    stale = ChangePartition(
        topic_id=topic_id, partition=PartitionIndex(0), partition_epoch=PartitionEpoch(0), isr=cluster.isr(1)
    )
    cluster.apply(stale, expect=ErrorCode.INVALID_UPDATE_VERSION)
    assert cluster.partition("a").isr == (1, 2)


def test_isrs_that_cannot_be(cluster):
    cluster.create("a", (1, 2))
    cluster.change("a", isr=(), expect=ErrorCode.INVALID_REQUEST)
    cluster.change("a", isr=cluster.isr(2), expect=ErrorCode.INVALID_REQUEST)
    cluster.change("a", isr=cluster.isr(1, 3), expect=ErrorCode.INVALID_REQUEST)
    cluster.change("a", isr=cluster.isr(1, 1), expect=ErrorCode.INVALID_REQUEST)


def test_a_member_that_registered_again_or_is_fenced_does_not_join(cluster):
    cluster.create("a", (1, 2))
    cluster.change("a", isr=cluster.isr(1))
    seen = cluster.isr(1, 2)
    cluster.start(2, incarnation=1)
    cluster.change("a", isr=seen, expect=ErrorCode.INELIGIBLE_REPLICA)
    no_epoch = (*cluster.isr(1), IsrMember(node_id=NodeId(2), broker_epoch=BrokerEpoch(-1)))
    cluster.change("a", isr=no_epoch, expect=ErrorCode.INELIGIBLE_REPLICA)
    cluster.fence(2)
    cluster.change("a", isr=cluster.isr(1, 2), expect=ErrorCode.INELIGIBLE_REPLICA)


def test_a_member_that_stays_needs_no_epoch(cluster):
    cluster.create("a", (1, 2, 3))
    stays = tuple(IsrMember(node_id=NodeId(each), broker_epoch=BrokerEpoch(-1)) for each in (1, 2))
    cluster.change("a", isr=stays)
    assert cluster.partition("a").isr == (1, 2)


def test_nobody_but_a_leader_extends_an_isr(cluster):
    cluster.create("a", (1, 2))
    cluster.fence(2)
    cluster.unfence(2)
    cluster.fence(1)
    for leader in (None, NO_NODE):
        cluster.change("a", isr=cluster.isr(2), leader=leader, expect=ErrorCode.INELIGIBLE_REPLICA)


# The whole


def test_ten_thousand_changes_are_one_small_entry(cluster):
    topic_id = cluster.create("a", *[(1, 2, 3)] * 10_000)
    changes = [
        ChangePartition(
            topic_id=topic_id,
            partition=PartitionIndex(index),
            partition_epoch=PartitionEpoch(0),
            isr=cluster.isr(1, 2),
            leader=NodeId(2),
        )
        for index in range(10_000)
    ]
    entry = encode(changes)
    assert len(entry) < 1 << 20
    applied = cluster.apply(*decode(entry))
    assert len(applied.changes.partitions) == 10_000
    assert cluster.partition("a", 9_999).leader_epoch == LeaderEpoch(1)


@given(data=st.data())
def test_no_command_breaks_an_image(any_command, check_image, data):
    image = Image.empty()
    entries = data.draw(st.lists(st.lists(any_command, min_size=1, max_size=3), max_size=20))
    for index, entry in enumerate(entries, start=1):
        applied = apply_all(image, RaftIndex(index), entry)
        after, changes = applied.image, applied.changes
        check_image(after)
        assert len(applied.errors) == len(entry)
        assert snapshot.decode(snapshot.encode(after)) == after
        assert apply_all(image, RaftIndex(index), decode(encode(entry))) == applied
        _changes_cover_the_difference(image, after, changes)
        _epochs_are_monotone(image, after, changes)
        image = after


def _changes_cover_the_difference(before, after, changes):
    difference = Changes.between(before, after)
    assert difference.partitions <= changes.partitions
    assert difference.brokers <= changes.brokers
    assert difference.topics_created <= changes.topics_created
    assert difference.topics_deleted <= changes.topics_deleted
    assert difference.cluster == changes.cluster


def _epochs_are_monotone(before, after, changes):
    for node_id, broker in before.brokers.items():
        assert after.brokers[node_id].epoch >= broker.epoch
    for key, old in before.partitions():
        new = after.partition(key)
        if new is None or new is old or key.topic_id in changes.topics_deleted:
            continue
        assert new.leader_epoch >= old.leader_epoch
        assert new.partition_epoch > old.partition_epoch or new == old
        assert new.leader == old.leader or new.leader_epoch > old.leader_epoch
