"""Applying: the only place where the image changes.

Floor 1, pure. Total: whatever the command and the image, the outcome is an image and an error code, never an exception,
because every node would be stuck for ever on an entry that raises (I16). Each command that breaks its guard changes nothing.
The invariants named in `image` hold after every single command, so no commit in between can show a broken state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from raftkafka.metadata import assignments, configs, election, quotas
from raftkafka.metadata.changes import Changes
from raftkafka.metadata.commands import (
    AddPartitions,
    AllocateProducerIdBlock,
    AlterBrokerConfigs,
    AlterClientQuotas,
    AlterTopicConfigs,
    BeginControlledShutdown,
    ChangeKafkaNodes,
    ChangePartition,
    Command,
    CreateTopic,
    DeleteTopic,
    ElectUncleanLeader,
    FenceBroker,
    InitializeCluster,
    LeaveOffice,
    LoseReplica,
    NoteTime,
    ReassignPartition,
    RegisterBroker,
    SetDefaults,
    SetFeatureLevel,
    TakeOffice,
    UnfenceBroker,
)
from raftkafka.metadata.draft import Draft
from raftkafka.metadata.election import Log, Rules
from raftkafka.metadata.image import Broker, Growth, Image, Partition, Topic
from raftkafka.metadata.znodes import apply as znodes
from raftkafka.metadata.znodes import kafka_nodes
from raftkafka.metadata.znodes.commands import ChangeZnodes, CreateZkSession, EndZkSession, MoveZkSession
from raftkafka.metadata.znodes.draft import Outcome
from raftkafka.model import topics
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import (
    NO_BROKER_EPOCH,
    NO_NODE,
    NO_TOPIC_ID,
    BrokerEpoch,
    NodeId,
    PartitionIndex,
    ProducerId,
    RaftIndex,
    TopicPartition,
)
from raftkafka.model.zookeeper.errors import ZkError
from raftkafka.model.zookeeper.ops import Multi

PRODUCER_ID_MAX: Final = (1 << 63) - 1
"""The batch header has 64 bits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """`error` is the first refusal among the commands, `errors` has one code per command. `outcomes` are what
    came of the operations of ZooKeeper's clients, one per ChangeZnodes, in order."""

    image: Image
    error: ErrorCode
    errors: tuple[ErrorCode, ...]
    changes: Changes
    outcomes: tuple[Outcome, ...] = ()


def apply(image: Image, index: RaftIndex, command: Command) -> Applied:
    """Apply one command of the entry at `index`."""
    return apply_all(image, index, (command,))


def apply_all(image: Image, index: RaftIndex, commands: Iterable[Command]) -> Applied:
    """Apply the commands of the entry at `index` in order; a refused one leaves the others as they are."""
    draft = Draft(image, index)
    errors = tuple([_applied(draft, index, command) for command in commands])
    after, changes = draft.freeze()
    outcomes = tuple([znodes.told(after, outcome) for outcome in draft.outcomes])
    error = next((error for error in errors if error is not ErrorCode.NONE), ErrorCode.NONE)
    return Applied(image=after, error=error, errors=errors, changes=changes, outcomes=outcomes)


def _applied(draft: Draft, index: RaftIndex, command: Command) -> ErrorCode:
    draft.begin(command)
    return _APPLIERS[type(command)](draft, index, command)


def _note_time(draft: Draft, _: RaftIndex, command: NoteTime) -> ErrorCode:
    draft.time_ms = max(draft.time_ms, command.time_ms)
    return ErrorCode.NONE


def _initialize(draft: Draft, _: RaftIndex, command: InitializeCluster) -> ErrorCode:
    if draft.cluster_id not in ("", command.cluster_id):
        return ErrorCode.INCONSISTENT_CLUSTER_ID
    if not command.cluster_id:
        return ErrorCode.INVALID_REQUEST
    if not draft.cluster_id:
        draft.cluster_id = command.cluster_id
        draft.feature_level = command.feature_level
        kafka_nodes.named(draft, command.cluster_id)
    return ErrorCode.NONE


