"""What the leader of a group does for all members: spread the partitions, and notice when topics change. Floor 3."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from raftkafka.client.group.assignors import Assignor, Member
from raftkafka.client.routing import Router
from raftkafka.client.types import TopicPartition
from raftkafka.group.consumer_protocol import Assignment, decode_subscription, encode_assignment
from raftkafka.model.api.membership import JoinGroupResponse
from raftkafka.model.errors import ApiError, ErrorCode, ProtocolError
from raftkafka.model.ids import MemberId, PartitionIndex

SETTLE_S: Final = 5.0
"""How long the members wait for a leader that has to learn of topics it does not read itself."""

GONE_FOR_S: Final = 1.0
"""A topic is gone when nobody has known it for so long: a node that lags may not know a new one yet."""


class Leading:
    """`track` makes the router ask for topics besides those that are read."""

    def __init__(
        self, *, router: Router, assignors: Iterable[Assignor], track: Callable[[frozenset[str]], None]
    ) -> None:
        self._router = router
        self._assignors = {assignor.name: assignor for assignor in assignors}
        self._track = track
        self._counts: dict[str, int] | None = None
        self._gone_since: float | None = None

    def resign(self) -> None:
        """Somebody else may lead from now on."""
        self._counts = None
        self._track(frozenset())

    async def assign(self, joined: JoinGroupResponse) -> Mapping[MemberId, bytes]:
        """The share of each member; of none where a static leader came back and the shares stay as they are (KIP-814).

        Raises:
            ApiError: a member's subscription cannot be read, or the protocol chosen is none of ours.
        """
        assignor = self._assignors.get(joined.protocol_name or "")
        if assignor is None:
            raise ApiError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, f"there is no assignor {joined.protocol_name!r} here")
        members = [_member(each.member_id, each.group_instance_id, each.metadata) for each in joined.members]
        topics = frozenset(topic for member in members for topic in member.topics)
        self._track(topics)
        self._router.track(topics)
        await self._router.wait_until(lambda: all(self._settled(topic) for topic in topics), timeout_s=SETTLE_S)
        counts = {topic: self._count(topic) for topic in sorted(topics)}
        self._counts, self._gone_since = counts, None
        if joined.skip_assignment:
            return {}
        spread = assignor.assign({topic: count for topic, count in counts.items() if count}, members)
        return {MemberId(member_id): _share(partitions) for member_id, partitions in spread.items()}

    def topics_changed(self) -> bool:
        """Since this member has assigned, a topic of the group has appeared, grown, or gone for good."""
        if self._counts is None:
            return False
        counts = {topic: self._count(topic) for topic in self._counts}
        gone = [topic for topic, count in self._counts.items() if count and not counts[topic]]
        if any(count != self._counts[topic] for topic, count in counts.items() if topic not in gone):
            return True
        now = asyncio.get_running_loop().time()
        if not gone:
            self._gone_since = None
        elif self._gone_since is None:
            self._gone_since = now
        return self._gone_since is not None and now - self._gone_since >= GONE_FOR_S

    def missing(self, topics: Iterable[str]) -> bool:
        """One of these, or of the group's, does not exist as far as we know."""
        return any(not self._count(topic) for topic in {*topics, *(self._counts or ())})

    def _settled(self, topic: str) -> bool:
        return self._router.view.topic(topic) is not None or self._router.view.error(topic) is not ErrorCode.NONE

    def _count(self, topic: str) -> int:
        known = self._router.view.topic(topic)
        return 0 if known is None or self._router.view.error(topic) is not ErrorCode.NONE else len(known.partitions)


def _member(member_id: MemberId, group_instance_id: str | None, metadata: bytes) -> Member:
    try:
        subscription = decode_subscription(metadata)
    except ProtocolError as error:
        raise ApiError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, f"member {member_id!r}: {error}") from error
    return Member(
        member_id=member_id,
        group_instance_id=group_instance_id,
        topics=subscription.topics,
        owned=tuple(TopicPartition(*each) for each in subscription.owned_partitions),
        generation=subscription.generation_id,
        user_data=subscription.user_data,
    )


def _share(partitions: Iterable[TopicPartition]) -> bytes:
    return encode_assignment(
        Assignment(partitions=tuple((topic, PartitionIndex(number)) for topic, number in partitions))
    )
