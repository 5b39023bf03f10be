"""Snapshots: the image as bytes and back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from raftkafka.metadata import snapshot
from raftkafka.metadata.commands import UnknownCommandError
from raftkafka.metadata.image import Image, Partition, Topic
from raftkafka.model import cbor
from raftkafka.model.errors import CorruptionError
from raftkafka.model.ids import PartitionIndex


def test_the_round_trip_is_exact(cluster):
    cluster.create("a", (1, 2, 3), (2, 3, 1), configs={"retention.ms": "7"})
    cluster.create("b.c", (3,))
    cluster.start(4, rack="r1")
    cluster.fence(2)
    cluster.shut_down(3)
    restored = snapshot.decode(snapshot.encode(cluster.image))
    assert restored == cluster.image
    assert restored.topic_by_name("b.c").partitions[0].last_known_leader == 3


def test_an_empty_image_has_a_snapshot():
    assert snapshot.decode(snapshot.encode(Image.empty())) == Image.empty()


def test_a_partition_takes_few_bytes(cluster):
    cluster.create("a", *[(1, 2, 3)] * 10_000)
    assert len(snapshot.encode(cluster.image)) < 10_000 * 32


def test_a_newer_version_stops_the_node():
    with pytest.raises(UnknownCommandError, match="upgrade"):
        snapshot.decode(cbor.encode([2, "", 0, [], []]))


@pytest.mark.parametrize("data", [b"", b"\x00", cbor.encode([1, "c"]), cbor.encode([1, "c", 1, [[1]], []]), b"\xff"])
def test_damage_is_named(data):
    with pytest.raises(CorruptionError):
        snapshot.decode(data)


def test_a_large_image_comes_in_pieces_of_bounded_size_whatever_its_topics():
    partitions = tuple(Partition(index=PartitionIndex(at), replicas=(1, 2, 3), isr=(1,)) for at in range(1_300))
    topics = [Topic(name=f"t{n}", topic_id=bytes([n] * 16), configs={}, partitions=partitions) for n in range(1, 4)]
    topics += [
        Topic(name=f"s{n}", topic_id=n.to_bytes(16), configs={}, partitions=partitions[:1]) for n in range(1, 900)
    ]
    image = replace(
        Image.empty(),
        topics={topic.topic_id: topic for topic in topics},
        topic_ids={topic.name: topic.topic_id for topic in topics},
    )
    pieces = list(snapshot.pieces(image))
    assert snapshot.decode(b"".join(pieces)) == image
    assert max(len(piece) for piece in pieces) < 2 * snapshot.PARTITIONS_PER_PIECE * 40
    assert len(pieces) > (3 * 1_300 + 899) / (2 * snapshot.PARTITIONS_PER_PIECE)
