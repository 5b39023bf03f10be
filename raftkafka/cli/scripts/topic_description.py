"""What `kafka-topics.sh --describe` prints, in the words and columns of Kafka's TopicCommand. Floor 5, pure.

The columns Elr and LastKnownElr of Kafka 4 are left out: answers about metadata do not hold them, and Kafka 2.4 had none.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from raftkafka.client.types import TopicPartition
from raftkafka.model.api.cluster import PartitionMetadata, TopicMetadata
from raftkafka.model.api.configs import ConfigSource, DescribedConfig
from raftkafka.model.api.reassignments import OngoingReassignment
from raftkafka.model.ids import NO_NODE

Ongoing = Mapping[TopicPartition, OngoingReassignment]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Which partitions are wanted; all of them, with their topics, where nothing is set. `live` are the brokers that are there."""

    live: Collection[int]
    under_replicated: bool = False
    unavailable: bool = False
    under_min_isr: bool = False
    at_min_isr: bool = False
    overrides_only: bool = False
    """Only topics with overridden configs, without their partitions."""

    @property
    def selects_partitions(self) -> bool:
        return self.under_replicated or self.unavailable or self.under_min_isr or self.at_min_isr


def describe(
    topic: TopicMetadata, configs: Sequence[DescribedConfig], ongoing: Ongoing, report: Report
) -> Iterator[str]:
    """The lines of one topic."""
    overridden = [each for each in configs if each.source != ConfigSource.DEFAULT_CONFIG]
    if not report.selects_partitions and (overridden or not report.overrides_only):
        factor = _replication_factor(topic.partitions[0], ongoing.get(TopicPartition(topic.name, 0)))
        pairs = ",".join(f"{each.name}={'null' if each.value is None else each.value}" for each in overridden)
        yield (
            f"Topic: {topic.name}\tTopicId: {topic_id_text(topic.topic_id)}\tPartitionCount: {len(topic.partitions)}\t"
            f"ReplicationFactor: {factor}\tConfigs: {pairs}"
        )
    if report.overrides_only:
        return
    min_isr = _min_isr(configs)
    for each in topic.partitions:
        moving = ongoing.get(TopicPartition(topic.name, each.partition))
        if not report.selects_partitions or _is_wanted(each, moving, min_isr, report):
            yield _partition(topic.name, each, moving)


def topic_id_text(topic_id: bytes) -> str:
    """As Kafka's Uuid: base64 for addresses, without padding."""
    return urlsafe_b64encode(topic_id).decode().rstrip("=")


def _partition(topic: str, each: PartitionMetadata, moving: OngoingReassignment | None) -> str:
    leader = "none" if each.leader_id == NO_NODE else str(each.leader_id)
    line = (
        f"\tTopic: {topic}\tPartition: {each.partition}\tLeader: {leader}\tReplicas: {_ids(each.replica_nodes)}\t"
        f"Isr: {_ids(each.isr_nodes)}"
    )
    if moving is None:
        return line
    adding, removing = _ids(moving.adding_replicas), _ids(moving.removing_replicas)
    return f"{line}\tAdding Replicas: {adding}\tRemoving Replicas: {removing}"


def _is_wanted(each: PartitionMetadata, moving: OngoingReassignment | None, min_isr: int, report: Report) -> bool:
    led = each.leader_id != NO_NODE
    return (
        (report.under_replicated and _replication_factor(each, moving) > len(each.isr_nodes))
        or (report.unavailable and not (led and each.leader_id in report.live))
        or (report.under_min_isr and not (led and len(each.isr_nodes) >= min_isr))
        or (report.at_min_isr and len(each.isr_nodes) == min_isr)
    )


def _replication_factor(each: PartitionMetadata, moving: OngoingReassignment | None) -> int:
    """Without the replicas that are on their way."""
    if moving is None or not {*moving.adding_replicas, *moving.removing_replicas} & set(each.replica_nodes):
        return len(each.replica_nodes)
    return len(moving.replicas) - len(moving.adding_replicas)


def _min_isr(configs: Iterable[DescribedConfig]) -> int:
    values = [each.value for each in configs if each.name == "min.insync.replicas" and each.value is not None]
    return int(values[0]) if values else 1


def _ids(nodes: Iterable[int]) -> str:
    return ",".join(map(str, nodes))
