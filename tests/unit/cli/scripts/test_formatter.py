"""Lines of the console consumer: the columns of Kafka's DefaultMessageFormatter, in its order."""

from __future__ import annotations

import pytest

from raftkafka.cli.scripts.formatter import KEYS, FormatError, formatter_of
from raftkafka.model.errors import ConfigurationError
from raftkafka.record.iterate import Record

RECORD = Record(offset=7, timestamp_ms=1_700_000_000_000, key=b"k", value=b"v", headers=(("h", b"x"), ("i", None)))
BARE = Record(offset=8, timestamp_ms=-1, key=None, value=None, headers=())


def test_values_alone() -> None:
    formatter = formatter_of({})
    assert formatter.values_only
    assert formatter.values([b"a", None, b""]) == b"a\nnull\n\n"
    assert formatter_of({"line.separator": ";", "null.literal": "-"}).values([b"a", None]) == b"a;-;"


def test_everything() -> None:
    formatter = formatter_of({key: "true" for key in KEYS if key.startswith("print.")})
    assert not formatter.values_only
    line = b"CreateTime:1700000000000\tPartition:3\tOffset:7\th:x,i:null\tk\tv\n"
    assert formatter.record(3, RECORD, append_time=False) == line
    assert formatter.record(0, BARE, append_time=True) == (
        b"LogAppendTime:-1\tPartition:0\tOffset:8\tNO_HEADERS\tnull\tnull\n"
    )


def test_some_columns_with_other_separators() -> None:
    formatter = formatter_of(
        {"print.key": "True", "print.headers": "true", "key.separator": " | ", "headers.separator": ";"}
    )
    assert formatter.record(0, RECORD, append_time=False) == b"h:x;i:null | k | v\n"
    assert formatter_of({"print.value": "false", "print.key": "true"}).record(0, RECORD, append_time=False) == b"k\n"
    assert formatter_of({"print.value": "false"}).record(0, RECORD, append_time=False) == b""


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("LongDeserializer", b"\x00" * 7 + b"\x05", b"5"),
        ("LongDeserializer", b"\xff" * 8, b"-1"),
        ("IntegerDeserializer", b"\x00\x00\x01\x00", b"256"),
        ("ShortDeserializer", b"\x80\x00", b"-32768"),
        ("StringDeserializer", b"abc", b"abc"),
    ],
)
def test_deserializers(name: str, text: bytes, shown: bytes) -> None:
    formatter = formatter_of({"value.deserializer": f"org.apache.kafka.common.serialization.{name}"})
    record = RECORD._replace(value=text)
    assert formatter.record(0, record, append_time=False) == shown + b"\n"
    assert formatter.values_only == (name == "StringDeserializer")


def test_what_a_deserializer_cannot_take() -> None:
    formatter = formatter_of({"value.deserializer": "LongDeserializer"})
    with pytest.raises(FormatError, match="Size of data received by LongDeserializer is not 8"):
        formatter.record(0, RECORD, append_time=False)
    with pytest.raises(ConfigurationError, match=r"Unable to instantiate a deserializer from com\.acme\.Avro"):
        formatter_of({"key.deserializer": "com.acme.Avro"})
