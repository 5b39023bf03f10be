"""What Kafka's brokers themselves write into ZooKeeper and what changes rarely: written into the tree when the image changes.

Floor 1, pure, total. The image says what is true; these nodes follow it within the same entry, so that they have the versions, times and
events that a ZooKeeper client expects. Paths and formats are those of `kafka.zk.ZkData` (2.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from raftkafka.metadata.image import ALL_BROKERS, NO_NAME, QuotaEntity
from raftkafka.metadata.znodes import formats
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NodeId, RaftIndex
from raftkafka.model.zookeeper.errors import ZkError

if TYPE_CHECKING:
    from raftkafka.metadata.commands import LeaveOffice, TakeOffice
    from raftkafka.metadata.draft import Draft

CLUSTER_ID: Final = "/cluster/id"
CONTROLLER: Final = "/controller"
CONTROLLER_EPOCH: Final = "/controller_epoch"
PRODUCER_IDS: Final = "/latest_producer_id_block"
BROKER_CONFIGS: Final = "/config/brokers"


def take_office(draft: Draft, index: RaftIndex, command: TakeOffice) -> ErrorCode:
    """A node has begun to lead Raft: refused when one of a later term has said so already."""
    if command.epoch <= draft.controller_epoch:
        return ErrorCode.INVALID_UPDATE_VERSION
    draft.controller_epoch = command.epoch
    tree, now = draft.znodes, draft.time_ms
    before = tree.get(CONTROLLER)
    if before is not None:
        tree.delete(CONTROLLER, before, index)
    tree.write(CONTROLLER, formats.controller(command.node_id, now), index, now)
    tree.write(CONTROLLER_EPOCH, str(command.epoch).encode(), index, now)
    return ErrorCode.NONE


def leave_office(draft: Draft, index: RaftIndex, command: LeaveOffice) -> ErrorCode:
    """Nobody is the controller, until somebody takes office again."""
    node = draft.znodes.get(CONTROLLER)
    if node is None or command.epoch != draft.controller_epoch:
        return ErrorCode.INVALID_UPDATE_VERSION
    draft.znodes.delete(CONTROLLER, node, index)
    return ErrorCode.NONE


def named(draft: Draft, cluster_id: str) -> None:
    """The cluster has got its id."""
    draft.znodes.write(CLUSTER_ID, formats.cluster_id(cluster_id), draft.index, draft.time_ms)


def producer_ids_given(draft: Draft, node_id: NodeId, first: int, count: int) -> None:
    """A broker has got the next block of producer ids."""
    draft.znodes.write(PRODUCER_IDS, formats.producer_ids(node_id, first, count), draft.index, draft.time_ms)


def broker_configured(draft: Draft, node_id: NodeId, configs: Mapping[str, str]) -> None:
    """A broker, or all of them, have these dynamic configs now."""
    draft.znodes.write(broker_configs_path(node_id), formats.configs(configs), draft.index, draft.time_ms)


def broker_configs_path(node_id: NodeId) -> str:
    return f"{BROKER_CONFIGS}/{formats.DEFAULT if node_id == ALL_BROKERS else node_id}"


def quotas_set(draft: Draft, entity: QuotaEntity, before: Mapping[str, float], after: Mapping[str, float]) -> None:
    """These are the quotas of an entity now. What else stands in its node, credentials of SCRAM for one, stays."""
    path = quotas_path(entity)
    node = draft.znodes.get(path)
    try:
        known = {} if node is None else formats.parsed_configs(node.data)
    except ZkError:
        known = {}
    configs = {key: value for key, value in known.items() if key not in before}
    configs.update((key, quota_text(value)) for key, value in after.items())
    same = known.keys() == configs.keys() and all(_same(known[key], configs[key]) for key in configs)
    if node is None or not same:
        draft.znodes.write(path, formats.configs(configs), draft.index, draft.time_ms)


def quotas_path(entity: QuotaEntity) -> str:
    """Where Kafka keeps the quotas of an entity."""
    if entity.user is NO_NAME:
        return f"/config/clients/{formats.sanitized(entity.client_id or '')}"
    user = f"/config/users/{formats.sanitized(entity.user)}"
    return user if entity.client_id is NO_NAME else f"{user}/clients/{formats.sanitized(entity.client_id)}"


def quota_text(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _same(one: str, other: str) -> bool:
    """Whether two texts say the same: a tool may write 1024.0 where 1024 is written here."""
    if one == other:
        return True
    try:
        return float(one) == float(other)
    except ValueError:
        return False
