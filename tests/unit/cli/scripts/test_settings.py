"""Kafka's properties become arguments of our clients; what is not known is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from raftkafka.cli.scripts.settings import arguments_for, read_file, words
from raftkafka.client.consumer import Consumer
from raftkafka.client.producer import Producer
from raftkafka.model.errors import ConfigurationError


def test_words() -> None:
    assert words(["a=1", "b=x=y", "a=2", "c", "=d"]) == {"a": "2", "b": "x=y", "c": ""}


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("# mine\nclient.id = a \nfetch.min.bytes:5\n")
    assert read_file(str(file)) == {"client.id": "a", "fetch.min.bytes": "5"}
    assert read_file(None) == {}
    with pytest.raises(FileNotFoundError):
        read_file(str(tmp_path / "none"))
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="is not UTF-8"):
        read_file(str(file))


def test_keys_that_the_client_knows(capsys: pytest.CaptureFixture[str]) -> None:
    properties = {
        "fetch.min.bytes": "5",
        "check.crcs": "FALSE",
        "client.rack": " a ",
        "bootstrap.servers": "elsewhere:1",
        "security.protocol": "PLAINTEXT",
        "value.deserializer": "org.apache.kafka.common.serialization.StringDeserializer",
        "mine": "x",
    }
    arguments = arguments_for(Consumer, properties, beside={"mine"})
    assert arguments == {"fetch_min_bytes": 5, "check_crcs": False, "client_rack": "a"}
    Consumer("localhost:1", **arguments)
    assert capsys.readouterr().err == ""
    strategy = "org.apache.kafka.clients.consumer.RangeAssignor, org.apache.kafka.clients.consumer.StickyAssignor"
    arguments = arguments_for(Consumer, {"partition.assignment.strategy": strategy, "group.id": "g"})
    assert arguments == {"partition_assignment_strategy": ["range", "sticky"], "group_id": "g"}
    Consumer("localhost:1", **arguments)
    assert arguments_for(Producer, {"acks": "1", "linger.ms": "5"}) == {"acks": "1", "linger_ms": 5}


@pytest.mark.parametrize("key", ["frob.nicate", "connect", "random", "value.deserializer", "self"])
def test_keys_that_nobody_knows_are_named(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert arguments_for(Consumer, {key: "x"}) == {}
    assert f"The configuration '{key}' was supplied but isn't a known config." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("fetch.min.bytes", "many", "Invalid value many for configuration fetch.min.bytes: Not a number of type INT"),
        ("check.crcs", "1", "Invalid value 1 for configuration check.crcs"),
        ("security.protocol", "SSL", "security.protocol=SSL is not supported yet"),
    ],
)
def test_values_that_are_wrong(key: str, value: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        arguments_for(Consumer, {key: value})
