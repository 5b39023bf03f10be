"""What is throttled while partitions move: the replicas that are there lead, those that are added follow."""

from __future__ import annotations

from raftkafka.client.throttles import moves_of, topic_values
from raftkafka.client.types import TopicPartition
from raftkafka.model.api.reassignments import OngoingReassignment
from raftkafka.model.ids import NodeId, PartitionIndex

T0, T1, U0 = TopicPartition("t", 0), TopicPartition("t", 1), TopicPartition("u", 0)


def test_sources_and_destinations() -> None:
    ongoing = {
        U0: OngoingReassignment(
            partition=PartitionIndex(0),
            replicas=(NodeId(1), NodeId(2), NodeId(3)),
            adding_replicas=(NodeId(3),),
            removing_replicas=(NodeId(1),),
        )
    }
    moves = moves_of(ongoing, {T0: [2, 3], T1: [1, 2], U0: [2, 4]}, {T0: [1, 2], T1: [1, 2], U0: [1, 2, 3]})
    assert moves == {T0: ({1, 2}, {3}), T1: ({1, 2}, set()), U0: ({1, 2}, {4})}
    assert topic_values(moves) == {"t": ("0:1,0:2,1:1,1:2", "0:3"), "u": ("0:1,0:2", "0:4")}
    assert moves_of(ongoing, {}, {}) == {U0: ({1, 2}, {3})}
