"""Who leads a partition: the ISR in replica order, else the eligible leader replicas, else nobody.

Floor 1, pure. A replica outside both sets may lack committed records (I1); it is elected only where
`unclean.leader.election.enable` says that being available is worth more. Every change of the leader bumps leader epoch and
partition epoch, every other change the partition epoch only.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from raftkafka.metadata.image import Partition
from raftkafka.model.ids import NO_NODE, LeaderEpoch, NodeId, PartitionEpoch

UNCLEAN_CONFIG: Final = "unclean.leader.election.enable"


def allows_unclean(configs: Mapping[str, str], default: bool) -> bool:
    """The topic's own config goes before the cluster's default."""
    own = configs.get(UNCLEAN_CONFIG)
    return default if own is None else own == "true"


def choose_leader(partition: Partition, active: AbstractSet[NodeId]) -> NodeId:
    """The clean choice: the first replica, in order of preference, of the ISR that is active, else of the ELR, else NO_NODE."""
    for eligible in (partition.isr, partition.elr):
        for replica in partition.replicas:
            if replica in eligible and replica in active:
                return replica
    return NO_NODE


def changed(
    partition: Partition, *, isr: tuple[NodeId, ...], leader: NodeId, elr: tuple[NodeId, ...] = ()
) -> Partition:
    """The partition with this ISR and leader, its epochs bumped as the rule says; the same object where nothing differs."""
    moved = leader != partition.leader
    if not moved and isr == partition.isr and elr == partition.elr:
        return partition
    # Spelled out instead of `replace`, which takes three times as long: fencing a broker makes thousands of these at once.
    return Partition(
        index=partition.index,
        replicas=partition.replicas,
        isr=isr,
        leader=leader,
        leader_epoch=LeaderEpoch(partition.leader_epoch + moved),
        partition_epoch=PartitionEpoch(partition.partition_epoch + 1),
        adding=partition.adding,
        removing=partition.removing,
        elr=elr,
        last_known_leader=leader if leader != NO_NODE else partition.last_known_leader,
    )


def elected(partition: Partition, active: AbstractSet[NodeId], *, unclean: bool) -> Partition:
    """A leaderless partition with the leader that it may have; with none, and one that has a leader, as it was."""
    if partition.leader != NO_NODE:
        return partition
    leader = choose_leader(partition, active)
    if leader == NO_NODE and unclean:
        leader = next((replica for replica in partition.replicas if replica in active), NO_NODE)
    if leader == NO_NODE:
        return partition
    if leader in partition.isr:
        return changed(partition, isr=partition.isr, leader=leader, elr=partition.elr)
    # The new leader's log is the truth from here on: whoever else was in the ISR has to truncate to it and catch up.
    return changed(partition, isr=(leader,), leader=leader)


def without(partition: Partition, node_id: NodeId, active: AbstractSet[NodeId], *, unclean: bool) -> Partition:
    """The partition after `node_id`, which is not active any more, has left its ISR and its leadership.

    The last member stays in the ISR, because nobody else is known to hold the committed records; then nobody leads.
    """
    if node_id not in partition.isr:
        return partition
    isr = tuple([each for each in partition.isr if each != node_id]) or partition.isr
    if partition.leader not in (node_id, NO_NODE):
        return changed(partition, isr=isr, leader=partition.leader, elr=partition.elr)
    leader = next((replica for replica in partition.replicas if replica in isr and replica in active), NO_NODE)
    after = changed(partition, isr=isr, leader=leader, elr=partition.elr)
    if leader != NO_NODE:
        return after
    substitute = elected(after, active, unclean=unclean)
    if substitute is after:
        return after
    # One step, not two: the epochs of the leaderless state in between were never in force.
    return changed(partition, isr=substitute.isr, leader=substitute.leader, elr=substitute.elr)


def replica_lost(partition: Partition, node_id: NodeId, active: AbstractSet[NodeId], *, unclean: bool) -> Partition:
    """The partition after the replica on `node_id`, which is active itself, has turned out to be damaged or out of reach.

    It leaves the ISR, unless it is the last member: nobody else is known to hold the committed records. The leader epoch
    moves even where the leader stays, so that nothing the damaged log has ever reported counts for the one built anew.
    """
    if node_id not in partition.isr or partition.isr == (node_id,):
        return partition
    after = without(partition, node_id, active - {node_id}, unclean=unclean)
    if after.leader_epoch != partition.leader_epoch:
        return after
    return replace(after, leader_epoch=LeaderEpoch(partition.leader_epoch + 1))
