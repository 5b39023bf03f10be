"""`rk produce`: lines of stdin or of a file become records. Floor 5."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from raftkafka.cli.options import CONNECT_TIMEOUT_MS_MAX, bootstrap_option, json_option, timeout_option
from raftkafka.cli.output import as_json, no_partition, say, sentence

if TYPE_CHECKING:
    import asyncio

    from raftkafka.cli.delivery import DeliveryReport
    from raftkafka.client.producer import Producer
    from raftkafka.client.types import BatchMetadata, Headers, RecordMetadata


@click.command()
@click.argument("topic")
@click.option("--file", type=click.Path(path_type=Path), help="Read this file instead of stdin.")
@click.option("--partition", metavar="N", type=click.IntRange(min=0), help="Default: spread, or by key.")
@click.option("--key-separator", help="What stands before it in a line is the record's key.")
@click.option("--header", "headers", metavar="NAME=VALUE", multiple=True, help="A header of every record; repeatable.")
@click.option("--rate", metavar="N", type=click.FloatRange(min=0, min_open=True), help="Records per second, at most.")
@click.option(
    "--acks",
    type=click.Choice(("0", "1", "all")),
    default="all",
    show_default=True,
    help="Who must have the record before it counts.",
)
@click.option(
    "--compression",
    type=click.Choice(("none", "gzip", "snappy", "lz4", "zstd")),
    default="none",
    show_default=True,
    help="How batches are packed.",
)
@click.option(
    "--delivery-timeout-ms",
    metavar="N",
    type=click.IntRange(min=1),
    default=120_000,
    show_default=True,
    help="Patience per record, in milliseconds.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Write what was acknowledged, and where it lies, as JSON to this file.",
)
@bootstrap_option
@timeout_option
@json_option
def produce(
    topic: str,
    file: Path | None,
    partition: int | None,
    key_separator: str | None,
    headers: Sequence[str],
    rate: float | None,
    acks: str,
    compression: str,
    delivery_timeout_ms: int,
    report: Path | None,
    bootstrap_server: str,
    timeout_ms: int,
    json: bool,
) -> int:
    """Send lines to a topic.

    The lines of one partition keep their order; the command ends when all are acknowledged. A topic that is missing is created where the brokers allow it.
    """
    from raftkafka.cli.session import run

    if key_separator == "":
        raise click.BadParameter("must not be empty", param_hint="--key-separator")
    session = _Session(
        topic=topic,
        partition=partition,
        key_separator=None if key_separator is None else key_separator.encode(),
        headers=_headers(headers),
        rate=rate,
        places_known=acks != "0",
    )
    interrupted = False
    try:
        run(
            session.send_all(
                file,
                bootstrap_servers=bootstrap_server,
                client_id="rk-produce",
                acks=acks,
                compression_type=compression,
                delivery_timeout_ms=delivery_timeout_ms,
                max_block_ms=timeout_ms,
                connect_timeout_ms=min(timeout_ms, CONNECT_TIMEOUT_MS_MAX),
            )
        )
    except KeyboardInterrupt:
        interrupted = True
    code = session.finish(report, json=json, interrupted=interrupted)
    return 130 if interrupted else code


class _Session:
    """One run: lines go out, acknowledgements come in, the first failure ends it."""

    def __init__(
        self,
        *,
        topic: str,
        partition: int | None,
        key_separator: bytes | None,
        headers: Headers,
        rate: float | None,
        places_known: bool,
    ) -> None:
        import time

        from raftkafka.cli.delivery import DeliveryReport
        from raftkafka.cli.pace import Pace

        self._topic = topic
        self._partition = partition
        self._key_separator = key_separator
        self._headers = headers
        self._pace = None if rate is None else Pace(rate, time.monotonic)
        self._places_known = places_known
        self._taken = 0
        self._failure: BaseException | None = None
        self._report: DeliveryReport = DeliveryReport(topic, lambda: time.monotonic() * 1000)

    async def send_all(self, file: Path | None, **settings: Any) -> None:
        """Send the lines of `file`, or of stdin, through a producer with these settings.

        Raises:
            ApiError: the topic, or the partition, cannot be had; once lines were taken a failure is told by `finish`.
            RaftKafkaError: a line is longer than any record may be.
            OSError: the lines cannot be read.
        """
        from raftkafka.cli.lines import read_groups
        from raftkafka.cli.session import told_when_slow
        from raftkafka.client.producer import Producer
        from raftkafka.model.errors import ApiError, RaftKafkaError

        with _source(file) as chunks:
            async with Producer(**settings) as producer:
                # Ask first: a topic that cannot be had is said at once, not after the first line.
                with told_when_slow(settings["bootstrap_servers"], settings["max_block_ms"]):
                    self._check_partition(await producer.partitions_for(self._topic))
                try:
                    async for group in read_groups(chunks):
                        if self._failure is not None:
                            break
                        for part in (group,) if self._pace is None else self._pace.steps(group):
                            if self._failure is None:
                                await self._send(producer, part)
                except ApiError as error:
                    self._failure = self._failure or error
                except ValueError as error:
                    raise RaftKafkaError(f"{file or 'stdin'}: {error}") from error
                await producer.flush()

    def _check_partition(self, partitions: int) -> None:
        from raftkafka.model.errors import ApiError, ErrorCode

        if self._partition is not None and self._partition >= partitions:
            raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, no_partition(self._topic, self._partition, partitions))

    def finish(self, report: Path | None, *, json: bool, interrupted: bool) -> int:
        """Say how it went; the exit code."""
        document = self._report.as_json()
        if report is not None:
            import json as encoder

            report.write_text(encoder.dumps(document) + "\n", encoding="utf-8")
        if json:
            as_json(document)
        unknown = self._taken - self._report.lines
        if self._failure is not None or unknown:
            reason = sentence(self._failure) if self._failure is not None else "interrupted"
            say(f"{reason} ({self._report.lines} lines acknowledged, {unknown} not or not known)")
            return 1
        if not json and (interrupted or not sys.stdin.isatty()):
            say(f"{self._report.lines} lines in {self._report.seconds:.2f} s")
        return 0

    async def _send(self, producer: Producer, group: Sequence[bytes]) -> None:
        if self._pace is not None and (wait_s := self._pace.wait_s(len(group))):
            import asyncio

            await asyncio.sleep(wait_s)
        self._taken += len(group)
        if self._key_separator is None and not self._headers:
            await self._send_group(producer, group)
        else:
            await self._send_one_by_one(producer, group)

    async def _send_group(self, producer: Producer, group: Sequence[bytes]) -> None:
        await producer.ready()  # lines wait as long as it takes; the first that times out ends the command
        future = await producer.send_batch(self._topic, group, partition=self._partition)

        def done(future: asyncio.Future[BatchMetadata]) -> None:
            if self._succeeded(future):
                self._acknowledged(future.result().partition, future.result().base_offset, group)

        future.add_done_callback(done)

    async def _send_one_by_one(self, producer: Producer, group: Sequence[bytes]) -> None:
        await producer.ready()
        for text in group:
            key, found, value = text.partition(self._key_separator) if self._key_separator else (b"", b"", text)
            if not found:
                key, value = b"", text

            def done(future: asyncio.Future[RecordMetadata], text: bytes = text) -> None:
                if self._succeeded(future):
                    self._acknowledged(future.result().partition, future.result().offset, [text])

            future = producer.send(
                self._topic, value, key=key if found else None, partition=self._partition, headers=self._headers
            )
            future.add_done_callback(done)

    def _acknowledged(self, partition: int, first_offset: int, lines: Sequence[bytes]) -> None:
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


def _headers(words: Sequence[str]) -> Headers:
    headers: list[tuple[str, bytes | None]] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{word!r} is not NAME=VALUE", param_hint="--header")
        headers.append((name, value.encode()))
    return tuple(headers)


@contextmanager
def _source(file: Path | None) -> Iterator[AsyncIterator[bytes]]:
    """Chunks of the file, or of stdin; what is no regular file (a named pipe) may keep us waiting, as stdin may."""
    from raftkafka.cli.lines import read_descriptor, read_file

    if file is not None and file.is_file():
        yield read_file(str(file))
        return
    with open(file or 0, "rb", buffering=0, closefd=file is not None) as source:
        yield read_descriptor(source.fileno())
