"""DescribeLogDirs: sizes of what lies in the directories of this broker, and those that are offline."""

from __future__ import annotations

from types import SimpleNamespace

from raftkafka.broker.handlers.log_dirs import LogDirsHandler
from raftkafka.model.api.log_dirs import DescribeLogDirs, LogDirPartition
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import PartitionIndex, TopicId, TopicPartition
from raftkafka.ports.probe import LogDirectoryStatistics

CONTEXT = RequestContext(listener="PLAINTEXT", client_address="test")


def partition(topic: str, index: int, *, size: int, end: int, high_watermark: int) -> SimpleNamespace:
    return SimpleNamespace(
        topic=topic,
        topic_partition=TopicPartition(TopicId(bytes(16)), PartitionIndex(index)),
        log=SimpleNamespace(size_bytes=size, log_end_offset=end),
        high_watermark=high_watermark,
    )


class Logs:
    def contents(self):
        online = LogDirectoryStatistics(path="/a", is_online=True, size_bytes=30, free_bytes=70, capacity_bytes=100)
        offline = LogDirectoryStatistics(path="/b", is_online=False, size_bytes=0, free_bytes=None, capacity_bytes=None)
        here = (
            partition("t", 0, size=10, end=5, high_watermark=5),
            partition("u", 1, size=20, end=3, high_watermark=7),
        )
        return [(online, here), (offline, ())]


def test_all_of_it():
    answer = LogDirsHandler(logs=Logs()).describe(CONTEXT, DescribeLogDirs())
    first, second = answer.log_dirs
    assert (first.log_dir, first.error_code, first.total_bytes, first.usable_bytes) == ("/a", ErrorCode.NONE, 100, 70)
    assert first.partitions == (
        LogDirPartition(topic="t", partition=PartitionIndex(0), size_bytes=10, offset_lag=0),
        LogDirPartition(topic="u", partition=PartitionIndex(1), size_bytes=20, offset_lag=4),
    )
    assert (second.error_code, second.total_bytes) == (ErrorCode.KAFKA_STORAGE_ERROR, -1)


def test_of_some_topics():
    answer = LogDirsHandler(logs=Logs()).describe(CONTEXT, DescribeLogDirs(topics=("u", "none")))
    assert [each.topic for each in answer.log_dirs[0].partitions] == ["u"]
    assert LogDirsHandler(logs=Logs()).describe(CONTEXT, DescribeLogDirs(topics=())).log_dirs[0].partitions == ()
