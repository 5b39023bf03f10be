from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from random import Random
from struct import iter_unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.client.partitioner import StickyChoice, murmur2, partition_by_key


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_hashes_as_the_java_client(key, hashed):
    assert murmur2(key) == hashed


def test_ten_thousand_hashes_of_the_java_client():
    """Kafka's own client made the file; the rule of the keys stands in tests/conformance/GoldenFiles.java."""
    golden = (Path(__file__).parents[2] / "golden" / "murmur2-10000.bin").read_bytes()
    hashes = [each for (each,) in iter_unpack(">i", golden)]
    assert len(hashes) == 10_000
    lengths = set()
    for number, hashed in enumerate(hashes):
        digest = sha256(b"%d" % number).digest()
        key = (digest * 4)[: digest[0] % 97]
        lengths.add(len(key))
        assert murmur2(key) == hashed
        assert partition_by_key(key, 12) == (hashed & 0x7FFFFFFF) % 12
    assert lengths == set(range(97))


@given(st.binary(max_size=40), st.integers(1, 1000))
def test_a_key_always_finds_a_partition(key, partitions):
    assert 0 <= partition_by_key(key, partitions) < partitions


def test_sticky_stays_for_a_batch_and_then_moves_on():
    sticky = StickyChoice(switch_bytes=100, random=Random(1))
    chosen = [sticky.choose(10, 4, lambda: [0, 1, 2, 3]) for _ in range(30)]
    runs = [chosen[start : start + 10] for start in (0, 10, 20)]
    assert all(len(set(run)) == 1 for run in runs)
    assert runs[0][0] != runs[1][0] != runs[2][0]


def test_sticky_prefers_partitions_that_have_a_leader():
    sticky = StickyChoice(switch_bytes=1, random=Random(1))
    assert {sticky.choose(10, 4, lambda: [2]) for _ in range(5)} == {2}
    assert 0 <= sticky.choose(10, 4, list) < 4
