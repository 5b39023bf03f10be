"""`rk consume`: records of a topic, as lines. Floor 5."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from raftkafka.cli.options import DEFAULT_BOOTSTRAP, DEFAULT_TIMEOUT_MS, AsJson, BootstrapServer, TimeoutMs

if TYPE_CHECKING:
    from raftkafka.client.consumer import Consumer
    from raftkafka.client.types import TopicPartition
    from raftkafka.record.iterate import Record

_POLL_MS = 500
_RECORDS_PER_POLL = 5_000


class Format(StrEnum):
    VALUE = "value"
    JSON = "json"


def consume(
    topic: Annotated[str, typer.Argument()],
    bootstrap_server: BootstrapServer = DEFAULT_BOOTSTRAP,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Start at the first record kept.")] = False,
    offset: Annotated[
        int | None, typer.Option("--offset", min=0, help="Start at this offset; needs --partition.")
    ] = None,
    timestamp: Annotated[
        int | None, typer.Option("--timestamp", min=0, help="Start at this time, in milliseconds since the epoch.")
    ] = None,
    partition: Annotated[
        int | None, typer.Option("--partition", min=0, help="Only this partition; default: all.")
    ] = None,
    max_messages: Annotated[int | None, typer.Option("--max-messages", min=1, help="End after so many.")] = None,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="End at what was the end when the command started.")
    ] = False,
    format: Annotated[
        Format, typer.Option("--format", help="The value alone, or a JSON document per record.")
    ] = Format.VALUE,
    timeout_ms: TimeoutMs = DEFAULT_TIMEOUT_MS,
    json: AsJson = False,
) -> int:
    """Print records as they come; without a start option only new ones. Ctrl-C ends it."""
    from raftkafka.cli.session import run

    if sum((from_beginning, offset is not None, timestamp is not None)) > 1:
        raise typer.BadParameter("choose one of --from-beginning, --offset and --timestamp", param_hint="--offset")
    if offset is not None and partition is None:
        raise typer.BadParameter("an offset is a place in one partition: name it", param_hint="--partition")
    reading = _Reading(
        topic=topic,
        only_partition=partition,
        max_messages=max_messages,
        until_end=until_end,
        as_json=json or format is Format.JSON,
    )
    try:
        run(
            reading.read(
                bootstrap_server, timeout_ms, from_beginning=from_beginning, offset=offset, timestamp=timestamp
            )
        )
    except KeyboardInterrupt:
        # The only way to end a command that follows a topic is no failure.
        sys.stdout.flush()
    return 0


class _Reading:
    def __init__(
        self, *, topic: str, only_partition: int | None, max_messages: int | None, until_end: bool, as_json: bool
    ) -> None:
        self._topic = topic
        self._only_partition = only_partition
        self._left = max_messages
        self._until_end = until_end
        self._format = _json_lines if as_json else _value_lines

    async def read(
        self, bootstrap: str, timeout_ms: int, *, from_beginning: bool, offset: int | None, timestamp: int | None
    ) -> None:
        from raftkafka.client.consumer import Consumer

        consumer = Consumer(
            bootstrap,
            client_id="rk-consume",
            # A start that was named must be met exactly; only "new records" may be chosen by the client itself.
            auto_offset_reset="none" if offset is not None else "earliest" if from_beginning else "latest",
            default_api_timeout_ms=timeout_ms,
            connect_timeout_ms=min(timeout_ms, 5_000),
        )
        async with consumer:
            partitions = await self._partitions(consumer)
            ends = await consumer.end_offsets(partitions)
            starts = await self._starts(consumer, partitions, ends, from_beginning, offset, timestamp)
            consumer.assign(partitions)
            for each, start in starts.items():
                consumer.seek(each, start)
            await self._follow(consumer, starts, ends)

    async def _partitions(self, consumer: Consumer) -> list[TopicPartition]:
        from raftkafka.model.errors import ApiError, ErrorCode

        found = await consumer.partitions_for(self._topic)
        if self._only_partition is None:
            return found
        if self._only_partition >= len(found):
            raise ApiError(
                ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                f"topic {self._topic!r} has {len(found)} partitions, there is no partition {self._only_partition}",
            )
        return [found[self._only_partition]]

    @staticmethod
    async def _starts(
        consumer: Consumer,
        partitions: Sequence[TopicPartition],
        ends: Mapping[TopicPartition, int],
        from_beginning: bool,
        offset: int | None,
        timestamp: int | None,
    ) -> Mapping[TopicPartition, int]:
        if offset is not None:
            return dict.fromkeys(partitions, offset)
        if from_beginning:
            return await consumer.beginning_offsets(partitions)
        if timestamp is not None:
            found = await consumer.offsets_for_times(dict.fromkeys(partitions, timestamp))
            return {each: place.offset if place is not None else ends[each] for each, place in found.items()}
        return ends

    async def _follow(
        self, consumer: Consumer, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> None:
        """Hand out what comes, until enough was handed out, the end is reached, or nobody reads us any more."""
        unfinished = {each for each, end in ends.items() if starts[each] < end}
        while not (self._until_end and not unfinished):
            limit = _RECORDS_PER_POLL if self._left is None else min(self._left, _RECORDS_PER_POLL)
            for each, records in (await consumer.poll(_POLL_MS, limit)).items():
                wanted = records
                if self._until_end and records[-1].offset >= ends[each] - 1:
                    wanted = [record for record in records if record.offset < ends[each]]
                    consumer.pause(each)
                    unfinished.discard(each)
                sys.stdout.buffer.write(self._format(each, wanted))
                if self._left is not None:
                    self._left -= len(wanted)
            sys.stdout.buffer.flush()
            if self._left == 0:
                return


def _value_lines(partition: TopicPartition, records: Sequence[Record]) -> bytes:
    return b"".join([(record.value or b"") + b"\n" for record in records])


def _json_lines(partition: TopicPartition, records: Sequence[Record]) -> bytes:
    import json

    encode = json.JSONEncoder(separators=(",", ":")).encode
    return "".join([encode(_document(partition, record)) + "\n" for record in records]).encode()


def _document(partition: TopicPartition, record: Record) -> dict[str, Any]:
    return {
        "topic": partition.topic,
        "partition": partition.partition,
        "offset": record.offset,
        "timestamp": record.timestamp_ms,
        **_text_or_base64("key", record.key),
        **_text_or_base64("value", record.value),
        "headers": [{"name": name, **_text_or_base64("value", value)} for name, value in record.headers],
    }


def _text_or_base64(name: str, value: bytes | None) -> dict[str, str | None]:
    """Text where the bytes are UTF-8; else their base64 under a name that says so, since JSON has no bytes."""
    if value is None:
        return {name: None}
    try:
        return {name: value.decode()}
    except UnicodeDecodeError:
        from base64 import b64encode

        return {f"{name}_base64": b64encode(value).decode()}
