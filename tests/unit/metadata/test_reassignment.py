"""Reassignments as they are applied: the union while in progress, done when the target is in sync, nothing lost on the way."""

from __future__ import annotations

import pytest

from raftkafka.metadata import snapshot
from raftkafka.metadata.commands import AddPartitions, ElectUncleanLeader
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_NODE, NodeId, PartitionEpoch, PartitionIndex, TopicId


@pytest.fixture
def six(cluster):
    for node_id in (4, 5, 6):
        cluster.start(node_id)
    return cluster


def replicas_of(cluster, name="a"):
    partition = cluster.partition(name)
    return partition.replicas, partition.adding, partition.removing


def test_until_the_target_is_in_sync_the_replicas_are_all_of_both(six):
    six.create("a", (1, 2, 3))
    six.reassign("a", (4, 2, 5))
    assert replicas_of(six) == ((4, 2, 5, 1, 3), (4, 5), (1, 3))
    partition = six.partition("a")
    assert (partition.leader, partition.isr, partition.leader_epoch, partition.partition_epoch) == (1, (1, 2, 3), 0, 1)
    assert snapshot.decode(snapshot.encode(six.image)) == six.image
    six.change("a", isr=six.isr(1, 2, 3, 4))
    assert replicas_of(six) == ((4, 2, 5, 1, 3), (4, 5), (1, 3))


def test_the_last_member_completes_it_and_a_leader_that_leaves_hands_over(six):
    six.create("a", (1, 2, 3))
    six.reassign("a", (4, 2, 5))
    six.change("a", isr=six.isr(1, 2, 3, 4, 5))
    assert replicas_of(six) == ((4, 2, 5), (), ())
    partition = six.partition("a")
    assert (partition.leader, set(partition.isr)) == (4, {2, 4, 5})
    assert (partition.leader_epoch, partition.partition_epoch, partition.last_known_leader) == (1, 2, 4)


def test_a_leader_that_stays_goes_on_in_a_new_epoch_which_fences_those_who_left(six):
    six.create("a", (1, 2, 3))
    six.reassign("a", (4, 1))
    six.change("a", isr=six.isr(1, 2, 3, 4))
    partition = six.partition("a")
    assert (partition.replicas, partition.isr, partition.leader, partition.leader_epoch) == ((4, 1), (1, 4), 1, 1)


def test_replicas_that_are_only_added_leave_the_leader_epoch_alone(six):
    six.create("a", (1, 2))
    six.reassign("a", (1, 2, 3))
    six.change("a", isr=six.isr(1, 2, 3))
    assert replicas_of(six) == ((1, 2, 3), (), ())
    assert (six.partition("a").leader, six.partition("a").leader_epoch) == (1, 0)


def test_what_is_only_taken_away_goes_at_once_when_the_rest_is_in_sync(six):
    six.create("a", (1, 2, 3))
    six.reassign("a", (2, 3))
    partition = six.partition("a")
    assert (partition.replicas, partition.isr, partition.leader) == ((2, 3), (2, 3), 2)
    assert (partition.leader_epoch, partition.partition_epoch) == (1, 1)


def test_who_has_the_records_stays_until_the_rest_has_them(six):
    six.create("a", (1, 2, 3))
    six.change("a", isr=six.isr(1, 2))
    six.reassign("a", (1, 3))
    assert replicas_of(six) == ((1, 3, 2), (), (2,))
    six.change("a", isr=six.isr(1, 2, 3))
    assert replicas_of(six) == ((1, 3), (), ())
    assert six.partition("a").isr == (1, 3)


def test_another_order_moves_no_leader_and_is_done_at_once(six):
    six.create("a", (1, 2, 3))
    six.reassign("a", (3, 1, 2))
    partition = six.partition("a")
    assert (partition.replicas, partition.leader, partition.leader_epoch) == ((3, 1, 2), 1, 0)
    assert not partition.adding
    assert not partition.removing
    before = six.image
    six.reassign("a", (3, 1, 2))
    assert six.image is before


def test_fencing_on_the_way_neither_completes_nor_breaks_it(six):
    six.create("a", (1, 2))
    six.reassign("a", (3, 4))
    six.change("a", isr=six.isr(1, 2, 3))
    six.fence(1)
    assert (six.partition("a").leader, six.partition("a").isr) == (3, (2, 3))
    six.fence(2)
    assert replicas_of(six) == ((3, 4, 1, 2), (3, 4), (1, 2))
    six.change("a", isr=six.isr(3, 4))
    partition = six.partition("a")
    assert (partition.replicas, partition.isr, partition.leader) == ((3, 4), (3, 4), 3)


