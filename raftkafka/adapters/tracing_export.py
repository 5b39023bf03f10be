"""The way of a node's spans to a collector: sampled, queued within bounds, sent by a thread of OpenTelemetry's SDK, counted.

Floor 4. Imported by `tracing` alone, where traces are on: it needs the extra. Invariant: a span that is not exported is counted,
whether the queue was full or the collector did not take it; and the SDK's own queue, which would drop without saying so to
anybody, never fills up.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased

import raftkafka
from raftkafka.model.ids import NodeId
from raftkafka.ports.probe import TraceStatistics

_log = logging.getLogger("raftkafka.tracing")

QUEUE_MAX: Final = 2_048
"""OpenTelemetry's default; `OTEL_BSP_MAX_QUEUE_SIZE` is another number."""


class Pipeline:
    """`provider` makes tracers; their spans go through `queue` and `exporter`."""

    def __init__(self, provider: TracerProvider, queue: BoundedQueue, exporter: CountingExporter) -> None:
        self.provider = provider
        self._queue = queue
        self._exporter = exporter

    def statistics(self) -> TraceStatistics:
        return TraceStatistics(
            exported=self._exporter.exported, refused=self._exporter.refused, overflowed=self._queue.overflowed
        )

    def give_up(self) -> None:
        """Let the exporter's thread end without what it has still to send."""
        self._exporter.shutdown()


class CountingExporter(SpanExporter):
    """Counts what becomes of spans, and says once when the collector stops taking them, and once when it takes them again."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._failing = False
        self.taken = 0
        self.exported = 0
        self.refused = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        try:
            result = self._inner.export(spans)
        except Exception as error:  # noqa: BLE001 - an exporter's fault must not end its thread, and is counted as any other
            _log.debug("exporting spans: %r", error)
            result = SpanExportResult.FAILURE
        failed = result is not SpanExportResult.SUCCESS
        if failed:
            self.refused += len(spans)
        else:
            self.exported += len(spans)
        if failed is not self._failing:
            self._failing = failed
            if failed:
                _log.warning("the collector does not take traces: they are dropped, and counted, until it does")
            else:
                _log.info("the collector takes traces again")
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()


class BoundedQueue(SpanProcessor):
    """Lets spans into the SDK's queue as long as there is room. `on_end` is for one thread, the loop's."""

    def __init__(self, inner: BatchSpanProcessor, exporter: CountingExporter, queue_max: int) -> None:
        self._inner = inner
        self._exporter = exporter
        self._queue_max = queue_max
        self._queued = 0
        self.overflowed = 0

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is None or not span.context.trace_flags.sampled:
            return
        if self._queued - self._exporter.taken >= self._queue_max:
            self.overflowed += 1
            return
        self._queued += 1
        self._inner.on_end(span)

    def shutdown(self) -> None:
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int | None = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def pipeline(inner: SpanExporter, *, sampled: float, node_id: NodeId) -> Pipeline:
    """From a provider to any exporter. `sampled`: the share of traces that begin here and are kept, unless
    `OTEL_TRACES_SAMPLER` says it.

    Raises:
        ValueError: a number in an `OTEL_BSP_*` variable cannot be used.
    """
    exporter = CountingExporter(inner)
    queue_max = int(os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE_MAX))
    queue = BoundedQueue(BatchSpanProcessor(exporter, max_queue_size=queue_max), exporter, queue_max)
    sampler: Sampler | None = None if "OTEL_TRACES_SAMPLER" in os.environ else ParentBased(TraceIdRatioBased(sampled))
    # Its `stop` is the node's to call, at the time that suits it.
    provider = TracerProvider(sampler=sampler, resource=_resource(node_id), shutdown_on_exit=False)
    provider.add_span_processor(queue)
    return Pipeline(provider, queue, exporter)


def otlp_exporter(endpoint: str) -> SpanExporter:
    """To `<endpoint>/v1/traces`; where it is empty, to where `OTEL_EXPORTER_OTLP_*` says, or port 4318 here."""
    # What it says of each batch that fails is counted, and told once (`CountingExporter`).
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    return OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None)


def _resource(node_id: NodeId) -> Resource:
    attributes: dict[str, str] = {"service.version": raftkafka.__version__, "service.instance.id": str(node_id)}
    named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not named:
        attributes["service.name"] = "raftkafka"
    return Resource.create(attributes)
