"""Values of the API: what is taken, what is refused with a clear line, what is written, and its JSON schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.console.api.schema import (
    InvalidValueError,
    Natural,
    Range,
    Says,
    Size,
    as_json,
    parse,
    parse_query,
    schema,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """Something inside."""

    topic: Annotated[str, Size(1, 5)]
    partition: Natural = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    from_: Annotated[str, Says("where to begin")]
    count: Annotated[int, Range(1, 10)] = 5
    flag: bool = False
    kind: Literal["a", "b"] = "a"
    inner: Inner | None = None
    many: Annotated[tuple[Inner, ...], Size(0, 3)] = ()
    names: Mapping[str, str | None] | None = None
    either: int | str | None = None


WHOLE = {
    "from": "x",
    "count": 7,
    "flag": True,
    "kind": "b",
    "inner": {"topic": "t", "partition": 3},
    "many": [{"topic": "u"}],
    "names": {"k": None, "l": "v"},
    "either": "s",
}


def test_a_whole_value() -> None:
    value = parse(Outer, WHOLE)
    assert value.from_ == "x"
    assert value.inner == Inner(topic="t", partition=3)
    assert value.many == (Inner(topic="u"),)
    assert as_json(value) == {**WHOLE, "many": [{"topic": "u", "partition": 0}]}
    assert parse(Outer, as_json(value)) == value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"from": None}, "body.from: has to be a text"),
        ({"from": 5}, "body.from: has to be a text"),
        ({"from": "\ud800"}, "body.from: is no text that UTF-8 can express"),
        ({"count": "7"}, "body.count: has to be a whole number"),
        ({"count": True}, "body.count: has to be a whole number"),
        ({"count": 7.5}, "body.count: has to be a whole number"),
        ({"count": 0}, "body.count: has to be from 1 to 10"),
        ({"count": 1 << 70}, "body.count: is beyond 64 bits"),
        ({"flag": 1}, "body.flag: has to be true or false"),
        ({"kind": "c"}, "body.kind: has to be one of a, b"),
        ({"kind": []}, "body.kind: has to be one of a, b"),
        ({"inner": []}, "body.inner: has to be an object"),
        ({"inner": {}}, "body.inner: topic is missing"),
        ({"inner": {"topic": ""}}, "body.inner.topic: its length has to be from 1 to 5"),
        ({"inner": {"topic": "t", "x": 1}}, "body.inner: there is no 'x'"),
        ({"many": {}}, "body.many: has to be a list"),
        ({"many": [1]}, "body.many[0]: has to be an object"),
        ({"many": [{"topic": "t"}] * 4}, "body.many: its length has to be from 0 to 3"),
        ({"many": [{"topic": "t", "partition": -1}]}, "body.many[0].partition: has to be from 0 to"),
        ({"names": {"k": 1}}, "body.names.'k': has to be a text"),
        ({"names": []}, "body.names: has to be an object"),
        ({"either": []}, "body.either: has to be a text"),
        ({"from_": "x"}, "body: there is no 'from_'"),
        ({"z" * 1_000: 1}, "body: there is no 'zzzz"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidValueError) as refused:
        parse(Outer, {**WHOLE, **changes})
    assert str(refused.value).startswith(message)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("value", [None, 1, "x", [], True])
def test_only_an_object_is_an_object(value: object) -> None:
    with pytest.raises(InvalidValueError, match="body: has to be an object"):
        parse(Outer, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    in_: str = "x"
    limit: Annotated[int, Range(1, 100)] = 10
    internal: bool = False
    at: int | None = None


def test_a_query() -> None:
    assert parse_query(Query, [("in", "5"), ("limit", "7"), ("internal", "true"), ("at", "-3")]) == Query(
        in_="5", limit=7, internal=True, at=-3
    )


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("limit", "x")], "query.limit: has to be a whole number"),
        ([("limit", "")], "query.limit: has to be a whole number"),
        ([("limit", "1_0")], "query.limit: has to be a whole number"),
        ([("limit", "٣")], "query.limit: has to be a whole number"),
        ([("limit", "9" * 5_000)], "query.limit: has to be a whole number"),
        ([("limit", "101")], "query.limit: has to be from 1 to 100"),
        ([("internal", "yes")], "query.internal: has to be true or false"),
        ([("at", "now")], "query.at: has to be a whole number"),
        ([("limit", "1"), ("limit", "2")], "query: limit is there twice"),
        ([("other", "1")], "query: there is no 'other'; known are in, limit, internal, at"),
    ],
)
def test_what_a_query_may_not_be(pairs: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(InvalidValueError) as refused:
        parse_query(Query, pairs)
    assert str(refused.value).startswith(message)


def test_the_schema() -> None:
    components: dict[str, Any] = {}
    assert schema(Outer, components) == {"$ref": "#/components/schemas/Outer"}
    outer = components["Outer"]
    assert outer["required"] == ["from"]
    assert outer["additionalProperties"] is False
    assert outer["properties"]["from"] == {"type": "string", "description": "where to begin"}
    assert outer["properties"]["count"] == {"type": "integer", "format": "int64", "minimum": 1, "maximum": 10}
    assert outer["properties"]["inner"] == {"anyOf": [{"$ref": "#/components/schemas/Inner"}, {"type": "null"}]}
    assert outer["properties"]["many"]["maxItems"] == 3
    assert components["Inner"]["description"] == "Something inside."
    json.dumps(components)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    ANYTHING | st.fixed_dictionaries({"from": ANYTHING}, optional={name: ANYTHING for name in WHOLE if name != "from"})
)
def test_anything_is_taken_or_refused_in_one_line(value: object) -> None:
    try:
        parsed = parse(Outer, value)
    except InvalidValueError as error:
        refused = str(error)
    else:
        refused = ""
        assert parse(Outer, as_json(parsed)) == parsed
    assert "\n" not in refused
