"""What holds for all assignors, and the examples of Kafka's documentation."""

from __future__ import annotations

import pytest
from hypothesis import given

from raftkafka.client.group.assignors import ASSIGNORS, Member, assignors_of
from raftkafka.client.types import TopicPartition
from raftkafka.model.errors import ConfigurationError
from tests.unit.client.group.assignors.drawing import check_owners, groups


def member(name: str, *topics: str, instance: str | None = None) -> Member:
    return Member(member_id=name, group_instance_id=instance, topics=topics)


def spread(strategy: str, partitions, *members: Member) -> dict[str, list[str]]:
    (assignor,) = assignors_of([strategy])
    return {name: [str(each) for each in mine] for name, mine in assignor.assign(partitions, members).items()}


@pytest.mark.parametrize("strategy", ASSIGNORS)
@given(group=groups(static=True))
def test_D9_every_partition_has_exactly_one_owner_who_wants_it(strategy, group):
    (assignor,) = assignors_of([strategy])
    check_owners(*group, assignor.assign(*group))


@pytest.mark.parametrize("strategy", ["roundrobin", "sticky", "cooperative-sticky"])
@given(group=groups(alike=True))
def test_members_that_want_the_same_differ_by_one_partition_at_most(strategy, group):
    (assignor,) = assignors_of([strategy])
    sizes = [len(mine) for mine in assignor.assign(*group).values()]
    assert max(sizes) - min(sizes) <= 1


@given(group=groups(alike=True))
def test_a_range_is_contiguous_and_as_large_as_the_others_or_one_larger(group):
    (assignor,) = assignors_of("range")
    for topic, count in group[0].items():
        shares = [[each.partition for each in mine if each.topic == topic] for mine in assignor.assign(*group).values()]
        if any(shares):
            assert {len(share) for share in shares} <= {count // len(shares), -(-count // len(shares))}
        assert all(share == list(range(share[0], share[-1] + 1)) for share in shares if share)


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "sticky"])
@given(group=groups())
def test_the_order_in_which_members_are_named_means_nothing(strategy, group):
    partitions, members = group
    once, twice = (
        ASSIGNORS[strategy]().assign(partitions, members),
        ASSIGNORS[strategy]().assign(partitions, members[::-1]),
    )
    assert once == twice


def test_range_equals_kafkas_example():
    assert spread("range", {"t0": 3, "t1": 3}, member("C1", "t0", "t1"), member("C0", "t0", "t1")) == {
        "C0": ["t0-0", "t0-1", "t1-0", "t1-1"],
        "C1": ["t0-2", "t1-2"],
    }


def test_round_robin_equals_kafkas_examples():
    assert spread("roundrobin", {"t0": 3, "t1": 3}, member("C0", "t0", "t1"), member("C1", "t0", "t1")) == {
        "C0": ["t0-0", "t0-2", "t1-1"],
        "C1": ["t0-1", "t1-0", "t1-2"],
    }
    members = member("C0", "t0"), member("C1", "t0", "t1"), member("C2", "t0", "t1", "t2")
    assert spread("roundrobin", {"t0": 1, "t1": 2, "t2": 3}, *members) == {
        "C0": ["t0-0"],
        "C1": ["t1-0"],
        "C2": ["t1-1", "t2-0", "t2-1", "t2-2"],
    }


def test_static_members_keep_their_range_under_a_new_member_id():
    before = spread("range", {"t": 4}, member("x", "t", instance="i1"), member("y", "t", instance="i2"))
    after = spread("range", {"t": 4}, member("z", "t", instance="i1"), member("y", "t", instance="i2"))
    assert before["x"] == after["z"] == ["t-0", "t-1"]
    assert spread("range", {"t": 1}, member("a", "t"), member("b", "t", instance="i"))["b"] == ["t-0"]


def test_a_topic_that_does_not_exist_is_nobodys():
    for strategy in ASSIGNORS:
        assert spread(strategy, {"t": 1}, member("a", "t", "gone"), member("b", "gone")) == {"a": ["t-0"], "b": []}


def test_a_strategy_that_cannot_be_had_is_refused_in_one_clear_line():
    with pytest.raises(ConfigurationError, match="no assignor 'fair', only range, roundrobin"):
        assignors_of(["fair"])
    with pytest.raises(ConfigurationError, match="'range' twice"):
        assignors_of(["range", "range"])
    with pytest.raises(ConfigurationError, match="names no assignor"):
        assignors_of([])
    assert [each.name for each in assignors_of("sticky")] == ["sticky"]


def test_an_application_may_bring_its_own():
    class First:
        name, cooperative = "first", False

        def user_data(self):
            return None

        def assign(self, partitions, members):
            return {each.member_id: [TopicPartition("t", 0)] * (each is members[0]) for each in members}

        def assigned(self, partitions, generation):
            pass

    assert [each.name for each in assignors_of([First(), "range"])] == ["first", "range"]
