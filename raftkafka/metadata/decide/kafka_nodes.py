"""What a ZooKeeper client means by writing to Kafka's nodes: commands of the metadata.

Floor 1, pure. As in the ZooKeeper era tools create topics, partitions, configs, reassignments and elections by writing nodes; here the
write becomes what it stands for, by the same decisions as the requests of other clients. What Kafka's controller would have to put
right afterwards is refused at once, with ZooKeeper's errors, and leaves nothing behind. Formats and rules: Kafka 2.4 `AdminZkClient`,
`KafkaController`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from raftkafka.metadata import reassignment
from raftkafka.metadata.commands import (
    AlterBrokerConfigs,
    AlterClientQuotas,
    AlterTopicConfigs,
    ChangeKafkaNodes,
    Command,
    DeleteTopic,
    LeaveOffice,
    ReassignPartition,
)
from raftkafka.metadata.configs import why_not_for_broker, why_not_for_topic
from raftkafka.metadata.decide.elections import decide_elect_leaders
from raftkafka.metadata.decide.new_partitions import decide_create_partitions
from raftkafka.metadata.decide.reassignments import decide_reassign
from raftkafka.metadata.decide.topics import decide_create_topics
from raftkafka.metadata.image import ALL_BROKERS, NO_NAME, Image, Partition, QuotaEntity
from raftkafka.metadata.placement import RandomSource
from raftkafka.metadata.quotas import KEYS, why_not_value
from raftkafka.metadata.znodes import formats, permissions, view
from raftkafka.metadata.znodes.apply import NOWHERE, as_zookeepers
from raftkafka.metadata.znodes.commands import ChangeZnodes
from raftkafka.model.api.elections import ElectionType, ElectLeaders, TopicToElect
from raftkafka.model.api.partitions import CreatePartitions, CreatePartitionsResponse, NewPartitions
from raftkafka.model.api.reassignments import AlterPartitionReassignments, ReassignablePartition, ReassignableTopic
from raftkafka.model.api.topics import CreateTopics, CreateTopicsResponse, NewTopic
from raftkafka.model.ids import NodeId, PartitionIndex, TopicId
from raftkafka.model.topics import why_illegal
from raftkafka.model.zookeeper import acl as permission
from raftkafka.model.zookeeper import paths
from raftkafka.model.zookeeper.acl import Identity
from raftkafka.model.zookeeper.errors import ZkError, ZkErrorCode
from raftkafka.model.zookeeper.modes import CreateMode
from raftkafka.model.zookeeper.ops import ANY_VERSION, Check, Create, Delete, Multi, SetAcl, SetData, SingleOp

REASSIGN: Final = "/admin/reassign_partitions"
ELECT: Final = "/admin/preferred_replica_election"
DELETE_TOPICS: Final = "/admin/delete_topics"
_KAFKAS: Final = ("/admin/", "/brokers/", "/config/", "/controller/", "/controller_epoch/", "/cluster/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What decisions about topics need beside the image."""

    delete_topic_enable: bool
    new_topic_id: Callable[[], TopicId]
    random: RandomSource


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meaning:
    """As in `ChangeKafkaNodes`."""

    effects: tuple[Command, ...] = ()
    stored: bool = False


def meant(image: Image, change: ChangeZnodes, rules: Rules) -> ChangeZnodes | ChangeKafkaNodes:
    """The command for what a client wants: its own operation, unless that is about Kafka's nodes."""
    operation = change.operation
    singles = operation.operations if isinstance(operation, Multi) else (operation,)
    effects: list[Command] = []
    rendered_at = NOWHERE
    for at, single in enumerate(singles):
        try:
            meaning = _meaning(image, single, rules, change.identities)
            if meaning is None:
                continue
            if not meaning.stored:
                if not isinstance(operation, Multi):
                    return ChangeKafkaNodes(change=change, effects=meaning.effects)
                if isinstance(single, Check):
                    continue  # looked at again when it is applied
                _check_alone(operation, at)
                rendered_at = at
            effects += meaning.effects
        except ZkError as refusal:
            return ChangeKafkaNodes(change=change, refused=refusal.code, refused_at=at)
    if rendered_at != NOWHERE:
        return ChangeKafkaNodes(change=change, effects=tuple(effects), rendered_at=rendered_at)
    return ChangeKafkaNodes(change=change, effects=tuple(effects), stored=True) if effects else change


def _check_alone(operation: Multi, at: int) -> None:
    """Commands of the metadata are not undone: one can be all or nothing together with changes of the tree, two can not.

    And what a tool means by a node of Kafka is worked out from how things were before the transaction.
    """
    for other, single in enumerate(operation.operations):
        if other != at and not isinstance(single, Check) and (single.path + "/").startswith(_KAFKAS):
            raise ZkError(ZkErrorCode.NOAUTH, f"{operation.operations[at].path} and {single.path} in one transaction")


