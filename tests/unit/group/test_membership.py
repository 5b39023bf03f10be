"""The membership of a group, rule by rule of Kafka's classic protocol."""

from __future__ import annotations

import pytest

from raftkafka.group.effects import GroupLimits, GroupState, Now
from raftkafka.group.members import Members
from raftkafka.group.membership import EVENT_MAX_CHARS, HISTORY_MAX, Membership
from raftkafka.model.errors import ErrorCode
from tests.unit.group.driver import LIMITS, Driver, protocols

E = ErrorCode
S = GroupState


@pytest.fixture
def group() -> Driver:
    return Driver()


def test_a_member_without_an_id_is_told_one_first(group):
    answer = group.answers[group.join()]
    assert (answer.error_code, answer.member_id) == (E.MEMBER_ID_REQUIRED, "m1")
    assert len(group.group.members) == 0
    assert group.group.state is S.EMPTY


def test_an_id_that_nobody_was_given_is_unknown(group):
    assert group.answers[group.join("stranger")].error_code is E.UNKNOWN_MEMBER_ID


def test_the_first_rebalance_waits_for_others_and_then_answers_all(group):
    first, one = group.enter()
    group.advance(2.9)
    second, two = group.enter()
    assert one not in group.answers
    group.advance(0.2)
    assert one not in group.answers, "a newcomer prolongs the delay"
    group.advance(3)
    assert group.group.state is S.COMPLETING_REBALANCE
    led, followed = group.answers[one], group.answers[two]
    assert led.generation_id == followed.generation_id == 1
    assert led.leader == followed.leader == led.member_id == first
    assert [each.member_id for each in led.members] == [first, second]
    assert followed.members == ()
    assert led.protocol_name == "range"


def test_the_delay_of_the_first_rebalance_ends_with_the_rebalance_time_out(group):
    for _ in range(8):
        group.enter(rebalance_timeout_ms=6_000)
        group.advance(2)
        if group.group.state is S.COMPLETING_REBALANCE:
            break
    assert group.group.state is S.COMPLETING_REBALANCE
    assert 6 <= group.time_s - 1_000 <= 9


def test_everybody_gets_the_leaders_assignment_once_it_is_stored(group):
    entered = [group.enter() for _ in range(2)]
    group.advance(7)
    (leader, _), (follower, _) = entered
    waiting = group.sync(follower, 1)
    led = group.sync(leader, 1, {leader: b"A", follower: b"B"})
    assert waiting not in group.answers
    assert led not in group.answers
    assert group.group.state is S.COMPLETING_REBALANCE
    (store,) = group.stores
    assert {each.member_id: each.assignment for each in store.value.members} == {leader: b"A", follower: b"B"}
    group.settle()
    assert group.group.state is S.STABLE
    assert (group.answers[led].assignment, group.answers[waiting].assignment) == (b"A", b"B")
    late = group.sync(follower, 1)
    assert group.answers[late].assignment == b"B"


def test_who_is_left_out_by_the_leader_has_nothing(group):
    group.formed(2)
    other, _ = group.enter()
    for member in list(group.group.members):
        if member.join is None:
            group.join(member.member_id)
    generation = group.group.generation
    asked = group.sync(other, generation)
    group.sync(group.group.leader, generation, {})
    group.settle()
    assert group.answers[asked].assignment == b""


def test_an_assignment_that_cannot_be_stored_begins_a_rebalance(group):
    (leader, _), (follower, _) = [group.enter() for _ in range(2)]
    group.advance(7)
    waiting = group.sync(follower, 1)
    led = group.sync(leader, 1, {leader: b"A"})
    group.settle(E.COORDINATOR_NOT_AVAILABLE)
    assert group.answers[led].error_code is group.answers[waiting].error_code is E.COORDINATOR_NOT_AVAILABLE
    assert group.group.state is S.PREPARING_REBALANCE


def test_an_assignment_stored_after_the_next_rebalance_began_is_nobodys(group):
    (leader, _), (follower, _) = [group.enter() for _ in range(2)]
    group.advance(7)
    led = group.sync(leader, 1, {leader: b"A"})
    group.leave(follower)
    assert group.answers[led].error_code is E.REBALANCE_IN_PROGRESS
    group.settle()
    assert group.group.state is S.PREPARING_REBALANCE
    assert group.group.members.get(leader).assignment == b""


