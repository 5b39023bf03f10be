"""The coordinator's partition, as Java computes it."""

from __future__ import annotations

import pytest

from raftkafka.group.partition_of import partition_of


@pytest.mark.parametrize(
    ("group_id", "java_hash"),
    [
        ("", 0),
        ("a", 97),
        ("hello", 99162322),
        ("my-group", -1906497762),
        ("polygenelubricants", -(1 << 31)),  # Kafka's abs makes it 0
        ("Grüße", 69215351),
        ("\U0001f600", 1772899),  # two UTF-16 code units
    ],
)
def test_partitions_are_kafkas(group_id, java_hash):
    expected = 0 if java_hash == -(1 << 31) else abs(java_hash) % 50
    assert partition_of(group_id, 50) == expected
