"""Files of kafka-reassign-partitions and kin: what they ask for, and what is written into one. Floor 5, pure.

{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[2,3],"log_dirs":["any","any"]}]}. A directory other than "any" is
refused: raftkafka chooses the directory of a replica itself.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from enum import Enum
from typing import Any, Final

from raftkafka.client.spreading import Replicas
from raftkafka.client.types import TopicPartition
from raftkafka.model.api.cluster import TopicMetadata
from raftkafka.model.errors import RaftKafkaError

ANY: Final = "any"
_ID_MAX: Final = (1 << 31) - 1
_OFFSET_MAX: Final = (1 << 63) - 1


class FormatError(RaftKafkaError):
    """The text is not of the form that is needed; the message says what is wrong with it."""


def parse_moves(text: str) -> dict[TopicPartition, Replicas]:
    """The partitions of a reassignment with the replicas they are to have. Raises FormatError."""
    targets: dict[TopicPartition, Replicas] = {}
    for number, entry in enumerate(_entries(_document(text), "partitions")):
        match entry:
            case {"topic": str(topic), "partition": int(index), "replicas": [*replicas]} if _are_ids(index, *replicas):
                partition = TopicPartition(topic, index)
            case _:
                raise FormatError(f"entry {number} has no topic, partition and replicas")
        if entry.get("log_dirs", [ANY] * len(replicas)) != [ANY] * len(replicas):
            raise FormatError(f'{partition}: log_dirs other than "any", one for each replica, are not supported')
        _add(targets, partition, replicas)
    return targets


def parse_topics(text: str) -> list[str]:
    """The topics to be moved: {"version":1,"topics":[{"topic":"t"}]}. Raises FormatError."""
    topics: list[str] = []
    for number, entry in enumerate(_entries(_document(text), "topics")):
        if not isinstance(entry, dict) or not isinstance(topic := entry.get("topic"), str):
            raise FormatError(f"entry {number} has no topic")
        if topic in topics:
            raise FormatError(f"topic {topic} is named twice")
        topics.append(topic)
    return topics


def parse_partitions(text: str) -> list[TopicPartition]:
    """The partitions to elect leaders of: {"partitions":[{"topic":"t","partition":0}]}. Raises FormatError."""
    partitions: dict[TopicPartition, None] = {}
    for number, entry in enumerate(_entries(_document(text), "partitions")):
        match entry:
            case {"topic": str(topic), "partition": int(index)} if _are_ids(index):
                _add(partitions, TopicPartition(topic, index), None)
            case _:
                raise FormatError(f"entry {number} has no topic and partition")
    return list(partitions)


def parse_offsets(text: str) -> dict[TopicPartition, int]:
    """Offsets below which records go: {"version":1,"partitions":[{"topic":"t","partition":0,"offset":5}]}. Raises FormatError."""
    offsets: dict[TopicPartition, int] = {}
    for number, entry in enumerate(_entries(_document(text), "partitions")):
        match entry:
            case {"topic": str(topic), "partition": int(index), "offset": int(offset)} if (
                _are_ids(index) and type(offset) is int and -1 <= offset <= _OFFSET_MAX
            ):
                _add(offsets, TopicPartition(topic, index), offset)
            case _:
                raise FormatError(f"entry {number} has no topic, partition and offset")
    return offsets


def as_file(assignment: Mapping[TopicPartition, Replicas]) -> str:
    """A file that asks for these replicas, byte for byte as Kafka writes it, on one line."""
    partitions = [
        {
            "topic": each.topic,
            "partition": each.partition,
            "replicas": list(assignment[each]),
            "log_dirs": [ANY] * len(assignment[each]),
        }
        for each in sorted(assignment)
    ]
    return json.dumps({"version": 1, "partitions": partitions}, separators=(",", ":"))


def assignment_of(topics: Iterable[TopicMetadata]) -> dict[TopicPartition, Replicas]:
    """What the replicas of all partitions are now."""
    return {
        TopicPartition(topic.name, each.partition): list(each.replica_nodes)
        for topic in topics
        for each in topic.partitions
    }


class MoveState(Enum):
    """How a move stands. OTHER: nothing is under way, and the replicas are not those that were asked for."""

    COMPLETED = "completed"
    IN_PROGRESS = "in_progress"
    OTHER = "other"


def state_of(
    partition: TopicPartition,
    target: Replicas,
    ongoing: Container[TopicPartition],
    now: Mapping[TopicPartition, Replicas],
) -> MoveState:
    """`ongoing` must have been asked for before `now`, so that a move which ends meanwhile counts as under way."""
    if partition in ongoing:
        return MoveState.IN_PROGRESS
    return MoveState.COMPLETED if list(now.get(partition, ())) == list(target) else MoveState.OTHER


def describe_state(partition: TopicPartition, state: MoveState, now: Replicas, target: Replicas) -> str:
    """A sentence in Kafka's words."""
    match state:
        case MoveState.COMPLETED:
            return f"Reassignment of partition {partition} is completed."
        case MoveState.IN_PROGRESS:
            return f"Reassignment of partition {partition} is still in progress."
    return (
        f"There is no active reassignment of partition {partition}, but replica set is {_ids(now)} "
        f"rather than {_ids(target)}."
    )


def _ids(nodes: Iterable[int]) -> str:
    return ",".join(map(str, nodes))


def _document(text: str) -> Any:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise FormatError('not an object with "version": 1')
    # Kafka takes a missing version for the first one.
    if (version := document.get("version", 1)) != 1:
        raise FormatError(f"Not supported version field value {version}")
    return document


def _entries(document: Any, name: str) -> list[Any]:
    entries = document.get(name)
    if not isinstance(entries, list) or not entries:
        raise FormatError(f'"{name}" is no list with entries')
    return entries


def _are_ids(*values: object) -> bool:
    return all(type(value) is int and 0 <= value <= _ID_MAX for value in values)


def _add(found: dict[TopicPartition, Any], partition: TopicPartition, value: Any) -> None:
    if partition in found:
        raise FormatError(f"{partition} is named twice")
    found[partition] = value