def test_a_leader_that_asks_twice_stores_one_assignment(group):
    (leader, _), (follower, _) = [group.enter() for _ in range(2)]
    group.advance(7)
    first = group.sync(leader, 1, {leader: b"A", follower: b"B"})
    second = group.sync(leader, 1, {leader: b"B", follower: b"A"})
    assert group.answers[first].error_code is E.REBALANCE_IN_PROGRESS
    assert len(group.stores) == 1
    group.settle()
    assert group.answers[second].assignment == b"A"


def test_heartbeats_know_member_generation_and_state(group):
    leader, follower = group.formed(2)
    assert group.beat(leader) is E.NONE
    assert group.beat(leader, 0) is E.ILLEGAL_GENERATION
    assert group.beat("stranger") is E.UNKNOWN_MEMBER_ID
    assert group.beat(leader, instance="i") is E.UNKNOWN_MEMBER_ID
    group.join(leader)
    assert group.beat(follower) is E.REBALANCE_IN_PROGRESS


def test_a_member_that_falls_silent_is_removed_and_the_others_rebalance(group):
    leader, follower = group.formed(2)
    for _ in range(4):
        group.advance(3)
        group.beat(follower)
    assert leader not in group.group.members
    assert group.group.state is S.PREPARING_REBALANCE
    joined = group.answers[group.join(follower)]
    assert (joined.generation_id, joined.leader) == (2, follower)
    assert "session has expired" in group.group.history[-2].reason


def test_who_does_not_join_in_time_is_out(group):
    leader, follower = group.formed(2, rebalance_timeout_ms=6_000)
    joined = group.join(leader, rebalance_timeout_ms=6_000)
    group.advance(4)
    assert group.beat(follower) is E.REBALANCE_IN_PROGRESS
    assert joined not in group.answers
    group.advance(2)
    assert group.answers[joined].generation_id == 2
    assert group.beat(follower) is E.UNKNOWN_MEMBER_ID


def test_who_does_not_sync_in_time_is_out(group):
    entered = [group.enter(rebalance_timeout_ms=7_000) for _ in range(2)]
    group.advance(7)
    (leader, _), (follower, _) = entered
    group.sync(leader, 1, {leader: b"A"})
    group.settle()
    for _ in range(3):
        group.advance(3)
        group.beat(follower)
        group.beat(leader)
    assert follower not in group.group.members
    assert group.group.state is S.PREPARING_REBALANCE


def test_the_history_names_no_more_members_than_fit_a_line(group):
    leader, *_ = group.formed(200, rebalance_timeout_ms=6_000)
    group.join(leader, rebalance_timeout_ms=6_000)
    group.advance(6)
    reason = group.group.history[-1].reason
    assert "without m" in reason
    assert reason.endswith("...")
    assert len(reason) == EVENT_MAX_CHARS


def test_a_new_member_that_waits_has_five_minutes(group):
    group.formed(1, rebalance_timeout_ms=2_000_000, session_timeout_ms=1_800_000)
    _, waiting = group.enter()
    group.advance(299)
    assert waiting not in group.answers
    group.advance(2)
    assert group.answers[waiting].error_code is E.UNKNOWN_MEMBER_ID


def test_members_that_leave_are_gone_at_once(group):
    leader, follower = group.formed(2)
    assert group.leave(leader) is E.NONE
    assert group.leave(leader) is E.UNKNOWN_MEMBER_ID
    assert group.beat(follower) is E.REBALANCE_IN_PROGRESS
    assert group.leave(follower) is E.NONE
    assert group.group.state is S.EMPTY
    assert group.group.generation == 2
    (store,) = group.stores
    assert store.value.members == ()
    assert store.value.protocol_type == "consumer"


