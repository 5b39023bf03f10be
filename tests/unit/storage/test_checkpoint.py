"""Offset checkpoints in Kafka's text format."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.model.errors import StorageError
from raftkafka.storage import checkpoint

TOPICS = st.text("abcXYZ019._-", min_size=1, max_size=10)


@given(st.dictionaries(st.tuples(TOPICS, st.integers(0, 1 << 31)), st.integers(0, 1 << 62), max_size=10))
def test_it_round_trips(offsets):
    assert checkpoint.decode(checkpoint.encode(offsets)) == offsets


async def test_it_is_kafkas_text(disk):
    await checkpoint.write(disk, "/data/x", {("orders", 1): 7, ("orders", 0): 5})
    assert disk.read_file("/data/x") == b"0\n2\norders 0 5\norders 1 7\n"
    assert checkpoint.read(disk, "/data/x") == {("orders", 0): 5, ("orders", 1): 7}


@pytest.mark.parametrize(
    "content",
    [b"", b"0\n", b"1\n0\n", b"0\n2\na 0 1\n", b"0\n1\na 0\n", b"0\n1\na 0 -1\n", b"\xff\n", b"0\n1\na b c\n"],
)
def test_a_damaged_one_reads_as_empty(disk, content):
    disk.open("/data/x", create=True).append([content])
    assert checkpoint.read(disk, "/data/x") == {}


def test_a_missing_one_reads_as_empty(disk):
    assert checkpoint.read(disk, "/data/x") == {}


async def test_a_failed_write_leaves_the_old_one(disk):
    await checkpoint.write(disk, "/data/x", {("a", 0): 1})
    disk.append_error = StorageError("input/output error")
    with pytest.raises(StorageError):
        await checkpoint.write(disk, "/data/x", {("a", 0): 2})
    disk.crash()
    assert checkpoint.read(disk, "/data/x") == {("a", 0): 1}
