"""`rk log` over what real nodes have written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from raftkafka.client import Producer
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
