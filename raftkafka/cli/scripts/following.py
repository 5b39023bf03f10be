"""What the console consumer does: find the partitions, read, print, end when told to. Floor 5.

Values alone are taken a batch at a time. Where more of a record is to be shown the batches are decoded here, since only
they know whether their times are of the producers or of the brokers.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Sequence
from typing import Final

from raftkafka.cli.scripts.entry import warn
from raftkafka.cli.scripts.formatter import FormatError, Formatter
from raftkafka.cli.scripts.options import UsageError
from raftkafka.client.consumer import Consumer
from raftkafka.client.types import Batch, TopicPartition, Values
from raftkafka.model.errors import ApiError

_POLL_MS: Final = 500
_SLOW_S: Final = 3.0
_LOOK_AGAIN_S: Final = 10.0
"""How often topics and partitions that are new are looked for; Kafka waits for metadata.max.age.ms, five minutes."""


class Following:
    """One run over `consumer`, which it starts and stops; `count` is how many messages were printed."""

    def __init__(
        self,
        consumer: Consumer,
        *,
        servers: str,
        topic: str | None,
        include: str | None,
        partition: int | None,
        start: str | None,
        max_messages: int | None,
        timeout_ms: int | None,
        formatter: Formatter,
        skips_errors: bool,
        in_group: bool,
    ) -> None:
        self.count = 0
        self._consumer = consumer
        self._servers = servers
        self._topic = topic
        self._include = include
        self._partition = partition
        self._start = start
        self._left = max_messages if max_messages is None or max_messages >= 0 else None
        self._timeout_s = timeout_ms / 1000 if timeout_ms is not None and timeout_ms >= 0 else None
        self._formatter = formatter
        self._skips_errors = skips_errors
        self._in_group = in_group
        self._code = 0

    async def run(self) -> int:
        """Print until enough was printed, nothing has come for long enough, or a signal ends it; the exit code.

        Raises:
            ApiError: a topic, a partition or an offset cannot be had.
            FormatError: a message cannot be shown.
        """
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"

        def end(number: int) -> None:
            self._code = 128 + number
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, end, number)
        try:
            async with self._consumer:
                try:
                    await self._print()
                except TimeoutError:
                    pass
                except asyncio.CancelledError:
                    if not self._code:
                        raise
                    task.uncancel()  # what was printed is committed yet
        except BrokenPipeError:
            # Nobody listens any more. Python would complain once more when it flushes stdout at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.stderr.write("Unable to write to standard out, closing consumer.\n")
        return self._code

    async def _print(self) -> None:
        """Raises TimeoutError when nothing has come for as long as --timeout-ms says."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._timeout_s):
            await self._assign_all()
        looked = last = loop.time()
        looks = not self._in_group and self._partition is None  # a group learns of what is new by itself
        poll = self._poll_values if self._formatter.values_only else self._poll_records
        while self._left != 0:
            wait_ms = _POLL_MS
            if self._timeout_s is not None:
                left_s = last + self._timeout_s - loop.time()
                if left_s < 0:
                    return
                wait_ms = min(wait_ms, max(1, int(left_s * 1000)))
            if await poll(wait_ms):
                last = loop.time()
            if looks and loop.time() - looked >= _LOOK_AGAIN_S:
                looked = loop.time()
                await self._assign_new()

    # Partitions

    async def _assign_all(self) -> None:
        if self._in_group and self._topic is not None:
            self._consumer.subscribe([self._topic])
            return
        if self._in_group:
            self._consumer.subscribe(pattern=self._pattern())
            return
        slow = f"No answer from {self._servers}, or no topic that is asked for; waiting"
        timer = asyncio.get_running_loop().call_later(_SLOW_S, warn, slow)
        try:
            partitions = await self._partitions()
        finally:
            timer.cancel()
        if self._partition is not None:
            partitions = [each for each in partitions if each.partition == self._partition]
            if not partitions:
                raise UsageError(f"Topic {self._topic} has no partition {self._partition}")
        self._consumer.assign(partitions)
        if self._start is None:
            return  # auto.offset.reset says where
        for each in partitions:
            if self._start.isdecimal():
                self._consumer.seek(each, int(self._start))
            elif self._start.lower() == "earliest":
                self._consumer.seek_to_beginning(each)
            else:
                self._consumer.seek_to_end(each)

    async def _assign_new(self) -> None:
        """Take up what has come since: it has not been read at all, so it is read from its beginning."""
        known = self._consumer.assignment()
        added = [each for each in await self._partitions() if each not in known]
        if added:
            self._consumer.assign([*known, *added])
            self._consumer.seek_to_beginning(*added)

    async def _partitions(self) -> list[TopicPartition]:
        topics = [self._topic] if self._topic is not None else await self._included()
        return [each for topic in topics for each in await self._partitions_of(topic)]

    async def _partitions_of(self, topic: str) -> list[TopicPartition]:
        """Waits for as long as the topic may yet appear. Raises ApiError where it cannot."""
        while True:
            try:
                return await self._consumer.partitions_for(topic)
            except ApiError as error:
                if not error.code.retriable:
                    raise
                warn(f"Error while fetching metadata : {{{topic}={error.code.name}}}")

    async def _included(self) -> list[str]:
        from raftkafka.client.admin import Admin

        matches = self._pattern()
        async with Admin(self._servers) as admin:
            return [name for name in await admin.list_topics() if matches.fullmatch(name)]

    def _pattern(self) -> re.Pattern[str]:
        assert self._include is not None, "a topic or a pattern was asked for"
        # As Kafka's IncludeList: a comma stands for "or", blanks and outer quotes for nothing.
        pattern = self._include.replace(",", "|").replace(" ", "").strip("\"'")
        try:
            return re.compile(pattern)
        except re.error:
            raise UsageError(f"{pattern} is an invalid regex.") from None

    # Printing. What was handed out and is not printed, because there is enough, is sought again: a group must not commit it.

    async def _poll_values(self, wait_ms: int) -> bool:
        polled = await self._consumer.poll_values(wait_ms)
        for values in polled:
            self._print_values(values)
        return bool(polled)

    def _print_values(self, values: Values) -> None:
        wanted: Sequence[bytes | None] = values.values if self._left is None else values.values[: self._left]
        if wanted:
            self._write(self._formatter.values(wanted), len(wanted))
        if len(wanted) < len(values.values):
            self._seek_back(values.topic_partition, values.first_offset + len(wanted))

    async def _poll_records(self, wait_ms: int) -> bool:
        polled = await self._consumer.poll_batches(wait_ms)
        for batch in polled:
            self._print_batch(batch)
        return bool(polled)

    def _print_batch(self, batch: Batch) -> None:
        from raftkafka.record.header import iter_headers
        from raftkafka.record.iterate import decode_records

        for position, header in iter_headers(batch.records):
            lines: list[bytes] = []
            for record in () if header.is_control else decode_records(batch.records, position, check_crc=False):
                if not batch.first_offset <= record.offset < batch.next_offset:
                    continue
                if self._left is not None and len(lines) >= self._left:
                    self._write(b"".join(lines), len(lines))
                    self._seek_back(batch.topic_partition, record.offset)
                    return
                try:
                    lines.append(
                        self._formatter.record(
                            batch.topic_partition.partition, record, append_time=header.has_log_append_time
                        )
                    )
                except FormatError as error:
                    if not self._skips_errors:
                        self._write(b"".join(lines), len(lines))
                        raise
                    warn(f"Error processing message, skipping this message: {error}")
            self._write(b"".join(lines), len(lines))

    def _seek_back(self, partition: TopicPartition, offset: int) -> None:
        # A rebalance may have taken the partition between two polls; whoever has it now reads on from what is committed.
        if partition in self._consumer.assignment():
            self._consumer.seek(partition, offset)

    def _write(self, text: bytes, messages: int) -> None:
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
        self.count += messages
        if self._left is not None:
            self._left -= messages