def test_an_unclean_election_may_complete_it(cluster):
    cluster.create("a", (1,), configs={"unclean.leader.election.enable": "true"})
    cluster.reassign("a", (2,))
    cluster.fence(1)
    partition = cluster.partition("a")
    assert (partition.replicas, partition.isr, partition.leader, partition.leader_epoch) == ((2,), (2,), 2, 1)


def test_who_is_eligible_stays_as_who_is_in_sync_does(six):
    six.defaults(min_insync_replicas=2)
    six.create("a", (1, 2))
    six.reassign("a", (3, 4))
    six.change("a", isr=six.isr(1, 2, 3))
    for node_id in (1, 2, 3):
        six.fence(node_id)
    assert six.eligible("a") == (NO_NODE, (), (3, 2))
    six.reassign("a", (5, 1))
    assert replicas_of(six) == ((5, 1, 3, 2), (5, 3), (3, 2))
    six.reassign("a", None)
    assert replicas_of(six) == ((1, 2, 3), (3,), (3,))
    six.unfence(3)
    assert six.eligible("a") == (3, (3,), (2,))
    for node_id in (1, 2):
        six.unfence(node_id)
    six.change("a", isr=six.isr(1, 2, 3))
    assert replicas_of(six) == ((1, 2), (), ())
    assert six.eligible("a") == (1, (1, 2), ())


def test_a_target_below_min_insync_replicas_is_the_operators_wish(six):
    six.defaults(min_insync_replicas=2)
    six.create("a", (1, 2, 3))
    six.reassign("a", (2,))
    assert (six.eligible("a"), replicas_of(six)) == ((2, (2,), ()), ((2,), (), ()))


def test_a_replica_that_is_added_may_lead_uncleanly_where_that_is_allowed(cluster):
    for name, configs in (("a", {"unclean.leader.election.enable": "true"}), ("b", {})):
        cluster.create(name, (1,), configs=configs)
    cluster.fence(1)
    for name in ("a", "b"):
        cluster.reassign(name, (2,))
    assert (cluster.partition("a").replicas, cluster.eligible("a")) == ((2,), (2, (2,), ()))
    assert (cluster.partition("b").replicas, cluster.eligible("b")) == ((2, 1), (NO_NODE, (), (1,)))


