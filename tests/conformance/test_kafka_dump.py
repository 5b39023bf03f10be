"""Kafka's dump tool reads our segments, indexes and producer snapshots, before and after compaction.

Needs Java and Kafka's jars, which `make conformance` fetches; skipped without them.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from raftkafka.adapters.disk import OsDisk
from raftkafka.model.ids import LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicPartition
from raftkafka.record.build import encode_records
from raftkafka.record.header import iter_headers
from raftkafka.record.iterate import decode_records
from raftkafka.storage.config import LogConfig
from raftkafka.storage.log import Log

JARS = Path(__file__).parents[2] / ".conformance" / "jars"
JAVA = shutil.which("java")
TOOL_TIMEOUT_S = 120
START_MS = 1_700_000_000_000
BATCHES = 80
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")

pytestmark = [
    pytest.mark.skipif(JAVA is None, reason="no Java on the PATH"),
    pytest.mark.skipif(not JARS.is_dir(), reason="Kafka's jars are not there: make conformance"),
]

_BATCH = re.compile(
    r"^baseOffset: (\d+) lastOffset: (\d+) count: (\d+) baseSequence: (-?\d+) .*?producerId: (-?\d+) .*?"
    r"partitionLeaderEpoch: (\d+) .*?deleteHorizonMs: (\S+) position: (\d+) CreateTime: (-?\d+) size: (\d+) .*?"
    r"compresscodec: (\w+) .*?isvalid: (\w+)"
)
_RECORD = re.compile(
    r"^\| offset: (\d+) CreateTime: (-?\d+) keySize: (-?\d+) valueSize: (-?\d+) .*?headerKeys: \[(.*?)\]"
    r"(?: key: (\S+))?(?: payload: (.*))?$"
)


def dump(*files: Path, options: tuple[str, ...] = ()) -> list[str]:
    """The lines that Kafka's tool prints about the files."""
    command = [str(JAVA), "-Xmx256m", "-cp", f"{JARS}/*", "kafka.tools.DumpLogSegments", *options]
    command += ["--files", ",".join(map(str, files))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


async def write(path: Path, *, compacted: bool) -> tuple[list[tuple], list[tuple]]:
    """Make a log of several segments; its batches and its records as we read them."""
    disk = OsDisk()
    log = await Log.open(
        disk,
        str(path),
        topic_partition=TopicPartition(TopicId(bytes(16)), PartitionIndex(0)),
        topic="orders",
        config=LogConfig(segment_bytes=4_000, index_interval_bytes=300, cleanup_policy="compact"),
        clean=False,
        recovery_point=Offset(0),
        log_start_offset=Offset(0),
        now_ms=TimestampMs(START_MS),
    )
    for number in range(BATCHES):
        records = [
            (
                b"k%d" % ((number * 3 + at) % 7) if (number, at) != (20, 1) else b"deleted",
                b"v%d-%d" % (number, at) * 5 if (number, at) != (20, 1) else None,
                START_MS + number * 1_000 + at,
                (("h", b"x"),) if at == 1 else (),
            )
            for at in range(3)
        ]
        idempotent = number % 5 == 0
        batch = encode_records(
            records,
            compression=number % 5,
            producer_id=9 if idempotent else -1,
            producer_epoch=0 if idempotent else -1,
            base_sequence=number // 5 * 3 if idempotent else -1,
        )
        log.append_as_leader(memoryview(batch), leader_epoch=LeaderEpoch(number // 30), now_ms=TimestampMs(START_MS))

    async def flush() -> None:
        files, end = log.files_to_sync()
        await disk.sync(files)
        log.mark_flushed(end, files)

    async def rest() -> None:
        await asyncio.sleep(0)

    await flush()
    if compacted:
        cleaned = await log.clean(
            high_watermark=log.log_end_offset, now_ms=TimestampMs(START_MS), pause=rest, key_map_bytes=1 << 20
        )
        assert cleaned is not None
        assert cleaned.bytes_after < cleaned.bytes_before
    batches, records = [], []
    offset = Offset(0)
    while offset < log.log_end_offset:
        result = await log.read_cold(offset, max_bytes=1 << 20, end=log.log_end_offset)
        for at, header in iter_headers(result.records):
            batches.append((header.base_offset, header.last_offset, header.records_count, header.producer_id, header))
            records += decode_records(result.records, at)
        offset = result.next_offset
    await flush()
    log.close()
    disk.close()
    return batches, records


@pytest.fixture(params=[False, True], ids=["as written", "compacted"])
async def written(request, tmp_path):
    path = tmp_path / "orders-0"
    batches, records = await write(path, compacted=request.param)
    return path, batches, records, request.param


async def test_kafka_reads_every_batch_and_record(written):
    path, batches, records, compacted = written
    logs = sorted(path.glob("*.log"))
    assert len(logs) > 2
    lines = dump(*logs, options=("--deep-iteration", "--print-data-log"))
    seen = [match.groups() for match in map(_BATCH.match, lines) if match]
    assert [(int(row[0]), int(row[1]), int(row[2]), int(row[4])) for row in seen] == [each[:4] for each in batches]
    for row, (*_, header) in zip(seen, batches, strict=True):
        assert int(row[3]) == header.base_sequence
        assert int(row[5]) == header.partition_leader_epoch
        assert int(row[8]) == header.max_timestamp
        assert int(row[9]) == header.batch_size
        assert row[10] == CODECS[header.compression]
        assert row[11] == "true"
    told = [match.groups() for match in map(_RECORD.match, lines) if match]
    assert [
        (int(offset), int(time), key.encode(), None if int(size) < 0 else value.encode(), tuple(filter(None, [names])))
        for offset, time, _, size, names, key, value in told
    ] == [
        (record.offset, record.timestamp_ms, record.key, record.value, tuple(name for name, _ in record.headers))
        for record in records
    ]
    horizons = [row[6] for row in seen if row[6] != "OptionalLong.empty"]
    assert horizons == ([f"OptionalLong[{START_MS + 86_400_000}]"] if compacted else [])


async def test_kafka_finds_nothing_wrong_with_the_indexes(written):
    path = written[0]
    indexes = sorted(path.glob("*index"))
    # Compared with the logs: the tool prints what does not agree.
    lines = dump(*indexes)
    assert not [line for line in lines if "mismatch" in line.lower() or "non-consecutive" in line.lower()]
    assert not [line for line in lines if "found" in line.lower()]
    assert len([line for line in lines if line.startswith("offset: ")]) > 5
    assert len([line for line in lines if line.startswith("timestamp: ")]) > 5
    checked = dump(*indexes, options=("--index-sanity-check",))
    whole = {Path(line.split(" ")[0]).name for line in checked if line.endswith("passed sanity check.")}
    assert whole >= {index.name for index in indexes if index.stat().st_size}


async def test_kafka_reads_the_producer_snapshots(written):
    path = written[0]
    newest = max(path.glob("*.snapshot"))
    rows = [line for line in dump(newest) if line.startswith("producerId: 9 ")]
    last = BATCHES // 5 * 3 - 1
    assert f"lastSequence: {last} " in rows[-1]
    assert f"lastOffset: {(BATCHES - 5) * 3 + 2} " in rows[-1]
