"""`rk` when things go wrong or end: one clear line, the documented exit code, and nothing left running."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raftkafka.client import Consumer, Producer, TopicPartition
from raftkafka.record.compression import codec_of
from raftkafka.record.header import iter_headers
from tests.clusters import Cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


pytestmark = pytest.mark.integration


@pytest.fixture
def single(shared_single: Cluster) -> Cluster:
    """No test here harms it."""
    return shared_single


ROOT = Path(__file__).parents[2]
PATIENCE_S = 60


async def rk(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "raftkafka.cli.main", *arguments],
        input=given,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
        cwd=ROOT,
    )


def one_line(done: subprocess.CompletedProcess[bytes], code: int = 1) -> str:
    text = done.stderr.decode()
    assert done.returncode == code, text
    assert text.startswith("rk: "), text
    assert text.count("\n") == 1, text
    return text


async def test_lines_of_every_kind(single: Cluster) -> None:
    lines = ["", "plain", "", "Grüße 😀 日本語", "tab\tand\rreturn", "x" * 900_000, ""]
    given = "".join(line + "\n" for line in lines).encode()
    to = ("--bootstrap-server", single.bootstrap)
    assert (await rk("topic", "create", "t", *to)).returncode == 0
    assert (await rk("produce", "t", *to, given=given)).returncode == 0
    read = await rk("consume", "t", "--from-beginning", "--until-end", *to)
    assert read.stdout == given
    records = [
        json.loads(line)
        for line in (await rk("consume", "t", "--from-beginning", "--until-end", "--json", *to)).stdout.splitlines()
    ]
    assert [(record["offset"], record["value"]) for record in records] == list(enumerate(lines))


async def test_a_line_that_is_too_large(single: Cluster) -> None:
    to = ("--bootstrap-server", single.bootstrap)
    done = await rk("produce", "t", *to, given=b"fits\n" + b"x" * (1 << 20) + b"\n")
    assert "MESSAGE_TOO_LARGE" in one_line(done)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_bomb(single: Cluster, codec: str) -> None:
    """A batch that unfolds to more than 64 MiB: brokers keep it as it is, and whoever reads it is told."""
    to = ("--bootstrap-server", single.bootstrap)
    assert (await rk("topic", "create", "t", "--config", "max.message.bytes=8388608", *to)).returncode == 0
    async with Producer(single.bootstrap, compression_type=codec, max_request_size=128 << 20) as producer:
        assert (await producer.send_and_wait("t", b"before")).offset == 0
        assert (await producer.send_and_wait("t", bytes(65 << 20))).offset == 1
    done = await rk("consume", "t", "--from-beginning", "--until-end", *to)
    assert done.stdout == b"before\n"
    assert "RECORD_LIST_TOO_LARGE: a batch of" in one_line(done)


async def test_codecs_that_do_not_exist(single: Cluster) -> None:
    to = ("--bootstrap-server", single.bootstrap)
    done = await rk("produce", "t", "--compression", "brotli", *to)
    assert done.returncode == 2
    assert b"'brotli' is not one of 'none', 'gzip', 'snappy', 'lz4', 'zstd'" in done.stderr
    done = await rk("topic", "create", "t", "--config", "compression.type=brotli", *to)
    assert "one of uncompressed, zstd, lz4, snappy, gzip, producer is wanted" in one_line(done)


@pytest.mark.parametrize("sent", ["none", "gzip", "snappy", "lz4", "zstd"])
async def test_compressed_lines_come_back(single: Cluster, sent: str) -> None:
    to = ("--bootstrap-server", single.bootstrap)
    given = "".join(f"line {number}\n" for number in range(20_000)).encode()
    # What the broker packs anew does not depend on how each of the others was packed.
    topics = [("kept", "producer"), ("packed", "zstd")] if sent in {"none", "gzip"} else [("kept", "producer")]
    for topic, config in topics:
        created = await rk("topic", "create", topic, "--config", f"compression.type={config}", *to)
        assert created.returncode == 0
        assert (await rk("produce", topic, "--compression", sent, *to, given=given)).returncode == 0
        assert (await rk("consume", topic, "--from-beginning", "--until-end", *to)).stdout == given
        async with Consumer(single.bootstrap) as consumer:
            consumer.assign([TopicPartition(topic, 0)])
            consumer.seek_to_beginning()
            batches = await consumer.poll_batches(timeout_ms=30_000)
        codecs = {header.compression for batch in batches for _, header in iter_headers(batch.records)}
        assert codecs == {codec_of(sent if config == "producer" else config)}


async def test_nobody_answers(single: Cluster) -> None:
    nobody = f"127.0.0.1:{single.more_ports().client}"
    patience = ("--timeout-ms", "1000")
    commands = [
        ("topic", "list", *patience),
        ("topic", "create", "t", *patience),
        ("cluster", "status", *patience),
        ("produce", "t", *patience),
        ("consume", "t", "--from-beginning", "--until-end", *patience),
    ]
    outcomes = await asyncio.gather(*(rk(*each, "--bootstrap-server", nobody, given=b"line\n") for each in commands))
    for arguments, done in zip(commands, outcomes, strict=True):
        # Whoever waits long may be told meanwhile; the last line is the verdict.
        lines = done.stderr.decode().splitlines()
        assert done.returncode == 1, arguments
        assert all(line.startswith("rk: ") for line in lines), lines
        assert nobody in lines[-1], arguments


async def test_a_port_where_something_else_listens(single: Cluster) -> None:
    http = f"127.0.0.1:{single.place(1).ports.http}"
    done = await rk("topic", "list", "--timeout-ms", "1000", "--bootstrap-server", http)
    assert http in one_line(done)


@pytest.mark.parametrize(
    "arguments",
    [
        ("topic", "crate", "t"),
        ("topic", "create"),
        ("produce",),
        ("consume", "t", "--offset", "x"),
        ("up", "--nodes", "0"),
    ],
    ids=" ".join,
)
async def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert "--help" in one_line(await rk(*arguments), code=2)


async def test_no_such_settings_file(tmp_path: Path) -> None:
    done = await rk("broker", str(tmp_path / "missing.properties"))
    assert done.returncode == 78  # EX_CONFIG: nobody should start it again with the same ones
    assert done.stderr.decode().count("\n") == 1
    assert "missing.properties" in done.stderr.decode()


@pytest.fixture
async def up(tmp_path: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`rk up --nodes 3`, and the address of its first node. Its ports are consecutive, and below all that others take."""
    first = 11_000 + Cluster.more_ports().client % 500
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "raftkafka.cli.main", "up", "--nodes", "3", "--data-dir", str(tmp_path / "up")),
        *("--port", str(first), "--http-port", str(first + 200)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process, f"127.0.0.1:{first}"
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_up_starts_three_nodes_and_stops_them(
    up: tuple[asyncio.subprocess.Process, str], tmp_path: Path, number: signal.Signals
) -> None:
    process, address = up
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        said = [(await process.stdout.readline()).decode() for _ in range(4)]
    assert [line.partition(":")[0] for line in said] == ["node 1 is ready", "node 2 is ready", "node 3 is ready", "try"]
    status = json.loads((await rk("cluster", "status", "--json", "--bootstrap-server", address)).stdout)
    assert [broker["fenced"] for broker in status["brokers"]] == [False, False, False]
    assert (await rk("topic", "create", "t", "--bootstrap-server", address)).returncode == 0
    assert (await rk("produce", "t", "--bootstrap-server", address, given=b"a\n")).returncode == 0
    process.send_signal(number)
    async with asyncio.timeout(PATIENCE_S):
        assert await process.wait() == 0
    assert (await process.stderr.read()).decode() == "rk: stopping\n"
    # Every node was stopped in order: that leaves the mark, and no process that holds the directory.
    assert len(list((tmp_path / "up").rglob(".kafka_cleanshutdown"))) == 3
    for log in (tmp_path / "up").rglob("*.log"):
        if log.parent.name == "3-nodes":
            assert "Traceback" not in log.read_text()
