"""The leader's view: what moves the high watermark, who is in sync, and what must never happen on the way."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from raftkafka.model.api.broker_lifecycle import IsrMember
from raftkafka.model.ids import BrokerEpoch, LeaderEpoch, NodeId, Offset, PartitionEpoch
from raftkafka.replica.leader import LeaderState

LAG_S = 30.0


def nodes(*ids: int) -> tuple[NodeId, ...]:
    return tuple(NodeId(each) for each in ids)


def lead(*, isr=(1, 2, 3), replicas=(1, 2, 3), end=0, counted=None, high_watermark=0, min_insync=1, start=None, elr=()):
    return LeaderState(
        node_id=NodeId(1),
        leader_epoch=LeaderEpoch(5),
        partition_epoch=PartitionEpoch(7),
        replicas=nodes(*replicas),
        isr=nodes(*isr),
        epoch_start_offset=Offset(end if start is None else start),
        log_end_offset=Offset(end),
        counted_offset=Offset(end if counted is None else counted),
        high_watermark=Offset(high_watermark),
        min_insync_replicas=min_insync,
        now=100.0,
        lag_time_max_s=LAG_S,
        elr=nodes(*elr),
    )


def local(leader, end, counted=None):
    return leader.on_local(log_end_offset=Offset(end), counted_offset=Offset(end if counted is None else counted))


def fetch(leader, node, offset, *, counted=None, now=100.0, epoch=10):
    return leader.on_fetch(
        NodeId(node),
        fetch_offset=Offset(offset),
        counted_offset=Offset(offset if counted is None else counted),
        broker_epoch=BrokerEpoch(epoch),
        now=now,
    )


def everybody(_):
    return True


def ids(proposal):
    return None if proposal is None else [member.node_id for member in proposal]


# High watermark


def test_nothing_is_committed_beside_eligible_leader_replicas_whatever_this_nodes_own_least_isr():
    leader = lead(isr=(1,), elr=(2,), min_insync=1)
    assert not local(leader, 10)
    assert (leader.high_watermark, leader.can_commit) == (0, False)
    # 2 is back, and the controller counts on nobody outside the ISR any more.
    assert not fetch(leader, 2, 10)
    assert leader.on_isr_committed(nodes(1, 2), PartitionEpoch(8), ())
    assert (leader.high_watermark, leader.can_commit) == (10, True)


def test_an_isr_that_shrinks_beside_new_eligible_replicas_stops_the_watermark():
    leader = lead(isr=(1, 2), min_insync=1)
    local(leader, 5)
    fetch(leader, 2, 3)
    assert leader.high_watermark == 3
    assert not leader.on_isr_committed(nodes(1), PartitionEpoch(8), nodes(2))
    assert leader.high_watermark == 3
    assert not local(leader, 9)


def test_the_watermark_waits_for_every_member_of_the_isr():
    leader = lead()
    assert not local(leader, 10)
    assert not fetch(leader, 2, 10)
    assert fetch(leader, 3, 6)
    assert leader.high_watermark == 6


def test_a_member_that_has_not_fetched_holds_the_watermark():
    leader = lead(end=10, high_watermark=4)
    fetch(leader, 2, 10)
    assert leader.high_watermark == 4


def test_a_lone_leader_commits_what_it_has_synced():
    leader = lead(isr=(1,))
    assert not local(leader, 10, counted=0)
    assert local(leader, 10, counted=10)
    assert leader.high_watermark == 10


def test_a_new_leader_alone_in_the_isr_commits_its_log_without_an_append():
    leader = lead(isr=(1,), end=10, high_watermark=3)
    assert local(leader, 10)
    assert leader.high_watermark == 10


def test_only_counted_offsets_count():
    leader = lead(isr=(1, 2), replicas=(1, 2))
    local(leader, 10, counted=8)
    fetch(leader, 2, 10, counted=5)
    assert leader.high_watermark == 5
    fetch(leader, 2, 10, counted=10)
    assert leader.high_watermark == 8


def test_the_watermark_is_frozen_below_min_insync_replicas():
    leader = lead(isr=(1, 2), min_insync=2)
    local(leader, 10)
    fetch(leader, 2, 4)
    leader.on_isr_committed(nodes(1), PartitionEpoch(8))
    assert leader.high_watermark == 4
    assert not leader.can_commit
    assert not local(leader, 20)
    assert leader.high_watermark == 4
    assert leader.set_min_insync_replicas(1)
    assert leader.high_watermark == 20


def test_no_more_in_sync_replicas_are_asked_for_than_there_are_replicas():
    leader = lead(isr=(1,), replicas=(1,), min_insync=2)
    assert local(leader, 10)
    assert leader.high_watermark == 10
    leader.set_replicas(nodes(1, 2))
    assert not leader.can_commit


def test_a_proposed_shrink_does_not_free_the_watermark_until_it_is_committed():
    leader = lead(isr=(1, 2), replicas=(1, 2))
    local(leader, 10)
    leader.on_isr_proposed((IsrMember(node_id=NodeId(1), broker_epoch=BrokerEpoch(-1)),))
    assert not local(leader, 11)
    assert leader.high_watermark == 0
    assert leader.on_isr_committed(nodes(1), PartitionEpoch(8))
    assert leader.high_watermark == 11


def test_a_proposed_member_holds_the_watermark_before_it_is_committed():
    leader = lead(isr=(1,), replicas=(1, 2))
    local(leader, 10)
    fetch(leader, 2, 10)
    leader.on_isr_proposed(leader.isr_proposal(100.0, everybody))
    assert not local(leader, 20)
    assert leader.high_watermark == 10
    assert leader.on_isr_refused(partition_epoch=PartitionEpoch(7))
    assert leader.high_watermark == 20


def test_a_refusal_that_shows_a_newer_epoch_does_not_end_the_proposal():
    # An earlier try of the same proposal may have been committed, and its answer lost.
    leader = lead(isr=(1,), replicas=(1, 2))
    local(leader, 10)
    fetch(leader, 2, 10)
    leader.on_isr_proposed(leader.isr_proposal(100.0, everybody))
    assert not leader.on_isr_refused(partition_epoch=PartitionEpoch(8))
    assert not local(leader, 20)
    assert leader.high_watermark == 10
    leader.on_isr_committed(nodes(1, 2), PartitionEpoch(8))
    assert leader.high_watermark == 10


def test_an_isr_of_an_older_epoch_is_ignored():
    leader = lead(isr=(1, 2))
    leader.on_isr_committed(nodes(1, 2, 3), PartitionEpoch(9))
    assert not leader.on_isr_committed(nodes(1), PartitionEpoch(8))
    assert leader.isr == (1, 2, 3)


def test_the_image_of_the_same_epoch_does_not_end_a_proposal():
    leader = lead(isr=(1,), replicas=(1, 2))
    fetch(leader, 2, 0)
    leader.on_isr_proposed(leader.isr_proposal(100.0, everybody))
    leader.on_isr_committed(nodes(1), PartitionEpoch(7))
    assert leader.proposed_isr == (1, 2)


def test_consumers_wait_for_the_start_of_the_epoch():
    leader = lead(isr=(1, 2), end=10, high_watermark=4)
    assert not leader.hw_serves_consumers()
    fetch(leader, 2, 9)
    assert not leader.hw_serves_consumers()
    fetch(leader, 2, 10)
    assert leader.hw_serves_consumers()


def test_an_offset_beyond_the_log_end_and_a_stranger_are_ignored():
    leader = lead(isr=(1, 2), replicas=(1, 2))
    local(leader, 10)
    assert not fetch(leader, 2, 11)
    assert not fetch(leader, 9, 10)
    assert leader.high_watermark == 0


def test_a_fetch_of_an_earlier_incarnation_says_nothing():
    leader = lead(isr=(1, 2), replicas=(1, 2))
    local(leader, 10)
    fetch(leader, 2, 3, epoch=11)
    assert not fetch(leader, 2, 10, epoch=10)
    assert leader.high_watermark == 3


# ISR


def test_a_follower_joins_at_the_watermark_with_the_epoch_under_which_it_fetched():
    leader = lead(isr=(1, 2), end=10, high_watermark=10)
    fetch(leader, 2, 10)
    assert leader.isr_proposal(100.0, everybody) is None
    fetch(leader, 3, 9)
    assert leader.isr_proposal(100.0, everybody) is None
    fetch(leader, 3, 10, epoch=42)
    proposal = leader.isr_proposal(100.0, everybody)
    assert ids(proposal) == [1, 2, 3]
    assert [member.broker_epoch for member in proposal] == [-1, 10, 42]


def test_a_follower_that_has_it_but_not_on_disk_does_not_join():
    leader = lead(isr=(1,), end=10, high_watermark=10)
    fetch(leader, 2, 10, counted=9)
    assert leader.isr_proposal(100.0, everybody) is None


def test_a_follower_below_the_start_of_the_epoch_does_not_join():
    leader = lead(isr=(1, 2), end=10, high_watermark=4)
    fetch(leader, 3, 6)
    assert leader.isr_proposal(100.0, everybody) is None


def test_a_fenced_follower_does_not_join():
    leader = lead(isr=(1,))
    fetch(leader, 2, 0)
    assert leader.isr_proposal(100.0, lambda node: node != 2) is None


def test_one_proposal_at_a_time():
    leader = lead(isr=(1,))
    fetch(leader, 2, 0)
    leader.on_isr_proposed(leader.isr_proposal(100.0, everybody))
    fetch(leader, 3, 0)
    assert leader.isr_proposal(100.0, everybody) is None
    leader.on_isr_committed(nodes(1, 2), PartitionEpoch(8))
    assert ids(leader.isr_proposal(100.0, everybody)) == [1, 2, 3]


def test_a_member_that_falls_behind_leaves_after_the_lag_time():
    leader = lead(isr=(1, 2), replicas=(1, 2))
    fetch(leader, 2, 0, now=100.0)
    local(leader, 10)
    assert leader.isr_proposal(100.0 + LAG_S, everybody) is None
    assert ids(leader.isr_proposal(100.1 + LAG_S, everybody)) == [1]


def test_a_member_that_never_finds_the_new_leader_leaves_after_the_lag_time():
    leader = lead(isr=(1, 2), replicas=(1, 2), end=10)
    assert leader.isr_proposal(100.0 + LAG_S, everybody) is None
    assert ids(leader.isr_proposal(100.1 + LAG_S, everybody)) == [1]


def test_an_idle_partition_keeps_its_isr():
    leader = lead(isr=(1, 2), replicas=(1, 2))
    fetch(leader, 2, 0, now=100.0)
    assert leader.isr_proposal(100.0 + 10 * LAG_S, everybody) is None


def test_who_keeps_pace_with_a_busy_leader_is_in_sync_although_never_at_its_end():
    leader = lead(isr=(1, 2), replicas=(1, 2))
    now = 100.0
    for round_ in range(1, 50):
        fetch(leader, 2, 10 * (round_ - 1), now=now)
        local(leader, 10 * round_ + 5)
        local(leader, 10 * (round_ + 1))
        now += 1.0
        assert leader.isr_proposal(now, everybody) is None


def test_who_moves_but_does_not_keep_pace_leaves():
    leader = lead(isr=(1, 2), replicas=(1, 2))
    now = 100.0
    for round_ in range(1, 40):
        local(leader, 100 * round_)
        fetch(leader, 2, round_, now=now)
        now += 1.0
    assert ids(leader.isr_proposal(now, everybody)) == [1]


@pytest.mark.parametrize("isr", [(1,), (1, 2), (1, 2, 3)])
def test_the_leader_is_always_in_its_proposal(isr):
    leader = lead(isr=isr, end=10, counted=0)
    proposal = leader.isr_proposal(1e9, everybody)
    assert proposal is None or ids(proposal) == [1]


class Leadership(RuleBasedStateMachine):
    """One leadership next to the truth: a controller that commits, refuses, or loses what the leader proposes."""

    @initialize(min_insync=st.integers(1, 3), isr=st.sampled_from([(1,), (1, 2), (1, 2, 3)]))
    def begin(self, min_insync, isr):
        self.leader = lead(isr=isr, min_insync=min_insync)
        self.min_insync = min_insync
        self.end = self.flushed = 0
        self.counted = {2: -1, 3: -1}
        self.controller_isr, self.controller_epoch = isr, 7
        self.proposal = None
        self.now = 100.0
        self.shown = 0

    @rule(records=st.integers(1, 5))
    def append(self, records):
        self.end += records
        local(self.leader, self.end, self.flushed)

    @rule()
    def sync(self):
        self.flushed = self.end
        local(self.leader, self.end, self.flushed)

    @rule(node=st.sampled_from([2, 3]), share=st.floats(0, 1), unsynced=st.integers(0, 3), seconds=st.floats(0, 20))
    def follow(self, node, share, unsynced, seconds):
        self.now += seconds
        offset = int(self.end * share)
        self.counted[node] = max(0, offset - unsynced)
        fetch(self.leader, node, offset, counted=self.counted[node], now=self.now)

    @rule(eligible=st.sets(st.sampled_from([2, 3])), seconds=st.floats(0, 40))
    def propose(self, eligible, seconds):
        self.now += seconds
        proposal = self.leader.isr_proposal(self.now, eligible.__contains__)
        if proposal is None:
            return
        members = ids(proposal)
        for joined in set(members) - set(self.leader.isr):
            # I4: who joins holds everything committed, and is allowed to.
            assert joined in eligible
            assert self.counted[joined] >= self.leader.high_watermark
        self.leader.on_isr_proposed(proposal)
        self.proposal = (tuple(members), self.leader.partition_epoch)

    @rule(outcome=st.sampled_from(["commit", "refuse", "commit, answer lost", "lost"]))
    def decide(self, outcome):
        if self.proposal is None:
            return
        isr, epoch = self.proposal
        if outcome.startswith("commit") and epoch == self.controller_epoch:
            self.controller_isr, self.controller_epoch = isr, epoch + 1
        if outcome == "refuse":
            self.leader.on_isr_refused(partition_epoch=PartitionEpoch(self.controller_epoch))
        if outcome == "commit":
            self.image()
        if self.leader.proposed_isr is None:
            self.proposal = None

    @rule(node=st.sampled_from([2, 3]))
    def controller_fences(self, node):
        if node in self.controller_isr:
            self.controller_isr = tuple(each for each in self.controller_isr if each != node)
            self.controller_epoch += 1

    @rule()
    def image(self):
        self.leader.on_isr_committed(nodes(*self.controller_isr), PartitionEpoch(self.controller_epoch))
        if self.leader.proposed_isr is None:
            self.proposal = None

    @invariant()
    def what_counts_contains_the_controllers_isr(self):
        if self.leader.partition_epoch == self.controller_epoch:
            assert set(self.leader.isr) == set(self.controller_isr)
        counted = set(self.leader.isr) | set(self.leader.proposed_isr or ())
        # A controller may only remove members on its own account; it adds none that was not proposed (I5).
        assert set(self.controller_isr) <= counted

    @invariant()
    def the_watermark_is_covered_and_monotone(self):
        watermark = self.leader.high_watermark
        assert watermark >= self.shown
        if watermark > self.shown:
            assert len(self.leader.isr) >= self.min_insync
            assert watermark <= self.flushed <= self.end
            for node in (set(self.leader.isr) | set(self.leader.proposed_isr or ())) - {1}:
                assert self.counted[node] >= watermark
        self.shown = watermark


TestLeadership = Leadership.TestCase


# Replicas that come and go


def test_a_replica_that_is_added_counts_once_it_is_in_the_isr_and_not_before():
    leader = lead(isr=(1, 2), replicas=(1, 2))
    local(leader, 10)
    fetch(leader, 3, 10)
    leader.set_replicas(nodes(1, 2, 3))
    assert leader.follower(NodeId(3)).fetch_offset == -1, "what it told before it was a replica counts for nothing"
    assert ids(leader.isr_proposal(100.0, everybody)) is None
    fetch(leader, 2, 10)
    assert leader.high_watermark == 10
    fetch(leader, 3, 10)
    assert ids(leader.isr_proposal(100.0, everybody)) == [1, 2, 3]
    leader.on_isr_proposed([IsrMember(node_id=NodeId(each), broker_epoch=BrokerEpoch(10)) for each in (1, 2, 3)])
    local(leader, 20)
    fetch(leader, 2, 20)
    assert leader.high_watermark == 10
    fetch(leader, 3, 20)
    assert leader.high_watermark == 20


def test_of_a_replica_that_is_gone_nothing_is_left():
    leader = lead()
    local(leader, 10)
    fetch(leader, 2, 10)
    fetch(leader, 3, 10)
    leader.set_replicas(nodes(1, 3))
    leader.on_isr_committed(nodes(1, 3), PartitionEpoch(8))
    assert leader.follower(NodeId(2)) is None
    leader.set_replicas(nodes(1, 2, 3))
    assert leader.follower(NodeId(2)).fetch_offset == -1
    assert leader.follower(NodeId(3)).fetch_offset == 10
