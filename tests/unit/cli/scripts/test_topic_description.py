"""The lines of kafka-topics.sh --describe, and which partitions each report selects."""

from __future__ import annotations

import pytest

from raftkafka.cli.scripts.topic_description import Report, describe, topic_id_text
from raftkafka.client.types import TopicPartition
from raftkafka.model.api.cluster import PartitionMetadata, TopicMetadata
from raftkafka.model.api.configs import ConfigSource, DescribedConfig
from raftkafka.model.api.reassignments import OngoingReassignment
from raftkafka.model.ids import NO_NODE, NodeId, PartitionIndex, TopicId

ONE, TWO, THREE = NodeId(1), NodeId(2), NodeId(3)


def partition(index: int, leader: int, replicas: tuple[NodeId, ...], isr: tuple[NodeId, ...]) -> PartitionMetadata:
    return PartitionMetadata(
        partition=PartitionIndex(index), leader_id=NodeId(leader), replica_nodes=replicas, isr_nodes=isr
    )


TOPIC = TopicMetadata(
    name="t",
    topic_id=TopicId(bytes(range(240, 256))),
    partitions=(
        partition(0, 1, (ONE, TWO), (ONE, TWO)),
        partition(1, 2, (ONE, TWO), (TWO,)),
        partition(2, NO_NODE, (ONE, TWO), (ONE,)),
        partition(3, 3, (THREE, ONE), (THREE, ONE)),
    ),
)
CONFIGS = (
    DescribedConfig(name="retention.ms", value="5", source=ConfigSource.DYNAMIC_TOPIC_CONFIG),
    DescribedConfig(name="segment.bytes", value=None, source=ConfigSource.STATIC_BROKER_CONFIG),
    DescribedConfig(name="min.insync.replicas", value="2", source=ConfigSource.DEFAULT_CONFIG),
)
HEAD = (
    "Topic: t\tTopicId: 8PHy8_T19vf4-fr7_P3-_w\tPartitionCount: 4\tReplicationFactor: 2\t"
    "Configs: retention.ms=5,segment.bytes=null"
)


def lines(**wanted: bool) -> list[str]:
    return list(describe(TOPIC, CONFIGS, {}, Report(live={1, 2}, **wanted)))


def test_everything() -> None:
    head, *partitions = lines()
    assert head == HEAD
    assert partitions[0] == "\tTopic: t\tPartition: 0\tLeader: 1\tReplicas: 1,2\tIsr: 1,2"
    assert partitions[2] == "\tTopic: t\tPartition: 2\tLeader: none\tReplicas: 1,2\tIsr: 1"
    assert len(partitions) == 4


@pytest.mark.parametrize(
    ("report", "indexes"),
    [("under_replicated", [1, 2]), ("unavailable", [2, 3]), ("under_min_isr", [1, 2]), ("at_min_isr", [0, 3])],
)
def test_reports_select_partitions(report: str, indexes: list[int]) -> None:
    assert [int(line.split("\t")[2].split()[1]) for line in lines(**{report: True})] == indexes


def test_topics_with_overrides() -> None:
    assert lines(overrides_only=True) == [HEAD]
    assert list(describe(TOPIC, CONFIGS[2:], {}, Report(live={1, 2}, overrides_only=True))) == []


def test_replicas_on_their_way_do_not_count() -> None:
    moving = {
        TopicPartition("t", 3): OngoingReassignment(
            partition=PartitionIndex(3), replicas=(THREE, ONE), adding_replicas=(ONE,), removing_replicas=()
        )
    }
    found = list(describe(TOPIC, CONFIGS, moving, Report(live={1, 2})))
    assert found[-1].endswith("\tIsr: 3,1\tAdding Replicas: 1\tRemoving Replicas: ")
    assert found[0] == HEAD
    assert topic_id_text(bytes(16)) == "A" * 22
