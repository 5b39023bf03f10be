"""Reassignments and elections between the forms of users (a partition, its replicas) and of the protocol. Floor 3."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from raftkafka.client.types import TopicPartition
from raftkafka.model.api.elections import ElectedPartition, ElectLeaders, ElectLeadersResponse, TopicToElect
from raftkafka.model.api.reassignments import (
    AlterPartitionReassignments,
    AlterPartitionReassignmentsResponse,
    ListedTopic,
    ListPartitionReassignments,
    ListPartitionReassignmentsResponse,
    OngoingReassignment,
    ReassignablePartition,
    ReassignableTopic,
)
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NodeId, PartitionIndex


def alter_request(
    targets: Mapping[TopicPartition, Sequence[int] | None], *, timeout_ms: int, allow_replication_factor_change: bool
) -> AlterPartitionReassignments:
    return AlterPartitionReassignments(
        topics=tuple(
            ReassignableTopic(
                name=name,
                partitions=tuple(
                    ReassignablePartition(partition=index, replicas=_nodes(targets[TopicPartition(name, index)]))
                    for index in indexes
                ),
            )
            for name, indexes in _by_topic(targets)
        ),
        timeout_ms=timeout_ms,
        allow_replication_factor_change=allow_replication_factor_change,
    )


def check_altered(response: AlterPartitionReassignmentsResponse) -> None:
    """Raises ApiError for the whole, or for the first partition that was refused."""
    _check(response)
    for topic in response.topics:
        for each in topic.partitions:
            if each.error_code is not ErrorCode.NONE:
                reason = each.error_message or each.error_code.name
                raise ApiError(each.error_code, f"{topic.name}-{each.partition}: {reason}")


def list_request(partitions: Iterable[TopicPartition] | None, *, timeout_ms: int) -> ListPartitionReassignments:
    topics = None
    if partitions is not None:
        topics = tuple(ListedTopic(name=name, partitions=tuple(indexes)) for name, indexes in _by_topic(partitions))
    return ListPartitionReassignments(topics=topics, timeout_ms=timeout_ms)


def listed(response: ListPartitionReassignmentsResponse) -> dict[TopicPartition, OngoingReassignment]:
    """Raises ApiError for the whole."""
    _check(response)
    return {TopicPartition(topic.name, each.partition): each for topic in response.topics for each in topic.partitions}


def elect_request(election_type: int, partitions: Iterable[TopicPartition] | None, *, timeout_ms: int) -> ElectLeaders:
    topics = None
    if partitions is not None:
        topics = tuple(TopicToElect(name=name, partitions=tuple(indexes)) for name, indexes in _by_topic(partitions))
    return ElectLeaders(election_type=election_type, topics=topics, timeout_ms=timeout_ms)


def elected(response: ElectLeadersResponse) -> dict[TopicPartition, ElectedPartition]:
    """Raises ApiError for the whole."""
    _check(response)
    return {TopicPartition(topic.name, each.partition): each for topic in response.topics for each in topic.partitions}


def _check(
    response: AlterPartitionReassignmentsResponse | ListPartitionReassignmentsResponse | ElectLeadersResponse,
) -> None:
    if response.error_code is not ErrorCode.NONE:
        raise ApiError(response.error_code, response.error_message or "")


def _nodes(replicas: Sequence[int] | None) -> tuple[NodeId, ...] | None:
    return None if replicas is None else tuple(NodeId(each) for each in replicas)


def _by_topic(partitions: Iterable[TopicPartition]) -> Iterator[tuple[str, list[PartitionIndex]]]:
    topics: dict[str, list[PartitionIndex]] = {}
    for partition in partitions:
        topics.setdefault(partition.topic, []).append(PartitionIndex(partition.partition))
    yield from topics.items()
