"""Asks the leaders of partitions for offsets: beginning, end, or by time. Floor 3."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from raftkafka.client.routing import Router
from raftkafka.client.types import TopicPartition
from raftkafka.model.api.offsets import (
    ListOffsets,
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsResponse,
)
from raftkafka.model.errors import ApiError, ErrorCode, RaftKafkaError
from raftkafka.model.ids import NO_NODE, NodeId, PartitionIndex, TimestampMs

Targets = Mapping[TopicPartition, TimestampMs]
Found = dict[TopicPartition, ListOffsetsPartitionResponse]


async def list_offsets(router: Router, targets: Targets, *, timeout_s: float) -> Found:
    """The answer for each partition; `targets` gives its timestamp (or LATEST, EARLIEST, MAX_TIMESTAMP).

    Retries while leadership moves, for at most `timeout_s` seconds.

    Raises:
        ApiError: refused, or REQUEST_TIMED_OUT.
    """
    found: Found = {}
    reason = "no leader is known"
    try:
        async with asyncio.timeout(timeout_s):
            while len(found) < len(targets):
                router.track({topic for topic, _ in targets})  # again, should an assignment have narrowed it meanwhile
                missing = {tp: timestamp for tp, timestamp in targets.items() if tp not in found}
                by_leader = _by_leader(router, missing)
                asked = [_ask(router, leader, part, timeout_s) for leader, part in by_leader.items()]
                for answers, error in await asyncio.gather(*asked):
                    found.update(answers)
                    reason = error or reason
                if len(found) < len(targets):
                    await router.updated()  # which keeps its distance by itself
    except TimeoutError:
        missing_names = ", ".join(str(tp) for tp in targets if tp not in found)
        raise ApiError(ErrorCode.REQUEST_TIMED_OUT, f"offsets of {missing_names}: {reason}") from None
    return found


def _by_leader(router: Router, targets: Targets) -> dict[NodeId, Targets]:
    """What to ask whom; partitions without a leader are left for the next round.

    Raises:
        ApiError: a topic cannot be had, whoever is asked.
    """
    by_leader: dict[NodeId, dict[TopicPartition, TimestampMs]] = {}
    for tp, timestamp in targets.items():
        code = router.view.error(tp.topic)
        if code is not ErrorCode.NONE and not code.retriable:
            raise ApiError(code, f"topic {tp.topic!r}")
        leadership = router.view.leadership(*tp)
        if leadership is not None and leadership.leader != NO_NODE:
            by_leader.setdefault(leadership.leader, {})[tp] = timestamp
    return dict(by_leader)


async def _ask(router: Router, leader: NodeId, targets: Targets, timeout_s: float) -> tuple[Found, str]:
    """What this leader answered, and the reason for what it did not."""
    partitions = []
    for tp, timestamp in targets.items():
        topic = router.view.topic(tp.topic)
        assert topic is not None, "a leader was found for it"
        partitions.append(
            ListOffsetsPartition(
                topic_id=topic.topic_id,
                partition=PartitionIndex(tp.partition),
                current_leader_epoch=topic.partitions[tp.partition].leader_epoch,
                timestamp=timestamp,
            )
        )
    try:
        channel = await router.channel(leader)
        response = await channel.request(ListOffsets(partitions=tuple(partitions)), timeout_s=timeout_s)
    except ApiError:
        raise
    except RaftKafkaError as error:
        return {}, str(error)
    assert isinstance(response, ListOffsetsResponse)
    found: Found = {}
    reason = ""
    for tp, answer in zip(targets, response.partitions, strict=True):
        if answer.error_code is ErrorCode.NONE:
            found[tp] = answer
        elif answer.error_code.retriable:
            reason = answer.error_code.name
        else:
            raise ApiError(answer.error_code, str(tp))
    return found, reason
