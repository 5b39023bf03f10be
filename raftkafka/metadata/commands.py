"""The facts that the controller makes the cluster agree on: what a Raft entry of the metadata log carries.

Floor 1, pure. A command states what happened to one broker, topic or partition; what follows from it for others (a fenced
broker leaves the ISRs it is in) is worked out by `apply`, the same on every node, so that no entry is large and no fact can
be committed without its consequences. Every command carries the guard that makes a stale one an error result: the broker
epoch, or the partition epoch, that was in force when it was decided.

Bytes: an entry is a CBOR array of commands, a command is `[type, version, field, ...]`. Types and versions are never given a
second meaning. A node that does not know one stops rather than guess, because skipping it would let its image differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from raftkafka.metadata.znodes.commands import (
    ChangeZnodes,
    CreateZkSession,
    EndZkSession,
    MoveZkSession,
    ZnodeCommand,
    pack_change,
    session_of,
    unpack_change,
    unpack_session,
)
from raftkafka.model import cbor
from raftkafka.model.api.broker_lifecycle import HeldLogs, IsrMember, ListenerEndpoint
from raftkafka.model.errors import CorruptionError, ProtocolError, RaftKafkaError
from raftkafka.model.features import SUPPORTED, FeatureRange
from raftkafka.model.ids import (
    NO_BROKER_EPOCH,
    BrokerEpoch,
    DirectoryId,
    NodeId,
    PartitionEpoch,
    PartitionIndex,
    ProducerId,
    TimestampMs,
    TopicId,
)

ENTRY_BYTES_MAX: Final = 1 << 20
"""What is proposed as one Raft entry at most, `ports.consensus.Consensus.propose`."""

ENTRY_COMMANDS_MAX: Final = 2_000
"""Commands in one Raft entry at most: keeps a step of apply short."""

_DECODED_BYTES_MAX: Final = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class InitializeCluster:
    """The first controller names the cluster. Refused when it has another name already."""

    cluster_id: str
    feature_level: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterBroker:
    """A broker has started: fenced, with the index of this entry as its broker epoch; at most one per node and entry.

    `replaces` is the broker epoch of the registration that was in force when this was decided, -1 for none: refused as
    DUPLICATE_BROKER_REGISTRATION when it is another one by now. The earlier incarnation is dead: it leaves the ISRs.
    The last four say what its logs are still good for, as in `model.api.broker_lifecycle.BrokerRegistration`.
    """

    node_id: NodeId
    incarnation_id: bytes
    listeners: tuple[ListenerEndpoint, ...]
    rack: str | None = None
    replaces: BrokerEpoch = NO_BROKER_EPOCH
    previous_broker_epoch: BrokerEpoch = NO_BROKER_EPOCH
    logs_synced: bool = False
    directories: tuple[DirectoryId, ...] = ()
    held: tuple[HeldLogs, ...] | None = None
    features: FeatureRange = SUPPORTED
    """The feature levels that this start of it knows; refused unless the one in force is among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceBroker:
    """A broker is not to be reckoned with any more: it leads nothing and is in no ISR, though perhaps still eligible.

    `silent`: its heartbeats stopped; else its connection was closed and it answered nobody.
    """

    node_id: NodeId
    epoch: BrokerEpoch
    silent: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfenceBroker:
    """A broker has caught up with the metadata log: it takes the leaderless partitions that it may lead."""

    node_id: NodeId
    epoch: BrokerEpoch


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginControlledShutdown:
    """A broker wants to stop: as when it is fenced, its leaderships move, but it goes on serving as a follower."""

    node_id: NodeId
    epoch: BrokerEpoch


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTopic:
    """`partitions[i]` are the replicas of partition i, the preferred leader first. All active ones form the first ISR."""

    name: str
    topic_id: TopicId
    partitions: tuple[tuple[NodeId, ...], ...]
    configs: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTopic:
    topic_id: TopicId


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePartition:
    """Compare and set of one partition: refused unless `partition_epoch` is the one in force.

    `isr` None keeps the ISR. A member with a broker epoch other than the registered one is refused (KIP-903). `leader`
    None keeps the leader and its epoch; another one has to be a member of the ISR in force.
    """

    topic_id: TopicId
    partition: PartitionIndex
    partition_epoch: PartitionEpoch
    isr: tuple[IsrMember, ...] | None = None
    leader: NodeId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoseReplica:
    """The replica on `node_id` cannot be served, though its broker is well: it leaves the ISR. A damaged one is eligible no
    more, unless it is the last one that is, and whatever it has reported so far counts no more."""

    node_id: NodeId
    epoch: BrokerEpoch
    topic_id: TopicId
    partition: PartitionIndex
    damaged: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDefaults:
    """What holds for topics that do not say otherwise; a new controller makes the cluster agree on its own settings.

    Part of the image, so that a partition is judged by the same rules whoever the controller is. Leaderless partitions that
    may be led under the new rules are.
    """

    min_insync_replicas: int
    unclean_leader_election: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterTopicConfigs:
    """These configs of a topic are set to a value, or taken away (None), all or none."""

    topic_id: TopicId
    configs: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterBrokerConfigs:
    """The same for the dynamic configs of a registered broker; `image.ALL_BROKERS` for what holds where a broker has none."""

    node_id: NodeId
    configs: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterClientQuotas:
    """These quotas of an entity (`image.QuotaEntity`) are set to a value, or taken away (None), all or none."""

    user: str | None
    client_id: str | None
    quotas: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocateProducerIdBlock:
    """The producer ids from `start` on, `count` of them, are this broker's (KIP-730). Refused unless `start` is the next."""

    node_id: NodeId
    epoch: BrokerEpoch
    start: ProducerId
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReassignPartition:
    """The partition is to have these replicas, the preferred leader first; None: those from before the reassignment that is in
    progress. Refused unless `partition_epoch` is the one in force."""

    topic_id: TopicId
    partition: PartitionIndex
    partition_epoch: PartitionEpoch
    replicas: tuple[NodeId, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddPartitions:
    """The topic grows: `partitions[i]` are the replicas of partition `first` + i. Refused unless it has `first` partitions."""

    topic_id: TopicId
    first: int
    partitions: tuple[tuple[NodeId, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectUncleanLeader:
    """An operator would rather lose records than wait: whoever is there leads a partition that has no leader. Refused unless
    `partition_epoch` is the one in force."""

    topic_id: TopicId
    partition: PartitionIndex
    partition_epoch: PartitionEpoch


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFeatureLevel:
    """From this command on all that the level allows may be used. Refused unless `replaces` is in force and all brokers know it."""

    level: int
    replaces: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOffice:
    """A node is the controller from here on; `epoch` is the Raft term in which it leads, or a later number where it takes office
    again. Nothing depends on it: it is for those who look at /controller. Refused unless the epoch is a new one."""

    node_id: NodeId
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOffice:
    """A ZooKeeper client wants another controller, or this one to begin anew. Refused unless `epoch` is in force."""

    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeKafkaNodes:
    """A ZooKeeper client's operation on Kafka's nodes, and what it means.

    `stored`: the nodes are changed, and if they were, the effects follow, whatever comes of each. Else its nodes are rendered from the
    image: the effects, one at most, are all that there is to do, and the client is answered by what comes of them. `refused`, unless
    0, is the `ZkErrorCode` of an operation that means nothing, `refused_at` its place in a Multi. `rendered_at`, unless -1, is the
    place in a Multi of the one operation that is about a rendered node: all others are carried out together with its effect, or none is.
    """

    change: ChangeZnodes
    effects: tuple[Command, ...] = ()
    stored: bool = False
    refused: int = 0
    refused_at: int = 0
    rendered_at: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteTime:
    """When this entry was proposed, in milliseconds since the epoch, UTC: for what is remembered of the commands behind it.

    Wall clocks differ and go back; the time of the image does not.
    """

    time_ms: TimestampMs


Command = (
    NoteTime
    | InitializeCluster
    | SetFeatureLevel
    | RegisterBroker
    | FenceBroker
    | UnfenceBroker
    | BeginControlledShutdown
    | CreateTopic
    | DeleteTopic
    | ChangePartition
    | LoseReplica
    | SetDefaults
    | AlterTopicConfigs
    | AlterBrokerConfigs
    | AlterClientQuotas
    | AllocateProducerIdBlock
    | ReassignPartition
    | AddPartitions
    | ElectUncleanLeader
    | TakeOffice
    | LeaveOffice
    | ChangeKafkaNodes
    | ZnodeCommand
)


LEVELS: Final[Mapping[type[Any], int]] = {}
"""The feature level from which on a command may be used, where that is not the first: nodes below it do not know the command."""


def level_of(command: Command) -> int:
    return LEVELS.get(type(command), 1)


class UnknownCommandError(RaftKafkaError):
    """A command that this version does not know: the node has to be upgraded before it may go on."""


def encode(commands: Iterable[Command]) -> bytes:
    """The bytes of one Raft entry, whatever its size; about 50 for a ChangePartition."""
    return cbor.encode([_packed(command) for command in commands])


def encode_entries(commands: Iterable[Command], *, time_ms: TimestampMs | None = None) -> Iterator[bytes]:
    """The same in as many Raft entries as ENTRY_BYTES_MAX and ENTRY_COMMANDS_MAX ask for, in order, each with the time in front.

    Each command by itself leaves the image sound, so it does not matter where a list is cut. No command that `decide` lets
    pass is larger than an entry.
    """
    front = [] if time_ms is None else [cbor.encode(_packed(NoteTime(time_ms=time_ms)))]
    empty = sum(map(len, front))
    entry, size = [*front], empty
    for command in commands:
        item = cbor.encode(_packed(command))
        full = size + len(item) + _ARRAY_HEADER_BYTES > ENTRY_BYTES_MAX or len(entry) >= ENTRY_COMMANDS_MAX
        if full and len(entry) > len(front):
            yield _joined(entry)
            entry, size = [*front], empty
        entry.append(item)
        size += len(item)
    if len(entry) > len(front):
        yield _joined(entry)


_ARRAY_HEADER_BYTES: Final = 3


def _joined(items: list[bytes]) -> bytes:
    """A CBOR array of items that are encoded already (RFC 8949, 3: major type 4, a length of two bytes)."""
    return b"\x99" + len(items).to_bytes(2, "big") + b"".join(items)


def _packed(command: Command) -> tuple[object, ...]:
    return (*_TYPES[type(command)], *_PACKERS[type(command)](command))


def decode(entry: bytes | memoryview) -> tuple[Command, ...]:
    """The commands of one Raft entry.

    Raises:
        UnknownCommandError: a newer version wrote it.
        CorruptionError: not the bytes that any version writes.
    """
    try:
        items = cbor.decode(entry, size_max=_DECODED_BYTES_MAX)
        return tuple([_unpacked(item) for item in items])
    except (ProtocolError, ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
        raise CorruptionError(f"a metadata entry of {len(entry)} bytes is malformed: {error}") from error


def _unpacked(item: Any) -> Command:
    kind, version, *fields = item
    unpack = _UNPACKERS.get((_int(kind), _int(version)))
    if unpack is None:
        raise UnknownCommandError(f"metadata command type {kind} version {version} is unknown here: upgrade this node")
    return unpack(*fields)


def _typed(kind: type[Any], value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{kind.__name__} wanted, {type(value).__name__} found")
    return value


def _int(value: Any) -> Any:
    return _typed(int, value)


def _str(value: Any) -> Any:
    return _typed(str, value)


def _bytes(value: Any) -> Any:
    return _typed(bytes, value)


def _bool(value: Any) -> Any:
    return _typed(bool, value)


def _topic_id(value: Any) -> TopicId:
    if len(_bytes(value)) != 16:
        raise ValueError("a topic id has 16 bytes")
    return TopicId(value)


def _pack_register(each: RegisterBroker) -> tuple[object, ...]:
    listeners = [(endpoint.name, endpoint.host, endpoint.port) for endpoint in each.listeners]
    held = None if each.held is None else [(logs.topic_id, logs.partitions) for logs in each.held]
    return (
        each.node_id,
        each.incarnation_id,
        listeners,
        each.rack,
        each.replaces,
        each.previous_broker_epoch,
        each.logs_synced,
        each.directories,
        held,
        each.features.lowest,
        each.features.highest,
    )


def _unpack_register(*fields: Any) -> RegisterBroker:
    node_id, incarnation_id, listeners, rack, replaces, previous, logs_synced, directories, held, low, high = fields
    return RegisterBroker(
        features=FeatureRange(lowest=_int(low), highest=_int(high)),
        node_id=_int(node_id),
        incarnation_id=_bytes(incarnation_id),
        listeners=tuple(
            [ListenerEndpoint(name=_str(name), host=_str(host), port=_int(port)) for name, host, port in listeners]
        ),
        rack=None if rack is None else _str(rack),
        replaces=_int(replaces),
        previous_broker_epoch=_int(previous),
        logs_synced=_bool(logs_synced),
        directories=tuple([_bytes(each) for each in directories]),
        held=None
        if held is None
        else tuple(
            [
                HeldLogs(topic_id=_topic_id(topic_id), partitions=tuple([_int(each) for each in partitions]))
                for topic_id, partitions in held
            ]
        ),
    )


def _unpack_create(name: Any, topic_id: Any, partitions: Any, configs: Any) -> CreateTopic:
    return CreateTopic(
        name=_str(name),
        topic_id=_topic_id(topic_id),
        partitions=_replica_lists(partitions),
        configs={_str(key): _str(value) for key, value in _typed(dict, configs).items()},
    )


def _name(value: Any) -> str | None:
    return None if value is None else str(_str(value))


def _changes(configs: Any) -> dict[str, str | None]:
    return {_str(key): None if value is None else _str(value) for key, value in _typed(dict, configs).items()}


def _replica_lists(partitions: Any) -> tuple[tuple[NodeId, ...], ...]:
    return tuple([tuple([_int(node) for node in replicas]) for replicas in partitions])


def _pack_change(each: ChangePartition) -> tuple[object, ...]:
    isr = (
        None if each.isr is None else [field for member in each.isr for field in (member.node_id, member.broker_epoch)]
    )
    return each.topic_id, each.partition, each.partition_epoch, isr, each.leader


def _unpack_change(topic_id: Any, partition: Any, epoch: Any, isr: Any, leader: Any) -> ChangePartition:
    members = None
    if isr is not None:
        members = tuple(
            [
                IsrMember(node_id=_int(node), broker_epoch=_int(broker_epoch))
                for node, broker_epoch in zip(isr[::2], isr[1::2], strict=True)
            ]
        )
    return ChangePartition(
        topic_id=_topic_id(topic_id),
        partition=_int(partition),
        partition_epoch=_int(epoch),
        isr=members,
        leader=None if leader is None else _int(leader),
    )


def _pack_meaning(each: ChangeKafkaNodes) -> tuple[object, ...]:
    effects = [_packed(effect) for effect in each.effects]
    return (*pack_change(each.change), effects, each.stored, each.refused, each.refused_at, each.rendered_at)


def _unpack_meaning(*fields: Any) -> ChangeKafkaNodes:
    *change, effects, stored, refused, refused_at, rendered_at = fields
    return ChangeKafkaNodes(
        change=unpack_change(*change),
        effects=tuple([_unpacked(effect) for effect in effects]),
        stored=_bool(stored),
        refused=_int(refused),
        refused_at=_int(refused_at),
        rendered_at=_int(rendered_at),
    )


_TYPES: Final[Mapping[type[Command], tuple[int, int]]] = {
    InitializeCluster: (1, 1),
    RegisterBroker: (2, 1),
    FenceBroker: (3, 1),
    UnfenceBroker: (4, 1),
    BeginControlledShutdown: (5, 1),
    CreateTopic: (6, 1),
    DeleteTopic: (7, 1),
    ChangePartition: (8, 1),
    LoseReplica: (9, 1),
    SetDefaults: (10, 1),
    AllocateProducerIdBlock: (20, 1),
    ReassignPartition: (11, 1),
    AddPartitions: (12, 1),
    ElectUncleanLeader: (13, 1),
    SetFeatureLevel: (21, 1),
    TakeOffice: (22, 1),
    LeaveOffice: (23, 1),
    AlterTopicConfigs: (30, 1),
    AlterBrokerConfigs: (31, 1),
    NoteTime: (33, 1),
    AlterClientQuotas: (32, 1),
    CreateZkSession: (40, 1),
    MoveZkSession: (41, 1),
    EndZkSession: (42, 1),
    ChangeZnodes: (43, 1),
    ChangeKafkaNodes: (44, 1),
}

_PACKERS: Final[Mapping[type[Command], Callable[[Any], tuple[object, ...]]]] = {
    InitializeCluster: lambda each: (each.cluster_id, each.feature_level),
    RegisterBroker: _pack_register,
    FenceBroker: lambda each: (each.node_id, each.epoch, each.silent),
    UnfenceBroker: lambda each: (each.node_id, each.epoch),
    BeginControlledShutdown: lambda each: (each.node_id, each.epoch),
    CreateTopic: lambda each: (each.name, each.topic_id, each.partitions, dict(each.configs)),
    DeleteTopic: lambda each: (each.topic_id,),
    ChangePartition: _pack_change,
    LoseReplica: lambda each: (each.node_id, each.epoch, each.topic_id, each.partition, each.damaged),
    SetFeatureLevel: lambda each: (each.level, each.replaces),
    SetDefaults: lambda each: (each.min_insync_replicas, each.unclean_leader_election),
    AlterTopicConfigs: lambda each: (each.topic_id, dict(each.configs)),
    NoteTime: lambda each: (each.time_ms,),
    AlterBrokerConfigs: lambda each: (each.node_id, dict(each.configs)),
    AlterClientQuotas: lambda each: (each.user, each.client_id, dict(each.quotas)),
    AllocateProducerIdBlock: lambda each: (each.node_id, each.epoch, each.start, each.count),
    ReassignPartition: lambda each: (each.topic_id, each.partition, each.partition_epoch, each.replicas),
    AddPartitions: lambda each: (each.topic_id, each.first, each.partitions),
    ElectUncleanLeader: lambda each: (each.topic_id, each.partition, each.partition_epoch),
    TakeOffice: lambda each: (each.node_id, each.epoch),
    LeaveOffice: lambda each: (each.epoch,),
    CreateZkSession: lambda each: (each.session_id, each.password, each.timeout_ms, each.node_id),
    MoveZkSession: lambda each: (each.session_id, each.password, each.timeout_ms, each.node_id),
    EndZkSession: lambda each: (each.session_id, each.attached),
    ChangeZnodes: pack_change,
    ChangeKafkaNodes: _pack_meaning,
}

_UNPACKERS: Final[Mapping[tuple[int, int], Callable[..., Command]]] = {
    (1, 1): lambda cluster_id, level: InitializeCluster(cluster_id=_str(cluster_id), feature_level=_int(level)),
    (2, 1): _unpack_register,
    (3, 1): lambda node, epoch, silent: FenceBroker(node_id=_int(node), epoch=_int(epoch), silent=_bool(silent)),
    (4, 1): lambda node, epoch: UnfenceBroker(node_id=_int(node), epoch=_int(epoch)),
    (5, 1): lambda node, epoch: BeginControlledShutdown(node_id=_int(node), epoch=_int(epoch)),
    (6, 1): _unpack_create,
    (7, 1): lambda topic_id: DeleteTopic(topic_id=_topic_id(topic_id)),
    (8, 1): _unpack_change,
    (9, 1): lambda node, epoch, topic_id, partition, damaged: LoseReplica(
        node_id=_int(node),
        epoch=_int(epoch),
        topic_id=_topic_id(topic_id),
        partition=_int(partition),
        damaged=_bool(damaged),
    ),
    (21, 1): lambda level, replaces: SetFeatureLevel(level=_int(level), replaces=_int(replaces)),
    (10, 1): lambda least, unclean: SetDefaults(
        min_insync_replicas=_int(least), unclean_leader_election=_bool(unclean)
    ),
    (30, 1): lambda topic_id, configs: AlterTopicConfigs(topic_id=_topic_id(topic_id), configs=_changes(configs)),
    (31, 1): lambda node, configs: AlterBrokerConfigs(node_id=_int(node), configs=_changes(configs)),
    (32, 1): lambda user, client_id, quotas: AlterClientQuotas(
        user=_name(user),
        client_id=_name(client_id),
        quotas={_str(key): None if value is None else _typed(float, value) for key, value in quotas.items()},
    ),
    (33, 1): lambda time_ms: NoteTime(time_ms=_int(time_ms)),
    (20, 1): lambda node, epoch, start, count: AllocateProducerIdBlock(
        node_id=_int(node), epoch=_int(epoch), start=_int(start), count=_int(count)
    ),
    (11, 1): lambda topic_id, partition, epoch, replicas: ReassignPartition(
        topic_id=_topic_id(topic_id),
        partition=_int(partition),
        partition_epoch=_int(epoch),
        replicas=None if replicas is None else tuple([_int(node) for node in replicas]),
    ),
    (12, 1): lambda topic_id, first, partitions: AddPartitions(
        topic_id=_topic_id(topic_id), first=_int(first), partitions=_replica_lists(partitions)
    ),
    (13, 1): lambda topic_id, partition, epoch: ElectUncleanLeader(
        topic_id=_topic_id(topic_id), partition=_int(partition), partition_epoch=_int(epoch)
    ),
    (22, 1): lambda node, epoch: TakeOffice(node_id=_int(node), epoch=_int(epoch)),
    (23, 1): lambda epoch: LeaveOffice(epoch=_int(epoch)),
    (40, 1): lambda *fields: unpack_session(CreateZkSession, *fields),
    (41, 1): lambda *fields: unpack_session(MoveZkSession, *fields),
    (42, 1): lambda session_id, attached: EndZkSession(session_id=session_of(session_id), attached=_int(attached)),
    (43, 1): unpack_change,
    (44, 1): _unpack_meaning,
}