def _meaning(image: Image, operation: SingleOp, rules: Rules, who: tuple[Identity, ...]) -> _Meaning | None:
    """None for an operation that is about nothing but the tree; raises ZkError for one that may not be."""
    path = operation.path
    directory, name = paths.parent(path), paths.name(path)
    if isinstance(operation, SetAcl | Check):
        return _look(image, operation, who)
    if directory == view.TOPICS:
        return _topic(image, operation, name, rules, who)
    own = ("/brokers/ids/", "/brokers/topics/", "/cluster/", "/latest_producer_id_block")
    if path.startswith(own) or path == "/controller_epoch":
        raise _not_yours(image, operation)
    if path == view.CONTROLLER:
        if isinstance(operation, Delete):
            # Runbooks of old delete it to have another controller elected, which may be the same one.
            _check_permission(image, directory, permission.DELETE, who)
            _check_version(image, path, operation.version)
            return _Meaning(effects=(LeaveOffice(epoch=image.controller_epoch),))
        raise _not_yours(image, operation)
    if directory == view.TOPIC_CONFIGS:
        return _topic_configs(image, operation, name, who)
    if directory == "/config/brokers":
        return _broker_configs(image, operation, name, who)
    if path.startswith(("/config/users/", "/config/clients/")):
        return _quotas(image, operation)
    if path == REASSIGN:
        return _reassignment(image, operation)
    if path == ELECT and isinstance(operation, Create) and image.znodes.get(path) is None:
        return _Meaning(effects=_elections(image, formats.parsed_election(operation.data)), stored=True)
    if directory == DELETE_TOPICS and isinstance(operation, Create) and image.znodes.get(path) is None:
        topic = image.topic_by_name(name)
        if topic is not None and rules.delete_topic_enable:
            return _Meaning(effects=(DeleteTopic(topic_id=topic.topic_id),), stored=True)
    return None


def _look(image: Image, operation: SetAcl | Check, who: tuple[Identity, ...]) -> _Meaning | None:
    """Of a rendered node the access control list is that of its directory, which can be set again; its version can be checked."""
    path = operation.path
    found = None if image.znodes.get(path) is not None else view.find(image, path)
    if found is None:
        return None
    if isinstance(operation, SetAcl):
        wanted = permissions.granted(operation.acl, who, path)
        permissions.check(found.acl, permission.ADMIN, who, path)
        if operation.version not in (ANY_VERSION, found.stat.aversion):
            raise ZkError(ZkErrorCode.BADVERSION, path)
        if wanted != found.acl:
            raise ZkError(ZkErrorCode.NOAUTH, f"{path} has the access control list of its directory")
    else:
        permissions.check(found.acl, permission.READ, who, path)
        _check_version(image, path, operation.version)
    return _Meaning()


def _topic(
    image: Image, operation: Create | Delete | SetData, name: str, rules: Rules, who: tuple[Identity, ...]
) -> _Meaning:
    topic = image.topic_by_name(name)
    if isinstance(operation, Create):
        _check_permission(image, view.TOPICS, permission.CREATE, who)
        _check_persistent(operation)
        if topic is not None:
            raise ZkError(ZkErrorCode.NODEEXISTS, operation.path)
        return _Meaning(effects=_new_topic(image, name, operation.data, rules))
    _check_version(image, operation.path, operation.version)
    _check_permission(image, operation.path, permission.WRITE, who)
    if isinstance(operation, Delete) or topic is None:
        raise ZkError(ZkErrorCode.NOTEMPTY, operation.path)
    wanted = formats.parsed_topic(operation.data)
    for partition in topic.partitions:
        if wanted.pop(partition.index, None) != partition.replicas:
            raise ZkError(ZkErrorCode.BADARGUMENTS, f"{operation.path}: partition {partition.index} is another one")
    if not wanted:
        return _Meaning()
    there = len(topic.partitions)
    if list(wanted) != list(range(there, there + len(wanted))):
        raise ZkError(ZkErrorCode.BADARGUMENTS, f"{operation.path}: partitions are numbered without gaps")
    new = NewPartitions(name=name, count=there + len(wanted), assignments=tuple(wanted.values()))
    decision = decide_create_partitions(image, CreatePartitions(topics=(new,)), random=rules.random)
    answer = decision.respond(image)
    if not decision.commands and isinstance(answer, CreatePartitionsResponse):
        raise ZkError(ZkErrorCode(as_zookeepers(answer.topics[0].error_code)), answer.topics[0].error_message or "")
    return _Meaning(effects=decision.commands)


