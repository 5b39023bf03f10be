"""Traces, as everything above the adapters sees them: what a request went through, and how long each part of it took.

Floor 1. Off by default, and then nothing of it is on the way of a request: who traces stands in front of the dispatch, the
controller's queue or the producer (`broker.tracing`, `client.tracing`), and is left out where nobody does. Names of spans and
attributes follow OpenTelemetry's semantic conventions, where they have any.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from typing import Final, Protocol

Attribute = str | int | float | bool


class SpanKind(Enum):
    INTERNAL = "internal"
    SERVER = "server"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class Span(Protocol):
    """One piece of work, from `Tracer.begin` to `end`."""

    @property
    def is_recording(self) -> bool:
        """False for one that was not sampled: what is set goes nowhere, so nothing need be found out for it."""
        ...

    def set(self, name: str, value: Attribute) -> None: ...

    def fail(self, error_type: str, message: str = "") -> None:
        """The work did not succeed: `error_type` is one of few names, such as an error code of Kafka's."""
        ...

    def end(self) -> None: ...


class Tracer(Protocol):
    """Never waits and never raises for what becomes of the spans; which of them are kept is the tracer's to decide."""

    def begin(self, name: str, kind: SpanKind, *, carrier: Mapping[str, str] | None = None) -> Span:
        """A span under that which `carrier` tells of (another process's, see `carrier`), else under the active one."""
        ...

    def active(self, span: Span) -> AbstractContextManager[object]:
        """Within it, in this task or callback, new spans are part of `span`."""
        ...

    def carrier(self, span: Span) -> Mapping[str, str]:
        """`traceparent`, and `tracestate` where there is one (W3C Trace Context), for who goes on with this trace."""
        ...


class NullSpan:
    __slots__ = ()

    @property
    def is_recording(self) -> bool:
        return False

    def set(self, name: str, value: Attribute) -> None: ...
    def fail(self, error_type: str, message: str = "") -> None: ...
    def end(self) -> None: ...


_NOTHING: Final = NullSpan()
_NOWHERE: Final[AbstractContextManager[object]] = nullcontext()


class NullTracer:
    """A tracer that keeps nothing."""

    def begin(self, name: str, kind: SpanKind, *, carrier: Mapping[str, str] | None = None) -> Span:
        return _NOTHING

    def active(self, span: Span) -> AbstractContextManager[object]:
        return _NOWHERE

    def carrier(self, span: Span) -> Mapping[str, str]:
        return {}
