"""What a scrape sees, and that the page about metrics tells the truth."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from raftkafka.adapters.exposition import PARTITIONS_WITH_SERIES_MAX
from raftkafka.adapters.histogram import Histogram
from raftkafka.adapters.metric_table import METRICS, page
from raftkafka.adapters.prometheus import PrometheusProbe
from raftkafka.model.errors import ErrorCode
from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.ports.probe import (
    BrokerStatistics,
    ClusterStatistics,
    GroupOffsetStatistics,
    GroupStatistics,
    LogDirectoryStatistics,
    PartitionStatistics,
    Probe,
    RaftPeerStatistics,
    RaftStatistics,
    ZooKeeperStatistics,
)


def partition(
    number: int, *, isr_size: int = 3, is_leader: bool = True, has_leader: bool = True
) -> PartitionStatistics:
    return PartitionStatistics(
        topic="logs",
        partition=number,
        is_leader=is_leader,
        log_start_offset=1,
        high_watermark=8,
        log_end_offset=10,
        size_bytes=1234,
        replicas=3,
        isr_size=isr_size,
        least_isr=2,
        has_leader=has_leader,
        bytes_in=5,
        records_in=6,
        bytes_out=7,
    )


RAFT = RaftStatistics(
    term=4,
    is_leader=True,
    leader_id=2,
    commit_index=17,
    applied_index=16,
    last_index=18,
    leader_silence_s=0.25,
    leader_changes=3,
    voters=3,
    peers=(
        RaftPeerStatistics(node_id=1, is_voter=True, is_connected=True, entries_behind=4),
        RaftPeerStatistics(node_id=3, is_voter=True, is_connected=False, entries_behind=None),
        RaftPeerStatistics(node_id=4, is_voter=False, is_connected=True, entries_behind=0),
    ),
)
CLUSTER = ClusterStatistics(
    brokers_active=2,
    brokers_fenced=1,
    topics=5,
    partitions=9,
    partitions_without_leader=2,
    partitions_off_preferred_leader=4,
)
NO_GROUPS = GroupStatistics()
DIRECTORIES = (
    LogDirectoryStatistics(path="/var/a", is_online=True, size_bytes=10, free_bytes=70, capacity_bytes=100),
    LogDirectoryStatistics(path="/var/b", is_online=False, size_bytes=20, free_bytes=None, capacity_bytes=None),
)


ZOOKEEPER = ZooKeeperStatistics(outstanding=1, watches=2, sessions=3, nodes=40, ephemerals=5, data_bytes=600)


def statistics(*partitions: PartitionStatistics, groups: GroupStatistics = NO_GROUPS) -> BrokerStatistics:
    return BrokerStatistics(
        node_id=2,
        cluster_id="c1",
        is_fenced=False,
        raft=RAFT,
        time_ms=1_700_000_000_250,
        cluster=CLUSTER,
        zookeeper=ZOOKEEPER,
        log_directories=DIRECTORIES,
        partitions=partitions,
        waiting_requests=3,
        groups=groups,
    )


def committed(group: str, *, lag: int | None) -> GroupOffsetStatistics:
    return GroupOffsetStatistics(group=group, topic="logs", partition=0, committed_offset=40, lag=lag)


def scrape(probe: PrometheusProbe) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(probe.expose().decode())}


def value(probe: PrometheusProbe, sample_name: str, **labels: str) -> float:
    found = [
        sample.value
        for family in scrape(probe).values()
        for sample in family.samples
        if sample.name == sample_name and sample.labels == labels
    ]
    assert len(found) == 1, f"{sample_name}{labels} appears {len(found)} times"
    return found[0]


@pytest.fixture
def probe() -> PrometheusProbe:
    return PrometheusProbe()


def test_it_is_a_probe(probe: PrometheusProbe) -> None:
    port: Probe = probe
    port.leader_election()
    assert value(probe, "raftkafka_leader_elections_total") == 1


def test_requests(probe: PrometheusProbe) -> None:
    probe.request("Produce", ErrorCode.NONE, 0.001)
    probe.request("Produce", ErrorCode.NOT_LEADER_OR_FOLLOWER, 0.3)
    assert value(probe, "raftkafka_request_duration_seconds_bucket", api="Produce", le="0.001") == 1
    assert value(probe, "raftkafka_request_duration_seconds_bucket", api="Produce", le="0.25") == 1
    assert value(probe, "raftkafka_request_duration_seconds_bucket", api="Produce", le="+Inf") == 2
    assert value(probe, "raftkafka_request_duration_seconds_sum", api="Produce") == pytest.approx(0.301)
    assert value(probe, "raftkafka_request_errors_total", api="Produce", error="NOT_LEADER_OR_FOLLOWER") == 1
    assert len(scrape(probe)["raftkafka_request_errors"].samples) == 1


def test_events(probe: PrometheusProbe) -> None:
    probe.connection_opened("PLAINTEXT")
    probe.connection_opened("PLAINTEXT")
    probe.connection_closed("PLAINTEXT")
    probe.malformed_frame("PLAINTEXT")
    probe.log_sync(0.002, 5)
    probe.raft_commit(0.003)
    probe.raft_sync(0.004)
    probe.loop_delay(0.005)
    probe.isr_change(shrink=True)
    probe.isr_change(shrink=False)
    probe.isr_change(shrink=False)
    assert value(probe, "raftkafka_connections", listener="PLAINTEXT") == 1
    assert value(probe, "raftkafka_connections_opened_total", listener="PLAINTEXT") == 2
    assert value(probe, "raftkafka_malformed_frames_total", listener="PLAINTEXT") == 1
    assert value(probe, "raftkafka_log_synced_files_total") == 5
    for name in ("log_sync", "raft_commit", "raft_sync", "event_loop_delay"):
        assert value(probe, f"raftkafka_{name}_seconds_count") == 1
    assert value(probe, "raftkafka_isr_shrinks_total") == 1
    assert value(probe, "raftkafka_isr_expands_total") == 2


def test_states(probe: PrometheusProbe) -> None:
    probe.watch(lambda: statistics(partition(0), partition(1, isr_size=2), partition(2, is_leader=False, isr_size=1)))
    assert value(probe, "raftkafka_node_info", cluster_id="c1", node_id="2") == 1
    assert value(probe, "raftkafka_raft_term") == 4
    assert value(probe, "raftkafka_raft_is_leader") == 1
    assert value(probe, "raftkafka_partitions") == 3
    assert value(probe, "raftkafka_leader_partitions") == 2
    assert value(probe, "raftkafka_under_replicated_partitions") == 1
    assert value(probe, "raftkafka_partition_under_replicated", topic="logs", partition="1") == 1
    assert value(probe, "raftkafka_partition_high_watermark", topic="logs", partition="0") == 8
    assert value(probe, "raftkafka_partition_bytes_out_total", topic="logs", partition="2") == 7
    assert value(probe, "raftkafka_clock_seconds") == 1_700_000_000.25


def test_what_acks_all_lacks(probe: PrometheusProbe) -> None:
    probe.watch(
        lambda: statistics(
            partition(0, isr_size=2),
            partition(1, isr_size=1),
            partition(2, isr_size=1, is_leader=False),
            partition(3, isr_size=0, is_leader=False, has_leader=False),
        )
    )
    assert value(probe, "raftkafka_under_min_isr_partitions") == 1
    assert value(probe, "raftkafka_partition_under_min_isr", topic="logs", partition="1") == 1
    assert value(probe, "raftkafka_partition_under_min_isr", topic="logs", partition="0") == 0
    assert value(probe, "raftkafka_partitions_without_leader") == 1


def test_raft_and_the_cluster(probe: PrometheusProbe) -> None:
    probe.watch(statistics)
    assert value(probe, "raftkafka_raft_has_quorum") == 1
    assert value(probe, "raftkafka_raft_leader_silence_seconds") == 0.25
    assert value(probe, "raftkafka_raft_leader_changes_total") == 3
    assert value(probe, "raftkafka_raft_voters") == 3
    assert value(probe, "raftkafka_raft_observers") == 1
    assert value(probe, "raftkafka_raft_peer_connected", peer="3") == 0
    assert value(probe, "raftkafka_raft_peer_entries_behind", peer="1") == 4
    assert len(scrape(probe)["raftkafka_raft_peer_entries_behind"].samples) == 2
    assert value(probe, "raftkafka_cluster_brokers", state="fenced") == 1
    assert value(probe, "raftkafka_cluster_partitions_without_leader") == 2


def test_what_only_the_controller_knows_is_not_told_by_others(probe: PrometheusProbe) -> None:
    probe.watch(lambda: replace(statistics(), cluster=None, raft=replace(RAFT, leader_id=-1, leader_silence_s=None)))
    exposed = scrape(probe)
    assert not exposed["raftkafka_cluster_partitions_without_leader"].samples
    assert not exposed["raftkafka_cluster_brokers"].samples
    assert not exposed["raftkafka_raft_leader_silence_seconds"].samples
    assert value(probe, "raftkafka_raft_has_quorum") == 0


def test_log_directories(probe: PrometheusProbe) -> None:
    probe.watch(statistics)
    assert value(probe, "raftkafka_log_directory_online", directory="/var/b") == 0
    assert value(probe, "raftkafka_log_directory_size_bytes", directory="/var/b") == 20
    assert value(probe, "raftkafka_log_directory_free_bytes", directory="/var/a") == 70
    assert value(probe, "raftkafka_log_directory_capacity_bytes", directory="/var/a") == 100
    assert len(scrape(probe)["raftkafka_log_directory_free_bytes"].samples) == 1
    assert value(probe, "raftkafka_offline_log_directories") == 1


def test_groups_may_be_called_anything(probe: PrometheusProbe) -> None:
    name = 'a "quoted"\n\\ name, \u00fc'
    offsets = (committed(name, lag=2), committed("elsewhere", lag=None))
    probe.watch(lambda: statistics(groups=GroupStatistics(members=7, offsets=offsets, committed_offsets=5)))
    labels = {"topic": "logs", "partition": "0"}
    assert value(probe, "raftkafka_group_committed_offset", group=name, **labels) == 40
    assert value(probe, "raftkafka_group_lag_records", group=name, **labels) == 2
    assert len(scrape(probe)["raftkafka_group_lag_records"].samples) == 1
    assert value(probe, "raftkafka_group_offsets_without_series") == 3
    assert value(probe, "raftkafka_group_members") == 7


def test_pieces_keep_what_belongs_together(probe: PrometheusProbe) -> None:
    probe.watch(lambda: statistics(*map(partition, range(1_000))))
    pieces = [piece.decode() for piece in probe.pieces()]
    assert len(pieces) > 3
    heads = [line.split()[2] for piece in pieces for line in piece.splitlines() if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads))
    assert "".join(pieces).count("raftkafka_partition_size_bytes{") == 1_000
    for piece in pieces:
        assert piece.startswith("# HELP")


def test_the_zookeeper_port(probe: PrometheusProbe) -> None:
    probe.watch(statistics)
    probe.zookeeper_request("GET_DATA", ZkErrorCode.OK, 0.001)
    probe.zookeeper_request("GET_DATA", ZkErrorCode.NONODE, 0.3)
    probe.zookeeper_sessions_expired(2)
    assert value(probe, "raftkafka_zookeeper_request_duration_seconds_count", operation="GET_DATA") == 2
    assert value(probe, "raftkafka_zookeeper_request_errors_total", operation="GET_DATA", error="NONODE") == 1
    assert value(probe, "raftkafka_zookeeper_sessions_expired_total") == 2
    for name, expected in (
        ("outstanding_requests", 1),
        ("watches", 2),
        ("sessions", 3),
        ("nodes", 40),
        ("ephemeral_nodes", 5),
        ("tree_bytes", 600),
    ):
        assert value(probe, f"raftkafka_zookeeper_{name}") == expected
    probe.watch(lambda: replace(statistics(), zookeeper=None))
    assert scrape(probe)["raftkafka_zookeeper_nodes"].samples == []


def test_the_number_of_series_is_bounded(probe: PrometheusProbe) -> None:
    probe.watch(lambda: statistics(*map(partition, range(PARTITIONS_WITH_SERIES_MAX + 5))))
    assert probe.expose().count(b"raftkafka_partition_is_leader{") == PARTITIONS_WITH_SERIES_MAX
    assert value(probe, "raftkafka_partitions") == PARTITIONS_WITH_SERIES_MAX + 5
    assert value(probe, "raftkafka_partitions_without_series") == 5


def test_every_metric_of_the_table_is_exposed_and_no_other(probe: PrometheusProbe) -> None:
    probe.watch(lambda: statistics(partition(0)))
    exposed = scrape(probe)
    own = {(name, family.type) for name, family in exposed.items() if name.startswith("raftkafka_")}
    assert own == {(metric.name.removesuffix("_total"), metric.kind) for metric in METRICS}
    assert "process_resident_memory_bytes" in exposed


def test_two_nodes_in_one_process_do_not_mix(probe: PrometheusProbe) -> None:
    PrometheusProbe().leader_election()
    assert value(probe, "raftkafka_leader_elections_total") == 0


def test_every_metric_has_a_unit_that_its_name_says() -> None:
    units = {metric.name: metric.unit for metric in METRICS}
    assert units["raftkafka_partition_bytes_in_total"] == "bytes"
    assert units["raftkafka_partition_high_watermark"] == "offset"
    assert units["raftkafka_groups"] == "1"
    for metric in METRICS:
        if metric.kind == "histogram":
            assert metric.unit == "seconds"
        if metric.unit in {"seconds", "bytes", "records"}:
            assert metric.unit in metric.name
        if "always 1" in metric.meaning or metric.meaning.startswith(("1 ", "0 ")):
            assert metric.unit in {"always 1", "0 or 1"}


def test_the_page_is_current() -> None:
    committed = Path(__file__).parents[3] / "docs" / "metrics.md"
    assert committed.read_text() == page(), "run: python -m raftkafka.adapters.metric_table > docs/metrics.md"


@given(st.lists(st.floats(min_value=0, max_value=100, allow_nan=False)))
def test_a_histogram_counts_like_a_full_scan(values: list[float]) -> None:
    bounds = (0.5, 1.0, 10.0)
    histogram = Histogram(bounds)
    for seen in values:
        histogram.observe(seen)
    buckets = histogram.buckets()
    assert [count for _, count in buckets] == [
        *(sum(seen <= bound for seen in values) for bound in bounds),
        len(values),
    ]
    assert all(lower <= upper for (_, lower), (_, upper) in pairwise(buckets))
    assert histogram.sum == pytest.approx(sum(values))
