from __future__ import annotations

import pytest

from raftkafka.console.api.partition_map import BrokerShare, beyond_even, shares
from raftkafka.metadata.image import Partition
from raftkafka.model.ids import NO_NODE, NodeId, PartitionIndex


@pytest.mark.parametrize(
    ("counts", "skew"),
    [([], 0.0), ([0, 0], 0.0), ([5, 5, 5], 0.0), ([6, 3, 0], 1.0), ([4, 1, 1], 1.0), ([3, 2, 1], 0.5)],
)
def test_skew_is_what_the_fullest_has_beyond_the_even_share(counts: list[int], skew: float) -> None:
    assert beyond_even(counts) == pytest.approx(skew)


def test_shares_count_leaders_preferred_leaders_and_replicas() -> None:
    def partition(index: int, leader: int, *replicas: int) -> Partition:
        nodes = tuple(NodeId(each) for each in replicas)
        return Partition(index=PartitionIndex(index), replicas=nodes, isr=nodes, leader=NodeId(leader))

    found = shares([1, 2, 3], [partition(0, 1, 1, 2), partition(1, 1, 2, 1), partition(2, NO_NODE, 1, 2)])
    assert found == (
        BrokerShare(id=1, leaders=2, preferred_leaders=2, replicas=3),
        BrokerShare(id=2, leaders=0, preferred_leaders=1, replicas=3),
        BrokerShare(id=3, leaders=0, preferred_leaders=0, replicas=0),
    )
