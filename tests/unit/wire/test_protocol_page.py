"""docs/protocol.md is the specification: its example decodes, and it lists every message with its fields in order."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from raftkafka.model.api.produce import Produce, ProducePartition, ProducePartitionResponse, ProduceResponse
from raftkafka.model.ids import LeaderEpoch, Offset, PartitionIndex, TopicId
from raftkafka.wire.session import PREFACE, ClientSession, ServerSession

TOPIC = TopicId(bytes(range(16)))


@pytest.fixture(scope="module")
def page() -> str:
    return (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")


def test_every_message_is_listed_with_its_fields_in_order(page, message_classes):
    listed = {
        name: re.findall(r"`(\w+)`", fields) for name, fields in re.findall(r"^- `(\w+)` = (.*)$", page, re.MULTILINE)
    }
    for pair in message_classes:
        for cls in pair:
            assert listed[cls.__name__] == [field.name for field in dataclasses.fields(cls)]


def test_the_example_is_what_goes_over_the_wire(page):
    example = page.split("### An example")[1].split("## Limits")[0]
    lines = re.findall(r"^ {4,}((?:[0-9a-f]{2} )*[0-9a-f]{2})(?:  |$)", example, re.MULTILINE)
    written = bytes.fromhex("".join(lines))
    partition = ProducePartition(
        topic_id=TOPIC, partition=PartitionIndex(3), leader_epoch=LeaderEpoch(7), records=memoryview(bytes(16384))
    )
    request = Produce(acks=-1, timeout_ms=30_000, partitions=(partition,))
    client, server = ClientSession(response_max_bytes=1000), ServerSession(request_max_bytes=1 << 20)
    head, records = client.encode_request(42, "producer-1", request)
    (incoming,) = server.receive(memoryview(b"".join([PREFACE, head, records]))).requests
    produced = ProducePartitionResponse(
        topic_id=TOPIC, partition=PartitionIndex(3), base_offset=Offset(1000), log_start_offset=Offset(0)
    )
    (answer,) = server.encode_response(incoming, ProduceResponse(partitions=(produced,)))
    assert written == head + answer
