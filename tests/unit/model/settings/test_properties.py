"""Java properties: what becomes a key, what a value, and on which line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.model.errors import ConfigurationError
from raftkafka.model.settings.properties import parse


def pairs(text: str) -> list[tuple[str, str, int]]:
    return [(found.key, found.value, found.line) for found in parse(text, source="server.properties")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("# a=1\n  ! b=2\n\n", []),
        ("a=1", [("a", "1", 1)]),
        ("a = 1", [("a", "1", 1)]),
        ("a:1", [("a", "1", 1)]),
        ("a 1", [("a", "1", 1)]),
        ("a\t:\t1", [("a", "1", 1)]),
        ("a==1", [("a", "=1", 1)]),
        ("a", [("a", "", 1)]),
        ("a=1   \t", [("a", "1", 1)]),
        ("\r\na=1\r\nb=2\r", [("a", "1", 2), ("b", "2", 3)]),
        ("a=1,\\\n   2,\\\n   3\nb=4", [("a", "1,2,3", 1), ("b", "4", 4)]),
        ("a=1\\", [("a", "1", 1)]),
        ("a=x\\\\\nb=2", [("a", "x\\", 1), ("b", "2", 2)]),
        ("a\\=b=c", [("a=b", "c", 1)]),
        ("a=\\u00e9\\t.", [("a", "é\t.", 1)]),
        ("\ufeffa=1", [("a", "1", 1)]),
        ("a=# no comment here", [("a", "# no comment here", 1)]),
    ],
)
def test_forms(text: str, expected: list[tuple[str, str, int]]) -> None:
    assert pairs(text) == expected


def test_repeated_keys_are_all_reported() -> None:
    assert pairs("a=1\na=2") == [("a", "1", 1), ("a", "2", 2)]


@pytest.mark.parametrize(("text", "line"), [("ok=1\na=\\u12", 2), ("=1", 1)])
def test_a_malformed_line_is_named(text: str, line: int) -> None:
    with pytest.raises(ConfigurationError, match=rf"^server\.properties:{line}: "):
        parse(text, source="server.properties")


def escape(text: str) -> str:
    return "".join(f"\\u{ord(char):04x}" for char in text)


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), min_size=1),
            st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])),
        )
    )
)
def test_whatever_is_escaped_comes_back(wanted: list[tuple[str, str]]) -> None:
    text = "\n".join(f"{escape(key)}={escape(value)}" for key, value in wanted)
    assert pairs(text) == [(key, value.rstrip(), line) for line, (key, value) in enumerate(wanted, start=1)]


@given(st.text())
def test_any_text_is_parsed_or_refused_with_its_line(text: str) -> None:
    try:
        parse(text, source="f")
    except ConfigurationError as error:
        assert str(error).startswith("f:")  # noqa: PT017
