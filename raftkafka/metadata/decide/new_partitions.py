"""Decisions about topics that grow: CreatePartitions (KIP-195).

Floor 1, pure. Topics only ever grow: records whose key once belonged to a partition would be lost with it. Each topic of a request
is decided by itself and in order; messages are Kafka's where tools may read them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from raftkafka.metadata import reassignment
from raftkafka.metadata.commands import AddPartitions
from raftkafka.metadata.decide import Decision
from raftkafka.metadata.decide.replica_lists import check_replicas
from raftkafka.metadata.decide.topics import PARTITIONS_MAX, PARTITIONS_PER_REQUEST_MAX, REPLICAS_PER_TOPIC_MAX
from raftkafka.metadata.image import Image, Topic
from raftkafka.metadata.placement import RandomSource, place_after
from raftkafka.model.api.partitions import CreatePartitions, CreatePartitionsResponse, GrownTopic, NewPartitions
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NodeId


def decide_create_partitions(image: Image, request: CreatePartitions, *, random: RandomSource) -> Decision:
    """Give topics more partitions, or with `validate_only` say what would come of it.

    UNKNOWN_TOPIC_OR_PARTITION, INVALID_PARTITIONS (no growth), INVALID_REPLICA_ASSIGNMENT, INVALID_REPLICATION_FACTOR (too few
    brokers), POLICY_VIOLATION (a limit), INVALID_REQUEST (a topic twice).
    """
    growth = _Growth(
        image=image, random=random, room=PARTITIONS_MAX - sum(len(topic.partitions) for topic in image.topics.values())
    )
    names = Counter(topic.name for topic in request.topics)
    commands: list[AddPartitions] = []
    answers: list[tuple[GrownTopic, AddPartitions | None]] = []
    for wanted in request.topics:
        try:
            if names[wanted.name] > 1:
                raise ApiError(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
            command = growth.command(wanted)
        except ApiError as refusal:
            answer = GrownTopic(name=wanted.name, error_code=refusal.code, error_message=refusal.message)
            answers.append((answer, None))
            continue
        commands.append(command)
        answers.append((GrownTopic(name=wanted.name), command))
    if request.validate_only:
        return Decision(respond=lambda _: CreatePartitionsResponse(topics=tuple([answer for answer, _ in answers])))
    return Decision(
        commands=tuple(commands),
        respond=lambda after: CreatePartitionsResponse(
            topics=tuple([_grown(after, answer, command) for answer, command in answers])
        ),
    )


@dataclass(slots=True, kw_only=True)
class _Growth:
    """The topics of one request, one after the other: each takes its share of the partitions that are left to give."""

    image: Image
    random: RandomSource
    room: int
    """Partitions that the cluster has room for."""
    request_room: int = PARTITIONS_PER_REQUEST_MAX

    def command(self, wanted: NewPartitions) -> AddPartitions:
        """The command that lets the topic grow; raises ApiError with the reason why not."""
        topic = self.image.topic_by_name(wanted.name)
        if topic is None:
            raise ApiError(
                ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"This server does not host the topic '{wanted.name}'."
            )
        there = len(topic.partitions)
        if wanted.count == there:
            raise ApiError(ErrorCode.INVALID_PARTITIONS, f"Topic already has {there} partition(s).")
        if wanted.count < there:
            raise ApiError(
                ErrorCode.INVALID_PARTITIONS,
                f"The topic {wanted.name} currently has {there} partition(s); {wanted.count} would not be an increase.",
            )
        added = wanted.count - there
        # The replication factor is what the first partition has, or will have when its reassignment is complete.
        factor = len(reassignment.target(topic.partitions[0]))
        self._check_room(added, wanted.count * factor)
        if wanted.assignments is None:
            partitions = self._placed(topic, added, factor)
        else:
            partitions = self._assigned(wanted.assignments, there, added, factor)
        self.room -= added
        self.request_room -= added
        return AddPartitions(topic_id=topic.topic_id, first=there, partitions=partitions)

    def _check_room(self, added: int, replicas: int) -> None:
        if added > self.request_room:
            raise ApiError(
                ErrorCode.INVALID_PARTITIONS,
                f"One request may create at most {PARTITIONS_PER_REQUEST_MAX} partitions, "
                f"{self.request_room} of them are left.",
            )
        if added > self.room:
            raise ApiError(
                ErrorCode.POLICY_VIOLATION,
                f"The cluster takes at most {PARTITIONS_MAX} partitions, there is room for {max(0, self.room)} more.",
            )
        if replicas > REPLICAS_PER_TOPIC_MAX:
            raise ApiError(
                ErrorCode.POLICY_VIOLATION, f"A topic may grow to at most {REPLICAS_PER_TOPIC_MAX} replicas."
            )

    def _placed(self, topic: Topic, added: int, factor: int) -> tuple[tuple[NodeId, ...], ...]:
        brokers = [broker for broker in self.image.brokers.values() if not broker.in_controlled_shutdown]
        available = len(brokers) if any(broker.active for broker in brokers) else 0
        if factor > available:
            raise ApiError(
                ErrorCode.INVALID_REPLICATION_FACTOR,
                f"Replication factor: {factor} larger than available brokers: {available}.",
            )
        return place_after(
            brokers,
            first=topic.partitions[0].preferred_leader,
            there=len(topic.partitions),
            partitions=added,
            replication_factor=factor,
            random=self.random,
        )

    def _assigned(
        self, assignments: tuple[tuple[NodeId, ...], ...], there: int, added: int, factor: int
    ) -> tuple[tuple[NodeId, ...], ...]:
        if len(assignments) != added:
            raise ApiError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                f"Attempted to add {added} additional partition(s), but only {len(assignments)} assignment(s) "
                "were specified.",
            )
        for index, replicas in enumerate(assignments, start=there):
            check_replicas(self.image, replicas)
            if len(replicas) != factor:
                raise ApiError(
                    ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                    f"The manual partition assignment includes a partition with {len(replicas)} replica(s), but this is "
                    f"not consistent with previous partitions, which have {factor} replica(s).",
                )
            if not any(self.image.is_active(replica) for replica in replicas):
                raise ApiError(
                    ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                    f"All brokers specified in the manual partition assignment for partition {index} are fenced or in "
                    "controlled shutdown.",
                )
        return assignments


def _grown(image: Image, answer: GrownTopic, command: AddPartitions | None) -> GrownTopic:
    """The answer, unless something else was committed first."""
    if command is None:
        return answer
    topic = image.topics.get(command.topic_id)
    if topic is None:
        return GrownTopic(
            name=answer.name, error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, error_message="The topic was deleted."
        )
    here = topic.partitions[command.first : command.first + len(command.partitions)]
    # Reassignments may follow at once, so how many there are has to do, and that they once were what was asked for.
    if len(here) < len(command.partitions):
        return GrownTopic(
            name=answer.name,
            error_code=ErrorCode.INVALID_UPDATE_VERSION,
            error_message="The topic or the brokers have changed in between, please try again.",
        )
    return answer
