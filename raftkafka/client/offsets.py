"""Asks the leaders of partitions for offsets (beginning, end, or by time), or to delete what lies below one. Floor 3."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from raftkafka.client.routing import Router
from raftkafka.client.types import TopicPartition
from raftkafka.model.api import Request
from raftkafka.model.api.delete_records import (
    DeleteRecords,
    DeleteRecordsPartition,
    DeleteRecordsPartitionResponse,
    DeleteRecordsResponse,
)
from raftkafka.model.api.offsets import (
    ListOffsets,
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsResponse,
)
from raftkafka.model.errors import ApiError, ErrorCode, RaftKafkaError
from raftkafka.model.ids import NO_NODE, LeaderEpoch, NodeId, Offset, PartitionIndex, TimestampMs, TopicId

Targets = Mapping[TopicPartition, TimestampMs]
Found = dict[TopicPartition, ListOffsetsPartitionResponse]
_Target = TypeVar("_Target", bound=int)
_Answer = TypeVar("_Answer", ListOffsetsPartitionResponse, DeleteRecordsPartitionResponse)
_Row = tuple[TopicId, PartitionIndex, LeaderEpoch, _Target]


async def list_offsets(router: Router, targets: Targets, *, timeout_s: float, isolation_level: int = 0) -> Found:
    """The answer for each partition; `targets` gives its timestamp (or LATEST, EARLIEST, MAX_TIMESTAMP).

    With `isolation_level` 1 (read_committed) LATEST is the last stable offset.

    Retries while leadership moves, for at most `timeout_s` seconds.

    Raises:
        ApiError: refused, or REQUEST_TIMED_OUT.
    """

    def request(rows: Sequence[_Row[TimestampMs]]) -> Request:
        return ListOffsets(
            isolation_level=isolation_level,
            partitions=tuple(
                ListOffsetsPartition(
                    topic_id=topic_id, partition=partition, current_leader_epoch=epoch, timestamp=timestamp
                )
                for topic_id, partition, epoch, timestamp in rows
            ),
        )

    def answers(response: object) -> tuple[ListOffsetsPartitionResponse, ...]:
        assert isinstance(response, ListOffsetsResponse)
        return response.partitions

    return await _ask_leaders(router, targets, request, answers, timeout_s=timeout_s)


async def delete_records(
    router: Router, targets: Mapping[TopicPartition, Offset], *, timeout_s: float
) -> dict[TopicPartition, DeleteRecordsPartitionResponse]:
    """Delete what lies below the offset of each partition; asking twice does no harm, so this retries as `list_offsets`.

    Raises:
        ApiError: refused, or REQUEST_TIMED_OUT.
    """

    def request(rows: Sequence[_Row[Offset]]) -> Request:
        return DeleteRecords(
            partitions=tuple(
                DeleteRecordsPartition(topic_id=topic_id, partition=partition, offset=offset)
                for topic_id, partition, _, offset in rows
            ),
            timeout_ms=int(timeout_s * 1000),
        )

    def answers(response: object) -> tuple[DeleteRecordsPartitionResponse, ...]:
        assert isinstance(response, DeleteRecordsResponse)
        return response.partitions

    return await _ask_leaders(router, targets, request, answers, timeout_s=timeout_s)


async def _ask_leaders(
    router: Router,
    targets: Mapping[TopicPartition, _Target],
    request: Callable[[Sequence[_Row[_Target]]], Request],
    answers: Callable[[object], tuple[_Answer, ...]],
    *,
    timeout_s: float,
) -> dict[TopicPartition, _Answer]:
    found: dict[TopicPartition, _Answer] = {}
    reason = "no leader is known"

    async def ask(leader: NodeId, part: Mapping[TopicPartition, _Target]) -> tuple[dict[TopicPartition, _Answer], str]:
        """What this leader answered, and the reason for what it did not."""
        rows = [_row(router, tp, target) for tp, target in part.items()]
        try:
            channel = await router.channel(leader)
            response = await channel.request(request(rows), timeout_s=timeout_s)
        except ApiError:
            raise
        except RaftKafkaError as error:
            return {}, str(error)
        return _sort(part, answers(response))

    try:
        async with asyncio.timeout(timeout_s):
            while len(found) < len(targets):
                router.track({topic for topic, _ in targets})  # again, should an assignment have narrowed it meanwhile
                missing = {tp: target for tp, target in targets.items() if tp not in found}
                by_leader = _by_leader(router, missing)
                for answered, error in await asyncio.gather(*(ask(*each) for each in by_leader.items())):
                    found.update(answered)
                    reason = error or reason
                if len(found) < len(targets):
                    await router.updated()  # which keeps its distance by itself
    except TimeoutError:
        missing_names = ", ".join(str(tp) for tp in targets if tp not in found)
        raise ApiError(ErrorCode.REQUEST_TIMED_OUT, f"offsets of {missing_names}: {reason}") from None
    return found


def _by_leader(
    router: Router, targets: Mapping[TopicPartition, _Target]
) -> dict[NodeId, dict[TopicPartition, _Target]]:
    """What to ask whom; partitions without a leader are left for the next round.

    Raises:
        ApiError: a topic cannot be had, whoever is asked.
    """
    by_leader: dict[NodeId, dict[TopicPartition, _Target]] = {}
    for tp, target in targets.items():
        code = router.view.error(tp.topic)
        if code is not ErrorCode.NONE and not code.retriable:
            raise ApiError(code, f"topic {tp.topic!r}")
        leadership = router.view.leadership(*tp)
        if leadership is not None and leadership.leader != NO_NODE:
            by_leader.setdefault(leadership.leader, {})[tp] = target
    return by_leader


def _row(router: Router, tp: TopicPartition, target: _Target) -> _Row[_Target]:
    topic = router.view.topic(tp.topic)
    assert topic is not None, "a leader was found for it"
    return topic.topic_id, PartitionIndex(tp.partition), topic.partitions[tp.partition].leader_epoch, target


def _sort(
    asked: Mapping[TopicPartition, _Target], answers: Sequence[_Answer]
) -> tuple[dict[TopicPartition, _Answer], str]:
    found: dict[TopicPartition, _Answer] = {}
    reason = ""
    for tp, answer in zip(asked, answers, strict=True):
        if answer.error_code is ErrorCode.NONE:
            found[tp] = answer
        elif answer.error_code.retriable:
            reason = answer.error_code.name
        else:
            raise ApiError(answer.error_code, getattr(answer, "error_message", None) or str(tp))
    return found, reason
