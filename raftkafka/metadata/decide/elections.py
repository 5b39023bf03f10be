"""Decisions about who shall lead although nothing failed: ElectLeaders, and the balance that the controller keeps.

Floor 1, pure. Sources: KIP-183, KIP-460; the balance is that of Kafka's ZooKeeper-era controller
(`KafkaController.checkAndTriggerAutoLeaderRebalance`), which honours `leader.imbalance.per.broker.percentage`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from raftkafka.metadata.commands import ChangePartition, ElectUncleanLeader
from raftkafka.metadata.decide import Decision
from raftkafka.metadata.decide.topics import PARTITIONS_PER_REQUEST_MAX
from raftkafka.metadata.image import Image, Partition
from raftkafka.model.api.elections import (
    ElectedPartition,
    ElectedTopic,
    ElectionType,
    ElectLeaders,
    ElectLeadersResponse,
)
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NO_NODE, NodeId, PartitionIndex, TopicPartition


def decide_elect_leaders(image: Image, request: ElectLeaders) -> Decision:
    """Elect the leaders that an operator asks for.

    INVALID_REQUEST for a type that there is not, POLICY_VIOLATION for more than PARTITIONS_PER_REQUEST_MAX named partitions. Per
    partition: UNKNOWN_TOPIC_OR_PARTITION, ELECTION_NOT_NEEDED (it leads already;
    unclean: somebody does), PREFERRED_LEADER_NOT_AVAILABLE (not in the ISR, or not active), ELIGIBLE_LEADERS_NOT_AVAILABLE (no
    replica is active).
    """
    if request.election_type not in tuple(ElectionType):
        message = f"Unknown election type {request.election_type}."
        return Decision(
            respond=lambda _: ElectLeadersResponse(error_code=ErrorCode.INVALID_REQUEST, error_message=message)
        )
    if sum(len(topic.partitions) for topic in request.topics or ()) > PARTITIONS_PER_REQUEST_MAX:
        limit = f"One request may name at most {PARTITIONS_PER_REQUEST_MAX} partitions."
        return Decision(
            respond=lambda _: ElectLeadersResponse(error_code=ErrorCode.POLICY_VIOLATION, error_message=limit)
        )
    kind = ElectionType(request.election_type)
    commands: list[ChangePartition | ElectUncleanLeader] = []
    decided: dict[str, list[tuple[ElectedPartition, ChangePartition | ElectUncleanLeader | None]]] = {}
    for name, index in _asked(image, request, kind):
        command = None
        answer = ElectedPartition(partition=index)
        try:
            command = _command(image, name, index, kind)
        except ApiError as refusal:
            answer = ElectedPartition(partition=index, error_code=refusal.code, error_message=refusal.message)
        else:
            commands.append(command)
        decided.setdefault(name, []).append((answer, command))

    def respond(after: Image) -> ElectLeadersResponse:
        return ElectLeadersResponse(
            topics=tuple(
                [
                    ElectedTopic(name=name, partitions=tuple([_answer(after, *each) for each in outcomes]))
                    for name, outcomes in decided.items()
                ]
            )
        )

    return Decision(commands=tuple(commands), respond=respond)


def preferred_leader_changes(image: Image) -> Iterator[ChangePartition]:
    """Bring each leadership back to the first replica where that is in the ISR and active: a scan, O(partitions)."""
    for key, partition in image.partitions():
        if partition.leader != NO_NODE and _preferred_may_lead(image, partition):
            yield _to_preferred(key, partition)


def balance(image: Image, *, percentage: int) -> Iterator[ChangePartition]:
    """Bring leaderships back to those brokers that lead less than they should: where of the partitions that prefer a broker
    more than `percentage` % are led by others. A partition that is being reassigned, or has no leader, is left alone. Two scans.
    """
    preferring: Counter[NodeId] = Counter()
    missing: Counter[NodeId] = Counter()
    for _, partition in image.partitions():
        if not partition.adding and not partition.removing:
            preferring[partition.preferred_leader] += 1
            missing[partition.preferred_leader] += partition.leader != partition.preferred_leader
    imbalanced = {node_id for node_id, count in missing.items() if count * 100 > percentage * preferring[node_id]}
    if not imbalanced:
        return
    for key, partition in image.partitions():
        settled = partition.leader != NO_NODE and not partition.adding and not partition.removing
        if settled and partition.preferred_leader in imbalanced and _preferred_may_lead(image, partition):
            yield _to_preferred(key, partition)


def _asked(image: Image, request: ElectLeaders, kind: ElectionType) -> Iterator[tuple[str, PartitionIndex]]:
    """What is named; of everything, what needs an election."""
    if request.topics is None:
        for name, topic_id in sorted(image.topic_ids.items()):
            for partition in image.topics[topic_id].partitions:
                well_led = partition.preferred_leader if kind is ElectionType.PREFERRED else partition.leader
                if partition.leader == NO_NODE or partition.leader != well_led:
                    yield name, partition.index
        return
    wanted = dict.fromkeys((topic.name, index) for topic in request.topics for index in topic.partitions)
    yield from wanted


def _command(
    image: Image, name: str, index: PartitionIndex, kind: ElectionType
) -> ChangePartition | ElectUncleanLeader:
    topic = image.topic_by_name(name)
    if topic is None:
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such topic as {name}")
    partition = topic.partition(index)
    if partition is None:
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"No such partition as {name}-{index}")
    key = TopicPartition(topic.topic_id, partition.index)
    if kind is ElectionType.PREFERRED:
        if partition.leader == partition.preferred_leader:
            raise ApiError(ErrorCode.ELECTION_NOT_NEEDED, "The preferred leader leads already.")
        if not _preferred_may_lead(image, partition):
            raise ApiError(
                ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE,
                f"Broker {partition.preferred_leader} is not in the ISR, or not active.",
            )
        return _to_preferred(key, partition)
    if partition.leader != NO_NODE:
        raise ApiError(ErrorCode.ELECTION_NOT_NEEDED, f"Broker {partition.leader} leads.")
    if not any(image.is_active(replica) for replica in partition.replicas):
        raise ApiError(ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, "None of the replicas is active.")
    return ElectUncleanLeader(topic_id=key.topic_id, partition=key.partition, partition_epoch=partition.partition_epoch)


def _preferred_may_lead(image: Image, partition: Partition) -> bool:
    preferred = partition.preferred_leader
    return partition.leader != preferred and preferred in partition.isr and image.is_active(preferred)


def _to_preferred(key: TopicPartition, partition: Partition) -> ChangePartition:
    return ChangePartition(
        topic_id=key.topic_id,
        partition=key.partition,
        partition_epoch=partition.partition_epoch,
        leader=partition.preferred_leader,
    )


def _answer(
    image: Image, answer: ElectedPartition, command: ChangePartition | ElectUncleanLeader | None
) -> ElectedPartition:
    """The answer, unless something else was committed first."""
    if command is None:
        return answer
    partition = image.partition(TopicPartition(command.topic_id, command.partition))
    if partition is None:
        return ElectedPartition(
            partition=answer.partition,
            error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            error_message="The topic was deleted.",
        )
    wanted = command.leader if isinstance(command, ChangePartition) else None
    if partition.leader == NO_NODE or wanted not in (None, partition.leader):
        code = ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE if wanted is None else ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE
        return ElectedPartition(
            partition=answer.partition, error_code=code, error_message="The partition has changed in between."
        )
    return answer
