"""Groups with their topics, as Hypothesis draws them, and what every assignment of them has to be."""

from __future__ import annotations

from hypothesis import strategies as st

from raftkafka.client.group.assignors import Member
from raftkafka.client.types import TopicPartition

_NAMES = ("a", "b", "c", "d")


def every_partition(partitions, members):
    wanted = {topic for member in members for topic in member.topics}
    return {
        TopicPartition(topic, number)
        for topic, count in partitions.items()
        if topic in wanted
        for number in range(count)
    }


def check_owners(partitions, members, spread) -> None:
    """Every member has a share, and every partition that somebody wants is in exactly one, of a member that wants it."""
    assert set(spread) == {member.member_id for member in members}
    given = [partition for mine in spread.values() for partition in mine]
    assert len(given) == len(set(given)), "a partition has two owners"
    assert set(given) == every_partition(partitions, members)
    topics = {member.member_id: member.topics for member in members}
    assert all(each.topic in topics[member_id] for member_id, mine in spread.items() for each in mine)


@st.composite
def groups(draw, *, alike: bool = False, static: bool = False):
    """`(partitions, members)`; the members own nothing yet."""
    partitions = draw(st.dictionaries(st.sampled_from(_NAMES), st.integers(0, 9), max_size=4))
    count = draw(st.integers(1, 6))
    topics = st.lists(st.sampled_from(_NAMES), min_size=1, max_size=4, unique=True).map(tuple)
    shared = draw(topics)
    members = [
        Member(
            member_id=f"m{number}",
            group_instance_id=draw(st.none() | st.just(f"i{count - number}")) if static else None,
            topics=shared if alike else draw(topics),
        )
        for number in range(count)
    ]
    return partitions, draw(st.permutations(members))