def test_a_pending_member_may_leave_and_holds_up_a_rebalance_until_its_session_ends(group):
    (leader,) = group.formed(1)
    pending = group.answers[group.join()].member_id
    joined = group.join(leader)
    assert joined not in group.answers
    assert group.leave(pending) is E.NONE
    assert group.answers[joined].generation_id == 2
    group.assigned([leader])
    group.join()
    joined = group.join(leader)
    group.advance(10)
    assert group.answers[joined].generation_id == 3


def test_a_follower_that_asks_again_is_answered_and_a_leader_that_does_rebalances(group):
    leader, follower = group.formed(2)
    again = group.answers[group.join(follower)]
    assert (again.error_code, again.generation_id, again.members) == (E.NONE, 1, ())
    assert group.group.state is S.STABLE
    asked = group.join(leader)
    assert asked not in group.answers
    assert group.group.state is S.PREPARING_REBALANCE


def test_other_metadata_mean_a_rebalance(group):
    _, follower = group.formed(2)
    group.join(follower, protocols=protocols(topics=("t", "u")))
    assert group.group.state is S.PREPARING_REBALANCE


def test_who_missed_the_answer_of_a_decided_generation_gets_it_again(group):
    (leader, _), (follower, _) = [group.enter() for _ in range(2)]
    group.advance(7)
    assert group.answers[group.join(follower)].generation_id == 1
    assert len(group.answers[group.join(leader)].members) == 2
    assert group.group.state is S.COMPLETING_REBALANCE


def test_a_second_join_of_the_same_member_takes_the_place_of_the_first(group):
    leader, follower = group.formed(2)
    first = group.join(leader)
    second = group.join(leader)
    assert group.answers[first].error_code is E.REBALANCE_IN_PROGRESS
    group.join(follower)
    assert group.answers[second].generation_id == 2


def test_the_protocol_with_most_votes_among_those_that_all_know_wins(group):
    group.enter(protocols=protocols("a", "b", "c"))
    group.enter(protocols=protocols("c", "b"))
    _, last = group.enter(protocols=protocols("x", "c", "b"))
    group.advance(7)
    assert group.answers[last].protocol_name == "c"


def test_who_shares_no_protocol_stays_out(group):
    group.formed(1, protocols=protocols("a"))
    assert group.answers[group.join(protocols=protocols("b"))].error_code is E.INCONSISTENT_GROUP_PROTOCOL
    assert group.answers[group.join(protocol_type="connect")].error_code is E.INCONSISTENT_GROUP_PROTOCOL


@pytest.mark.parametrize("changes", [{"protocol_type": ""}, {"protocols": ()}])
def test_a_group_begins_with_a_protocol(group, changes):
    assert group.answers[group.join(**changes)].error_code is E.INCONSISTENT_GROUP_PROTOCOL


@pytest.mark.parametrize("session_ms", [-1, 0, 5_999, 1_800_001])
def test_session_time_outs_have_limits(group, session_ms):
    assert group.answers[group.join(session_timeout_ms=session_ms)].error_code is E.INVALID_SESSION_TIMEOUT


def test_a_full_group_takes_nobody_but_its_own():
    group = Driver(GroupLimits(max_size=2))
    leader, follower = group.formed(2)
    assert group.answers[group.join()].error_code is E.GROUP_MAX_SIZE_REACHED
    assert group.answers[group.join(follower)].error_code is E.NONE
    group.join(leader)
    group.join(follower)
    assert group.group.generation == 2


def test_ids_that_nobody_comes_back_for_are_bounded(group, monkeypatch):
    monkeypatch.setattr("raftkafka.group.membership.PENDING_MAX", 2)
    answers = [group.answers[group.join()].error_code for _ in range(3)]
    assert answers == [E.MEMBER_ID_REQUIRED, E.MEMBER_ID_REQUIRED, E.GROUP_MAX_SIZE_REACHED]
    group.advance(10)
    assert group.answers[group.join()].error_code is E.MEMBER_ID_REQUIRED


