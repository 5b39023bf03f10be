"""The JSON files of reassignments, elections and deletions, and what a proposal of new replicas looks like."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from raftkafka.cli.moves import (
    FormatError,
    MoveState,
    as_file,
    assignment_of,
    describe_state,
    parse_moves,
    parse_offsets,
    parse_partitions,
    parse_topics,
    state_of,
)
from raftkafka.client.spreading import SpreadError, spread
from raftkafka.client.types import TopicPartition
from raftkafka.model.api.cluster import DescribedBroker, PartitionMetadata, TopicMetadata
from raftkafka.model.ids import NodeId, PartitionIndex

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)


def topic(partitions: int, factor: int) -> TopicMetadata:
    replicas = tuple(NodeId(each) for each in range(1, factor + 1))
    return TopicMetadata(
        name="t",
        partitions=tuple(
            PartitionMetadata(partition=PartitionIndex(each), replica_nodes=replicas) for each in range(partitions)
        ),
    )


def brokers(*racks: str | None) -> list[DescribedBroker]:
    return [
        DescribedBroker(node_id=NodeId(number), host="h", port=1, rack=rack)
        for number, rack in enumerate(racks, start=1)
    ]


def test_a_file_is_written_as_kafka_writes_it() -> None:
    text = as_file({T1: [2, 3], T0: [1]})
    assert text == (
        '{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1],"log_dirs":["any"]},'
        '{"topic":"t","partition":1,"replicas":[2,3],"log_dirs":["any","any"]}]}'
    )
    assert parse_moves(text) == {T0: [1], T1: [2, 3]}


@pytest.mark.parametrize("directories", ['["/a"]', '["any","any"]', "7", '"any"', "null"])
def test_directories_are_refused(directories: str) -> None:
    entry = f'{{"topic":"t","partition":0,"replicas":[1],"log_dirs":{directories}}}'
    with pytest.raises(FormatError, match="log_dirs"):
        parse_moves(f'{{"version":1,"partitions":[{entry}]}}')


def test_the_other_files() -> None:
    assert parse_topics('{"topics":[{"topic":"a"},{"topic":"b"}],"version":1}') == ["a", "b"]
    assert parse_partitions('{"partitions":[{"topic":"t","partition":1}]}') == [T1]
    assert parse_offsets('{"partitions":[{"topic":"t","partition":0,"offset":-1}]}') == {T0: -1}
    for text in ('{"topics":[{"topic":"a"},{"topic":"a"}]}', '{"topics":[{"topic":1}]}', '{"topics":["a"]}'):
        with pytest.raises(FormatError):
            parse_topics(text)
    for entry in ('{"topic":"t"}', '{"topic":"t","partition":-1}', "1", '{"topic":"t","partition":true}'):
        with pytest.raises(FormatError, match="entry 0"):
            parse_partitions(f'{{"partitions":[{entry}]}}')
    for offset in ("-2", "1.5", "true", "null", str(1 << 63)):
        with pytest.raises(FormatError, match="entry 0"):
            parse_offsets(f'{{"partitions":[{{"topic":"t","partition":0,"offset":{offset}}}]}}')
    twice = '{"topic":"t","partition":0,"offset":1}'
    with pytest.raises(FormatError, match="t-0 is named twice"):
        parse_offsets(f'{{"partitions":[{twice},{twice}]}}')


def test_a_proposal_is_even_and_keeps_the_replication_factor() -> None:
    proposed = spread([topic(12, 2)], brokers(None, None, None), [1, 2, 3], rack_aware=True)
    assert sorted(proposed) == [TopicPartition("t", each) for each in range(12)]
    assert all(len(set(replicas)) == 2 for replicas in proposed.values())
    leaders = Counter(replicas[0] for replicas in proposed.values())
    assert leaders == {1: 4, 2: 4, 3: 4}


def test_a_proposal_uses_the_wanted_brokers_and_every_rack() -> None:
    known = brokers("a", "a", "b", "b")
    proposed = spread([topic(6, 2)], known, [2, 3], rack_aware=True)
    assert {node for replicas in proposed.values() for node in replicas} == {2, 3}
    proposed = spread([topic(6, 2)], known, [1, 2, 3, 4], rack_aware=True)
    assert all({node > 2 for node in replicas} == {True, False} for replicas in proposed.values())


@pytest.mark.parametrize(
    ("wanted", "words"),
    [([], "empty"), ([1, 1], "duplicate"), ([1, 9], r"unknown broker\(s\): 9"), ([1], "larger than available")],
)
def test_a_proposal_that_cannot_be_made(wanted: list[int], words: str) -> None:
    with pytest.raises(SpreadError, match=words):
        spread([topic(1, 2)], brokers(None, None), wanted, rack_aware=True)


def test_racks_that_only_some_have() -> None:
    with pytest.raises(SpreadError, match="--disable-rack-aware"):
        spread([topic(1, 2)], brokers("a", None), [1, 2], rack_aware=True)
    assert len(spread([topic(1, 2)], brokers("a", None), [1, 2], rack_aware=False)) == 1


def test_how_a_move_stands() -> None:
    now = assignment_of([topic(2, 2)])
    assert now == {T0: [1, 2], T1: [1, 2]}
    assert state_of(T0, [1, 2], {T0}, now) is MoveState.IN_PROGRESS
    assert state_of(T0, [1, 2], (), now) is MoveState.COMPLETED
    assert state_of(T0, [2, 1], (), now) is MoveState.OTHER
    assert state_of(TopicPartition("u", 0), [1], (), now) is MoveState.OTHER
    assert describe_state(T0, MoveState.COMPLETED, [1], [1]) == "Reassignment of partition t-0 is completed."
    assert describe_state(T0, MoveState.OTHER, [1, 2], [2]) == (
        "There is no active reassignment of partition t-0, but replica set is 1,2 rather than 2."
    )
    assert json.loads(as_file(now))["version"] == 1
