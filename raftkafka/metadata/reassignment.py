"""A reassignment in progress: where the replicas of a partition are on their way to (KIP-455).

Floor 1, pure. `replicas` is the target, in its order, and behind it whoever has still to be waited for: `adding` are those that
were no replicas before the reassignment began, `removing` those that the target leaves out. So the target is `replicas` without
`removing`, and what a cancellation goes back to is `replicas` without `adding`. Invariants:
- I1, I4: a replica of the ISR leaves when every replica that stays is in the ISR in force (a cancellation asks for
  `min.insync.replicas` of them only), so no reassignment leaves a partition with fewer in-sync replicas than it promises. A member
  that a later reassignment has no use for stays until then, too; it is adding and removing at once.
- I4: the leader epoch moves with every replica that goes. A fetch of the time before, still on its way when the same broker is
  given the partition anew, is refused, and says nothing of a log that has been deleted since.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import replace

from raftkafka.metadata.image import Partition
from raftkafka.model.ids import NO_NODE, LeaderEpoch, NodeId, PartitionEpoch


def in_progress(partition: Partition) -> bool:
    """True until the target is reached or the reassignment is cancelled."""
    return bool(partition.adding or partition.removing)


def target(partition: Partition) -> tuple[NodeId, ...]:
    """The replicas that the partition is to have; without a reassignment, those that it has."""
    return _without(partition.replicas, partition.removing)


def origin(partition: Partition) -> tuple[NodeId, ...]:
    """The replicas from before the reassignment that is in progress; without one, those that it has."""
    return _without(partition.replicas, partition.adding)


def begun(partition: Partition, wanted: tuple[NodeId, ...]) -> Partition:
    """The partition on its way to the replicas `wanted`, whatever it was on its way to before.

    Replicas that came with an earlier reassignment, are not wanted, and hold nothing that counts, go at once. `settled` has to
    follow: what is asked for may be there already.
    """
    before = origin(partition)
    holds = {*partition.isr, *partition.elr}
    stays = tuple(
        [each for each in partition.replicas if each not in wanted and (each in before or each in holds)],
    )
    replicas = (*wanted, *stays)
    return _moved(partition, replicas, adding=_without(replicas, before), removing=stays)


def reverted(partition: Partition, *, min_insync_replicas: int) -> Partition:
    """The partition on its way back to where it was before the reassignment in progress.

    At once, unless that leaves fewer in-sync replicas than `min.insync.replicas` and the replication factor ask for: then the
    added ones of the ISR are removed as after any other reassignment, when the old ones are in sync again. Kafka lets them go in
    this case, too, and refuses when none is left; both would let one disk decide about records that two have acknowledged.
    """
    before = origin(partition)
    isr = _without(partition.isr, partition.adding)
    if len(isr) < min(min_insync_replicas, len(before)):
        return begun(partition, before)
    return _moved(partition, before, adding=(), removing=())


def settled(before: Partition, after: Partition, active: AbstractSet[NodeId]) -> Partition:
    """`after`, with its reassignment completed where every replica of the target is in the ISR, and led by a replica.

    `before` is the partition before the change that led to `after`: all is one step of the epochs. Kafka's counterpart is
    `PartitionReassignmentReplicas.maybeCompleteReassignment`; as in the ZooKeeper-era controller, the replicas that stay have to
    be in sync as well as those that are added.
    """
    if after.replicas is before.replicas and not in_progress(after):
        return after
    replicas = after.replicas
    if in_progress(after) and set(target(after)) <= set(after.isr):
        replicas = target(after)
        after = replace(after, replicas=replicas, adding=(), removing=())
    isr = tuple([each for each in after.isr if each in replicas])
    elr = tuple([each for each in after.elr if each in replicas])
    emptied = tuple([each for each in after.emptied if each in replicas])
    leader = after.leader
    if leader not in (NO_NODE, *replicas):
        leader = next((each for each in replicas if each in isr and each in active), NO_NODE)
    gone = not set(before.replicas) <= set(replicas)
    leader_epoch = after.leader_epoch
    if leader_epoch == before.leader_epoch and (gone or leader != before.leader):
        leader_epoch = LeaderEpoch(leader_epoch + 1)
    same = (isr, elr, leader, leader_epoch) == (after.isr, after.elr, after.leader, after.leader_epoch)
    if same and emptied == after.emptied:
        return after
    return replace(
        after,
        isr=isr,
        elr=elr,
        leader=leader,
        leader_epoch=leader_epoch,
        last_known_leader=leader if leader != NO_NODE else after.last_known_leader,
        emptied=emptied,
    )


def _moved(
    partition: Partition, replicas: tuple[NodeId, ...], *, adding: tuple[NodeId, ...], removing: tuple[NodeId, ...]
) -> Partition:
    if (replicas, adding, removing) == (partition.replicas, partition.adding, partition.removing):
        return partition
    return replace(
        partition,
        replicas=replicas,
        adding=adding,
        removing=removing,
        partition_epoch=PartitionEpoch(partition.partition_epoch + 1),
    )


def _without(replicas: tuple[NodeId, ...], those: Iterable[NodeId]) -> tuple[NodeId, ...]:
    left_out = set(those)
    return tuple([each for each in replicas if each not in left_out])
