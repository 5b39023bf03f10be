"""Spans of requests: stands in front of the dispatch, and in the place of the controller's queue, on nodes that trace.

Floor 3. The parts of a request show from outside: a produce has appended when its handler returns, and waits for its replicas
until its answer is there. So the handlers know nothing of it. Records stay opaque: what a producer put into their headers is
for consumers, and a request's span begins a trace of its own.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from raftkafka.broker.controller_queue import ControllerQueue, Decide
from raftkafka.broker.dispatch import Outcome, error_of
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.model.api import Request, Response
from raftkafka.model.api.fetch import Fetch
from raftkafka.model.api.produce import Produce
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import TimestampMs, TopicId
from raftkafka.ports.consensus import Consensus
from raftkafka.ports.probe import Probe
from raftkafka.ports.tracer import Span, SpanKind, Tracer

_WAITS: Final[dict[type[Any], str]] = {Produce: "wait for replicas", Fetch: "wait for records"}


class TracedDispatch:
    """Implements `listeners.connection.Dispatch`. `topic_name` gives the name of a topic, None for an unknown one."""

    def __init__(
        self,
        dispatch: Callable[[RequestContext, Request], Outcome],
        *,
        tracer: Tracer,
        topic_name: Callable[[TopicId], str | None],
    ) -> None:
        self._dispatch = dispatch
        self._tracer = tracer
        self._topic_name = topic_name

    def __call__(self, context: RequestContext, request: Request) -> Outcome:
        kind = type(request)
        tracer = self._tracer
        span = tracer.begin(kind.__name__, SpanKind.SERVER)
        if span.is_recording:
            self._describe(span, context, request)
        waiting: Span | None = None
        try:
            with tracer.active(span):
                append = tracer.begin("append", SpanKind.INTERNAL) if kind is Produce else None
                try:
                    outcome = self._dispatch(context, request)
                finally:
                    if append is not None:
                        append.end()
                if isinstance(outcome, asyncio.Future):
                    waiting = tracer.begin(_WAITS.get(kind, "wait"), SpanKind.INTERNAL)
        except BaseException as error:
            _failed(span, error)
            raise
        if waiting is not None:
            assert isinstance(outcome, asyncio.Future)
            outcome.add_done_callback(partial(_answered_later, span, waiting))
        elif inspect.iscoroutine(outcome):
            return self._awaited(span, outcome)
        else:
            _answered(span, outcome)
        return outcome

    async def _awaited(self, span: Span, outcome: Awaitable[Response]) -> Response:
        try:
            with self._tracer.active(span):
                response = await outcome
        except BaseException as error:
            _failed(span, error)
            raise
        _answered(span, response)
        return response

    def _describe(self, span: Span, context: RequestContext, request: Any) -> None:
        span.set("rpc.system", "kafka")
        span.set("rpc.method", type(request).__name__)
        span.set("messaging.system", "kafka")
        span.set("messaging.client.id", context.client_id)
        span.set("client.address", context.client_address)
        span.set("raftkafka.listener", context.listener)
        if context.is_node:
            span.set("raftkafka.peer.node_id", context.node_id)
        if isinstance(request, Produce):
            span.set("raftkafka.acks", request.acks)
        partitions = getattr(request, "partitions", None)
        if partitions is None:
            return
        span.set("raftkafka.partitions", len(partitions))
        ids = {topic_id for each in partitions if (topic_id := getattr(each, "topic_id", None)) is not None}
        if len(ids) == 1 and (name := self._topic_name(ids.pop())) is not None:
            span.set("messaging.destination.name", name)
            if len(partitions) == 1:
                span.set("messaging.destination.partition.id", str(partitions[0].partition))


class TracedControllerQueue(ControllerQueue):
    """What a change of metadata waits for: those in line before it, the proposal, its commit by Raft, and its application here."""

    def __init__(
        self,
        *,
        consensus: Consensus,
        store: MetadataStore,
        probe: Probe,
        timeout_s: float,
        now_ms: Callable[[], TimestampMs] | None = None,
        tracer: Tracer,
    ) -> None:
        super().__init__(consensus=consensus, store=store, probe=probe, timeout_s=timeout_s, now_ms=now_ms)
        self._tracer = tracer

    async def submit(self, decide: Decide) -> Response:
        span = self._tracer.begin("commit metadata", SpanKind.INTERNAL)
        try:
            response = await super().submit(decide)
        except BaseException as error:
            _failed(span, error)
            raise
        if span.is_recording:
            span.set("raftkafka.raft.term", self._consensus.term)
            span.set("raftkafka.raft.applied_index", self._store.applied_index)
        span.end()
        return response


def _answered(span: Span, response: object) -> None:
    if span.is_recording and response is not None:
        code = error_of(response)
        span.set("raftkafka.error_code", code.name)
        if code is not ErrorCode.NONE:
            span.fail(code.name)
    span.end()


def _answered_later(span: Span, waiting: Span, done: asyncio.Future[Response]) -> None:
    waiting.end()
    if done.cancelled():
        # The client has gone; nobody is told how it ended.
        span.fail("cancelled")
        span.end()
    elif (error := done.exception()) is not None:
        _failed(span, error)
    else:
        _answered(span, done.result())


def _failed(span: Span, error: BaseException) -> None:
    if isinstance(error, ApiError):
        span.set("raftkafka.error_code", error.code.name)
        span.fail(error.code.name, error.message)
    else:
        span.fail("cancelled" if isinstance(error, asyncio.CancelledError) else type(error).__qualname__, str(error))
    span.end()
