"""Who is eligible and who leads: the ISR in replica order, else the eligible leader replicas, else nobody.

Floor 1, pure. The eligible leader replicas (ELR, KIP-966) are outside the ISR and have every committed record all the same:
they left the ISR when it fell below `min.insync.replicas`, and since then nothing is committed (a leader's high watermark
stands still while there is an ELR, see `replica.leader`). Invariants: I4, every member of ISR and ELR has all committed
records, so a clean election loses nothing (I1). A replica outside both is elected only where
`unclean.leader.election.enable` says that being available is worth more. Every change of the leader bumps leader epoch and
partition epoch, every other change the partition epoch only.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from raftkafka.metadata.image import Defaults, Partition
from raftkafka.model.ids import NO_NODE, LeaderEpoch, NodeId, PartitionEpoch

UNCLEAN_CONFIG: Final = "unclean.leader.election.enable"
MIN_INSYNC_CONFIG: Final = "min.insync.replicas"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a topic says about eligibility. `by_hand`: an operator wants a leader now, whoever may come back later."""

    min_insync_replicas: int = 1
    unclean: bool = False
    by_hand: bool = False

    @staticmethod
    def of(configs: Mapping[str, str], defaults: Defaults) -> Rules:
        """The topic's own configs go before the cluster's defaults; a value that is none counts as not set."""
        least, unclean = configs.get(MIN_INSYNC_CONFIG, ""), configs.get(UNCLEAN_CONFIG)
        valid = least.isascii() and least.isdigit() and len(least) <= _DIGITS_MAX
        return Rules(
            min_insync_replicas=int(least) if valid else defaults.min_insync_replicas,
            unclean=defaults.unclean_leader_election if unclean is None else unclean == "true",
        )

    def least(self, replicas: tuple[NodeId, ...]) -> int:
        """The smallest ISR that may commit: a partition cannot have more in-sync replicas than replicas (KIP-966)."""
        return min(self.min_insync_replicas, len(replicas))

    def clean(self) -> Rules:
        """The same, for an occasion that justifies no unclean election."""
        return replace(self, unclean=False)


_DIGITS_MAX: Final = 10


class Log(Enum):
    """What is known of the log of a replica that stops being in sync."""

    INTACT = "intact"
    """Everything that it has ever reported is there."""
    DOUBTFUL = "doubtful"
    """It may lack records that it has reported: eligible only if nobody else is."""
    GONE = "gone"
    """It has lost everything: never eligible."""


def choose_leader(partition: Partition, active: AbstractSet[NodeId]) -> NodeId:
    """The clean choice: the first replica, in order of preference, of the ISR that is active, else of the ELR, else NO_NODE."""
    for eligible in (partition.isr, partition.elr):
        for each in partition.replicas:
            if each in eligible and each in active:
                return each
    return NO_NODE


def changed(partition: Partition, rules: Rules, *, isr: tuple[NodeId, ...], leader: NodeId) -> Partition:
    """The partition with this ISR and leader, and the ELR that follows; the same object where nothing differs."""
    return _made(partition, isr=isr, elr=_eligible(partition, rules, isr), leader=leader)


def elected(partition: Partition, rules: Rules, active: AbstractSet[NodeId]) -> Partition:
    """A leaderless partition with the leader that it may have; with none, and one that has a leader, as it was."""
    if partition.leader != NO_NODE:
        return partition
    return _settled(partition, rules, active, isr=partition.isr, elr=partition.elr, leader=NO_NODE)


def reviewed(partition: Partition, rules: Rules, active: AbstractSet[NodeId]) -> Partition:
    """The partition under rules that are new: unclean election may be allowed now, or the ISR large enough to commit."""
    elr = _eligible(partition, rules, partition.isr)
    return _settled(partition, rules, active, isr=partition.isr, elr=elr, leader=partition.leader)


def without(partition: Partition, node_id: NodeId, log: Log, rules: Rules, active: AbstractSet[NodeId]) -> Partition:
    """The partition after `node_id`, which is not in `active` (any more), has left its ISR and its leadership.

    An intact log is eligible from then on where the ISR is too small to commit anything. One that is in doubt is not,
    unless it is the last: then nobody is known to hold more of the committed records.
    """
    if not _concerns(partition, node_id, log):
        return partition
    isr = tuple([each for each in partition.isr if each != node_id])
    elr = _eligible(partition, rules, isr)
    if log is not Log.INTACT and (log is Log.GONE or isr or elr != (node_id,)):
        elr = tuple([each for each in elr if each != node_id])
    leader = NO_NODE if partition.leader == node_id else partition.leader
    after = _settled(partition, rules, active, isr=isr, elr=elr, leader=leader)
    if log is not Log.GONE or node_id in after.emptied:
        return after
    epoch = PartitionEpoch(partition.partition_epoch + 1)
    return replace(after, emptied=(*after.emptied, node_id), partition_epoch=epoch)