def test_sync_checks_member_generation_and_protocol(group):
    leader, _ = group.formed(2)
    asked = {
        group.sync("stranger", 1): E.UNKNOWN_MEMBER_ID,
        group.sync(leader, 2): E.ILLEGAL_GENERATION,
        group.sync(leader, 1, protocol_name="other"): E.INCONSISTENT_GROUP_PROTOCOL,
        group.sync(leader, 1, protocol_type="other"): E.INCONSISTENT_GROUP_PROTOCOL,
        group.sync(leader, 1, protocol_type="consumer", protocol_name="range"): E.NONE,
    }
    group.join(leader)
    asked[group.sync(leader, 1)] = E.REBALANCE_IN_PROGRESS
    assert {ticket: group.answers[ticket].error_code for ticket in asked} == asked


# Commits (I11)


def test_only_members_of_this_generation_commit(group):
    assert group.may_commit("", -1) is E.NONE, "nobody is in: from outside"
    leader, follower = group.formed(2)
    assert group.may_commit(leader) is E.NONE
    assert group.may_commit(leader, 0) is E.ILLEGAL_GENERATION
    assert group.may_commit(leader, 2) is E.ILLEGAL_GENERATION
    assert group.may_commit("stranger") is E.UNKNOWN_MEMBER_ID
    assert group.may_commit("", -1) is E.UNKNOWN_MEMBER_ID
    group.join(leader)
    assert group.may_commit(follower) is E.NONE, "while the others join, what was done may be committed"
    group.join(follower)
    assert group.may_commit(follower, 1) is E.ILLEGAL_GENERATION
    assert group.may_commit(follower, 2) is E.REBALANCE_IN_PROGRESS


def test_a_commit_keeps_a_session_alive(group):
    (member,) = group.formed(1)
    for _ in range(5):
        group.advance(6)
        assert group.may_commit(member) is E.NONE


# Static members (KIP-345)


def test_a_static_member_needs_no_id_first_and_comes_back_without_a_rebalance(group):
    first = group.join(instance="i")
    group.advance(4)
    old = group.answers[first].member_id
    group.assigned([old])
    assert group.leave("", "j") is E.UNKNOWN_MEMBER_ID
    back = group.join(instance="i")
    assert back not in group.answers, "its new id has to be in the log first"
    (store,) = group.stores
    group.settle()
    answer = group.answers[back]
    assert answer.generation_id == 1
    assert answer.skip_assignment
    assert answer.leader == answer.member_id != old
    assert [each.member_id for each in store.value.members] == [answer.member_id]
    assert group.group.state is S.STABLE
    assert group.answers[group.sync(answer.member_id, 1)].assignment == old.encode()
    assert group.beat(old, instance="i") is E.FENCED_INSTANCE_ID
    assert group.may_commit(old, instance="i") is E.FENCED_INSTANCE_ID
    assert group.answers[group.sync(old, 1, group_instance_id="i")].error_code is E.FENCED_INSTANCE_ID


def test_a_static_member_whose_return_cannot_be_stored_asks_again(group):
    group.join(instance="i")
    group.advance(4)
    group.assigned([group.group.leader])
    back = group.join(instance="i")
    group.settle(E.COORDINATOR_NOT_AVAILABLE)
    assert group.answers[back].error_code is E.COORDINATOR_NOT_AVAILABLE
    again = group.join(instance="i")
    assert group.answers[again].generation_id == 2


def test_a_static_member_that_comes_back_while_a_generation_waits_begins_the_next(group):
    first = group.join(instance="i")
    other, _ = group.enter()
    group.advance(7)
    old = group.answers[first].member_id
    waiting = group.sync(other, 1)
    back = group.join(instance="i")
    assert group.answers[waiting].error_code is E.REBALANCE_IN_PROGRESS
    group.join(other)
    assert group.answers[back].generation_id == 2
    assert group.answers[back].member_id != old


def test_a_static_member_that_waits_is_fenced_by_its_successor(group):
    first = group.join(instance="i")
    second = group.join(instance="i")
    assert group.answers[first].error_code is E.FENCED_INSTANCE_ID
    group.advance(4)
    assert group.answers[second].error_code is E.NONE


