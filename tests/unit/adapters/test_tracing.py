"""From a node's spans to a collector: a real one on loopback, one that is dead, one that refuses, one that comes back."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from raftkafka.adapters import tracing as module
from raftkafka.adapters.tracing import OpenTelemetryTracer, Tracing
from raftkafka.adapters.tracing_export import pipeline
from raftkafka.model.errors import ConfigurationError
from raftkafka.model.ids import NodeId
from raftkafka.model.settings.values import TracesExporter, TracingSettings
from raftkafka.ports.probe import TraceStatistics
from raftkafka.ports.tracer import SpanKind
from tests.spans import collector


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")


def to(endpoint, **given):
    settings = TracingSettings(exporter=TracesExporter.OTLP, endpoint=endpoint, **{"sampled": 1.0, **given})
    return Tracing.to_collector(settings, node_id=NodeId(7))


def work(tracing, count, name="Produce"):
    for number in range(count):
        span = tracing.tracer.begin(name, SpanKind.SERVER)
        span.set("number", number)
        span.end()


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def test_spans_arrive_with_who_they_are_of(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret")
    with collector() as collecting:
        tracing = to(f"{collecting.url}/")
        work(tracing, 3)
        await until(lambda: len(collecting.spans) == 3)
        assert collecting.paths == {"/v1/traces"}
        assert collecting.headers["authorization"] == "secret"
        assert {(each.service, each.instance) for each in collecting.spans} == {("raftkafka", "7")}
        assert [each.attributes["number"] for each in collecting.spans] == [0, 1, 2]
        work(tracing, 2, "Fetch")
        await tracing.stop()
        assert len(collecting.named("Fetch")) == 2
        assert tracing.statistics() == TraceStatistics(exported=5, refused=0, overflowed=0)


async def test_the_variables_of_opentelemetry_count(monkeypatch):
    with collector() as collecting:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collecting.url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "orders-log")
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
        tracing = to("", sampled=0.0)
        work(tracing, 1)
        await tracing.stop()
        assert [each.service for each in collecting.spans] == ["orders-log"]


async def test_of_many_requests_the_asked_for_share_is_kept():
    with collector() as collecting:
        tracing = to(collecting.url, sampled=0.1)
        work(tracing, 2_000)
        await tracing.stop()
        assert 100 < len(collecting.spans) < 320


async def test_a_dead_collector_costs_spans_and_nothing_else(monkeypatch, caplog):
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "600")
    listener = socket.create_server(("127.0.0.1", 0))  # takes connections and never answers
    tracing = to(f"http://127.0.0.1:{listener.getsockname()[1]}")
    began = time.perf_counter()
    work(tracing, 5_000)
    # Not one of them waits: a second each would be hours.
    assert time.perf_counter() - began < 30
    told = tracing.statistics()
    # Those under way are neither: at most a queue and what the exporter has taken.
    assert 5_000 - 600 - 1_200 <= told.overflowed + told.refused < 5_000
    monkeypatch.setattr(module, "STOP_MAX_S", 0.3)
    began = time.perf_counter()
    await tracing.stop()
    assert time.perf_counter() - began < 10, "a collector has ten seconds for each try"
    assert "does not answer" in caplog.text
    listener.close()
    threads = [each for each in threading.enumerate() if each.name.startswith(("Otel", "end of traces"))]
    for thread in threads:
        await asyncio.to_thread(thread.join, 20)


async def test_a_refusal_is_told_once_and_so_is_its_end(caplog):
    caplog.set_level("INFO", "raftkafka.tracing")
    with collector() as collecting:
        collecting.status = 400
        tracing = to(collecting.url)
        for batch in range(1, 4):
            work(tracing, 10)
            await until(lambda count=batch: tracing.statistics().refused == 10 * count)
        collecting.status = 200
        work(tracing, 1)
        await until(lambda: tracing.statistics().exported == 1)
        await tracing.stop()
    said = [each.message for each in caplog.records if each.name == "raftkafka.tracing"]
    assert len(said) == 2
    assert "does not take traces" in said[0]
    assert "takes traces again" in said[1]


async def test_an_exporter_that_raises_is_counted_and_goes_on():
    class Broken(SpanExporter):
        def export(self, spans):
            raise OSError("no route to host")

    tracing = Tracing(pipeline(Broken(), sampled=1.0, node_id=NodeId(1)))
    work(tracing, 3)
    await until(lambda: tracing.statistics().refused == 3)
    work(tracing, 2)
    await tracing.stop()
    assert tracing.statistics() == TraceStatistics(exported=0, refused=5, overflowed=0)


@pytest.mark.parametrize("use", [OpenTelemetryTracer, lambda: to("http://127.0.0.1:1")])
def test_without_the_extra_one_line_says_what_to_install(monkeypatch, use):
    for name in list(sys.modules):
        if name.startswith("opentelemetry") or name == "raftkafka.adapters.tracing_export":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'raftkafka\[otel\]'") as refused:
        use()
    assert "\n" not in str(refused.value)


def test_a_variable_that_is_no_number_is_named(monkeypatch):
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "many")
    with pytest.raises(ConfigurationError, match="many"):
        to("http://127.0.0.1:1")


def test_the_result_of_the_sdk_is_what_is_counted():
    assert {each.name for each in SpanExportResult} == {"SUCCESS", "FAILURE"}