class Leaving:
    """`without` for every partition of one topic, for a node with intact logs.

    What comes of a partition follows from few of its fields. Thousands have the same there, as replicas are placed in
    rounds, so it is worked out once for all of them.
    """

    __slots__ = ("_active", "_first", "_node_id", "_rules")

    def __init__(self, node_id: NodeId, rules: Rules, active: AbstractSet[NodeId]) -> None:
        self._node_id = node_id
        self._rules = rules
        self._active = active
        self._first: dict[tuple[object, ...], Partition] = {}

    def without(self, partition: Partition) -> Partition:
        """As `without(partition, node_id, Log.INTACT, rules, active)`."""
        decisive = (
            partition.replicas,
            partition.isr,
            partition.elr,
            partition.leader,
            partition.last_known_leader,
            partition.adding,
            partition.emptied,
        )
        first = self._first.get(decisive)
        if first is None:
            first = self._first[decisive] = without(partition, self._node_id, Log.INTACT, self._rules, self._active)
            return first
        return _made(partition, isr=first.isr, elr=first.elr, leader=first.leader)


def _concerns(partition: Partition, node_id: NodeId, log: Log) -> bool:
    if node_id in partition.isr:
        return True
    if log is Log.INTACT:
        return False
    return node_id in partition.elr or (log is Log.GONE and node_id not in partition.emptied)


def out_of_reach(partition: Partition, node_id: NodeId, rules: Rules, active: AbstractSet[NodeId]) -> Partition:
    """The partition after the replica on `node_id`, which is active itself, cannot be served for now, its log intact.

    It leaves the ISR, unless it leads and nobody else may: then it goes on as soon as it can.
    """
    if node_id not in partition.isr:
        return partition
    after = without(partition, node_id, Log.INTACT, rules, active - {node_id})
    return partition if after.leader == NO_NODE else after


def replica_lost(partition: Partition, node_id: NodeId, rules: Rules, active: AbstractSet[NodeId]) -> Partition:
    """The partition after the replica on `node_id`, which is active itself, has turned out to be damaged.

    It is eligible no more, unless it is the last: nobody else is known to hold the committed records. The leader epoch
    moves even where the leader stays, so that nothing the damaged log has ever reported counts for the one built anew.
    """
    eligible = {*partition.isr, *partition.elr}
    if node_id not in eligible:
        return partition
    others = active - {node_id}
    if len(eligible) == 1 and not (rules.unclean and not others.isdisjoint(partition.replicas)):
        return partition
    after = without(partition, node_id, Log.GONE, rules, others)
    if after.leader_epoch != partition.leader_epoch:
        return after
    return replace(after, leader_epoch=LeaderEpoch(partition.leader_epoch + 1))


def _eligible(partition: Partition, rules: Rules, isr: tuple[NodeId, ...]) -> tuple[NodeId, ...]:
    """The ELR beside a new ISR: who was in the old one or eligible already, while the new one is too small to commit."""
    if len(isr) >= rules.least(partition.replicas):
        return ()
    return tuple(
        [each for each in partition.replicas if (each in partition.isr or each in partition.elr) and each not in isr]
    )


def _settled(
    partition: Partition,
    rules: Rules,
    active: AbstractSet[NodeId],
    *,
    isr: tuple[NodeId, ...],
    elr: tuple[NodeId, ...],
    leader: NodeId,
) -> Partition:
    """One step to this ISR and ELR, and to a leader if there may be one: no state in between is ever in force."""
    if leader != NO_NODE:
        return _made(partition, isr=isr, elr=elr, leader=leader)
    choices = [each for each in partition.replicas if each in active]
    leader = next((each for each in choices if each in isr), NO_NODE)
    if leader != NO_NODE:
        return _made(partition, isr=isr, elr=elr, leader=leader)
    leader = next((each for each in choices if each in elr), NO_NODE)
    if leader != NO_NODE:
        few = rules.least(partition.replicas) > 1
        rest = [each for each in partition.replicas if (each in isr or each in elr) and each != leader]
        return _made(partition, isr=(leader,), elr=tuple(rest) if few else (), leader=leader)
    if not rules.unclean or not choices:
        return _made(partition, isr=isr, elr=elr, leader=NO_NODE)
    # From here on this log is the truth: whoever was eligible has to truncate to it and catch up. As long as
    # somebody with records may come back, an empty log is chosen by hand only.
    filled = [each for each in partition.replicas if each not in partition.emptied]
    choices = [each for each in choices if each in filled] or (choices if rules.by_hand or not filled else [])
    choices = [each for each in choices if each not in partition.adding] or choices
    if not choices:
        return _made(partition, isr=isr, elr=elr, leader=NO_NODE)
    leader = partition.last_known_leader if partition.last_known_leader in choices else choices[0]
    return _made(partition, isr=(leader,), elr=(), leader=leader)


def _made(partition: Partition, *, isr: tuple[NodeId, ...], elr: tuple[NodeId, ...], leader: NodeId) -> Partition:
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
        emptied=tuple([each for each in partition.emptied if each not in isr]) if partition.emptied else (),
    )
