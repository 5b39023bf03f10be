"""Who leads: in order of preference, from the ISR, else the ELR, else nobody unless that is allowed."""

from __future__ import annotations

import pytest

from raftkafka.metadata.election import allows_unclean, choose_leader, elected, replica_lost, without
from raftkafka.metadata.image import Partition
from raftkafka.model.ids import NO_NODE, NodeId, PartitionIndex


def partition(*, isr=(), elr=(), leader=NO_NODE, replicas=(1, 2, 3)):
    return Partition(
        index=PartitionIndex(0),
        replicas=tuple(NodeId(each) for each in replicas),
        isr=tuple(NodeId(each) for each in isr),
        elr=tuple(NodeId(each) for each in elr),
        leader=NodeId(leader),
    )


def active(*ids):
    return {NodeId(each) for each in ids}


def test_the_isr_is_asked_in_replica_order():
    assert choose_leader(partition(isr=(3, 2), replicas=(1, 2, 3)), active(1, 2, 3)) == 2


def test_an_eligible_leader_replica_is_the_second_choice_and_a_new_isr():
    given = partition(isr=(1,), elr=(3,))
    assert choose_leader(given, active(1, 3)) == 1
    after = elected(given, active(2, 3), unclean=True)
    assert (after.leader, after.isr, after.elr, after.leader_epoch) == (3, (3,), (), 1)


def test_nobody_leads_when_nobody_is_eligible():
    given = partition(isr=(1,))
    assert elected(given, active(2, 3), unclean=False) is given
    assert elected(given, active(), unclean=True) is given


def test_a_leader_stays():
    given = partition(isr=(1, 2), leader=2)
    assert elected(given, active(1, 2), unclean=True) is given


def test_a_follower_that_leaves_moves_no_leader():
    after = without(partition(isr=(1, 2), leader=1), NodeId(2), active(1, 3), unclean=True)
    assert (after.leader, after.isr, after.leader_epoch, after.partition_epoch) == (1, (1,), 0, 1)


@pytest.mark.parametrize(
    ("own", "default", "allowed"), [(None, True, True), ("false", True, False), ("true", False, True)]
)
def test_the_topic_decides_before_the_cluster(own, default, allowed):
    configs = {} if own is None else {"unclean.leader.election.enable": own}
    assert allows_unclean(configs, default) is allowed


def test_a_lost_follower_leaves_the_isr_and_nothing_it_reported_counts_any_more():
    before = partition(isr=(1, 2, 3), leader=1)
    after = replica_lost(before, 2, active(1, 2, 3), unclean=False)
    assert (after.isr, after.leader) == ((1, 3), 1)
    assert (after.leader_epoch, after.partition_epoch) == (before.leader_epoch + 1, before.partition_epoch + 1)


def test_a_lost_leader_is_replaced_by_another_member():
    before = partition(isr=(1, 2), leader=1)
    after = replica_lost(before, 1, active(1, 2, 3), unclean=False)
    assert (after.isr, after.leader, after.leader_epoch) == ((2,), 2, before.leader_epoch + 1)


@pytest.mark.parametrize("isr", [(1,), (2, 3)])
def test_the_last_member_and_one_that_is_none_change_nothing(isr):
    before = partition(isr=isr, leader=isr[0])
    assert replica_lost(before, 1, active(1, 2, 3), unclean=True) is before
