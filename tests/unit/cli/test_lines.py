"""Input as groups of lines: nothing lost, nothing too large."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.cli.lines import GROUP_BYTES, GROUP_LINES_MAX, grouped, read_descriptor, read_file, read_groups


async def lines_of(content: bytes, path: Path) -> list[bytes]:
    path.write_bytes(content)
    whole = [line async for group in read_groups(read_file(str(path))) for line in group]
    with path.open("rb") as file:
        assert [line async for group in read_groups(read_descriptor(file.fileno())) for line in group] == whole
    return whole


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"\n", [b""]),
        (b"a", [b"a"]),
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\n\nb", [b"a", b"", b"b"]),
        (b"a\r\n\xff\x00\n", [b"a\r", b"\xff\x00"]),
        (b"x" * 600_000 + b"\ny", [b"x" * 600_000, b"y"]),
    ],
)
async def test_lines(content: bytes, expected: list[bytes], tmp_path: Path) -> None:
    assert await lines_of(content, tmp_path / "input") == expected


async def test_a_pipe_gives_lines_as_they_come() -> None:
    read_end, write_end = os.pipe()
    groups = read_groups(read_descriptor(read_end))
    os.write(write_end, b"first\nsec")
    assert await asyncio.wait_for(anext(groups), 20) == [b"first"]
    os.write(write_end, b"ond\n")
    assert await asyncio.wait_for(anext(groups), 20) == [b"second"]
    os.close(write_end)
    assert [group async for group in groups] == []
    os.close(read_end)


async def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(IsADirectoryError):
            await anext(read_groups(read_descriptor(descriptor)))
    finally:
        os.close(descriptor)


@given(st.lists(st.integers(0, 2 * GROUP_BYTES).map(bytes), max_size=20))
def test_groups_are_bounded_and_complete(lines: list[bytes]) -> None:
    groups = list(grouped(lines))
    assert [line for group in groups for line in group] == lines
    for group in groups:
        assert group
        assert len(group) == 1 or sum(map(len, group)) <= GROUP_BYTES


def test_groups_of_empty_lines_are_bounded_too() -> None:
    assert [len(group) for group in grouped([b""] * (GROUP_LINES_MAX + 1))] == [GROUP_LINES_MAX, 1]
