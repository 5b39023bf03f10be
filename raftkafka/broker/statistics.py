"""The state of this broker at one moment, as the metrics want it: read at scrape time, so the hot path pays nothing.

Floor 3.
"""

from __future__ import annotations

from raftkafka.broker.groups.coordinator import GroupCoordinator
from raftkafka.broker.membership import Membership
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.partition import Partition
from raftkafka.broker.replicas import ReplicaTable
from raftkafka.ports.consensus import Consensus
from raftkafka.ports.probe import BrokerStatistics, PartitionStatistics, RaftStatistics


class StatisticsReader:
    def __init__(
        self,
        *,
        consensus: Consensus,
        store: MetadataStore,
        replicas: ReplicaTable,
        membership: Membership,
        groups: GroupCoordinator,
    ) -> None:
        self._consensus = consensus
        self._store = store
        self._replicas = replicas
        self._membership = membership
        self._groups = groups

    def __call__(self) -> BrokerStatistics:
        consensus = self._consensus
        leader = consensus.leader_id
        return BrokerStatistics(
            node_id=consensus.node_id,
            cluster_id=self._store.image.cluster_id,
            is_fenced=self._membership.fenced,
            raft=RaftStatistics(
                term=consensus.term,
                is_leader=consensus.is_leader,
                leader_id=-1 if leader is None else leader,
                commit_index=consensus.commit_index,
                applied_index=consensus.applied_index,
            ),
            partitions=tuple([_partition(each) for each in self._replicas]),
            groups=self._groups.statistics(),
            waiting_requests=sum(len(each.waiting_commits) for each in self._replicas),
        )


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
        bytes_in=counters.bytes_in,
        records_in=counters.records_in,
        bytes_out=counters.bytes_out,
        is_offline=partition.offline is not None,
    )