def _set_feature_level(draft: Draft, _: RaftIndex, command: SetFeatureLevel) -> ErrorCode:
    if command.replaces != draft.feature_level:
        return ErrorCode.INVALID_UPDATE_VERSION
    if command.level < draft.feature_level:
        return ErrorCode.INVALID_REQUEST
    if not all(command.level in broker.features for broker in draft.brokers.values()):
        return ErrorCode.FEATURE_UPDATE_FAILED
    draft.feature_level = command.level
    return ErrorCode.NONE


def _register(draft: Draft, index: RaftIndex, command: RegisterBroker) -> ErrorCode:
    known = draft.brokers.get(command.node_id)
    if known is not None and known.incarnation_id == command.incarnation_id:
        return ErrorCode.NONE
    if command.node_id < 0:
        return ErrorCode.INVALID_REQUEST
    if command.replaces != (NO_BROKER_EPOCH if known is None else known.epoch):
        return ErrorCode.DUPLICATE_BROKER_REGISTRATION
    if known is not None and known.epoch >= index:
        return ErrorCode.DUPLICATE_BROKER_REGISTRATION
    if draft.cluster_id and draft.feature_level not in command.features:
        return ErrorCode.UNSUPPORTED_VERSION
    draft.set_broker(
        Broker(
            node_id=command.node_id,
            epoch=BrokerEpoch(index),
            incarnation_id=command.incarnation_id,
            listeners=command.listeners,
            rack=command.rack,
            directories=command.directories,
            features=command.features,
        )
    )
    _withdraw(draft, command.node_id, _what_is_left(known, command))
    return ErrorCode.NONE


def _what_is_left(known: Broker | None, command: RegisterBroker) -> Callable[[TopicPartition], Log]:
    """The state of each log of a broker that has started again."""
    if known is None:
        return lambda _: Log.GONE
    # A clean shutdown in another epoch than the last one: an old copy of a disk has been put back.
    clean = command.previous_broker_epoch == known.epoch
    kept = clean or (command.previous_broker_epoch == NO_BROKER_EPOCH and command.logs_synced)
    there = Log.INTACT if kept else Log.DOUBTFUL
    if set(known.directories) <= set(command.directories):
        return lambda _: there
    held = {TopicPartition(logs.topic_id, each) for logs in command.held or () for each in logs.partitions}
    return lambda key: there if key in held else Log.GONE


def _fence(draft: Draft, _: RaftIndex, command: FenceBroker) -> ErrorCode:
    broker, error = _broker(draft, command.node_id, command.epoch)
    if broker is None or broker.fenced:
        return error
    draft.set_broker(replace(broker, fenced=True))
    _withdraw(draft, command.node_id)
    return ErrorCode.NONE


def _unfence(draft: Draft, _: RaftIndex, command: UnfenceBroker) -> ErrorCode:
    broker, error = _broker(draft, command.node_id, command.epoch)
    if broker is None or not broker.fenced:
        return error
    if broker.in_controlled_shutdown:
        # Who is on its way out does not come back in the same incarnation.
        return ErrorCode.INVALID_REQUEST
    draft.set_broker(replace(broker, fenced=False, unfenced=draft.stamp))
    for topic_id, topic in draft.topics.items():
        rules = Rules.of(topic.configs, draft.defaults)
        for partition in draft.partitions(topic_id):
            if partition.leader == NO_NODE and command.node_id in partition.replicas:
                _set(draft, topic, partition, election.elected(partition, rules, draft.active))
    return ErrorCode.NONE


def _begin_shutdown(draft: Draft, _: RaftIndex, command: BeginControlledShutdown) -> ErrorCode:
    broker, error = _broker(draft, command.node_id, command.epoch)
    if broker is None or broker.in_controlled_shutdown:
        return error
    draft.set_broker(replace(broker, in_controlled_shutdown=True))
    _withdraw(draft, command.node_id)
    return ErrorCode.NONE


