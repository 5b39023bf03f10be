"""Decisions about partitions: the leaders' ISR changes, and lost replicas.

Floor 1, pure. The checks stand twice, here for a precise answer and in `apply` for safety, because the image may move between
the two. Sources: KIP-497, KIP-841, KIP-903.
"""

from __future__ import annotations

from collections.abc import Iterator

from raftkafka.metadata.commands import ChangePartition, LoseReplica
from raftkafka.metadata.decide import Decision
from raftkafka.metadata.decide.brokers import heartbeat_response
from raftkafka.metadata.election import Rules, out_of_reach, replica_lost
from raftkafka.metadata.image import Broker, Image, Partition
from raftkafka.model.api.broker_lifecycle import (
    AlteredPartition,
    AlterPartition,
    AlterPartitionItem,
    AlterPartitionResponse,
    BrokerHeartbeat,
    OfflineReplica,
)
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_BROKER_EPOCH, NodeId, TopicPartition


def decide_alter_partition(image: Image, request: AlterPartition) -> Decision:
    """Answer a leader's proposals of new ISRs, each by itself.

    STALE_BROKER_EPOCH (whole request): the asking broker has registered again or is fenced. Per partition:
    UNKNOWN_TOPIC_ID, FENCED_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER, INVALID_UPDATE_VERSION, INVALID_REQUEST,
    INELIGIBLE_REPLICA, NEW_LEADER_ELECTED (done, and it completed a reassignment that moved the leadership); every answer
    carries the state in force.
    """
    asking = image.brokers.get(request.broker_id)
    if asking is None or asking.epoch != request.broker_epoch:
        return Decision(respond=lambda _: AlterPartitionResponse(error_code=ErrorCode.STALE_BROKER_EPOCH))
    refusals = [_why_not(image, request, item) for item in request.partitions]
    commands = tuple(
        [
            ChangePartition(
                topic_id=item.topic_id,
                partition=item.partition,
                partition_epoch=item.partition_epoch,
                isr=item.new_isr,
            )
            for item, refusal in zip(request.partitions, refusals, strict=True)
            if refusal is ErrorCode.NONE
        ]
    )

    def respond(after: Image) -> AlterPartitionResponse:
        outcomes = zip(request.partitions, refusals, strict=True)
        return AlterPartitionResponse(
            partitions=tuple([_altered(after, request.broker_id, item, refusal) for item, refusal in outcomes])
        )

    return Decision(commands=commands, respond=respond)


def decide_lose_replicas(image: Image, request: BrokerHeartbeat) -> Decision:
    """A broker cannot serve some of its replicas: they leave their ISRs, and damaged ones are eligible no more."""
    broker = image.brokers.get(request.broker_id)
    commands: tuple[LoseReplica, ...] = ()
    if broker is not None and broker.epoch == request.broker_epoch:
        commands = tuple(
            [
                LoseReplica(
                    node_id=broker.node_id,
                    epoch=broker.epoch,
                    topic_id=lost.topic_id,
                    partition=lost.partition,
                    damaged=lost.damaged,
                )
                for lost in losses(image, request)
            ]
        )
    return Decision(
        commands=commands, respond=lambda after: heartbeat_response(after, request.broker_id, request.broker_epoch)
    )


def losses(image: Image, request: BrokerHeartbeat) -> Iterator[OfflineReplica]:
    """Those of the offline replicas in `request` whose loss changes anything."""
    if not request.offline_replicas:
        return
    active = image.active()
    for lost in request.offline_replicas:
        topic = image.topics.get(lost.topic_id)
        partition = None if topic is None else topic.partition(lost.partition)
        if topic is None or partition is None:
            continue
        rules = Rules.of(topic.configs, image.defaults)
        leave = replica_lost if lost.damaged else out_of_reach
        if leave(partition, request.broker_id, rules, active) is not partition:
            yield lost


def _why_not(image: Image, request: AlterPartition, item: AlterPartitionItem) -> ErrorCode:
    partition = image.partition(TopicPartition(item.topic_id, item.partition))
    if partition is None:
        return ErrorCode.UNKNOWN_TOPIC_ID
    if item.leader_epoch < partition.leader_epoch:
        return ErrorCode.FENCED_LEADER_EPOCH
    if item.leader_epoch > partition.leader_epoch or partition.leader != request.broker_id:
        return ErrorCode.NOT_LEADER_OR_FOLLOWER
    if item.partition_epoch != partition.partition_epoch:
        return ErrorCode.INVALID_UPDATE_VERSION
    nodes = {member.node_id for member in item.new_isr}
    if len(nodes) != len(item.new_isr) or not nodes <= set(partition.replicas) or request.broker_id not in nodes:
        return ErrorCode.INVALID_REQUEST
    for member in item.new_isr:
        if not _eligible(image.brokers.get(member.node_id), member.broker_epoch, partition):
            return ErrorCode.INELIGIBLE_REPLICA
    return ErrorCode.NONE


def _eligible(broker: Broker | None, epoch: int, partition: Partition) -> bool:
    if broker is None or not broker.active:
        return False
    return epoch == broker.epoch or (epoch == NO_BROKER_EPOCH and broker.node_id in partition.isr)


def _altered(image: Image, broker_id: NodeId, item: AlterPartitionItem, refusal: ErrorCode) -> AlteredPartition:
    partition = image.partition(TopicPartition(item.topic_id, item.partition))
    if partition is None:
        return AlteredPartition(topic_id=item.topic_id, partition=item.partition, error_code=ErrorCode.UNKNOWN_TOPIC_ID)
    error = refusal
    # The last member that a reassignment waited for takes those out of the ISR who are no replicas any more.
    wanted = {member.node_id for member in item.new_isr}.intersection(partition.replicas)
    if error is ErrorCode.NONE and set(partition.isr) != wanted:
        # Decided in favour, but something else was committed first.
        error = ErrorCode.INVALID_UPDATE_VERSION
    elif error is ErrorCode.NONE and partition.leader != broker_id:
        error = ErrorCode.NEW_LEADER_ELECTED
    return AlteredPartition(
        topic_id=item.topic_id,
        partition=item.partition,
        error_code=error,
        leader_id=partition.leader,
        leader_epoch=partition.leader_epoch,
        isr=partition.isr,
        partition_epoch=partition.partition_epoch,
    )
