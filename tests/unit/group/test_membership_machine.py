"""Any order of members, time and stores: what must hold in every group, whoever does what (I11, I12)."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from raftkafka.group.effects import GroupLimits, GroupState
from raftkafka.model.errors import ErrorCode
from tests.unit.group.driver import Driver, protocols

LIMITS = GroupLimits(initial_rebalance_delay_ms=3_000, max_size=6)
INSTANCES = ("s1", "s2")
PROTOCOLS = (protocols("range"), protocols("sticky", "range"), protocols("range", topics=("t", "u")))


class Members(RuleBasedStateMachine):
    """Consumers that know what they were told and nothing else, some of it out of date."""

    def __init__(self) -> None:
        super().__init__()
        self.group = Driver(LIMITS)
        self.open: dict[int, str] = {}
        self.known: list[str] = []
        self.told: dict[int, tuple[str, tuple[str, ...]]] = {}  # generation: its leader and members, as told
        self.owned: dict[int, dict[str, bytes]] = {}
        self.generations = [0]
        self.assigned = 0

    def learn(self) -> None:
        """Read the answers that have come."""
        for ticket in [each for each in self.open if each in self.group.answers]:
            kind = self.open.pop(ticket)
            answer = self.group.answers[ticket]
            if kind == "join":
                if answer.member_id and answer.member_id not in self.known:
                    self.known.append(answer.member_id)
                if answer.error_code is ErrorCode.NONE and not answer.skip_assignment:
                    self.joined(answer)
            elif answer.error_code is ErrorCode.NONE:
                # I12: one generation, one assignment, whoever asks and however often.
                _, generation, member = kind.split("|")
                given = self.owned.setdefault(int(generation), {})
                assert given.setdefault(member, answer.assignment) == answer.assignment

    def joined(self, answer) -> None:
        leader, members = self.told.setdefault(answer.generation_id, (answer.leader, ()))
        if answer.members and not members:
            self.told[answer.generation_id] = (answer.leader, tuple(each.member_id for each in answer.members))
        if leader not in self.group.group.members or answer.leader not in self.group.group.members:
            return
        assert answer.generation_id <= self.group.group.generation

    def pick(self, index: int) -> str | None:
        return self.known[index % len(self.known)] if self.known else None

    @rule(which=st.sampled_from(PROTOCOLS))
    def newcomer(self, which):
        self.open[self.group.join(protocols=which)] = "join"

    @rule(which=st.sampled_from(PROTOCOLS))
    def arrivals_until_a_generation_is_decided(self, which):
        self.newcomer(which)
        self.learn()
        self.open[self.group.join(self.known[-1], protocols=which)] = "join"
        for each in list(self.group.group.members):
            if each.join is None:
                self.open[self.group.join(each.member_id, protocols=which, instance=each.group_instance_id)] = "join"
        self.group.advance(7)

    @rule(instance=st.sampled_from(INSTANCES), which=st.sampled_from(PROTOCOLS))
    def static_newcomer(self, instance, which):
        self.open[self.group.join(instance=instance, protocols=which)] = "join"

    @precondition(lambda self: self.known)
    @rule(index=st.integers(0, 50), which=st.sampled_from(PROTOCOLS))
    def join(self, index, which):
        member_id = self.pick(index)
        member = self.group.group.members.get(member_id)
        instance = None if member is None else member.group_instance_id
        self.open[self.group.join(member_id, protocols=which, instance=instance)] = "join"

    @precondition(lambda self: self.known)
    @rule(index=st.integers(0, 50), stale=st.booleans())
    def sync(self, index, stale):
        member_id = self.pick(index)
        generation = self.group.group.generation - stale
        given = {}
        if member_id == self.group.group.leader:
            # What a leader assigns differs with every try: only one may count.
            self.assigned += 1
            given = {each.member_id: f"{each.member_id}/{self.assigned}".encode() for each in self.group.group.members}
        ticket = self.group.sync(member_id, generation, given)
        self.open[ticket] = f"sync|{generation}|{member_id}"
        if stale:
            assert self.group.answers[ticket].error_code is not ErrorCode.NONE

    @precondition(lambda self: self.group.group.state is GroupState.COMPLETING_REBALANCE)
    @rule(times=st.integers(1, 2))
    def leader_assigns(self, times):
        self.learn()
        for _ in range(times):
            if self.group.group.leader in self.known:
                self.sync(self.known.index(self.group.group.leader), stale=False)

    @precondition(lambda self: self.known)
    @rule(index=st.integers(0, 50))
    def heartbeat(self, index):
        self.group.beat(self.pick(index))

    @precondition(lambda self: self.known)
    @rule(index=st.integers(0, 50), back=st.integers(1, 3))
    def stale_speech_is_refused(self, index, back):
        member_id, generation = self.pick(index), self.group.group.generation - back
        if generation >= 0:
            assert self.group.beat(member_id, generation) is not ErrorCode.NONE
            assert self.group.may_commit(member_id, generation) is not ErrorCode.NONE

    @precondition(lambda self: self.known)
    @rule(index=st.integers(0, 50))
    def leave(self, index):
        self.group.leave(self.pick(index))

    @rule(seconds=st.sampled_from((0.5, 3.0, 6.0, 11.0, 70.0)))
    def time_goes_by(self, seconds):
        self.group.advance(seconds)

    @rule(error=st.sampled_from((ErrorCode.NONE, ErrorCode.NONE, ErrorCode.COORDINATOR_NOT_AVAILABLE)))
    def log(self, error):
        self.group.settle(error)

    @invariant()
    def all_is_well(self):
        self.learn()
        membership = self.group.group
        assert membership.generation >= self.generations[-1], "generations rise"
        self.generations.append(membership.generation)
        members = list(membership.members)
        tickets = [each.join for each in members if each.join] + [each.sync for each in members if each.sync]
        assert sorted(tickets) == sorted(self.open), "whoever waits is known to wait, exactly once"
        if membership.state in (GroupState.COMPLETING_REBALANCE, GroupState.STABLE):
            assert membership.leader in membership.members
            assert all(any(p.name == membership.protocol for p in each.protocols) for each in members)
        if membership.state is GroupState.EMPTY:
            assert not members
        if membership.state is GroupState.STABLE and not self.group.stores:
            logged = self.group.logged
            assert logged.generation == membership.generation
            assert {each.member_id: each.assignment for each in logged.members} == {
                each.member_id: each.assignment for each in members
            }, "the next coordinator reads what this one says"
        assert membership.due_s <= membership.next_deadline_s, "the timer comes too late"
        assert membership.members.joining == sum(each.join is not None for each in members)
        if self.open and not self.group.stores:
            assert membership.next_deadline_s < float("inf"), "nobody waits for ever"
        instances = [each.group_instance_id for each in members if each.group_instance_id]
        assert len(instances) == len(set(instances))

    def teardown(self):
        """Whatever was: once nobody speaks any more, all are answered and the group is empty."""
        for _ in range(50):
            self.group.settle()
            self.group.advance(400)
        self.learn()
        assert not self.open
        assert self.group.group.state is GroupState.EMPTY


TestMembers = Members.TestCase
TestMembers.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
