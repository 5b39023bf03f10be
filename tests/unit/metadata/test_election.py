"""Who is eligible and who leads: every rule by itself."""

from __future__ import annotations

from dataclasses import replace

import hypothesis
import pytest
from hypothesis import strategies as st

from raftkafka.metadata.election import (
    Leaving,
    Log,
    Rules,
    changed,
    choose_leader,
    elected,
    out_of_reach,
    replica_lost,
    reviewed,
    without,
)
from raftkafka.metadata.image import Defaults, Partition
from raftkafka.model.ids import NO_NODE, LeaderEpoch, NodeId, PartitionEpoch, PartitionIndex

ONE, TWO, THREE = (Rules(min_insync_replicas=each) for each in (1, 2, 3))
UNCLEAN = Rules(min_insync_replicas=2, unclean=True)


def partition(*, isr=(), elr=(), leader=NO_NODE, replicas=(1, 2, 3), last=NO_NODE, emptied=()):
    return Partition(
        index=PartitionIndex(0),
        replicas=tuple(NodeId(each) for each in replicas),
        isr=tuple(NodeId(each) for each in isr),
        elr=tuple(NodeId(each) for each in elr),
        leader=NodeId(leader),
        last_known_leader=NodeId(last),
        emptied=tuple(NodeId(each) for each in emptied),
    )


def active(*ids):
    return {NodeId(each) for each in ids}


def state(partition):
    return partition.leader, partition.isr, partition.elr


# The choice of a leader


def test_the_isr_is_asked_in_replica_order():
    assert choose_leader(partition(isr=(3, 2), replicas=(1, 2, 3)), active(1, 2, 3)) == 2


def test_an_eligible_leader_replica_is_the_second_choice():
    given = partition(isr=(1,), elr=(3,))
    assert choose_leader(given, active(1, 3)) == 1
    assert choose_leader(given, active(2, 3)) == 3
    assert choose_leader(given, active(2)) == NO_NODE


def test_a_leader_from_the_elr_is_the_new_isr_and_the_others_stay_eligible():
    after = elected(partition(elr=(1, 3)), TWO, active(2, 3))
    assert (state(after), after.leader_epoch, after.partition_epoch) == ((3, (3,), (1,)), 1, 1)
    # An ISR of one commits records without the others.
    assert state(elected(partition(elr=(1, 3)), ONE, active(3))) == (3, (3,), ())


def test_nobody_leads_when_nobody_eligible_is_there():
    given = partition(elr=(1,))
    assert elected(given, TWO, active(2, 3)) is given
    assert elected(given, UNCLEAN, active()) is given


def test_a_leader_stays():
    given = partition(isr=(1, 2), leader=2)
    assert elected(given, UNCLEAN, active(1, 2)) is given


# Unclean elections


@pytest.mark.parametrize(("last", "chosen"), [(3, 3), (NO_NODE, 2), (1, 2)])
def test_an_unclean_election_prefers_the_last_known_leader_and_forgets_who_was_eligible(last, chosen):
    after = elected(partition(elr=(1,), last=last), UNCLEAN, active(2, 3))
    assert state(after) == (chosen, (chosen,), ())


def test_an_unclean_election_is_the_last_resort():
    after = elected(partition(elr=(1, 3), last=2), UNCLEAN, active(2, 3))
    assert state(after) == (3, (3,), (1,))


@pytest.mark.parametrize(
    ("own", "default", "allowed"), [(None, True, True), ("false", True, False), ("true", False, True)]
)
def test_the_topic_decides_before_the_cluster(own, default, allowed):
    configs = {} if own is None else {"unclean.leader.election.enable": own}
    assert Rules.of(configs, Defaults(unclean_leader_election=default)).unclean is allowed


@pytest.mark.parametrize(("own", "least"), [(None, 2), ("3", 3), ("x", 2), ("\u0663", 2), ("9" * 30, 2)])
def test_the_least_isr_is_the_topics_where_it_is_a_number(own, least):
    configs = {} if own is None else {"min.insync.replicas": own}
    assert Rules.of(configs, Defaults(min_insync_replicas=2)).min_insync_replicas == least


def test_an_offline_partition_is_led_once_unclean_elections_are_allowed():
    offline = partition(elr=(1,))
    assert reviewed(offline, TWO, active(2, 3)) is offline
    assert state(reviewed(offline, UNCLEAN, active(2, 3))) == (2, (2,), ())


def test_an_isr_that_may_commit_under_new_rules_has_no_elr_beside_it():
    given = partition(isr=(1,), elr=(2,), leader=1)
    after = reviewed(given, ONE, active(1, 2, 3))
    assert (state(after), after.leader_epoch, after.partition_epoch) == ((1, (1,), ()), 0, 1)
    assert reviewed(given, THREE, active(1, 2, 3)) is given


