"""Spans in memory, and a little collector that takes them over HTTP as OpenTelemetry's does."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler

from raftkafka.adapters.tracing import OpenTelemetryTracer


class SpansInMemory:
    """A tracer whose spans are in `finished` as soon as they have ended."""

    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler=ParentBased(sampler), shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = OpenTelemetryTracer(provider.get_tracer("test"))

    @property
    def finished(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> ReadableSpan:
        """The one span of that name."""
        [span] = [each for each in self.finished if each.name == name]
        return span


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    name: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    service: str
    instance: str
    attributes: dict[str, object]


class Collector:
    """`status` is what it answers with; `url` is what goes into `otel.exporter.otlp.endpoint`."""

    def __init__(self) -> None:
        self.status = 200
        self.spans: list[Collected] = []
        self.paths: set[str] = set()
        self.headers: dict[str, str] = {}
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.paths.add(self.path)
                collector.headers = {name.lower(): value for name, value in self.headers.items()}
                if collector.status == 200:
                    collector.spans += _decoded(body)
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def named(self, name: str) -> list[Collected]:
        return [each for each in self.spans if each.name == name]


@contextlib.contextmanager
def collector() -> Iterator[Collector]:
    collecting = Collector()
    thread = threading.Thread(target=collecting.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield collecting
    finally:
        collecting.server.shutdown()
        collecting.server.server_close()
        thread.join()


def _decoded(body: bytes) -> Iterator[Collected]:
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = {each.key: each.value.string_value for each in of_resource.resource.attributes}
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield Collected(
                    name=span.name,
                    trace_id=span.trace_id,
                    span_id=span.span_id,
                    parent_id=span.parent_span_id,
                    service=resource["service.name"],
                    instance=resource.get("service.instance.id", ""),
                    attributes={
                        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes
                    },
                )
