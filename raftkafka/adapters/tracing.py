"""Traces by OpenTelemetry: the tracer, and for a node the way of its spans to a collector (OTLP over HTTP).

Floor 4. OpenTelemetry is an extra (`raftkafka[otel]`), imported when somebody traces. Spans leave from a thread of the SDK
with a bounded queue before it; what finds it full, or what the collector does not take, is dropped and counted. Nothing waits
for a collector, and a node that stops does so for STOP_MAX_S at most.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final

import raftkafka
from raftkafka.model.errors import ConfigurationError
from raftkafka.model.ids import NodeId
from raftkafka.model.settings.values import TracingSettings
from raftkafka.ports.probe import TraceStatistics
from raftkafka.ports.tracer import Attribute, Span, SpanKind

if TYPE_CHECKING:
    from opentelemetry.trace import Span as ApiSpan
    from opentelemetry.trace import Tracer as ApiTracer

    from raftkafka.adapters.tracing_export import Pipeline

_log = logging.getLogger("raftkafka.tracing")

STOP_MAX_S: Final = 2.0
STOP_POLL_S: Final = 0.01
_MISSING: Final = (
    "traces need OpenTelemetry, which is not installed ({}): pip install 'raftkafka[otel]', or leave "
    "otel.traces.exporter at none"
)


class OpenTelemetrySpan:
    """Implements `ports.tracer.Span`."""

    __slots__ = ("api",)

    def __init__(self, api: ApiSpan) -> None:
        self.api = api

    @property
    def is_recording(self) -> bool:
        return self.api.is_recording()

    def set(self, name: str, value: Attribute) -> None:
        self.api.set_attribute(name, value)

    def fail(self, error_type: str, message: str = "") -> None:
        from opentelemetry.trace import Status, StatusCode

        self.api.set_attribute("error.type", error_type)
        self.api.set_status(Status(StatusCode.ERROR, message or error_type))

    def end(self) -> None:
        self.api.end()


class OpenTelemetryTracer:
    """Implements `ports.tracer.Tracer` by a tracer of OpenTelemetry's: the global one, where none is given.

    Raises:
        ConfigurationError: OpenTelemetry is not installed.
    """

    def __init__(self, api: ApiTracer | None = None) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError as error:
            raise ConfigurationError(_MISSING.format(error)) from error
        self._trace = trace
        self._api = trace.get_tracer("raftkafka", raftkafka.__version__) if api is None else api
        self._propagator = TraceContextTextMapPropagator()
        self._kinds = {kind: trace.SpanKind[kind.name] for kind in SpanKind}

    def begin(self, name: str, kind: SpanKind, *, carrier: Mapping[str, str] | None = None) -> OpenTelemetrySpan:
        context = None if carrier is None else self._propagator.extract(carrier)
        return OpenTelemetrySpan(self._api.start_span(name, context=context, kind=self._kinds[kind]))

    def active(self, span: Span) -> AbstractContextManager[object]:
        assert isinstance(span, OpenTelemetrySpan)
        return self._trace.use_span(span.api, record_exception=False, set_status_on_exception=False)

    def carrier(self, span: Span) -> Mapping[str, str]:
        assert isinstance(span, OpenTelemetrySpan)
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, self._trace.set_span_in_context(span.api))
        return carrier


class Tracing:
    """A node's traces: `tracer` makes them, `statistics` tells what became of them, `stop` sends what is left."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.tracer = OpenTelemetryTracer(pipeline.provider.get_tracer("raftkafka", raftkafka.__version__))

    @classmethod
    def to_collector(cls, settings: TracingSettings, *, node_id: NodeId) -> Tracing:
        """By the settings, and by the `OTEL_*` variables for everything that these do not say.

        Raises:
            ConfigurationError: the extra is not installed, or a variable cannot be used.
        """
        try:
            from raftkafka.adapters.tracing_export import otlp_exporter, pipeline
        except ImportError as error:
            raise ConfigurationError(_MISSING.format(error)) from error
        try:
            return cls(pipeline(otlp_exporter(settings.endpoint), sampled=settings.sampled, node_id=node_id))
        except ValueError as error:
            raise ConfigurationError(f"traces: {error}") from error

    def statistics(self) -> TraceStatistics:
        return self._pipeline.statistics()

    async def stop(self) -> None:
        """Send what is queued, if the collector takes it in time."""
        stopped = threading.Event()

        def shut_down() -> None:
            self._pipeline.provider.shutdown()
            stopped.set()

        # A thread of its own: those of the loop's pool are waited for at the end of the process.
        threading.Thread(target=shut_down, name="end of traces", daemon=True).start()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + STOP_MAX_S
        while not stopped.is_set():
            if loop.time() >= deadline:
                _log.warning("the collector of traces does not answer: what was not sent yet is lost")
                self._pipeline.give_up()
                return
            await asyncio.sleep(STOP_POLL_S)
