"""`rk log` over what real nodes have written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from crc32c import crc32c

from raftkafka.client import Producer
from raftkafka.model.errors import StartupError
from raftkafka.node.adopting import adopt
from raftkafka.node.main import load_settings
from raftkafka.record.iterate import decode_records
from tests.clusters import eventually

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


def rk(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "raftkafka.cli.main", "log", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


async def test_what_a_node_has_written_is_sound_and_a_flipped_bit_is_found(new_cluster):
    cluster = new_cluster(1, {"log.cleaner.backoff.ms": "100"})
    cluster.start()
    await cluster.ready()
    configs = {"segment.bytes": "20000", "index.interval.bytes": "500"}
    await cluster.create_topic("plain", **configs)
    compacted = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01"}
    await cluster.create_topic("compacted", **configs, **compacted)
    async with Producer(cluster.bootstrap, compression_type="gzip", linger_ms=0, batch_size=2_000) as producer:
        for number in range(400):
            # Times go back and forth: the time index holds the largest so far.
            timestamp_ms = 1_000_000 + (number * 7_919) % 10_007
            value = bytes([number % 251]) * 150
            producer.send("plain", value, timestamp_ms=timestamp_ms)
            await producer.send("compacted", value, key=b"%d" % (number % 5), timestamp_ms=timestamp_ms)

    async def is_compacted() -> bool:
        return "compacted offsets" in cluster.node_log(1)

    await eventually(is_compacted, "the log is compacted")
    await cluster.stop()
    plain, small = (cluster.partition_dir(1, name) for name in ("plain", "compacted"))
    for directory in (plain, small):
        assert ": sound, " in rk("verify", str(directory), "--deep")
    segments = sorted(plain.glob("*.log"))
    assert len(segments) > 1
    assert any(path.stat().st_size for path in plain.glob("*.index"))
    assert rk("dump", str(segments[0]), "--deep").count("| offset: ") > 10
    content = bytearray(segments[0].read_bytes())
    content[-1] ^= 1
    segments[0].write_bytes(content)
    assert "the checksum is wrong" in rk("verify", str(plain), code=1)


async def test_kafkas_logs_are_taken_over_whole_or_not_at_all(single, tmp_path):
    await single.create_topic("t", replicas=1)
    await single.create_topic("full", replicas=1)
    async with Producer(single.bootstrap) as producer:
        await producer.send_and_wait("full", b"ours")
    properties = str(single.place(1).properties)
    golden = (ROOT / "tests" / "golden" / "batch-zstd.bin").read_bytes()
    kafka = tmp_path / "kafka"
    for name in ("t-0", "full-0", "elsewhere-0"):
        (kafka / name).mkdir(parents=True)
        (kafka / name / f"{0:020}.log").write_bytes(golden)
    segment = kafka / "t-0" / f"{0:020}.log"
    transactional = bytearray(golden)
    transactional[22] |= 0x10
    transactional[17:21] = crc32c(transactional[21:]).to_bytes(4, "big")

    async def refused(name: str, why: str) -> None:
        with pytest.raises(StartupError, match=why):
            await adopt(load_settings(properties), [str(kafka / name)])

    await refused("t-0", "in use")
    await single.stop()
    await refused("full-0", "has records")
    for content, why in (
        (golden[:-1], "before the batch of offset 0 does"),
        (golden[:70] + bytes([golden[70] ^ 1]) + golden[71:], "the checksum is wrong"),
        (golden[:16] + b"\1" + golden[17:], "Kafka before 0.11"),
        (bytes(transactional), "was written in a transaction"),
    ):
        segment.write_bytes(content)
        await refused("t-0", why)
    segment.write_bytes(golden)
    said = rk("adopt", properties, str(kafka / "elsewhere-0"), str(kafka / "t-0"))
    assert said.startswith("elsewhere-0: no replica here\nt-0: offsets 0 to ")
    single.start()
    await single.ready()
    assert [value for _, value in (await single.read_all("full"))[0]] == [b"ours"]
    wanted = [(record.offset, record.value) for record in decode_records(golden)]
    assert (await single.read_all("t"))[0] == wanted