def _new_topic(image: Image, name: str, data: bytes | None, rules: Rules) -> tuple[Command, ...]:
    """With the configs that a tool has written before, as kafka-topics and CMAK do."""
    held = image.znodes.get(f"{view.TOPIC_CONFIGS}/{name}")
    configs = {} if held is None else formats.parsed_configs(held.data)
    new = NewTopic(
        name=name,
        assignments=tuple(formats.parsed_topic(data).items()),
        configs=tuple(configs.items()),
    )
    decision = decide_create_topics(
        image,
        CreateTopics(topics=(new,)),
        default_partitions=1,
        default_replication_factor=1,
        new_topic_id=rules.new_topic_id,
        random=rules.random,
    )
    answer = decision.respond(image)
    if not decision.commands and isinstance(answer, CreateTopicsResponse):
        raise ZkError(ZkErrorCode(as_zookeepers(answer.topics[0].error_code)), answer.topics[0].error_message or "")
    return decision.commands


def _topic_configs(
    image: Image, operation: Create | Delete | SetData, name: str, who: tuple[Identity, ...]
) -> _Meaning | None:
    topic = image.topic_by_name(name)
    if topic is None:
        if not isinstance(operation, Delete):
            if isinstance(operation, Create):
                _check_persistent(operation)
            _check_configs(why_illegal(name) or why_not_for_topic(formats.parsed_configs(operation.data)))
        return None
    if not isinstance(operation, SetData):
        raise _not_yours(image, operation)
    _check_permission(image, operation.path, permission.WRITE, who)
    _check_version(image, operation.path, operation.version)
    wanted = formats.parsed_configs(operation.data)
    _check_configs(why_not_for_topic(wanted))
    changes = _changes(topic.configs, wanted)
    return _Meaning(effects=(AlterTopicConfigs(topic_id=topic.topic_id, configs=changes),) if changes else ())


def _broker_configs(
    image: Image, operation: Create | Delete | SetData, name: str, who: tuple[Identity, ...]
) -> _Meaning:
    if isinstance(operation, Delete):
        raise _not_yours(image, operation)
    if isinstance(operation, Create):
        _check_permission(image, paths.parent(operation.path), permission.CREATE, who)
        _check_persistent(operation)
        if image.znodes.get(operation.path) is not None:
            raise ZkError(ZkErrorCode.NODEEXISTS, operation.path)
    else:
        _check_permission(image, operation.path, permission.WRITE, who)
        _check_version(image, operation.path, operation.version)
    node_id = ALL_BROKERS
    if name != formats.DEFAULT:
        if not (name.isascii() and name.isdigit() and len(name) <= 10) or str(int(name)) != name:
            raise ZkError(ZkErrorCode.BADARGUMENTS, f"{operation.path}: {name!r} is no broker")
        node_id = NodeId(int(name))
        if node_id not in image.brokers:
            raise ZkError(ZkErrorCode.BADARGUMENTS, f"{operation.path}: no broker {name} is registered")
    wanted = formats.parsed_configs(operation.data)
    _check_configs(why_not_for_broker(wanted, node_id))
    before = image.broker_configs.get(node_id, {})
    return _Meaning(effects=(AlterBrokerConfigs(node_id=node_id, configs=_changes(before, wanted)),))


def _quotas(image: Image, operation: Create | Delete | SetData) -> _Meaning | None:
    """What else stands in these nodes (credentials) is stored; rates are the quotas of an entity."""
    entity = _entity(operation.path)
    if entity is None:
        return None
    if isinstance(operation, Delete):
        wanted: dict[str, float] = {}
        if image.znodes.get(operation.path) is None:
            return None
    else:
        configs = formats.parsed_configs(operation.data)
        wanted = {key: _rate(key, value) for key, value in configs.items() if key in KEYS}
    before = image.client_quotas.get(entity, {})
    changes: dict[str, float | None] = {key: None for key in before if key not in wanted}
    changes.update({key: value for key, value in wanted.items() if before.get(key) != value})
    if not changes:
        return None
    return _Meaning(
        effects=(AlterClientQuotas(user=entity.user, client_id=entity.client_id, quotas=changes),), stored=True
    )


def _entity(path: str) -> QuotaEntity | None:
    match path.split("/")[2:]:
        case ["users", user]:
            return QuotaEntity(formats.unsanitized(user), NO_NAME)
        case ["clients", client_id]:
            return QuotaEntity(NO_NAME, formats.unsanitized(client_id))
        case ["users", user, "clients", client_id]:
            return QuotaEntity(formats.unsanitized(user), formats.unsanitized(client_id))
    return None


