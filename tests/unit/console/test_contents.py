"""Messages between bytes and JSON."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.console.api.contents import Binary, Text, content, message, shown_bytes, taken
from raftkafka.console.api.errors import HttpError
from raftkafka.record.iterate import Record


def test_text_where_it_is_text() -> None:
    assert content("한국".encode(), None) == Text(text="한국", size=6, truncated=False)
    assert content(b"", None) == Text(text="", size=0, truncated=False)
    assert content(b"\xff", None) == Binary(base64="/w==", size=1, truncated=False)
    assert content(None, None) is None


def test_a_cut_within_a_character_leaves_it_out() -> None:
    text = "한" * 10
    assert content(text.encode(), 7) == Text(text="한한", size=30, truncated=True)
    assert content(text.encode(), 6) == Text(text="한한", size=30, truncated=True)
    # Not cut, but broken off: that is no text.
    assert isinstance(content(text.encode()[:7], None), Binary)
    assert content(b"\xff" * 10, 3) == Binary(base64="////", size=10, truncated=True)


@given(st.binary(max_size=50), st.integers(0, 60))
def test_what_is_shown_is_the_beginning(found: bytes, most: int) -> None:
    shown = content(found, most)
    assert shown is not None
    assert shown.size == len(found)
    assert shown.truncated == (len(found) > most)
    part = shown.text.encode() if isinstance(shown, Text) else base64.b64decode(shown.base64)
    assert found.startswith(part)
    assert len(part) <= most
    assert len(part) > min(most, len(found)) - 4


@given(st.binary())
def test_what_is_shown_can_be_sent_again(found: bytes) -> None:
    shown = content(found, None)
    assert shown is not None
    if isinstance(shown, Text):
        assert taken(shown.text, "text", "value") == found
    else:
        assert taken(shown.base64, "base64", "value") == found


@pytest.mark.parametrize("text", ["x", "====", "a b=", "/w=", "한국"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(HttpError, match=r"body\.value: is no base64"):
        taken(text, "base64", "body.value")


def test_a_whole_message() -> None:
    record = Record(5, 1_000, b"k", None, (("h", b"v"), ("n", None)))
    shown = message(3, record)
    assert (shown.partition, shown.offset, shown.timestamp_ms, shown.value) == (3, 5, 1_000, None)
    assert shown.headers == (("h", Text(text="v", size=1, truncated=False)), ("n", None))
    assert shown_bytes(record) >= 2
