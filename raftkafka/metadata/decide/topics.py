"""Decisions about topics: CreateTopics and DeleteTopics.

Floor 1, pure. Each topic of a request is decided by itself and in order, as Kafka does: one that is refused leaves the others
as they are. Messages are Kafka's where tools may read them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from raftkafka.metadata.commands import CreateTopic, DeleteTopic
from raftkafka.metadata.decide import Decision
from raftkafka.metadata.image import Image, Topic
from raftkafka.metadata.placement import RandomSource, place
from raftkafka.metadata.topic_configs import why_invalid, why_not_together
from raftkafka.model.api.topics import (
    CreatedTopic,
    CreateTopics,
    CreateTopicsResponse,
    DeletedTopic,
    DeleteTopics,
    DeleteTopicsResponse,
    NewTopic,
    TopicToDelete,
)
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NO_TOPIC_ID, NodeId, TopicId
from raftkafka.model.topics import collision_key, why_illegal

PARTITIONS_PER_REQUEST_MAX: Final = 10_000
"""Of all topics in one CreateTopics, as in Kafka."""

REPLICAS_PER_TOPIC_MAX: Final = 100_000
"""Keeps a CreateTopic command, 5 bytes per replica at most, below the cap of a Raft entry."""

PARTITIONS_MAX: Final = 100_000
"""Of the cluster: above it, a scan of all partitions would hold up the loop for too long."""


def decide_create_topics(
    image: Image,
    request: CreateTopics,
    *,
    default_partitions: int,
    default_replication_factor: int,
    new_topic_id: Callable[[], TopicId],
    random: RandomSource,
) -> Decision:
    """Create topics, or with `validate_only` say what would come of it.

    The defaults are `num.partitions` and `default.replication.factor`; `new_topic_id` draws a random UUID.
    """
    new = _Creation(
        image=image,
        default_partitions=default_partitions,
        default_replication_factor=default_replication_factor,
        new_topic_id=new_topic_id,
        random=random,
        taken={collision_key(name): name for name in image.topic_ids},
        room=PARTITIONS_MAX - sum(len(topic.partitions) for topic in image.topics.values()),
    )
    names = Counter(topic.name for topic in request.topics)
    commands: list[CreateTopic] = []
    answers: list[CreatedTopic] = []
    for topic in request.topics:
        try:
            if names[topic.name] > 1:
                raise ApiError(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
            command = new.command(topic)
        except ApiError as refusal:
            answers.append(CreatedTopic(name=topic.name, error_code=refusal.code, error_message=refusal.message))
            continue
        commands.append(command)
        answers.append(
            CreatedTopic(
                name=topic.name,
                topic_id=NO_TOPIC_ID if request.validate_only else command.topic_id,
                num_partitions=len(command.partitions),
                replication_factor=len(command.partitions[0]),
            )
        )
    if request.validate_only:
        return Decision(respond=lambda _: CreateTopicsResponse(topics=tuple(answers)))
    return Decision(
        commands=tuple(commands),
        respond=lambda after: CreateTopicsResponse(topics=tuple([_created(after, answer) for answer in answers])),
    )


def decide_delete_topics(image: Image, request: DeleteTopics, *, delete_topic_enable: bool) -> Decision:
    """Delete topics by name or by id. A topic that is named twice is refused the second time."""
    commands: list[DeleteTopic] = []
    answers: list[DeletedTopic] = []
    gone: set[TopicId] = set()
    for wanted in request.topics:
        try:
            topic = _to_delete(image, wanted, delete_topic_enable=delete_topic_enable)
            if topic.topic_id in gone:
                raise ApiError(ErrorCode.INVALID_REQUEST, "Duplicate topic in the request.")
        except ApiError as refusal:
            answers.append(
                DeletedTopic(
                    name=wanted.name,
                    topic_id=wanted.topic_id or NO_TOPIC_ID,
                    error_code=refusal.code,
                    error_message=refusal.message,
                )
            )
            continue
        gone.add(topic.topic_id)
        commands.append(DeleteTopic(topic_id=topic.topic_id))
        answers.append(DeletedTopic(name=topic.name, topic_id=topic.topic_id))
    return Decision(commands=tuple(commands), respond=lambda _: DeleteTopicsResponse(topics=tuple(answers)))


@dataclass(slots=True, kw_only=True)
class _Creation:
    """The topics of one request, one after the other: each takes its name and its share of the partitions."""

    image: Image
    default_partitions: int
    default_replication_factor: int
    new_topic_id: Callable[[], TopicId]
    random: RandomSource
    taken: dict[str, str]
    room: int
    """Partitions that the cluster has room for."""
    request_room: int = PARTITIONS_PER_REQUEST_MAX

    def command(self, topic: NewTopic) -> CreateTopic:
        """The command that creates `topic`; raises ApiError with the reason why not."""
        self._check_name(topic.name)
        partitions = _assigned(self.image, topic) if topic.assignments else self._placed(topic)
        self._check_room(len(partitions), len(partitions[0]))
        configs = _valid_configs(topic)
        topic_id = self.new_topic_id()
        while topic_id in self.image.topics or topic_id == NO_TOPIC_ID:
            topic_id = self.new_topic_id()
        self.room -= len(partitions)
        self.request_room -= len(partitions)
        self.taken[collision_key(topic.name)] = topic.name
        return CreateTopic(name=topic.name, topic_id=topic_id, partitions=partitions, configs=configs)

    def _check_name(self, name: str) -> None:
        illegal = why_illegal(name)
        if illegal is not None:
            raise ApiError(ErrorCode.INVALID_TOPIC_EXCEPTION, illegal)
        if name in self.image.topic_ids:
            raise ApiError(ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
        other = self.taken.get(collision_key(name))
        if other is not None:
            raise ApiError(
                ErrorCode.INVALID_TOPIC_EXCEPTION,
                f"Topic '{name}' collides with existing topic: {other} ('.' and '_' are the same in metric names)",
            )

    def _check_room(self, partitions: int, replication_factor: int) -> None:
        if partitions > self.request_room:
            raise ApiError(
                ErrorCode.INVALID_PARTITIONS,
                f"One request may create at most {PARTITIONS_PER_REQUEST_MAX} partitions, "
                f"{self.request_room} of them are left.",
            )
        if partitions > self.room:
            raise ApiError(
                ErrorCode.POLICY_VIOLATION,
                f"The cluster takes at most {PARTITIONS_MAX} partitions, there is room for {max(0, self.room)} more.",
            )
        if partitions * replication_factor > REPLICAS_PER_TOPIC_MAX:
            raise ApiError(
                ErrorCode.POLICY_VIOLATION, f"A topic may be created with at most {REPLICAS_PER_TOPIC_MAX} replicas."
            )

    def _placed(self, topic: NewTopic) -> tuple[tuple[NodeId, ...], ...]:
        partitions = self.default_partitions if topic.num_partitions == -1 else topic.num_partitions
        factor = self.default_replication_factor if topic.replication_factor == -1 else topic.replication_factor
        if partitions <= 0:
            raise ApiError(ErrorCode.INVALID_PARTITIONS, "Number of partitions must be larger than 0.")
        if factor <= 0:
            raise ApiError(ErrorCode.INVALID_REPLICATION_FACTOR, "Replication factor must be larger than 0.")
        brokers = [broker for broker in self.image.brokers.values() if not broker.in_controlled_shutdown]
        # A fenced broker may take a replica that it will fill when it is back, but somebody has to lead now.
        available = len(brokers) if any(broker.active for broker in brokers) else 0
        if factor > available:
            raise ApiError(
                ErrorCode.INVALID_REPLICATION_FACTOR,
                f"Replication factor: {factor} larger than available brokers: {available}.",
            )
        self._check_room(partitions, factor)
        return place(brokers, partitions=partitions, replication_factor=factor, random=self.random)


def _assigned(image: Image, topic: NewTopic) -> tuple[tuple[NodeId, ...], ...]:
    """The replicas that the request names itself."""
    if (topic.num_partitions, topic.replication_factor) != (-1, -1):
        raise ApiError(
            ErrorCode.INVALID_REQUEST,
            "Both numPartitions or replicationFactor and replicasAssignments were set. "
            "Both cannot be used at the same time.",
        )
    partitions = dict(topic.assignments)
    if len(partitions) != len(topic.assignments) or set(partitions) != set(range(len(partitions))):
        raise ApiError(
            ErrorCode.INVALID_REPLICA_ASSIGNMENT, "partitions should be a consecutive 0-based integer sequence"
        )
    if len({len(replicas) for replicas in partitions.values()}) > 1:
        raise ApiError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, "all partitions need the same number of replicas")
    for index, replicas in sorted(partitions.items()):
        if not replicas or len(set(replicas)) != len(replicas):
            raise ApiError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                f"partition {index}: replicas must be given, and differ: {replicas}",
            )
        unknown = [replica for replica in replicas if replica not in image.brokers]
        if unknown:
            raise ApiError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"partition {index}: unknown brokers {unknown}")
        if not any(image.is_active(replica) for replica in replicas):
            raise ApiError(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT,
                f"All brokers specified in the manual partition assignment for partition {index} are fenced or in "
                "controlled shutdown.",
            )
    return tuple([replicas for _, replicas in sorted(partitions.items())])


def _valid_configs(topic: NewTopic) -> dict[str, str]:
    configs: dict[str, str] = {}
    for key, value in topic.configs:
        if value is None:
            raise ApiError(ErrorCode.INVALID_CONFIG, f"Null value not supported for topic configs: {key}")
        wrong = f"{key} is given twice" if key in configs else why_invalid(key, value)
        if wrong is not None:
            raise ApiError(ErrorCode.INVALID_CONFIG, wrong)
        configs[key] = value
    conflict = why_not_together(configs)
    if conflict is not None:
        raise ApiError(ErrorCode.INVALID_CONFIG, conflict)
    return configs


def _created(image: Image, answer: CreatedTopic) -> CreatedTopic:
    """The answer, unless another topic of that name was committed first."""
    if answer.error_code is not ErrorCode.NONE or answer.topic_id in image.topics:
        return answer
    if answer.name in image.topic_ids:
        code, message = ErrorCode.TOPIC_ALREADY_EXISTS, f"Topic '{answer.name}' already exists."
    else:
        code, message = ErrorCode.INVALID_REPLICA_ASSIGNMENT, "The brokers have changed in between, please try again."
    return CreatedTopic(name=answer.name, error_code=code, error_message=message)


def _to_delete(image: Image, wanted: TopicToDelete, *, delete_topic_enable: bool) -> Topic:
    if not delete_topic_enable:
        raise ApiError(ErrorCode.TOPIC_DELETION_DISABLED, "Topic deletion is disabled (delete.topic.enable=false).")
    if (wanted.name is None) == (wanted.topic_id is None):
        raise ApiError(ErrorCode.INVALID_REQUEST, "A topic to delete is named by its name or by its id.")
    if wanted.topic_id is not None:
        topic = image.topics.get(wanted.topic_id)
        if topic is None:
            raise ApiError(ErrorCode.UNKNOWN_TOPIC_ID, "This server does not host this topic ID.")
        return topic
    topic = image.topic_by_name(wanted.name or "")
    if topic is None:
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"This server does not host the topic '{wanted.name}'.")
    return topic