def _rate(key: str, text: str) -> float:
    try:
        rate = float(text)
    except ValueError as error:
        raise ZkError(ZkErrorCode.BADARGUMENTS, f"{key} is no number: {text}") from error
    _check_configs(why_not_value(key, rate))
    return rate


def _reassignment(image: Image, operation: Create | Delete | SetData) -> _Meaning | None:
    node = image.znodes.get(operation.path)
    if isinstance(operation, Create) != (node is None):
        return None
    if isinstance(operation, Delete):
        assert node is not None
        if operation.version not in (ANY_VERSION, node.version):
            return None
        return _Meaning(effects=tuple(_cancellations(image, node.data)), stored=True)
    wanted = formats.parsed_reassignment(operation.data)
    topics: dict[str, list[ReassignablePartition]] = {}
    for (name, index), replicas in wanted.items():
        topics.setdefault(name, []).append(ReassignablePartition(partition=PartitionIndex(index), replicas=replicas))
    request = AlterPartitionReassignments(
        topics=tuple([ReassignableTopic(name=name, partitions=tuple(each)) for name, each in topics.items()])
    )
    return _Meaning(effects=decide_reassign(image, request).commands, stored=True)


def _cancellations(image: Image, data: bytes | None) -> Iterable[ReassignPartition]:
    for name, partition in unfinished(image, data):
        topic = image.topic_by_name(name)
        if topic is not None:
            yield ReassignPartition(
                topic_id=topic.topic_id,
                partition=partition.index,
                partition_epoch=partition.partition_epoch,
                replicas=None,
            )


def unfinished(image: Image, data: bytes | None) -> list[tuple[str, Partition]]:
    """The partitions that are on their way to where the node's data wants them; none for data that nobody can read."""
    try:
        wanted = formats.parsed_reassignment(data)
    except ZkError:
        return []
    found = []
    for (name, index), replicas in wanted.items():
        topic = image.topic_by_name(name)
        partition = None if topic is None else topic.partition(index)
        if partition is not None and reassignment.in_progress(partition) and reassignment.target(partition) == replicas:
            found.append((name, partition))
    return found


def _elections(image: Image, wanted: Iterable[tuple[str, int]]) -> tuple[Command, ...]:
    topics: dict[str, list[PartitionIndex]] = {}
    for name, index in wanted:
        topics.setdefault(name, []).append(PartitionIndex(index))
    request = ElectLeaders(
        election_type=ElectionType.PREFERRED,
        topics=tuple([TopicToElect(name=name, partitions=tuple(each)) for name, each in topics.items()]),
    )
    return decide_elect_leaders(image, request).commands


def _changes(before: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str | None]:
    gone: dict[str, str | None] = {key: None for key in before if key not in wanted}
    return gone | {key: value for key, value in wanted.items() if before.get(key) != value}


def _check_configs(wrong: str | None) -> None:
    if wrong is not None:
        raise ZkError(ZkErrorCode.BADARGUMENTS, wrong)


def _check_persistent(operation: Create) -> None:
    if operation.mode is not CreateMode.PERSISTENT or operation.ttl_ms >= 0:
        raise ZkError(ZkErrorCode.BADARGUMENTS, f"{operation.path}: Kafka's nodes do not go by themselves")


def _check_permission(image: Image, path: str, needed: int, who: tuple[Identity, ...]) -> None:
    """Raises ZkError: NOAUTH. A node that is not there is somebody else's to refuse."""
    found = view.find(image, path)
    if found is not None:
        permissions.check(found.acl, needed, who, path)


def _check_version(image: Image, path: str, expected: int) -> None:
    found = view.find(image, path)
    if found is None:
        raise ZkError(ZkErrorCode.NONODE, path)
    if expected not in (ANY_VERSION, found.stat.version):
        raise ZkError(ZkErrorCode.BADVERSION, f"{path} has version {found.stat.version}, not {expected}")


def _not_yours(image: Image, operation: Create | Delete | SetData) -> ZkError:
    """The error of who wants to write what only the cluster writes; ZooKeeper's own errors come first."""
    path = operation.path
    found = view.find(image, path)
    if isinstance(operation, Create):
        if view.find(image, paths.parent(path)) is None:
            return ZkError(ZkErrorCode.NONODE, path)
        return ZkError(ZkErrorCode.NOAUTH if found is None else ZkErrorCode.NODEEXISTS, path)
    if found is None:
        return ZkError(ZkErrorCode.NONODE, path)
    if operation.version not in (ANY_VERSION, found.stat.version):
        return ZkError(ZkErrorCode.BADVERSION, path)
    if isinstance(operation, Delete) and found.stat.num_children:
        return ZkError(ZkErrorCode.NOTEMPTY, path)
    return ZkError(ZkErrorCode.NOAUTH, path)
