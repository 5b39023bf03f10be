"""Records as lines: values, places, JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.cli.forms import FORMS, template
from raftkafka.client.types import TopicPartition
from raftkafka.record.iterate import Record

HERE = TopicPartition("t", 2)


def test_a_value_that_is_null_is_an_empty_line() -> None:
    assert FORMS["value"](HERE, 5, [b"a", None, b"c"]) == b"a\n\nc\n"
    assert FORMS["offset"](HERE, 5, [b"a", None, b"c\td"]) == b"2\t5\ta\n2\t6\t\n2\t7\tc\td\n"


@given(st.lists(st.binary(max_size=8).filter(lambda value: b"\n" not in value), min_size=1), st.integers(0, 2**62))
def test_places_and_values_come_back(values: Sequence[bytes], first: int) -> None:
    rows = [row.split(b"\t", 2) for row in FORMS["offset"](HERE, first, values).split(b"\n")[:-1]]
    assert [(int(partition), int(offset), value) for partition, offset, value in rows] == [
        (2, first + number, value) for number, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"a", {"value": "a"}), (None, {"value": None}), (b"\xff", {"value_base64": "/w=="})],
)
def test_json_has_everything(value: bytes | None, expected: dict[str, Any]) -> None:
    record = SimpleNamespace(offset=7, timestamp_ms=9, key=b"k", value=value, headers=[("h", b"\xfe")])
    [document] = [json.loads(text) for text in FORMS["json"](HERE, 7, [record]).splitlines()]
    assert document == {
        "topic": "t", "partition": 2, "offset": 7, "timestamp": 9, "key": "k",
        "headers": [{"name": "h", "value_base64": "/g=="}],
        **expected,
    }  # fmt: skip


RECORD = Record(offset=7, timestamp_ms=1_700_000_000_123, key=b"k", value=b"v\xff", headers=(("a", b"1"), ("b", None)))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{value}", b"v\xff"),
        (r"{key}\t{value}\n", b"k\tv\xff\n"),
        ("{topic}-{partition}@{offset} {timestamp}", b"t-2@7 1700000000123"),
        ("{time} {headers}", b"2023-11-14T22:13:20.123Z a=1,b="),
        (r"{{{key}}} \\n \q\0", b"{k} \\n \\q\x00"),
        ("nothing", b"nothing"),
    ],
)
def test_templates(text: str, line: bytes) -> None:
    assert template(text)(HERE, 7, [RECORD, RECORD]) == line + line


def test_what_is_null_is_empty_and_any_time_can_be_shown() -> None:
    bare = Record(offset=0, timestamp_ms=1 << 62, key=None, value=None, headers=())
    assert template("<{key}|{value}|{headers}|{time}>")(HERE, 0, [bare]) == b"<|||4611686018427387904>"
    assert template("{time}")(HERE, 0, [bare._replace(timestamp_ms=-1)]) == b"1969-12-31T23:59:59.999Z"


@pytest.mark.parametrize("text", ["{frob}", "{", "}", "{}", "{0}", "{key!r}", "{key:>5}", "{key.real}", "{key[0]}"])
def test_templates_that_mean_nothing(text: str) -> None:
    with pytest.raises(ValueError):
        template(text)
