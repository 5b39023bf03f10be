"""Lines of the console producer: every part that was asked for, or the number of the line that lacks it."""

from __future__ import annotations

import pytest

from raftkafka.cli.scripts.line_reader import LineError, reader_of
from raftkafka.model.errors import ConfigurationError


def test_a_line_is_a_value() -> None:
    reader = reader_of({})
    assert reader.values_only
    assert reader.read(b"a\tb", 1) == (None, b"a\tb", ())


def test_keys() -> None:
    reader = reader_of({"parse.key": " True "})
    assert not reader.values_only
    assert reader.read(b"k\tv\tw", 1) == (b"k", b"v\tw", ())
    assert reader_of({"parse.key": "true", "key.separator": "::"}).read(b"k::v", 1) == (b"k", b"v", ())
    with pytest.raises(LineError, match="No key separator found on line number 7: 'v'"):
        reader.read(b"v", 7)
    assert reader_of({"parse.key": "true", "ignore.error": "true"}).read(b"v", 7) == (None, b"v", ())


def test_headers() -> None:
    reader = reader_of({"parse.headers": "true", "parse.key": "true"})
    assert reader.read(b"h1:v1,h2:v2\tk\tv", 1) == (b"k", b"v", (("h1", b"v1"), ("h2", b"v2")))
    with pytest.raises(LineError, match="No headers delimiter found on line number 2"):
        reader.read(b"h1:v1", 2)
    with pytest.raises(LineError, match="No header key separator found in pair 'h2' on line number 3"):
        reader.read(b"h1:v1,h2\tk\tv", 3)
    with pytest.raises(LineError, match="is not UTF-8"):
        reader.read(b"\xff:v1\tk\tv", 4)
    lenient = reader_of({"parse.headers": "true", "ignore.error": "true", "headers.separator": "|"})
    assert lenient.read(b"h1|h2:x\tv", 1) == (None, b"v", (("h1", None), ("h2", b"x")))


def test_the_null_marker() -> None:
    reader = reader_of({"parse.headers": "true", "parse.key": "true", "null.marker": "NIL"})
    assert reader.read(b"NIL\tNIL\tNIL", 1) == (None, None, ())
    assert reader.read(b"h:NIL\tk\tv", 1) == (b"k", b"v", (("h", None),))
    with pytest.raises(LineError, match="Header keys"):
        reader.read(b"NIL:x\tk\tv", 1)
    assert not reader_of({"null.marker": "NIL"}).values_only


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"headers.separator": ":"}, "headers.separator and headers.key.separator"),
        ({"headers.delimiter": ","}, "headers.delimiter and headers.separator"),
        ({"null.marker": "\t"}, "null.marker and key.separator"),
        ({"key.separator": ""}, "key.separator may not be empty"),
    ],
)
def test_separators_that_cannot_be_told_apart(properties: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        reader_of(properties)