# Changes of the ISR


def test_who_leaves_an_isr_that_may_not_commit_any_more_is_eligible():
    before = partition(isr=(1, 2, 3), leader=1)
    assert state(changed(before, TWO, isr=(1, 2), leader=1)) == (1, (1, 2), ())
    assert state(changed(before, TWO, isr=(1,), leader=1)) == (1, (1,), (2, 3))
    assert state(changed(before, THREE, isr=(1, 3), leader=1)) == (1, (1, 3), (2,))


def test_the_elr_is_left_by_joining_the_isr_and_emptied_when_that_may_commit():
    before = partition(isr=(1,), elr=(2, 3), leader=1)
    assert state(changed(before, THREE, isr=(1, 2), leader=1)) == (1, (1, 2), (3,))
    assert state(changed(before, TWO, isr=(1, 2), leader=1)) == (1, (1, 2), ())


def test_who_was_in_neither_does_not_become_eligible():
    assert state(changed(partition(isr=(1, 2), leader=1), TWO, isr=(1,), leader=1)) == (1, (1,), (2,))


def test_a_follower_that_leaves_moves_no_leader():
    after = without(partition(isr=(1, 2), leader=1), NodeId(2), Log.INTACT, ONE, active(1, 3))
    assert (state(after), after.leader_epoch, after.partition_epoch) == ((1, (1,), ()), 0, 1)


@hypothesis.given(data=st.data())
def test_leaving_many_partitions_is_leaving_each_of_them(data):
    nodes = st.integers(1, 4)
    some = st.lists(nodes, unique=True, max_size=3)
    rules = data.draw(st.sampled_from([ONE, TWO, THREE, UNCLEAN]))
    others = active(*data.draw(st.sets(st.integers(2, 4))))
    leaving = Leaving(NodeId(1), rules, others)
    for number in range(data.draw(st.integers(1, 30))):
        replicas = data.draw(st.lists(nodes, unique=True, min_size=1))
        isr = [each for each in replicas if each in data.draw(some)]
        before = Partition(
            index=PartitionIndex(number),
            replicas=tuple(replicas),
            isr=tuple(isr),
            leader=NodeId(isr[0]) if isr else NO_NODE,
            leader_epoch=LeaderEpoch(number),
            partition_epoch=PartitionEpoch(2 * number),
            elr=tuple(each for each in replicas if each not in isr and each in data.draw(some)),
            last_known_leader=NodeId(data.draw(nodes)),
            emptied=tuple(each for each in replicas if each not in isr and each in data.draw(some)),
        )
        assert leaving.without(before) == without(before, NodeId(1), Log.INTACT, rules, others)


def test_the_last_member_of_an_isr_is_eligible_when_it_is_back():
    gone = without(partition(isr=(1,), leader=1), NodeId(1), Log.INTACT, ONE, active(2, 3))
    assert (state(gone), gone.last_known_leader) == ((NO_NODE, (), (1,)), NO_NODE)
    assert state(elected(gone, ONE, active(1, 2, 3))) == (1, (1,), ())


def test_an_eligible_replica_takes_over_from_the_last_member_in_one_step():
    before = partition(isr=(1,), elr=(3,), leader=1)
    after = without(before, NodeId(1), Log.INTACT, TWO, active(2, 3))
    assert (state(after), after.leader_epoch, after.partition_epoch) == ((3, (3,), (1,)), 1, 1)


# A broker that has started again


@pytest.mark.parametrize(
    ("log", "elr"), [(Log.INTACT, (1, 2)), (Log.DOUBTFUL, (2,)), (Log.GONE, (2,))], ids=lambda each: str(each)
)
def test_what_a_member_of_the_isr_is_still_good_for(log, elr):
    after = without(partition(isr=(1,), elr=(2,), leader=1), NodeId(1), log, TWO, active(3))
    assert state(after) == (NO_NODE, (), elr)


@pytest.mark.parametrize(("log", "elr"), [(Log.INTACT, (1, 2)), (Log.DOUBTFUL, (2,)), (Log.GONE, (2,))])
def test_what_an_eligible_replica_is_still_good_for(log, elr):
    after = without(partition(elr=(1, 2)), NodeId(1), log, TWO, active(3))
    assert state(after) == (NO_NODE, (), elr)


@pytest.mark.parametrize(("log", "elr"), [(Log.INTACT, (1,)), (Log.DOUBTFUL, (1,)), (Log.GONE, ())])
@pytest.mark.parametrize("before", [{"isr": (1,), "leader": 1}, {"elr": (1,)}], ids=["isr", "elr"])
def test_the_last_eligible_replica_stays_in_doubt_but_not_without_its_disk(before, log, elr):
    after = without(partition(**before), NodeId(1), log, TWO, active(2, 3))
    assert state(after) == (NO_NODE, (), elr)


