"""Futures of records that cost nothing until somebody looks at them. Floor 3.

Most applications look at a few of the futures that `send` gives, or at none. So what became of a batch is kept once, and the future
of one record is set up when it is first asked, then told like any other. Only its type and its place are there before.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Generator, Sequence
from contextvars import Context
from typing import Any, Final

from raftkafka.client.types import UNKNOWN_OFFSET, RecordMetadata, TopicPartition
from raftkafka.model.errors import ApiError
from raftkafka.record.layout import RecordFields

_NOWHERE: Final = TopicPartition("", -1)


class Outcome:
    """What became of the records of one batch; `futures` are those that somebody has looked at, by their place in it."""

    __slots__ = (
        "_base_offset",
        "_done",
        "_error",
        "_log_append_time_ms",
        "_times",
        "_topic_partition",
        "_unseen",
        "futures",
        "loop",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.futures: dict[int, asyncio.Future[RecordMetadata]] = {}
        self._topic_partition = _NOWHERE
        self._done = False
        self._base_offset = UNKNOWN_OFFSET
        self._log_append_time_ms = -1
        self._times: Sequence[int] = ()
        self._error: ApiError | None = None
        self._unseen: asyncio.Future[None] | None = None

    def join(self, index: int, future: asyncio.Future[RecordMetadata]) -> None:
        """`future` is that of the record at `index`: it hears of the end, at once if that has come."""
        if not self._done:
            self.futures[index] = future
        elif self._error is None:
            future.set_result(self._metadata(index))
        else:
            if self._unseen is not None:
                self._unseen.exception()  # somebody looks
            future.set_exception(self._error)

    def succeed(
        self,
        topic_partition: TopicPartition,
        base_offset: int,
        log_append_time_ms: int,
        records: Sequence[RecordFields],
    ) -> None:
        """All lie from `base_offset` on; `log_append_time_ms` is -1 unless the topic uses the broker's time."""
        self._done = True
        self._topic_partition = topic_partition
        self._base_offset = base_offset
        self._log_append_time_ms = log_append_time_ms
        futures, self.futures = self.futures, {}
        if log_append_time_ms < 0:
            # Of the records nothing but this is kept: who keeps a future does not keep their bytes.
            single = len(records) == 1  # and spared a comprehension, which costs as much as the rest
            self._times = (records[0][2],) if single else array("q", [record[2] for record in records])
        # In the order of sending, whatever the order of looking.
        for index in sorted(futures) if len(futures) > 1 else futures:
            if not futures[index].done():
                futures[index].set_result(self._metadata(index))

    def fail(self, error: ApiError, count: int) -> None:
        self._done = True
        self._error = error
        futures, self.futures = self.futures, {}
        for index in sorted(futures):
            if not futures[index].done():
                futures[index].set_exception(error)
        if len(futures) < count:
            # asyncio says it when nobody has asked for an error: here once for the batch.
            self._unseen = self.loop.create_future()
            self._unseen.set_exception(error)

    def _metadata(self, index: int) -> RecordMetadata:
        base = self._base_offset
        time_ms = self._log_append_time_ms
        topic, partition = self._topic_partition
        return RecordMetadata(
            topic,
            partition,
            UNKNOWN_OFFSET if base == UNKNOWN_OFFSET else base + index,
            self._times[index] if time_ms < 0 else time_ms,
        )


class Delivery(asyncio.Future[RecordMetadata]):
    """The future of one record. Made by an `Appender` without `__init__`; `outcome` is None once it is set up."""

    __slots__ = ("index", "outcome")

    index: int
    outcome: Outcome | None

    def _set_up(self) -> None:
        outcome = self.outcome
        if outcome is not None:
            self.outcome = None
            super().__init__(loop=outcome.loop)
            outcome.join(self.index, self)

    def __await__(self) -> Generator[Any, None, RecordMetadata]:
        self._set_up()
        return super().__await__()

    __iter__ = __await__

    def __repr__(self) -> str:
        self._set_up()
        return super().__repr__()

    def done(self) -> bool:
        self._set_up()
        return super().done()

    def result(self) -> RecordMetadata:
        self._set_up()
        return super().result()

    def exception(self) -> BaseException | None:
        self._set_up()
        return super().exception()

    def cancel(self, msg: Any | None = None) -> bool:
        self._set_up()
        return super().cancel(msg)

    def cancelled(self) -> bool:
        self._set_up()
        return super().cancelled()

    def add_done_callback(self, fn: Callable[[Any], object], /, *, context: Context | None = None) -> None:
        self._set_up()
        super().add_done_callback(fn, context=context)

    def remove_done_callback(self, fn: Callable[[Any], object], /) -> int:
        self._set_up()
        return super().remove_done_callback(fn)

    def set_result(self, result: RecordMetadata, /) -> None:
        self._set_up()
        super().set_result(result)

    def set_exception(self, exception: type[BaseException] | BaseException, /) -> None:
        self._set_up()
        super().set_exception(exception)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        self._set_up()
        return super().get_loop()
