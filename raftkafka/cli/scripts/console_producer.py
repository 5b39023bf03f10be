"""`kafka-console-producer.sh`: lines of stdin become records. Floor 5.

A record that cannot be delivered is told at once and the others are sent, as in Kafka; the exit code is then 1, where Kafka says 0.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn

from raftkafka.cli.scripts.entry import BOOTSTRAP_SERVER, ZOOKEEPER, start, tool, warn
from raftkafka.cli.scripts.options import Option, Parsed, UsageError

if TYPE_CHECKING:
    import asyncio

    from raftkafka.cli.scripts.line_reader import LineReader
    from raftkafka.client.producer import Producer

TOOL: Final = tool(
    "kafka-console-producer.sh",
    "This tool helps to read data from standard input and publish it to Kafka.",
    BOOTSTRAP_SERVER,
    ZOOKEEPER,
    Option("broker-list", "The older name of --bootstrap-server, which goes first.", "broker-list"),
    Option("topic", "REQUIRED: The topic to produce messages to.", "topic"),
    Option("sync", "Send one message at a time."),
    Option("compression-codec", "'none', 'gzip', 'snappy', 'lz4' or 'zstd'; 'gzip' without a value.", "codec", "gzip"),
    Option("batch-size", "Bytes of a batch.", "size"),
    Option("max-partition-memory-bytes", "Bytes of a batch; goes before --batch-size.", "bytes"),
    Option("message-send-max-retries", "Not used: messages are tried again until delivery.timeout.ms.", "retries"),
    Option("retry-backoff-ms", "Milliseconds before a message is tried again.", "ms"),
    Option("timeout", "Milliseconds that a message may wait for others to travel with it.", "timeout_ms"),
    Option("request-required-acks", "The required acks: 0, 1, or all (-1), the default.", "acks"),
    Option("request-timeout-ms", "Milliseconds until a request is given up.", "ms"),
    Option("metadata-expiry-ms", "Milliseconds until what is known of the cluster is asked for again.", "ms"),
    Option("max-block-ms", "Milliseconds that a message may wait for its topic.", "ms"),
    Option("max-memory-bytes", "Bytes of all messages that wait to be sent.", "bytes"),
    Option("socket-buffer-size", "Not used: the kernel chooses.", "size"),
    Option("line-reader", "Only Kafka's LineMessageReader, the default, is known.", "reader_class"),
    Option("property", "A property of the line reader: parse.key, key.separator, ...", "key=value"),
    Option("reader-config", "Property file for the line reader; --property goes before it.", "config file"),
    Option("producer-property", "A property of the producer.", "key=value"),
    Option("producer.config", "Property file for the producer; --producer-property goes before it.", "config file"),
)

_NUMBERS: Final = (
    ("batch-size", "batch.size"),
    ("max-partition-memory-bytes", "batch.size"),
    ("retry-backoff-ms", "retry.backoff.ms"),
    ("timeout", "linger.ms"),
    ("request-timeout-ms", "request.timeout.ms"),
    ("metadata-expiry-ms", "metadata.max.age.ms"),
    ("max-block-ms", "max.block.ms"),
    ("max-memory-bytes", "buffer.memory"),
)


def run() -> NoReturn:
    start(TOOL, main)


def main(parsed: Parsed) -> int:
    """Send what stdin gives until its end; the exit code."""
    from raftkafka.cli.scripts.entry import run_async
    from raftkafka.cli.scripts.line_reader import KEYS, reader_of
    from raftkafka.cli.scripts.settings import arguments_for, read_file, words
    from raftkafka.client.producer import Producer

    servers = parsed.text("bootstrap-server") or parsed.text("broker-list")
    if servers is None:
        raise UsageError('Missing required argument "[bootstrap-server]"')
    parsed.check_required("topic")
    if "LineMessageReader" not in (parsed.text("line-reader") or "LineMessageReader"):
        raise UsageError(f"line-reader {parsed.text('line-reader')} cannot be had: only LineMessageReader is known")
    for name in ("message-send-max-retries", "socket-buffer-size"):
        if parsed.has(name):
            warn(f"--{name} is not used")
    reader_properties = read_file(parsed.text("reader-config")) | words(parsed.many("property"))
    for key in reader_properties:
        if key not in KEYS and key != "topic":
            warn(f"The property '{key}' was supplied but isn't a known one of the line reader.")
    properties = {"client.id": "console-producer", **read_file(parsed.text("producer.config"))}
    properties |= words(parsed.many("producer-property")) | _of_options(parsed)
    sending = _Sending(parsed.needed("topic"), reader_of(reader_properties), sync=parsed.has("sync"))
    run_async(sending.run(Producer(servers, **arguments_for(Producer, properties))))
    return 1 if sending.failed else 0


def _of_options(parsed: Parsed) -> dict[str, str]:
    found = {key: str(parsed.number(name)) for name, key in _NUMBERS if parsed.has(name)}
    for name, key in (("request-required-acks", "acks"), ("compression-codec", "compression.type")):
        if (text := parsed.text(name)) is not None:
            found[key] = text
    return found


class _Sending:
    """One run. `failed` counts the records that were not acknowledged."""

    def __init__(self, topic: str, reader: LineReader, *, sync: bool) -> None:
        self.failed = 0
        self._topic = topic
        self._reader = reader
        self._sync = sync
        self._lines = 0
        self._prompts = sys.stdin.isatty() and sys.stdout.isatty()

    async def run(self, producer: Producer) -> None:
        """Send everything that stdin gives. Raises LineError, ApiError, OSError; what was taken before is delivered."""
        from raftkafka.cli.lines import read_descriptor, read_groups
        from raftkafka.model.errors import RaftKafkaError

        send = self._send_values if self._reader.values_only and not self._sync else self._send_one_by_one
        async with producer:
            self._prompt()
            try:
                async for group in read_groups(self._prompting(read_descriptor(0))):
                    await send(producer, [line.removesuffix(b"\r") for line in group])
            except ValueError as error:
                raise RaftKafkaError(str(error)) from error
            finally:
                await producer.flush()

    def _prompt(self) -> None:
        if self._prompts:
            sys.stdout.write(">")
            sys.stdout.flush()

    async def _prompting(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            yield chunk
            self._prompt()

    async def _send_values(self, producer: Producer, lines: list[bytes]) -> None:
        await self._telling(lambda: producer.send_batch(self._topic, lines), len(lines))

    async def _send_one_by_one(self, producer: Producer, lines: list[bytes]) -> None:
        for line in lines:
            self._lines += 1
            key, value, headers = self._reader.read(line, self._lines)
            await producer.ready()

            async def send(
                key: bytes | None = key, value: bytes | None = value, headers: Any = headers
            ) -> asyncio.Future[Any]:
                return producer.send(self._topic, value, key=key, headers=headers)

            future = await self._telling(send, 1)
            if self._sync and future is not None:
                import asyncio

                await asyncio.wait([future])

    async def _telling(
        self, send: Callable[[], Awaitable[asyncio.Future[Any]]], records: int
    ) -> asyncio.Future[Any] | None:
        from raftkafka.model.errors import ApiError

        try:
            future = await send()
        except ApiError as error:
            self._failed(error, records)
            return None
        future.add_done_callback(lambda done: self._done(done, records))
        return future

    def _done(self, future: asyncio.Future[Any], records: int) -> None:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            self._failed(error, records)

    def _failed(self, error: BaseException, records: int) -> None:
        from raftkafka.cli.output import sentence

        self.failed += records
        what = "message" if records == 1 else f"{records} messages"
        sys.stderr.write(f"ERROR Error when sending {what} to topic {self._topic}: {sentence(error)}\n")
        sys.stderr.flush()