def test_a_replica_that_has_lost_everything_is_remembered_until_it_is_in_sync_again():
    after = without(partition(isr=(1, 2), leader=1), NodeId(1), Log.GONE, TWO, active(2, 3))
    assert (state(after), after.emptied, after.partition_epoch) == ((2, (2,), ()), (1,), 1)
    assert without(after, NodeId(1), Log.GONE, TWO, active(2, 3)) is after
    again = without(after, NodeId(3), Log.GONE, TWO, active(2))
    assert (again.emptied, again.partition_epoch) == ((1, 3), 2)
    assert changed(again, TWO, isr=(1, 2), leader=2).emptied == (3,)


def test_an_empty_replica_is_elected_by_hand_only_while_another_may_come_back():
    given = partition(last=1, emptied=(1, 2))
    assert elected(given, UNCLEAN, active(1, 2)) is given
    assert state(elected(given, replace(UNCLEAN, by_hand=True), active(1, 2))) == (1, (1,), ())
    assert state(elected(given, UNCLEAN, active(1, 2, 3))) == (3, (3,), ())


@pytest.mark.parametrize(("last", "emptied", "chosen"), [(1, (1,), 2), (3, (1,), 3), (1, (1, 2, 3), 1)])
def test_an_unclean_election_chooses_an_empty_replica_last(last, emptied, chosen):
    after = elected(partition(last=last, emptied=emptied), UNCLEAN, active(1, 2, 3))
    assert state(after) == (chosen, (chosen,), ())
    assert chosen not in after.emptied


def test_where_unclean_elections_are_allowed_a_lost_disk_is_replaced_at_once():
    after = without(partition(isr=(1,), leader=1, last=1), NodeId(1), Log.GONE, UNCLEAN, active(2, 3))
    assert state(after) == (2, (2,), ())


# A replica that is lost while its broker lives


def test_a_lost_follower_leaves_the_isr_and_nothing_it_reported_counts_any_more():
    before = partition(isr=(1, 2, 3), leader=1)
    after = replica_lost(before, 2, ONE, active(1, 2, 3))
    assert state(after) == (1, (1, 3), ())
    assert (after.leader_epoch, after.partition_epoch) == (before.leader_epoch + 1, before.partition_epoch + 1)


def test_a_lost_leader_is_replaced_by_another_member():
    before = partition(isr=(1, 2), leader=1)
    after = replica_lost(before, 1, ONE, active(1, 2, 3))
    assert (state(after), after.leader_epoch) == ((2, (2,), ()), before.leader_epoch + 1)


def test_a_lost_last_member_is_replaced_by_an_eligible_replica_or_waits_for_it():
    before = partition(isr=(1,), elr=(2,), leader=1)
    assert state(replica_lost(before, 1, TWO, active(1, 2))) == (2, (2,), ())
    assert state(replica_lost(before, 1, TWO, active(1, 3))) == (NO_NODE, (), (2,))


def test_a_lost_eligible_replica_is_eligible_no_more():
    assert state(replica_lost(partition(isr=(1,), elr=(2,), leader=1), 2, TWO, active(1, 2))) == (1, (1,), ())


@pytest.mark.parametrize("isr", [(1,), (2, 3)])
def test_the_last_eligible_replica_and_one_that_is_not_change_nothing(isr):
    before = partition(isr=isr, leader=isr[0])
    assert replica_lost(before, 1, TWO, active(1, 2, 3)) is before


def test_a_lost_last_member_is_replaced_where_unclean_elections_are_allowed():
    before = partition(isr=(1,), leader=1, last=1)
    assert state(replica_lost(before, 1, UNCLEAN, active(1, 2, 3))) == (2, (2,), ())
    assert replica_lost(before, 1, UNCLEAN, active(1)) is before


def test_an_intact_log_out_of_reach_leaves_the_isr_but_stays_eligible():
    before = partition(isr=(1, 2), leader=1)
    after = out_of_reach(before, 1, TWO, active(1, 2, 3))
    assert (state(after), after.leader_epoch) == ((2, (2,), (1,)), before.leader_epoch + 1)
    assert state(out_of_reach(before, 2, TWO, active(1, 2, 3))) == (1, (1,), (2,))


def test_a_leader_out_of_reach_whom_nobody_can_replace_goes_on_when_it_can():
    before = partition(isr=(1,), elr=(2,), leader=1)
    assert out_of_reach(before, 1, TWO, active(1, 3)) is before
    assert state(out_of_reach(before, 1, TWO, active(1, 2))) == (2, (2,), (1,))
    assert out_of_reach(before, 2, TWO, active(1, 2)) is before
