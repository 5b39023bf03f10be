"""Where the replicas of new partitions go: leaders even, replicas over as many racks as there are.

Floor 1, pure. The algorithm is Kafka's (AdminUtils.assignReplicasToBrokers, KIP-36): brokers are arranged so that racks
alternate, leaders go round this list from a random start, and the followers' distance to the leader grows with each round, so
that the followers of one leader are spread as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from raftkafka.metadata.image import Broker
from raftkafka.model.ids import NodeId


class RandomSource(Protocol):
    """What is needed of `random.Random`, which pure code gets as an argument."""

    def randrange(self, stop: int, /) -> int: ...


def place(
    brokers: Sequence[Broker], *, partitions: int, replication_factor: int, random: RandomSource
) -> tuple[tuple[NodeId, ...], ...]:
    """Replicas of each partition, the preferred leader first.

    Active brokers go first; the others fill up where there are too few of them. The caller has checked that one broker is
    active and that `replication_factor` brokers exist.
    """
    active = _racks_alternating([broker for broker in brokers if broker.active])
    idle = sorted((broker for broker in brokers if not broker.active), key=lambda each: each.node_id)
    start = random.randrange(len(active))
    shift = random.randrange(len(active))
    return _round(active, idle, range(partitions), start=start, shift=shift, replication_factor=replication_factor)


def place_after(
    brokers: Sequence[Broker],
    *,
    first: NodeId,
    there: int,
    partitions: int,
    replication_factor: int,
    random: RandomSource,
) -> tuple[tuple[NodeId, ...], ...]:
    """Replicas of the partitions that come behind the `there` partitions of a topic, of which partition 0 prefers `first`.

    As AdminUtils.addPartitions: the round of the leaders goes on where it has ended, so that as long as the brokers are the same
    the leaders of the whole topic stay even. `random` is asked where `first` is not among the active brokers any more.
    """
    active = _racks_alternating([broker for broker in brokers if broker.active])
    idle = sorted((broker for broker in brokers if not broker.active), key=lambda each: each.node_id)
    place_of = {broker.node_id: at for at, broker in enumerate(active)}
    start = place_of[first] if first in place_of else random.randrange(len(active))
    return _round(
        active,
        idle,
        range(there, there + partitions),
        start=start,
        shift=start + max(0, there - 1) // len(active),
        replication_factor=replication_factor,
    )


def _round(
    active: Sequence[Broker],
    idle: Sequence[Broker],
    indexes: range,
    *,
    start: int,
    shift: int,
    replication_factor: int,
) -> tuple[tuple[NodeId, ...], ...]:
    placed: list[tuple[NodeId, ...]] = []
    for index in indexes:
        if index and index % len(active) == 0:
            shift += 1
        replicas = _spread(active, (start + index) % len(active), shift, min(replication_factor, len(active)))
        _fill_up(replicas, idle, start + index, replication_factor)
        placed.append(tuple([broker.node_id for broker in replicas]))
    return tuple(placed)


def _fill_up(replicas: list[Broker], idle: Sequence[Broker], start: int, count: int) -> None:
    """Let brokers that are not active take what is missing, those of racks without a replica first."""
    left = [idle[(start + each) % len(idle)] for each in range(len(idle))]
    while len(replicas) < count:
        racks = {broker.rack for broker in replicas}
        chosen = next((broker for broker in left if broker.rack not in racks), left[0])
        left.remove(chosen)
        replicas.append(chosen)


def _racks_alternating(brokers: Sequence[Broker]) -> list[Broker]:
    """Brokers in an order in which the racks take turns, by id within each rack."""
    racks: dict[str, list[Broker]] = {}
    for broker in sorted(brokers, key=lambda each: each.node_id):
        racks.setdefault(broker.rack or "", []).append(broker)
    turns = [racks[rack] for rack in sorted(racks)]
    return [rack[turn] for turn in range(max(map(len, turns), default=0)) for rack in turns if turn < len(rack)]


def _spread(brokers: Sequence[Broker], first: int, shift: int, count: int) -> list[Broker]:
    """`count` distinct brokers beginning at `first`; no rack twice before every rack has one."""
    racks_in_all = len({broker.rack for broker in brokers})
    chosen = [brokers[first]]
    racks = {brokers[first].rack}
    others = len(brokers) - 1
    step = 0
    while len(chosen) < count:
        candidate = brokers[(first + 1 + (shift + step) % others) % len(brokers)]
        step += 1
        # A second pass over the ring may repeat racks: by then each one that is left to use has been passed once.
        rack_is_free = candidate.rack not in racks or len(racks) == racks_in_all
        if candidate not in chosen and rack_is_free:
            chosen.append(candidate)
            racks.add(candidate.rack)
    return chosen
