from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.client.group.assignors import Member
from raftkafka.client.group.assignors.cooperative import CooperativeStickyAssignor
from raftkafka.client.group.assignors.sticky import StickyAssignor, decode_owned, encode_owned
from raftkafka.client.types import TopicPartition
from tests.unit.client.group.assignors.drawing import check_owners, every_partition, groups


def with_memory(members, spread, generation):
    """The members as they join again after they were given their shares."""
    joined = []
    for member in members:
        assignor = StickyAssignor()
        assignor.assigned(spread[member.member_id], generation)
        joined.append(replace(member, user_data=assignor.user_data()))
    return joined


def with_owned(members, spread, generation):
    return [replace(each, owned=tuple(spread[each.member_id]), generation=generation) for each in members]


def kept(before, after) -> int:
    return sum(len(set(mine) & set(after.get(member_id, ()))) for member_id, mine in before.items())


@st.composite
def histories(draw):
    """A group that wants the same topics throughout, and another one some members and partitions later."""
    partitions, members = draw(groups(alike=True))
    gone = draw(st.integers(0, len(members) - 1))
    new = draw(st.integers(0, 3))
    later = [*members[gone:], *(replace(members[0], member_id=f"n{number}") for number in range(new))]
    grown = {topic: draw(st.integers(0, 4)) + count for topic, count in partitions.items()}
    return partitions, members, draw(st.sampled_from([partitions, grown])), draw(st.permutations(later))


@given(history=histories())
def test_sticky_moves_the_fewest_that_an_even_spread_allows(history):
    partitions, members, later_partitions, later_members = history
    before = StickyAssignor().assign(partitions, members)
    joined = with_memory(members, before, 1)
    later = [next((each for each in joined if each.member_id == late.member_id), late) for late in later_members]
    after = StickyAssignor().assign(later_partitions, later)
    check_owners(later_partitions, later, after)
    sizes = [len(mine) for mine in after.values()]
    assert max(sizes) - min(sizes) <= 1
    # No even spread keeps more: each member the lower quota of what it had, and as many as may have one more, one more.
    low, higher = divmod(len(every_partition(later_partitions, later)), len(later))
    had = [len(before.get(each.member_id, ())) for each in later]
    assert kept(before, after) == sum(min(each, low) for each in had) + min(higher, sum(each > low for each in had))


@given(group=groups(), data=st.data())
def test_no_partition_could_go_to_a_member_with_two_fewer(group, data):
    partitions, members = group
    everything = sorted(every_partition(partitions, members))
    owners = {each: data.draw(st.sampled_from([None, *members])) for each in everything}
    claimed = [
        replace(member, owned=tuple(each for each, owner in owners.items() if owner is member), generation=3)
        for member in members
    ]
    spread = StickyAssignor().assign(
        partitions, [replace(each, user_data=encode_owned(each.owned, 3)) for each in claimed]
    )
    check_owners(partitions, members, spread)
    for giver, mine in spread.items():
        for partition in mine:
            for taker in members:
                if partition.topic in taker.topics:
                    assert len(mine) - len(spread[taker.member_id]) < 2 or taker.member_id == giver


@pytest.mark.parametrize("assignor", [StickyAssignor(), CooperativeStickyAssignor()])
@given(group=groups())
def test_what_is_even_stays_as_it_is(assignor, group):
    partitions, members = group
    first = assignor.assign(partitions, members)
    again = assignor.assign(partitions, with_owned(with_memory(members, first, 1), first, 1))
    assert {name: sorted(mine) for name, mine in again.items()} == {name: sorted(mine) for name, mine in first.items()}


@given(history=histories())
def test_D9_cooperative_gives_nothing_away_that_somebody_still_owns(history):
    partitions, members, later_partitions, later_members = history
    assignor = CooperativeStickyAssignor()
    before = assignor.assign(partitions, members)
    joined = with_owned(members, before, 1)
    later = [next((each for each in joined if each.member_id == late.member_id), late) for late in later_members]
    owner = {partition: each.member_id for each in later for partition in each.owned}
    first = assignor.assign(later_partitions, later)
    assert all(owner.get(each, name) == name for name, mine in first.items() for each in mine)
    # Those that lost one join again, and then everything has an owner, and nothing moves that stayed before.
    given_up = with_owned(later, {each.member_id: first[each.member_id] for each in later}, 2)
    second = assignor.assign(later_partitions, given_up)
    check_owners(later_partitions, later, second)
    assert kept(first, second) == sum(map(len, first.values()))
    sizes = [len(mine) for mine in second.values()]
    assert max(sizes) - min(sizes) <= 1