def _create_topic(draft: Draft, _: RaftIndex, command: CreateTopic) -> ErrorCode:
    if topics.why_illegal(command.name) is not None:
        return ErrorCode.INVALID_TOPIC_EXCEPTION
    if command.name in draft.topic_ids or command.topic_id in draft.topics:
        return ErrorCode.TOPIC_ALREADY_EXISTS
    if command.topic_id == NO_TOPIC_ID:
        return ErrorCode.INVALID_REQUEST
    if not command.partitions:
        return ErrorCode.INVALID_PARTITIONS
    for replicas in command.partitions:
        error = assignments.why_not_assigned(draft, replicas)
        if error is not ErrorCode.NONE:
            return error
    rules = Rules.of(command.configs, draft.defaults)
    stamp = draft.stamp
    draft.add_topic(
        Topic(
            name=command.name,
            topic_id=command.topic_id,
            configs=MappingProxyType(dict(command.configs)),
            partitions=tuple(
                [
                    assignments.new_partition(draft, rules, PartitionIndex(at), replicas)
                    for at, replicas in enumerate(command.partitions)
                ]
            ),
            growth=(Growth(0, stamp),),
            assigned=stamp,
            configured=stamp,
        )
    )
    # What a client has written there before the topic existed has been taken up by who created it, or is void.
    draft.znodes.forget(f"/config/topics/{command.name}")
    return ErrorCode.NONE


def _delete_topic(draft: Draft, _: RaftIndex, command: DeleteTopic) -> ErrorCode:
    if command.topic_id not in draft.topics:
        return ErrorCode.UNKNOWN_TOPIC_ID
    draft.remove_topic(command.topic_id)
    return ErrorCode.NONE


def _change_partition(draft: Draft, _: RaftIndex, command: ChangePartition) -> ErrorCode:
    partition = draft.partition(command.topic_id, command.partition)
    if partition is None:
        return ErrorCode.UNKNOWN_TOPIC_ID
    if command.partition_epoch != partition.partition_epoch:
        return ErrorCode.INVALID_UPDATE_VERSION
    isr = partition.isr
    if command.isr is not None and {member.node_id for member in command.isr} != set(isr):
        isr = tuple([member.node_id for member in command.isr])
        error = _why_not_isr(draft, partition, command)
        if error is not ErrorCode.NONE:
            return error
    leader = partition.leader if command.leader is None else command.leader
    # A new leader comes from the ISR in force: membership that only this command gives is no proof of having the records.
    if leader != partition.leader and not (leader in partition.isr and leader in draft.active):
        return ErrorCode.INELIGIBLE_REPLICA
    if leader != NO_NODE and leader not in isr:
        return ErrorCode.INVALID_REQUEST
    topic = draft.topics[command.topic_id]
    rules = Rules.of(topic.configs, draft.defaults)
    _set(draft, topic, partition, election.changed(partition, rules, isr=isr, leader=leader))
    return ErrorCode.NONE


def _lose_replica(draft: Draft, _: RaftIndex, command: LoseReplica) -> ErrorCode:
    broker, error = _broker(draft, command.node_id, command.epoch)
    if broker is None:
        return error
    partition = draft.partition(command.topic_id, command.partition)
    if partition is None:
        return ErrorCode.UNKNOWN_TOPIC_ID
    topic = draft.topics[command.topic_id]
    rules = Rules.of(topic.configs, draft.defaults)
    leave = election.replica_lost if command.damaged else election.out_of_reach
    _set(draft, topic, partition, leave(partition, command.node_id, rules, draft.active))
    return ErrorCode.NONE


def _allocate_producer_ids(draft: Draft, _: RaftIndex, command: AllocateProducerIdBlock) -> ErrorCode:
    broker, error = _broker(draft, command.node_id, command.epoch)
    if broker is None:
        return error
    if command.count < 1 or command.start + command.count > PRODUCER_ID_MAX:
        return ErrorCode.INVALID_REQUEST
    if command.start != draft.next_producer_id:
        # Given to another broker meanwhile: an id is given once.
        return ErrorCode.INVALID_UPDATE_VERSION
    draft.next_producer_id = ProducerId(command.start + command.count)
    draft.set_broker(replace(broker, producer_id_block=command.start))
    kafka_nodes.producer_ids_given(draft, command.node_id, command.start, command.count)
    return ErrorCode.NONE


def _why_not_isr(draft: Draft, partition: Partition, command: ChangePartition) -> ErrorCode:
    """NONE for an ISR that differs from the one in force and may replace it."""
    members = command.isr or ()
    nodes = {member.node_id for member in members}
    if not members or len(nodes) != len(members) or not nodes <= set(partition.replicas):
        return ErrorCode.INVALID_REQUEST
    if partition.leader == NO_NODE and command.leader in (None, NO_NODE):
        # Only a leader knows who is in sync.
        return ErrorCode.INELIGIBLE_REPLICA
    for member in members:
        broker = draft.brokers.get(member.node_id)
        if broker is None or not broker.active:
            return ErrorCode.INELIGIBLE_REPLICA
        # A member that stays may be vouched for without its epoch: had it registered again, it would have left the ISR.
        stays = member.broker_epoch == NO_BROKER_EPOCH and member.node_id in partition.isr
        if member.broker_epoch != broker.epoch and not stays:
            return ErrorCode.INELIGIBLE_REPLICA
    return ErrorCode.NONE


