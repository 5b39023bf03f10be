"""What is remembered of a partition: the last changes of its leader and of its ISR, each with its cause.

Floor 1, pure. Part of the image, so that it outlives every node and is the same on all of them; its times are those of the entries,
which the controller's clock gives. Bounded per partition, and more tightly in a cluster of many partitions, because every one of them is
in memory and in each snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from raftkafka.metadata.commands import (
    AddPartitions,
    AlterBrokerConfigs,
    AlterTopicConfigs,
    BeginControlledShutdown,
    ChangePartition,
    Command,
    CreateTopic,
    ElectUncleanLeader,
    FenceBroker,
    LoseReplica,
    ReassignPartition,
    RegisterBroker,
    SetDefaults,
    UnfenceBroker,
)
from raftkafka.metadata.image import Event, Partition, Stamp
from raftkafka.model.api.history import PartitionCause
from raftkafka.model.ids import NO_NODE, NodeId

EVENTS_MAX: Final = 8
"""Of one partition."""
MANY_PARTITIONS: Final = 10_000
EVENTS_OF_MANY_MAX: Final = 2
"""Of one partition, in a cluster with more than `MANY_PARTITIONS`."""

_Cause = tuple[int, NodeId]
_UNKNOWN: Final[_Cause] = (PartitionCause.UNKNOWN.value, NO_NODE)

_CAUSES: Final[Mapping[type[Command], Callable[[Any, Partition | None], _Cause]]] = {
    CreateTopic: lambda _, __: (PartitionCause.CREATED, NO_NODE),
    AddPartitions: lambda _, __: (PartitionCause.CREATED, NO_NODE),
    FenceBroker: lambda each, _: (
        PartitionCause.BROKER_SILENT if each.silent else PartitionCause.BROKER_UNREACHABLE,
        each.node_id,
    ),
    UnfenceBroker: lambda each, _: (PartitionCause.BROKER_BACK, each.node_id),
    BeginControlledShutdown: lambda each, _: (PartitionCause.BROKER_SHUTS_DOWN, each.node_id),
    RegisterBroker: lambda each, _: (PartitionCause.BROKER_RESTARTED, each.node_id),
    ChangePartition: lambda each, before: (
        (PartitionCause.LEADER_REPORTED, NO_NODE if before is None else before.leader)
        if each.leader is None
        else (PartitionCause.PREFERRED_ELECTION, each.leader)
    ),
    ElectUncleanLeader: lambda _, __: (PartitionCause.UNCLEAN_ELECTION, NO_NODE),
    LoseReplica: lambda each, _: (
        PartitionCause.REPLICA_DAMAGED if each.damaged else PartitionCause.REPLICA_OFFLINE,
        each.node_id,
    ),
    ReassignPartition: lambda _, __: (PartitionCause.REASSIGNMENT, NO_NODE),
    SetDefaults: lambda _, __: (PartitionCause.CONFIGS, NO_NODE),
    AlterTopicConfigs: lambda _, __: (PartitionCause.CONFIGS, NO_NODE),
    AlterBrokerConfigs: lambda _, __: (PartitionCause.CONFIGS, NO_NODE),
}


def is_worth_remembering(before: Partition, after: Partition) -> bool:
    """Other fields move as well (eligible replicas, a reassignment on its way) without a change that anybody sees."""
    return (before.leader, before.leader_epoch, before.isr) != (after.leader, after.leader_epoch, after.isr)


def event_of(
    before: Partition | None, after: Partition, *, command: Command | None, stamp: Stamp, controller_epoch: int
) -> Event:
    """What the command has made of a partition."""
    cause_of = None if command is None else _CAUSES.get(type(command))
    cause, node_id = _UNKNOWN if cause_of is None else cause_of(command, before)
    return Event(
        stamp.time_ms, cause, node_id, after.leader, after.leader_epoch, after.isr, stamp.zxid, controller_epoch
    )


def remembered(history: tuple[Event, ...], event: Event, room: int) -> tuple[Event, ...]:
    """The history with one more event, at most `room` events long.

    Of the changes of the ISR in the present leadership the newest fill half of the room and no more, so that a follower that comes and
    goes leaves the leaderships remembered.
    """
    if len(history) < room:
        return (*history, event)
    known = history[-room:]
    half = room // 2
    # The last `half` events and the new one are of one leadership, so all of these are changes of its ISR.
    flaps = known[-half - 1].leader_epoch == known[-1].leader_epoch == event.leader_epoch
    gone = room - half if flaps else 0
    return (*known[:gone], *known[gone + 1 :], event)


def room_for(partitions: int) -> int:
    """How many events each of so many partitions may have."""
    return EVENTS_MAX if partitions <= MANY_PARTITIONS else EVENTS_OF_MANY_MAX
