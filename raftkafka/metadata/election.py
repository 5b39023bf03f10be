"""Who leads a partition: the ISR in replica order, else the eligible leader replicas, else nobody.

Floor 1, pure. A replica outside both sets may lack committed records (I1); it is elected only where
`unclean.leader.election.enable` says that being available is worth more. Every change of the leader bumps leader epoch and
partition epoch, every other change the partition epoch only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from raftkafka.metadata.image import Partition
from raftkafka.model.ids import NO_NODE, LeaderEpoch, NodeId, PartitionEpoch

UNCLEAN_CONFIG: Final = "unclean.leader.election.enable"

IsActive = Callable[[NodeId], bool]


def allows_unclean(configs: Mapping[str, str], default: bool) -> bool:
    """The topic's own config goes before the cluster's default."""
    own = configs.get(UNCLEAN_CONFIG)
    return default if own is None else own == "true"


def choose_leader(partition: Partition, is_active: IsActive) -> NodeId:
    """The clean choice: the first active replica, in order of preference, of the ISR, else of the ELR, else NO_NODE."""
    for eligible in (partition.isr, partition.elr):
        for replica in partition.replicas:
            if replica in eligible and is_active(replica):
                return replica
    return NO_NODE


def changed(
    partition: Partition, *, isr: tuple[NodeId, ...], leader: NodeId, elr: tuple[NodeId, ...] = ()
) -> Partition:
    """The partition with this ISR and leader, its epochs bumped as the rule says; the same object where nothing differs."""
    moved = leader != partition.leader
    if not moved and isr == partition.isr and elr == partition.elr:
        return partition
    return replace(
        partition,
        isr=isr,
        elr=elr,
        leader=leader,
        last_known_leader=leader if leader != NO_NODE else partition.last_known_leader,
        leader_epoch=LeaderEpoch(partition.leader_epoch + moved),
        partition_epoch=PartitionEpoch(partition.partition_epoch + 1),
    )


def elected(partition: Partition, is_active: IsActive, *, unclean: bool) -> Partition:
    """A leaderless partition with the leader that it may have; with none, and one that has a leader, as it was."""
    if partition.leader != NO_NODE:
        return partition
    leader = choose_leader(partition, is_active)
    if leader in partition.isr:
        return changed(partition, isr=partition.isr, leader=leader, elr=partition.elr)
    if leader == NO_NODE and unclean:
        leader = next((replica for replica in partition.replicas if is_active(replica)), NO_NODE)
    if leader == NO_NODE:
        return partition
    # The new leader's log is the truth from here on: whoever else was in the ISR has to truncate to it and catch up.
    return changed(partition, isr=(leader,), leader=leader)


def without(partition: Partition, node_id: NodeId, is_active: IsActive, *, unclean: bool) -> Partition:
    """The partition after `node_id`, which is not active any more, has left its ISR and its leadership.

    The last member stays in the ISR, because nobody else is known to hold the committed records; then nobody leads.
    """
    if node_id not in partition.isr:
        return partition
    isr = tuple([each for each in partition.isr if each != node_id]) or partition.isr
    if partition.leader != node_id:
        return changed(partition, isr=isr, leader=partition.leader, elr=partition.elr)
    leaderless = replace(partition, isr=isr, leader=NO_NODE)
    after = elected(leaderless, is_active, unclean=unclean)
    return changed(partition, isr=after.isr, leader=after.leader, elr=after.elr)