def test_a_static_member_that_came_back_early_is_waited_for_as_long_as_the_rebalance_takes(group):
    group.formed(1, rebalance_timeout_ms=100_000, session_timeout_ms=90_000)
    group.join(instance="i", rebalance_timeout_ms=100_000)
    back = group.join(instance="i", rebalance_timeout_ms=100_000)
    group.advance(50)
    assert back not in group.answers, "a session of ten seconds does not run while it waits"
    group.advance(60)
    assert group.answers[back].error_code is E.NONE


def test_a_static_member_is_missed_only_when_its_session_ends(group):
    first = group.join(instance="i", session_timeout_ms=100_000, rebalance_timeout_ms=6_000)
    other, _ = group.enter(rebalance_timeout_ms=6_000)
    group.advance(7)
    static = group.answers[first].member_id
    group.assigned([static, other])
    joined = group.join(other, protocols=protocols(topics=("x",)), rebalance_timeout_ms=6_000)
    group.advance(7)
    assert group.answers[joined].generation_id == 2
    assert static in group.group.members
    assert group.group.leader == other


def test_an_administrator_removes_a_static_member_by_its_instance(group):
    group.join(instance="i")
    group.advance(4)
    assert group.leave("", "i") is E.NONE
    assert group.group.state is S.EMPTY


# The log


def test_a_stored_generation_comes_back_as_it_was(group):
    leader, follower = group.formed(2)
    stored = group.group.snapshot()
    again = Membership.restored(LIMITS, stored, Now(loop_s=5.0, wall_ms=5))
    assert again.state is S.STABLE
    assert again.snapshot() == stored
    assert again.subscribed_topics == {"t"}
    assert again.heartbeat(follower, None, 1, now=Now(loop_s=6.0, wall_ms=6)) is E.NONE
    assert again.next_deadline_s == 15.0, "everybody has a fresh session"
    assert again.leader == leader


def test_an_empty_group_comes_back_empty_with_its_generation(group):
    (member,) = group.formed(1)
    group.leave(member)
    again = Membership.restored(LIMITS, group.stores[-1].value, group.now)
    assert (again.state, again.generation, again.protocol_type) == (S.EMPTY, 2, "consumer")


def test_a_coordinator_that_leaves_office_answers_all(group):
    leader, follower = group.formed(2)
    waiting = group.join(leader)
    group.take(group.group.abandon(E.NOT_COORDINATOR))
    assert group.answers[waiting].error_code is E.NOT_COORDINATOR
    assert follower in group.group.members


def test_a_dead_group_asks_to_come_again(group):
    group.group.die()
    assert group.answers[group.join()].error_code is E.COORDINATOR_NOT_AVAILABLE
    assert group.may_commit("", -1) is E.COORDINATOR_NOT_AVAILABLE
    group.group.revive()
    assert group.answers[group.join()].error_code is E.MEMBER_ID_REQUIRED


def test_the_history_says_why_and_is_bounded(group):
    member, _ = group.enter(reason="first")
    group.advance(4)
    assert "first" in group.group.history[0].reason
    group.assigned([member])
    assert [each.group_state for each in group.group.history] == [
        "PreparingRebalance",
        "CompletingRebalance",
        "Stable",
    ]
    for _ in range(HISTORY_MAX):
        group.join(member, reason="x" * 1000)
        group.assigned([member])
    assert len(group.group.history) == HISTORY_MAX
    assert max(len(each.reason) for each in group.group.history) < 400
    assert group.group.history[0].generation_id > 1


def test_joins_do_not_walk_over_the_members(group, monkeypatch):
    """Thousands come one after the other, and each of them would walk over those who came before."""
    walks = []
    walk = Members.__iter__
    monkeypatch.setattr(Members, "__iter__", lambda self: walks.append(len(self)) or walk(self))
    for _ in range(40):
        group.enter()
        assert group.group.due_s <= group.time_s + 3
    assert len(group.group.members) == 40
    assert sum(walks) <= 2, "the first one asks for the longest time-out"


@pytest.mark.parametrize(("count", "said"), [(1, "1 member has joined"), (2, "2 members have joined")])
def test_the_history_counts_in_english(group, count, said):
    for _ in range(count):
        group.enter()
    group.advance(7)
    assert said in [each.reason for each in group.group.history]
