"""The state of this broker at one moment, as the metrics want it: read at scrape time, so the hot path pays nothing.

Floor 3.
"""

from __future__ import annotations

from collections.abc import Callable

from raftkafka.broker.groups.coordinator import GroupCoordinator
from raftkafka.broker.log_dirs import LogDirs
from raftkafka.broker.membership import Membership
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.partition import Partition
from raftkafka.broker.replicas import ReplicaTable
from raftkafka.metadata.image import Image
from raftkafka.model.ids import NO_NODE, NodeId, Offset, PartitionIndex, Term, TopicPartition
from raftkafka.ports.clock import Clock
from raftkafka.ports.consensus import Consensus
from raftkafka.ports.probe import (
    BrokerStatistics,
    ClusterStatistics,
    PartitionStatistics,
    RaftPeerStatistics,
    RaftStatistics,
    TraceStatistics,
    ZooKeeperStatistics,
)


class StatisticsReader:
    def __init__(
        self,
        *,
        consensus: Consensus,
        store: MetadataStore,
        replicas: ReplicaTable,
        log_dirs: LogDirs,
        membership: Membership,
        groups: GroupCoordinator,
        clock: Clock,
        zookeeper: Callable[[], ZooKeeperStatistics] | None = None,
        traces: Callable[[], TraceStatistics] | None = None,
    ) -> None:
        self._consensus = consensus
        self._store = store
        self._replicas = replicas
        self._log_dirs = log_dirs
        self._membership = membership
        self._groups = groups
        self._clock = clock
        self._zookeeper = zookeeper
        self._traces = traces
        self._leader_changes = 0
        self._cluster: tuple[Image, ClusterStatistics] | None = None
        consensus.on_leader_change(self._leader_changed)

    def __call__(self) -> BrokerStatistics:
        consensus = self._consensus
        return BrokerStatistics(
            node_id=consensus.node_id,
            cluster_id=self._store.image.cluster_id,
            is_fenced=self._membership.fenced,
            raft=self._raft(),
            time_ms=self._clock.now_ms(),
            cluster=self._of_cluster() if consensus.is_leader else None,
            log_directories=tuple([each for each, _ in self._log_dirs.contents()]),
            partitions=tuple([_partition(each) for each in self._replicas]),
            groups=self._groups.statistics(self._lag),
            zookeeper=None if self._zookeeper is None else self._zookeeper(),
            traces=None if self._traces is None else self._traces(),
            waiting_requests=sum(len(each.waiting_commits) for each in self._replicas),
        )

    def _leader_changed(self, leader: NodeId | None, term: Term) -> None:
        if leader is not None:
            self._leader_changes += 1

    def _raft(self) -> RaftStatistics:
        consensus = self._consensus
        leader, last_index = consensus.leader_id, consensus.last_index
        voters = consensus.voters()
        peers = [(each, True) for each in voters] + [(each, False) for each in consensus.observers()]
        return RaftStatistics(
            term=consensus.term,
            is_leader=consensus.is_leader,
            leader_id=-1 if leader is None else leader,
            commit_index=consensus.commit_index,
            applied_index=consensus.applied_index,
            last_index=last_index,
            leader_silence_s=consensus.leader_silence_s,
            leader_changes=self._leader_changes,
            voters=len(voters),
            peers=tuple(
                [
                    RaftPeerStatistics(
                        node_id=each.node_id,
                        is_voter=is_voter,
                        is_connected=each.connected,
                        entries_behind=last_index - each.match_index if each.match_index >= 0 else None,
                    )
                    for each, is_voter in peers
                    if each.node_id != consensus.node_id
                ]
            ),
        )

    def _of_cluster(self) -> ClusterStatistics:
        """A scan of all partitions, once for each image."""
        image = self._store.image
        if self._cluster is None or self._cluster[0] is not image:
            self._cluster = (image, _cluster(image))
        return self._cluster[1]

    def _lag(self, topic: str, partition: PartitionIndex, offset: Offset) -> int | None:
        topic_id = self._store.image.topic_ids.get(topic)
        replica = None if topic_id is None else self._replicas.get(TopicPartition(topic_id, partition))
        if replica is None or replica.offline is not None or replica.state is None:
            return None
        # A follower hears of the watermark with its next fetch: it may be a little behind what was committed.
        return max(0, replica.high_watermark - offset)


def _partition(partition: Partition) -> PartitionStatistics:
    state = partition.state
    counters = partition.counters
    return PartitionStatistics(
        topic=partition.topic,
        partition=partition.topic_partition.partition,
        is_leader=partition.is_leader,
        log_start_offset=partition.log.log_start_offset,
        high_watermark=partition.high_watermark,
        log_end_offset=partition.log.log_end_offset,
        size_bytes=partition.log.size_bytes,
        # As in Kafka, replicas that a reassignment adds are missing to nobody before they are there.
        replicas=len(state.replicas) - len(state.adding) if state is not None else 0,
        isr_size=len(state.isr) if state is not None else 0,
        least_isr=partition.leader.least_isr if partition.leader is not None else 0,
        has_leader=state is None or state.leader != NO_NODE,
        bytes_in=counters.bytes_in,
        records_in=counters.records_in,
        bytes_out=counters.bytes_out,
        is_offline=partition.offline is not None,
    )


def _cluster(image: Image) -> ClusterStatistics:
    partitions = leaderless = moved = 0
    for topic in image.topics.values():
        partitions += len(topic.partitions)
        for partition in topic.partitions:
            if partition.leader == NO_NODE:
                leaderless += 1
            elif partition.leader != partition.preferred_leader:
                moved += 1
    fenced = sum(broker.fenced for broker in image.brokers.values())
    return ClusterStatistics(
        brokers_active=len(image.brokers) - fenced,
        brokers_fenced=fenced,
        topics=len(image.topics),
        partitions=partitions,
        partitions_without_leader=leaderless,
        partitions_off_preferred_leader=moved,
    )