def test_kafkas_first_example():
    members = [Member(member_id=name, topics=("t0", "t1", "t2", "t3")) for name in ("C0", "C1", "C2")]
    partitions = dict.fromkeys(("t0", "t1", "t2", "t3"), 2)
    first = StickyAssignor().assign(partitions, members)
    assert {name: list(map(str, mine)) for name, mine in first.items()} == {
        "C0": ["t0-0", "t1-1", "t3-0"],
        "C1": ["t0-1", "t2-0", "t3-1"],
        "C2": ["t1-0", "t2-1"],
    }
    left = [each for each in with_memory(members, first, 1) if each.member_id != "C1"]
    after = StickyAssignor().assign(partitions, left)
    assert kept(first, after) == 5  # all that C0 and C2 had
    assert [len(mine) for mine in after.values()] == [4, 4]


def test_kafkas_second_example():
    members = [
        Member(member_id="C0", topics=("t0",)),
        Member(member_id="C1", topics=("t0", "t1")),
        Member(member_id="C2", topics=("t0", "t1", "t2")),
    ]
    partitions = {"t0": 1, "t1": 2, "t2": 3}
    first = StickyAssignor().assign(partitions, members)
    assert {name: list(map(str, mine)) for name, mine in first.items()} == {
        "C0": ["t0-0"],
        "C1": ["t1-0", "t1-1"],
        "C2": ["t2-0", "t2-1", "t2-2"],
    }
    after = StickyAssignor().assign(partitions, with_memory(members, first, 1)[1:])
    assert {name: list(map(str, mine)) for name, mine in after.items()} == {
        "C1": ["t1-0", "t1-1", "t0-0"],
        "C2": ["t2-0", "t2-1", "t2-2"],
    }


def test_the_latest_of_several_owners_is_right_and_two_of_one_generation_are_not():
    partition = TopicPartition("t", 0)
    old = Member(member_id="a", topics=("t",), owned=(partition,), generation=1)
    new = replace(old, member_id="b", generation=2)
    assert CooperativeStickyAssignor().assign({"t": 1}, [old, new])["b"] == [partition]
    rival = replace(new, member_id="a")
    spread = CooperativeStickyAssignor().assign({"t": 1}, [rival, new])
    assert sum(map(len, spread.values())) == 1


def test_owned_partitions_that_are_gone_or_no_longer_wanted_are_forgotten():
    owned = TopicPartition("t", 5), TopicPartition("gone", 0), TopicPartition("u", 0), TopicPartition("t", 1)
    member = Member(member_id="a", topics=("t",), owned=owned, generation=1)
    assert CooperativeStickyAssignor().assign({"t": 2, "u": 1}, [member]) == {
        "a": [TopicPartition("t", 1), TopicPartition("t", 0)]
    }


@given(
    owned=st.lists(st.tuples(st.text(max_size=5), st.integers(0, 9)), unique=True).map(
        lambda pairs: sorted(TopicPartition(*pair) for pair in pairs)
    ),
    generation=st.integers(-1, 2**31 - 1),
)
def test_user_data_comes_back(owned, generation):
    assert decode_owned(encode_owned(owned, generation)) == (tuple(owned), generation)


def test_user_data_is_kafkas_format():
    expected = bytes.fromhex("00000001 0001 74 00000002 00000000 00000002 00000007")
    assert encode_owned([TopicPartition("t", 0), TopicPartition("t", 2)], 7) == expected
    assert decode_owned(expected[:-4]) == ((TopicPartition("t", 0), TopicPartition("t", 2)), -1)  # version 0


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_ignored(user_data):
    owned, _ = decode_owned(user_data)
    member = Member(member_id="a", topics=("t",), user_data=user_data)
    assert len(owned) <= 10
    assert StickyAssignor().assign({"t": 1}, [member]) == {"a": [TopicPartition("t", 0)]}
