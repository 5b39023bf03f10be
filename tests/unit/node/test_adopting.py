"""Batches that Kafka wrote become ours without a change to their records."""

from __future__ import annotations

from pathlib import Path

import pytest

from raftkafka.node.adopting import restamped
from raftkafka.record.header import crc_ok, read_header
from raftkafka.record.iterate import decode_records

GOLDEN = sorted((Path(__file__).parents[2] / "golden").glob("batch-*.bin"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_records_stay_and_the_writer_goes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    header = read_header(content)
    content[12:16] = (27).to_bytes(4, "big")  # an epoch that no leader here has reached
    before = bytes(content[: header.batch_size])
    after = restamped(read_header(before), before)
    changed = read_header(after)
    assert crc_ok(after, 0, changed.batch_size)
    assert changed.partition_leader_epoch == 0
    assert (changed.producer_id, changed.producer_epoch, changed.base_sequence) == (-1, -1, -1)
    assert decode_records(after) == decode_records(before)
    assert changed._replace(partition_leader_epoch=27, crc=0, producer_id=0, producer_epoch=0, base_sequence=0) == (
        read_header(before)._replace(crc=0, producer_id=0, producer_epoch=0, base_sequence=0)
    )