def test_cancelling_goes_back(six):
    six.create("a", (1, 2, 3))
    six.reassign("a", None, expect=ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
    six.reassign("a", (3, 4, 5))
    six.change("a", isr=six.isr(1, 2, 3, 4))
    six.change("a", leader=NodeId(4))
    six.reassign("a", None)
    partition = six.partition("a")
    assert replicas_of(six) == ((3, 1, 2), (), ())
    assert (set(partition.isr), partition.leader, partition.leader_epoch) == ({1, 2, 3}, 3, 2)


def test_cancelling_waits_for_as_many_as_the_records_were_promised(six):
    """Kafka would let broker 2 alone decide about records that two have acknowledged."""
    six.create("a", (1, 2, 3))
    six.reassign("a", (4, 5, 6))
    six.change("a", isr=six.isr(1, 4, 5))
    six.defaults(min_insync_replicas=2)
    six.reassign("a", None)
    partition = six.partition("a")
    assert replicas_of(six) == ((1, 2, 3, 4, 5), (4, 5), (4, 5))
    assert (set(partition.isr), partition.leader, partition.leader_epoch) == ({1, 4, 5}, 1, 1)
    six.reassign("a", None)
    assert six.partition("a") is partition
    six.change("a", isr=six.isr(1, 2, 3, 4, 5))
    assert replicas_of(six) == ((1, 2, 3), (), ())
    assert six.partition("a").isr == (1, 2, 3)


def test_cancelling_with_nobody_left_of_the_old_ones_waits(six):
    six.create("a", (1,))
    six.reassign("a", (2, 3))
    six.change("a", isr=six.isr(1, 2))
    six.fence(1)
    six.reassign("a", None)
    assert replicas_of(six) == ((1, 2), (2,), (2,))
    six.unfence(1)
    six.change("a", isr=six.isr(1, 2))
    assert replicas_of(six) == ((1,), (), ())
    assert six.partition("a").leader == 1


def test_a_second_reassignment_replaces_the_first(six):
    six.create("a", (1, 2))
    six.reassign("a", (3, 4))
    six.change("a", isr=six.isr(1, 2, 3))
    six.reassign("a", (5, 1))
    # 4 holds nothing that counts and goes; 3 is in the ISR and stays until 5 is.
    assert replicas_of(six) == ((5, 1, 3, 2), (5, 3), (3, 2))
    assert six.partition("a").leader_epoch == 1
    six.reassign("a", None)
    assert replicas_of(six) == ((1, 2), (), ())
    assert six.partition("a").isr == (1, 2)


def test_targets_that_cannot_be(cluster):
    cluster.create("a", (1, 2))
    before = cluster.image
    for replicas in ((), (1, 1), (1, 9), (-1,)):
        cluster.reassign("a", replicas, expect=ErrorCode.INVALID_REPLICA_ASSIGNMENT)
    stale = cluster.partition("a").partition_epoch
    assert cluster.image is before
    cluster.change("a", isr=cluster.isr(1))
    command = ElectUncleanLeader(
        topic_id=cluster.image.topic_ids["a"], partition=PartitionIndex(0), partition_epoch=stale
    )
    cluster.apply(command, expect=ErrorCode.INVALID_UPDATE_VERSION)


# Partitions that are added


def add(cluster, first, *partitions, topic_id=None, expect=ErrorCode.NONE):
    return cluster.apply(
        AddPartitions(topic_id=topic_id or cluster.image.topic_ids["a"], first=first, partitions=partitions),
        expect=expect,
    )


def test_added_partitions_start_like_those_of_a_new_topic(cluster):
    cluster.create("a", (1, 2))
    before = cluster.partition("a")
    cluster.fence(2)
    applied = add(cluster, 1, (2, 3), (2,))
    assert {key.partition for key in applied.changes.partitions} == {1, 2}
    assert [cluster.partition("a", at).index for at in range(3)] == [0, 1, 2]
    assert (cluster.partition("a", 1).leader, cluster.partition("a", 1).isr) == (3, (3,))
    assert cluster.eligible("a", 2) == (NO_NODE, (), (2,))
    assert cluster.partition("a").replicas == before.replicas


def test_partitions_that_cannot_be_added(cluster):
    cluster.create("a", (1, 2))
    before = cluster.image
    add(cluster, 1, (1,), topic_id=TopicId(b"?" * 16), expect=ErrorCode.UNKNOWN_TOPIC_ID)
    add(cluster, 0, (1,), expect=ErrorCode.INVALID_UPDATE_VERSION)
    add(cluster, 1, expect=ErrorCode.INVALID_PARTITIONS)
    for replicas in ((), (1, 1), (9,)):
        add(cluster, 1, (1,), replicas, expect=ErrorCode.INVALID_REPLICA_ASSIGNMENT)
    assert cluster.image is before


def test_added_and_changed_in_one_entry(cluster):
    cluster.create("a", (1, 2))
    topic_id = cluster.image.topic_ids["a"]
    growth = AddPartitions(topic_id=topic_id, first=1, partitions=((NodeId(2), NodeId(3)),))
    again = AddPartitions(topic_id=topic_id, first=2, partitions=((NodeId(3),),))
    cluster.apply(growth, again)
    assert [cluster.partition("a", at).leader for at in range(3)] == [1, 2, 3]


# Unclean elections


def test_an_operator_may_elect_uncleanly_and_only_then(cluster):
    cluster.create("a", (1, 2))
    command = ElectUncleanLeader(
        topic_id=cluster.image.topic_ids["a"], partition=PartitionIndex(0), partition_epoch=PartitionEpoch(0)
    )
    cluster.apply(command, expect=ErrorCode.ELECTION_NOT_NEEDED)
    cluster.fence(2)
    cluster.unfence(2)
    cluster.fence(1)
    partition = cluster.partition("a")
    assert partition.leader == NO_NODE
    command = ElectUncleanLeader(
        topic_id=cluster.image.topic_ids["a"],
        partition=PartitionIndex(0),
        partition_epoch=partition.partition_epoch,
    )
    cluster.fence(2)
    cluster.apply(command, expect=ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE)
    cluster.unfence(2)
    cluster.apply(command)
    assert (cluster.partition("a").leader, cluster.partition("a").isr) == (2, (2,))