def _broker(draft: Draft, node_id: NodeId, epoch: BrokerEpoch) -> tuple[Broker | None, ErrorCode]:
    broker = draft.brokers.get(node_id)
    if broker is None:
        return None, ErrorCode.BROKER_ID_NOT_REGISTERED
    if broker.epoch != epoch:
        return None, ErrorCode.STALE_BROKER_EPOCH
    return broker, ErrorCode.NONE


def _withdraw(draft: Draft, node_id: NodeId, log_of: Callable[[TopicPartition], Log] | None = None) -> None:
    """A broker that is not active any more leaves every ISR and every leadership: a scan, O(partitions)."""
    for topic_id, topic in draft.topics.items():
        rules = Rules.of(topic.configs, draft.defaults)
        leaving = election.Leaving(node_id, rules, draft.active)
        for partition in draft.partitions(topic_id):
            if log_of is None:
                if node_id in partition.isr:
                    _set(draft, topic, partition, leaving.without(partition))
            elif node_id in partition.replicas:
                log = log_of(TopicPartition(topic_id, partition.index))
                _set(draft, topic, partition, election.without(partition, node_id, log, rules, draft.active))


def _change_kafka_nodes(draft: Draft, index: RaftIndex, command: ChangeKafkaNodes) -> ErrorCode:
    if command.rendered_at >= 0 and not command.refused:
        effects = command.effects[:1]
        znodes.carried_out(
            draft,
            index,
            command.change,
            rendered_at=command.rendered_at,
            effect=lambda: _applied(draft, index, effects[0]) if effects else ErrorCode.NONE,
        )
        return ErrorCode.NONE
    if command.stored:
        if znodes.carried_out(draft, index, command.change):
            for effect in command.effects:
                _applied(draft, index, effect)
        return ErrorCode.NONE
    refused = znodes.why_not(draft, command.change) or command.refused
    at = 0 if refused != command.refused else command.refused_at
    try:
        if not refused and not isinstance(command.change.operation, Multi):
            znodes.check_version(draft, command.change.operation)
    except ZkError as error:
        refused = error.code
    for effect in () if refused else command.effects[:1]:
        refused = znodes.as_zookeepers(_applied(draft, index, effect))
    znodes.answer(draft, command.change, refused, at)
    return ErrorCode.NONE


def _set(draft: Draft, topic: Topic, before: Partition, after: Partition) -> None:
    assignments.put(draft, topic.topic_id, before, after)


_APPLIERS: Final[Mapping[type[Command], Callable[[Draft, RaftIndex, Any], ErrorCode]]] = {
    NoteTime: _note_time,
    InitializeCluster: _initialize,
    SetFeatureLevel: _set_feature_level,
    RegisterBroker: _register,
    FenceBroker: _fence,
    UnfenceBroker: _unfence,
    BeginControlledShutdown: _begin_shutdown,
    CreateTopic: _create_topic,
    DeleteTopic: _delete_topic,
    ChangePartition: _change_partition,
    LoseReplica: _lose_replica,
    SetDefaults: configs.set_defaults,
    AlterTopicConfigs: configs.alter_topic,
    AlterBrokerConfigs: configs.alter_broker,
    AlterClientQuotas: quotas.alter,
    AllocateProducerIdBlock: _allocate_producer_ids,
    ReassignPartition: assignments.reassign,
    AddPartitions: assignments.add_partitions,
    ElectUncleanLeader: assignments.elect_unclean,
    TakeOffice: kafka_nodes.take_office,
    LeaveOffice: kafka_nodes.leave_office,
    ChangeKafkaNodes: _change_kafka_nodes,
    CreateZkSession: znodes.create_session,
    MoveZkSession: znodes.move_session,
    EndZkSession: znodes.end_session,
    ChangeZnodes: znodes.change_znodes,
}
