"""What a scrape sees, and that the page about metrics tells the truth."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from raftkafka.adapters.histogram import Histogram
from raftkafka.adapters.metric_table import METRICS, page
from raftkafka.adapters.prometheus import PARTITIONS_WITH_SERIES_MAX, PrometheusProbe
from raftkafka.model.errors import ErrorCode
from raftkafka.ports.probe import BrokerStatistics, PartitionStatistics, Probe, RaftStatistics


def partition(number: int, *, isr_size: int = 3, is_leader: bool = True) -> PartitionStatistics:
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
        bytes_in=5,
        records_in=6,
        bytes_out=7,
    )


def statistics(*partitions: PartitionStatistics) -> BrokerStatistics:
    raft = RaftStatistics(term=4, is_leader=True, leader_id=2, commit_index=17, applied_index=16)
    return BrokerStatistics(
        node_id=2, cluster_id="c1", is_fenced=False, raft=raft, partitions=partitions, waiting_requests=3
    )


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
