"""Where the replicas of a new topic go: leaders even, replicas over as many racks as there are.

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
    idle = sorted(broker.node_id for broker in brokers if not broker.active)
    start = random.randrange(len(active))
    shift = random.randrange(len(active))
    placed: list[tuple[NodeId, ...]] = []
    for index in range(partitions):
        if index and index % len(active) == 0:
            shift += 1
        replicas = _spread(active, (start + index) % len(active), shift, min(replication_factor, len(active)))
        missing = replication_factor - len(replicas)
        replicas += [idle[(start + index + each) % len(idle)] for each in range(missing)]
        placed.append(tuple(replicas))
    return tuple(placed)


def _racks_alternating(brokers: Sequence[Broker]) -> list[Broker]:
    """Brokers in an order in which the racks take turns, by id within each rack."""
    racks: dict[str, list[Broker]] = {}
    for broker in sorted(brokers, key=lambda each: each.node_id):
        racks.setdefault(broker.rack or "", []).append(broker)
    turns = [racks[rack] for rack in sorted(racks)]
    return [rack[turn] for turn in range(max(map(len, turns), default=0)) for rack in turns if turn < len(rack)]


def _spread(brokers: Sequence[Broker], first: int, shift: int, count: int) -> list[NodeId]:
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
    return [broker.node_id for broker in chosen]
