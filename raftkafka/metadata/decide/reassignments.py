"""Decisions about where replicas lie: AlterPartitionReassignments and ListPartitionReassignments (KIP-455).

Floor 1, pure. Each partition of a request is decided by itself; what happens to a reassignment after it has begun is worked out
by `apply`, whatever completes it. Messages are Kafka's where tools may read them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from raftkafka.metadata import reassignment
from raftkafka.metadata.commands import ReassignPartition
from raftkafka.metadata.decide import Decision
from raftkafka.metadata.decide.replica_lists import check_replicas
from raftkafka.metadata.decide.topics import PARTITIONS_PER_REQUEST_MAX
from raftkafka.metadata.image import Image, Partition, Topic
from raftkafka.model.api.reassignments import (
    AlterPartitionReassignments,
    AlterPartitionReassignmentsResponse,
    ListedTopic,
    ListPartitionReassignments,
    ListPartitionReassignmentsResponse,
    OngoingReassignment,
    OngoingTopic,
    ReassignablePartition,
    ReassignedPartition,
    ReassignedTopic,
)
from raftkafka.model.errors import ApiError, ErrorCode


def decide_reassign(image: Image, request: AlterPartitionReassignments) -> Decision:
    """Begin, replace and cancel reassignments.

    POLICY_VIOLATION for more than PARTITIONS_PER_REQUEST_MAX partitions. Per partition: UNKNOWN_TOPIC_OR_PARTITION, INVALID_REPLICA_ASSIGNMENT, INVALID_REPLICATION_FACTOR (where the request does not
    allow another one), NO_REASSIGNMENT_IN_PROGRESS for a cancellation, INVALID_REQUEST for a partition that is named twice.
    """
    if sum(len(topic.partitions) for topic in request.topics) > PARTITIONS_PER_REQUEST_MAX:
        message = f"One request may reassign at most {PARTITIONS_PER_REQUEST_MAX} partitions."
        return Decision(
            respond=lambda _: AlterPartitionReassignmentsResponse(
                error_code=ErrorCode.POLICY_VIOLATION, error_message=message
            )
        )
    named = Counter((topic.name, each.partition) for topic in request.topics for each in topic.partitions)
    commands: list[ReassignPartition] = []
    decided: list[tuple[str, list[tuple[ReassignedPartition, ReassignPartition | None]]]] = []
    for wanted in request.topics:
        outcomes: list[tuple[ReassignedPartition, ReassignPartition | None]] = []
        for each in wanted.partitions:
            command = None
            answer = ReassignedPartition(partition=each.partition)
            try:
                if named[wanted.name, each.partition] > 1:
                    raise ApiError(ErrorCode.INVALID_REQUEST, "The partition is named more than once.")
                command = _command(image, wanted.name, each, request)
            except ApiError as refusal:
                answer = ReassignedPartition(
                    partition=each.partition, error_code=refusal.code, error_message=refusal.message
                )
            else:
                commands.append(command)
            outcomes.append((answer, command))
        decided.append((wanted.name, outcomes))

    def respond(after: Image) -> AlterPartitionReassignmentsResponse:
        return AlterPartitionReassignmentsResponse(
            topics=tuple(
                [
                    ReassignedTopic(name=name, partitions=tuple([_answer(after, *each) for each in outcomes]))
                    for name, outcomes in decided
                ]
            )
        )

    return Decision(commands=tuple(commands), respond=respond)


def decide_list_reassignments(request: ListPartitionReassignments) -> Decision:
    """What is in progress, in the order asked; of everything, by topic name."""

    def respond(image: Image) -> ListPartitionReassignmentsResponse:
        if request.topics is None:
            found = [_ongoing(topic, topic.partitions) for _, topic in sorted(_topics_by_name(image))]
        else:
            found = [_listed(image, wanted) for wanted in request.topics]
        return ListPartitionReassignmentsResponse(topics=tuple([topic for topic in found if topic.partitions]))

    return Decision(respond=respond)


def _command(
    image: Image, name: str, wanted: ReassignablePartition, request: AlterPartitionReassignments
) -> ReassignPartition:
    topic = image.topic_by_name(name)
    if topic is None:
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find a topic named {name}.")
    partition = topic.partition(wanted.partition)
    if partition is None:
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Unable to find partition {name}:{wanted.partition}.")
    if wanted.replicas is None:
        if not reassignment.in_progress(partition):
            raise ApiError(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS, "No reassignment is in progress.")
    else:
        check_replicas(image, wanted.replicas)
        now = len(reassignment.target(partition))
        if len(wanted.replicas) != now and not request.allow_replication_factor_change:
            raise ApiError(
                ErrorCode.INVALID_REPLICATION_FACTOR,
                f"The replication factor is changed from {now} to {len(wanted.replicas)}.",
            )
    return ReassignPartition(
        topic_id=topic.topic_id,
        partition=partition.index,
        partition_epoch=partition.partition_epoch,
        replicas=wanted.replicas,
    )


def _answer(image: Image, answer: ReassignedPartition, command: ReassignPartition | None) -> ReassignedPartition:
    """The answer, unless something else was committed first."""
    if command is None:
        return answer
    topic = image.topics.get(command.topic_id)
    partition = None if topic is None else topic.partition(command.partition)
    if partition is None:
        return ReassignedPartition(
            partition=answer.partition,
            error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            error_message="The topic was deleted.",
        )
    if command.replicas not in (None, reassignment.target(partition)):
        return ReassignedPartition(
            partition=answer.partition,
            error_code=ErrorCode.INVALID_UPDATE_VERSION,
            error_message="The partition has changed in between, please try again.",
        )
    return answer


def _topics_by_name(image: Image) -> Iterator[tuple[str, Topic]]:
    for topic in image.topics.values():
        yield topic.name, topic


def _listed(image: Image, wanted: ListedTopic) -> OngoingTopic:
    topic = image.topic_by_name(wanted.name)
    if topic is None:
        return OngoingTopic(name=wanted.name, partitions=())
    named = [topic.partition(index) for index in dict.fromkeys(wanted.partitions)]
    return _ongoing(topic, tuple([partition for partition in named if partition is not None]))


def _ongoing(topic: Topic, partitions: tuple[Partition, ...]) -> OngoingTopic:
    return OngoingTopic(
        name=topic.name,
        partitions=tuple(
            [
                OngoingReassignment(
                    partition=each.index,
                    replicas=each.replicas,
                    adding_replicas=each.adding,
                    removing_replicas=each.removing,
                )
                for each in partitions
                if reassignment.in_progress(each)
            ]
        ),
    )
