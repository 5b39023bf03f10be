"""The producer's account of its lines, and the comparison that uses it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.cli.delivery import DeliveryReport
from raftkafka.cli.demo_check import PartitionCheck, PartitionVerdict, failover_ms


def report_of(batches: list[tuple[int, list[bytes]]]) -> dict[str, Any]:
    clock = iter(range(1_000_000))
    report = DeliveryReport("t", lambda: float(next(clock)))
    for first_offset, lines in batches:
        report.acknowledge(0, first_offset, lines)
    document: dict[str, Any] = json.loads(json.dumps(report.as_json()))
    return document


def test_a_report_names_places_and_digest() -> None:
    document = report_of([(5, [b"a", b"b"]), (7, [b"c"]), (10, [b"d"])])
    assert (document["lines"], document["bytes"]) == (4, 4)
    [partition] = document["partitions"]
    assert partition["ranges"] == [[5, 7], [10, 10]]
    assert partition["sha256"] == hashlib.sha256(b"a\nb\nc\nd\n").hexdigest()
    assert [ack[1:] for ack in partition["acks"]] == [[5, 2], [7, 1], [10, 1]]


def test_acknowledgements_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="out of order"):
        report_of([(5, [b"a", b"b"]), (6, [b"c"])])


def judge(
    delivered: dict[str, Any], log: list[tuple[int, bytes]], found: Counter[bytes] | None = None
) -> PartitionVerdict:
    check = PartitionCheck(delivered, Counter() if found is None else found)
    for offset, line in log:
        check.take(offset, line)
    return check.verdict()


DELIVERED = report_of([(0, [b"a", b"b"]), (4, [b"c"])])["partitions"][0]
LOG = [(0, b"a"), (1, b"b"), (2, b"b"), (3, b"x"), (4, b"c")]


def test_what_was_acknowledged_comes_back_and_the_rest_is_extra() -> None:
    found: Counter[bytes] = Counter()
    verdict = judge(DELIVERED, LOG, found)
    assert verdict.equal
    assert (verdict.lines_in, verdict.lines_out, verdict.extra_copies) == (3, 3, 2)
    assert found == Counter([b"c", b"a", b"b"])


@pytest.mark.parametrize(
    "log",
    [
        LOG[:-1],
        LOG[1:],
        [],
        [(0, b"b"), (1, b"a"), (4, b"c")],
        [(0, b"a"), (1, b"b"), (4, b"C")],
        [(0, b"a"), (0, b"a"), (1, b"b"), (4, b"c")],
        [(1, b"b"), (0, b"a"), (4, b"c")],
    ],
)
def test_loss_change_and_disorder_are_found(log: list[tuple[int, bytes]]) -> None:
    assert not judge(DELIVERED, log).equal


@given(st.lists(st.lists(st.binary(max_size=5), min_size=1, max_size=5), max_size=8), st.randoms())
def test_any_delivery_with_copies_between_is_equal(batches: list[list[bytes]], random: Any) -> None:
    log: list[tuple[int, bytes]] = []
    placed: list[tuple[int, list[bytes]]] = []
    for lines in batches:
        if random.random() < 0.3:
            log += [(len(log) + number, line) for number, line in enumerate(lines)]
        placed.append((len(log), lines))
        log += [(len(log) + number, line) for number, line in enumerate(lines)]
    for partition in report_of(placed)["partitions"]:
        verdict = judge(partition, log)
        assert verdict.equal
        assert verdict.lines_out + verdict.extra_copies == len(log)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([1, 2, 3, 250, 251], 150.0),  # 250 ends the longest pause
        ([99, 101, 400, 410], 300.0),  # 101 came from a socket, not from the new leader
        ([130], 30.0),
        ([1, 2], None),
        ([], None),
    ],
)
def test_failover_is_the_end_of_the_longest_pause(times: list[float], expected: float | None) -> None:
    assert failover_ms([[time, 0, 1] for time in times], 100.0) == expected
