"""Where `rk consume` ends: at enough, at the end it saw first, and soon where there is no such topic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raftkafka.cli.reading import Reading
from raftkafka.client.types import TopicPartition, Values
from raftkafka.model.errors import ApiError


class Log:
    """A consumer of one topic; each poll gives what the next entry of `polls` says: partition, first offset, values."""

    def __init__(self, ends: list[int], polls: list[list[tuple[int, int, list[bytes | None]]]]) -> None:
        self.ends = ends
        self.polls = polls
        self.paused: list[TopicPartition] = []
        self.sought: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> Log:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    async def partitions_for(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in range(len(self.ends))]

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {each: self.ends[each.partition] for each in partitions}

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    def assign(self, partitions: list[TopicPartition]) -> None:
        pass

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.sought[partition] = offset

    def pause(self, partition: TopicPartition) -> None:
        self.paused.append(partition)

    async def poll_values(self, timeout_ms: int) -> list[Values]:
        return [
            Values(TopicPartition("t", number), first, first + len(values), values)
            for number, first, values in self.polls.pop(0)
        ]


async def read(log: Log, path: Path, **given: Any) -> bytes:
    settings: dict[str, Any] = {
        "topic": "t", "only_partition": None, "from_beginning": True, "offset": None, "timestamp": None,
        "max_messages": None, "until_end": False, "form": "value", "waiting_for": ("nowhere:1", 1),
    }  # fmt: skip
    await Reading(log, **{**settings, **given}).to(path)  # type: ignore[arg-type]  # a consumer in what it is asked for
    return path.read_bytes()


async def test_the_end_is_what_was_the_end_at_the_start(tmp_path: Path) -> None:
    log = Log([2, 1], [[(0, 0, [b"a", b"b", b"later"])], [(1, 0, [b"c"])]])
    assert await read(log, tmp_path / "out", until_end=True) == b"a\nb\nc\n"
    assert log.paused == [TopicPartition("t", 0), TopicPartition("t", 1)]


async def test_an_empty_topic_is_at_its_end(tmp_path: Path) -> None:
    assert await read(Log([0, 0], []), tmp_path / "out", until_end=True) == b""


async def test_enough_is_enough(tmp_path: Path) -> None:
    log = Log([9, 9], [[(0, 0, [b"a"]), (1, 0, [b"b", None, b"d"])]])
    assert await read(log, tmp_path / "out", max_messages=3) == b"a\nb\n\n"


async def test_without_a_start_only_new_records(tmp_path: Path) -> None:
    log = Log([5], [[(0, 5, [b"new"])]])
    assert await read(log, tmp_path / "out", from_beginning=False, max_messages=1, form="offset") == b"0\t5\tnew\n"
    assert log.sought == {TopicPartition("t", 0): 5}


async def test_one_partition_alone(tmp_path: Path) -> None:
    log = Log([1, 1], [[(1, 0, [b"b"])]])
    assert await read(log, tmp_path / "out", only_partition=1, until_end=True) == b"b\n"
    with pytest.raises(ApiError, match="has 2 partitions"):
        await read(log, tmp_path / "out", only_partition=2)
