"""What `rk consume` does: partitions in parallel through one consumer, one write per answer. Floor 5.

Values are taken a batch at a time, which costs a tenth of what a record by itself does; only JSON and templates want keys, times and
headers and so pay for them.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from raftkafka.cli.admin import admin_of
from raftkafka.cli.forms import FORMS, Form
from raftkafka.cli.output import no_partition
from raftkafka.cli.session import told_when_slow
from raftkafka.client.consumer import Consumer
from raftkafka.client.types import TopicPartition
from raftkafka.model.errors import ApiError, ErrorCode

_POLL_MS: Final = 500
_TOPIC_WAIT_S: Final = 1.0
"""A broker that has not heard of a topic created a moment ago hears of it within this time."""
_RECORDS_PER_POLL: Final = 5_000

Part = tuple[TopicPartition, int, int, Sequence[Any]]
"""Partition, offset of the first item, offset to read on at, items: values or records."""
Write = Callable[[bytes], Awaitable[None]]


class Reading:
    """One run over `consumer`, which it starts and stops. `waiting_for` is the bootstrap servers and the patience in ms."""

    def __init__(
        self,
        consumer: Consumer,
        *,
        topic: str,
        only_partition: int | None,
        from_beginning: bool,
        offset: int | None,
        timestamp: int | None,
        max_messages: int | None,
        until_end: bool,
        form: str,
        template: Form | None = None,
        waiting_for: tuple[str, int],
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._only_partition = only_partition
        self._from_beginning = from_beginning
        self._offset = offset
        self._timestamp = timestamp
        self._left = max_messages
        self._until_end = until_end
        self._form: Form = template or FORMS[form]
        self._next = self._next_records if template is not None or form == "json" else self._next_values
        self._waiting_for = waiting_for

    async def to(self, output: Path | None) -> None:
        """Write to the file, or to stdout.

        Raises:
            ApiError: topic, partition or start cannot be had.
            OSError: the output cannot be written; BrokenPipeError when its reader has enough.
        """
        async with self._consumer:
            partitions = await self._partitions()
            with told_when_slow(*self._waiting_for):
                ends = await self._consumer.end_offsets(partitions)
                starts = await self._starts(partitions, ends)
            self._consumer.assign(partitions)
            for each, start in starts.items():
                self._consumer.seek(each, start)
            async with writing_to(output) as write:
                await self._follow(write, starts, ends)

    async def _partitions(self) -> list[TopicPartition]:
        found = await known_partitions(self._consumer, self._topic, self._waiting_for)
        only = self._only_partition
        if only is None:
            return found
        if only >= len(found):
            raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, no_partition(self._topic, only, len(found)))
        return [found[only]]

    async def _starts(
        self, partitions: Sequence[TopicPartition], ends: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, int]:
        if self._offset is not None:
            beyond = [each for each in partitions if self._until_end and self._offset > ends[each]]
            if beyond:
                # Without an end to stop at, the broker refuses it, or the record comes some day.
                where = f"{beyond[0].topic}-{beyond[0].partition} ends at {ends[beyond[0]]}"
                raise ApiError(ErrorCode.OFFSET_OUT_OF_RANGE, f"{where}, before offset {self._offset}")
            return dict.fromkeys(partitions, self._offset)
        if self._from_beginning:
            return await self._consumer.beginning_offsets(partitions)
        if self._timestamp is not None:
            found = await self._consumer.offsets_for_times(dict.fromkeys(partitions, self._timestamp))
            return {each: place.offset if place is not None else ends[each] for each, place in found.items()}
        return ends

    async def _follow(
        self, write: Write, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> None:
        """Hand out what comes, until enough was handed out, the end is reached, or nobody reads us any more."""
        unfinished = {each for each, end in ends.items() if starts[each] < end}
        while not (self._until_end and not unfinished):
            for each, first, following, items in await self._next():
                wanted = items
                if self._until_end and following >= ends[each]:
                    # Offsets are contiguous here unless compaction made gaps; then a few records more than asked for come.
                    wanted = items[: max(0, ends[each] - first)]
                    self._consumer.pause(each)
                    unfinished.discard(each)
                if self._left is not None:
                    wanted = wanted[: self._left]
                    self._left -= len(wanted)
                if wanted:
                    await write(self._form(each, first, wanted))
                if self._left == 0:
                    return

    async def _next_values(self) -> list[Part]:
        return list(await self._consumer.poll_values(_POLL_MS))

    async def _next_records(self) -> list[Part]:
        polled = await self._consumer.poll(_POLL_MS, _RECORDS_PER_POLL)
        return [(each, records[0].offset, records[-1].offset + 1, records) for each, records in polled.items()]


async def known_partitions(consumer: Consumer, topic: str, waiting_for: tuple[str, int]) -> list[TopicPartition]:
    """All partitions; a topic that is missing is told soon, although to a client it may yet appear."""
    try:
        async with asyncio.timeout(_TOPIC_WAIT_S):
            return await consumer.partitions_for(topic)
    except TimeoutError:
        # Either nobody has answered, then this waits on and says so, or the topic is missing, and this says that.
        async with admin_of(*waiting_for) as admin:
            await admin.describe_topics([topic])
        return await consumer.partitions_for(topic)


@asynccontextmanager
async def writing_to(output: Path | None) -> AsyncIterator[Write]:
    """A function that writes to the file, or to stdout."""
    if output is None:
        yield _to_stdout
        return
    import aiofiles

    async with aiofiles.open(output, "wb", buffering=0) as file:

        async def to_file(text: bytes) -> None:
            view = memoryview(text)
            while view:
                view = view[await file.write(view) :]

        yield to_file


async def _to_stdout(text: bytes) -> None:
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()
