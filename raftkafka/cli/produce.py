"""`rk produce`: lines of stdin or of a file become records. Floor 5."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raftkafka.cli.options import DEFAULT_BOOTSTRAP, AsJson, BootstrapServer
from raftkafka.cli.output import as_json, say

if TYPE_CHECKING:
    import asyncio

    from raftkafka.cli.delivery import DeliveryReport
    from raftkafka.client.producer import Producer
    from raftkafka.client.types import BatchMetadata, RecordMetadata


class Acks(StrEnum):
    NONE = "0"
    LEADER = "1"
    ALL = "all"


def produce(
    topic: Annotated[str, typer.Argument(help="Created at its first use where the brokers allow it.")],
    bootstrap_server: BootstrapServer = DEFAULT_BOOTSTRAP,
    file: Annotated[Path | None, typer.Option("--file", help="Read this file instead of stdin.")] = None,
    partition: Annotated[int | None, typer.Option("--partition", min=0, help="Default: spread, or by key.")] = None,
    key_separator: Annotated[
        str | None, typer.Option("--key-separator", help="What stands before it in a line is the record's key.")
    ] = None,
    acks: Annotated[Acks, typer.Option("--acks", help="Who must have the record before it counts.")] = Acks.ALL,
    delivery_timeout_ms: Annotated[
        int, typer.Option("--delivery-timeout-ms", min=1, help="Patience per record.")
    ] = 120_000,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write what was acknowledged, and where it lies, as JSON.")
    ] = None,
    json: AsJson = False,
) -> int:
    """Send lines to a topic, in order per partition; end when all are acknowledged."""
    from raftkafka.cli.session import run

    if key_separator == "":
        raise typer.BadParameter("must not be empty", param_hint="--key-separator")
    session = _Session(
        topic=topic,
        partition=partition,
        key_separator=None if key_separator is None else key_separator.encode(),
        places_known=acks is not Acks.NONE,
    )
    with open(file or 0, "rb", buffering=0, closefd=file is not None) as source:
        run(session.send_all(bootstrap_server, source.fileno(), acks.value, delivery_timeout_ms))
    return session.finish(report, json=json)


class _Session:
    """One run: lines go out, acknowledgements come in, the first failure ends it."""

    def __init__(self, *, topic: str, partition: int | None, key_separator: bytes | None, places_known: bool) -> None:
        import time

        from raftkafka.cli.delivery import DeliveryReport

        self._topic = topic
        self._partition = partition
        self._key_separator = key_separator
        self._places_known = places_known
        self._taken = 0
        self._failure: BaseException | None = None
        self._report: DeliveryReport = DeliveryReport(topic, lambda: time.monotonic() * 1000)

    async def send_all(self, bootstrap: str, descriptor: int, acks: str, delivery_timeout_ms: int) -> None:
        from raftkafka.cli.lines import read_groups
        from raftkafka.client.producer import Producer
        from raftkafka.model.errors import RaftKafkaError

        producer = Producer(bootstrap, client_id="rk-produce", acks=acks, delivery_timeout_ms=delivery_timeout_ms)
        async with producer:
            # Ask first: a topic that cannot be had is said at once, not after the first line.
            await producer.partitions_for(self._topic)
            try:
                async for group in read_groups(descriptor):
                    if self._failure is not None:
                        return
                    self._taken += len(group)
                    if self._key_separator is None:
                        await self._send_group(producer, group)
                    else:
                        await self._send_keyed(producer, group, self._key_separator)
                await producer.flush()
            except ValueError as error:
                raise RaftKafkaError(f"stdin: {error}") from error

    def finish(self, report: Path | None, *, json: bool) -> int:
        """Say how it went; the exit code."""
        document = self._report.as_json()
        if report is not None:
            import json as encoder

            report.write_text(encoder.dumps(document) + "\n", encoding="utf-8")
        if json:
            as_json(document)
        unknown = self._taken - self._report.lines
        if self._failure is not None or unknown:
            say(
                f"{self._failure or 'interrupted'} ({self._report.lines} lines acknowledged, {unknown} not or not known)"
            )
            return 1
        if not sys.stdin.isatty() and not json:
            say(f"{self._report.lines} lines in {self._report.seconds:.2f} s")
        return 0

    async def _send_group(self, producer: Producer, group: list[bytes]) -> None:
        future = await producer.send_batch(self._topic, group, partition=self._partition)

        def done(future: asyncio.Future[BatchMetadata]) -> None:
            if self._succeeded(future):
                self._acknowledged(future.result().partition, future.result().base_offset, group)

        future.add_done_callback(done)

    async def _send_keyed(self, producer: Producer, group: list[bytes], separator: bytes) -> None:
        await producer.ready()
        for text in group:
            key, found, value = text.partition(separator)
            if not found:
                key, value = b"", text

            def done(future: asyncio.Future[RecordMetadata], text: bytes = text) -> None:
                if self._succeeded(future):
                    self._acknowledged(future.result().partition, future.result().offset, [text])

            future = producer.send(self._topic, value, key=key if found else None, partition=self._partition)
            future.add_done_callback(done)

    def _acknowledged(self, partition: int, first_offset: int, lines: list[bytes]) -> None:
        if self._places_known:
            self._report.acknowledge(partition, first_offset, lines)
        else:
            self._report.count(lines)

    def _succeeded(self, future: asyncio.Future[BatchMetadata] | asyncio.Future[RecordMetadata]) -> bool:
        if future.cancelled():
            return False
        error = future.exception()
        if error is not None:
            self._failure = self._failure or error
        return error is None
