"""`rk bench`: how fast a cluster takes and gives records, seen from one client process. Floor 5."""

from __future__ import annotations

from typing import Any

import click

from raftkafka.cli.options import CONNECT_TIMEOUT_MS_MAX, bootstrap_option, json_option, timeout_option
from raftkafka.cli.output import as_json, line

_RECORDS = click.option("--records", metavar="N", type=click.IntRange(min=1), default=1_000_000, show_default=True)
_SIZE = click.option(
    "--record-size",
    metavar="BYTES",
    type=click.IntRange(8, 1_000_000),
    default=100,
    show_default=True,
    help="Of each value.",
)
_ACKS = click.option("--acks", type=click.Choice(("0", "1", "all")), default="all", show_default=True)


@click.group(no_args_is_help=True)
def bench() -> None:
    """Measure a cluster with the client of this machine.

    The records stay in the topic: take one of its own.
    """


@bench.command()
@click.argument("topic")
@_RECORDS
@_SIZE
@click.option("--rate", metavar="N", type=click.FloatRange(min=0, min_open=True), help="Records per second, at most.")
@_ACKS
@click.option(
    "--compression",
    type=click.Choice(("none", "gzip", "snappy", "lz4", "zstd")),
    default="none",
    show_default=True,
)
@bootstrap_option
@timeout_option
@json_option
def producer(
    topic: str,
    records: int,
    record_size: int,
    rate: float | None,
    acks: str,
    compression: str,
    bootstrap_server: str,
    timeout_ms: int,
    json: bool,
) -> None:
    """Send records in batches, until all are acknowledged."""
    from raftkafka.cli.bench_run import produce
    from raftkafka.cli.session import run

    settings = {**_producer(bootstrap_server, timeout_ms, acks), "compression_type": compression}
    found = run(produce(topic, records=records, record_bytes=record_size, rate=rate, settings=settings))
    _tell_throughput(found, "sent and acknowledged", json=json)


@bench.command()
@click.argument("topic")
@_RECORDS
@bootstrap_option
@timeout_option
@json_option
def consumer(topic: str, records: int, bootstrap_server: str, timeout_ms: int, json: bool) -> None:
    """Read records from the beginning of the topic, as many as there are at most."""
    from raftkafka.cli.bench_run import consume
    from raftkafka.cli.session import run

    found = run(consume(topic, records=records, settings=_consumer(bootstrap_server, timeout_ms)))
    _tell_throughput(found, "read", json=json)


@bench.command()
@click.argument("topic")
@click.option("--records", metavar="N", type=click.IntRange(min=1), default=5_000, show_default=True)
@_SIZE
@click.option(
    "--rate",
    metavar="N",
    type=click.FloatRange(min=0, min_open=True),
    default=1_000,
    show_default=True,
    help="Records per second.",
)
@_ACKS
@bootstrap_option
@timeout_option
@json_option
def latency(
    topic: str,
    records: int,
    record_size: int,
    rate: float,
    acks: str,
    bootstrap_server: str,
    timeout_ms: int,
    json: bool,
) -> None:
    """Time records from when they are due to be sent until a consumer has them."""
    from raftkafka.cli import bench_run
    from raftkafka.cli.session import run

    found = run(
        bench_run.latency(
            topic,
            records=records,
            record_bytes=record_size,
            rate=rate,
            producer=_producer(bootstrap_server, timeout_ms, acks),
            consumer=_consumer(bootstrap_server, timeout_ms),
        )
    )
    if json:
        as_json(found)
        return
    times = ", ".join(f"{name.removesuffix('_ms')} {found[name]:.3f} ms" for name in found if name != "records")
    line(f"{found['records']} records: {times}")


def _producer(servers: str, timeout_ms: int, acks: str) -> dict[str, Any]:
    return {
        "bootstrap_servers": servers,
        "acks": acks,
        "max_block_ms": timeout_ms,
        "connect_timeout_ms": min(timeout_ms, CONNECT_TIMEOUT_MS_MAX),
    }


def _consumer(servers: str, timeout_ms: int) -> dict[str, Any]:
    return {
        "bootstrap_servers": servers,
        "default_api_timeout_ms": timeout_ms,
        "connect_timeout_ms": min(timeout_ms, CONNECT_TIMEOUT_MS_MAX),
    }


def _tell_throughput(found: dict[str, Any], what: str, *, json: bool) -> None:
    if json:
        as_json(found)
    else:
        line(
            f"{found['records']} records {what} in {found['seconds']:.3f} s: {found['records_per_second']:,} records/s, "
            f"{found['mb_per_second']:.2f} MB/s"
        )
