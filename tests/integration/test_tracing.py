"""A node that traces, and a record's way through it, as a collector sees them; and nodes that cannot."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from raftkafka.adapters.tracing import OpenTelemetryTracer
from raftkafka.adapters.tracing_export import otlp_exporter
from raftkafka.client import Consumer, Producer, TopicPartition
from raftkafka.client.tracing import TracedProducer, process
from tests.spans import collector

if TYPE_CHECKING:
    from tests.cluster_fixtures import ClusterFactory

pytestmark = pytest.mark.integration

SETTINGS = {"otel.traces.exporter": "otlp", "otel.traces.sampler.arg": "1", "broker.heartbeat.interval.ms": "200"}


async def test_a_record_from_its_producer_to_its_consumer(
    new_cluster: ClusterFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    with collector() as collecting:
        cluster = new_cluster(3, {**SETTINGS, "otel.exporter.otlp.endpoint": collecting.url})
        cluster.start()
        await cluster.ready()
        await cluster.create_topic("orders", min_insync_replicas="3")
        provider = TracerProvider(resource=Resource.create({"service.name": "shop"}), shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(otlp_exporter(collecting.url)))
        tracer = OpenTelemetryTracer(provider.get_tracer("shop"))
        async with Producer(cluster.bootstrap) as producer:
            await TracedProducer(producer, tracer).send_and_wait("orders", b"a book", partition=0)
        async with Consumer(cluster.bootstrap, auto_offset_reset="earliest") as consumer:
            consumer.assign([TopicPartition("orders", 0)])
            record = await anext(aiter(consumer))
            with process(tracer, record):
                assert record.value == b"a book"
        [sent], [processed] = collecting.named("send orders"), collecting.named("process orders")
        assert (processed.trace_id, processed.parent_id) == (sent.trace_id, sent.span_id)
        assert sent.service == processed.service == "shop"

        async def of_the_nodes() -> bool:
            return bool(collecting.named("Produce") and collecting.named("CreateTopics") and collecting.named("Fetch"))

        await cluster.eventually(of_the_nodes, "the nodes have sent what they did")
        [produced] = [
            each
            for each in collecting.named("Produce")
            if each.attributes["messaging.client.id"] == "raftkafka-producer"
        ]
        assert produced.service == "raftkafka"
        assert int(produced.instance) in cluster.node_ids
        assert produced.attributes["messaging.destination.name"] == "orders"
        assert produced.attributes["raftkafka.error_code"] == "NONE"

        async def with_its_parts() -> bool:
            parts = {each.name for each in collecting.spans if each.parent_id == produced.span_id}
            return parts == {"append", "wait for replicas"}

        await cluster.eventually(with_its_parts, "the parts of the produce have arrived")
        created = {each.span_id: each for each in collecting.named("CreateTopics")}
        committed = [each for each in collecting.named("commit metadata") if each.parent_id in created]
        assert committed
        assert all(int(str(each.attributes["raftkafka.raft.applied_index"])) > 0 for each in committed)


async def test_a_node_does_without_its_collector(new_cluster: ClusterFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens there; the node starts, serves, says so and stops in order."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    cluster = new_cluster(1, {**SETTINGS, "otel.exporter.otlp.endpoint": "http://127.0.0.1:9"})
    cluster.start()
    await cluster.ready()
    await cluster.create_topic("t")
    async with cluster.load("t") as load:
        await load.more()
        await load.end()
    await load.assert_nothing_lost(cluster)
    await cluster.logged(1, "the collector does not take traces")
    await cluster.stop(1)


def test_without_the_extra_a_node_says_what_to_install(new_cluster: ClusterFactory) -> None:
    cluster = new_cluster(1, SETTINGS)
    blocked = "import sys; sys.modules['opentelemetry'] = None; from raftkafka.cli.main import run; run()"
    ended = subprocess.run(
        [sys.executable, "-c", blocked, "broker", str(cluster.place(1).properties)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 78
    [line] = ended.stderr.splitlines()
    assert line.startswith("rk broker: traces need OpenTelemetry")
    assert "pip install 'raftkafka[otel]'" in line
