"""Kafka's properties of clients, from files and `key=value` words, as arguments of our clients. Floor 5.

A key is known when the client's constructor has a parameter of that name (`fetch.min.bytes`, `fetch_min_bytes`). Others are named
in a warning, as Kafka does; those that would protect the connection are refused, since nobody wants them ignored.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from raftkafka.cli.scripts.entry import warn
from raftkafka.model.errors import ConfigurationError

_UNSET: Final = frozenset({"connect", "random", "clock", "partitioner", "bootstrap_servers"})
"""Parameters that no property speaks of."""
_SERIALIZERS: Final = ("key.serializer", "value.serializer", "key.deserializer", "value.deserializer")
_ASSIGNORS: Final = {
    "RangeAssignor": "range",
    "RoundRobinAssignor": "roundrobin",
    "StickyAssignor": "sticky",
    "CooperativeStickyAssignor": "cooperative-sticky",
}
"""What Kafka's classes are called here."""
_BYTES: Final = ("ByteArray", "String")


def words(pairs: Iterable[str]) -> dict[str, str]:
    """Of `key=value` words, the later ones first; without `=` the value is empty, as in Kafka."""
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs) if key}


def read_file(path: str | None) -> dict[str, str]:
    """The properties of a file, none without one. Raises ConfigurationError with file and line, or OSError."""
    if path is None:
        return {}
    from raftkafka.model.settings.properties import parse

    with open(path, encoding="utf-8") as file:
        try:
            text = file.read()
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{path}: is not UTF-8 text: {error}") from error
    return {each.key: each.value for each in parse(text, source=path)}


def arguments_for(client: type, properties: Mapping[str, str], *, beside: Collection[str] = ()) -> dict[str, Any]:
    """Keyword arguments of `client` for the properties it knows; `beside` are keys that the caller reads itself.

    Raises:
        ConfigurationError: a value of the wrong type, or a property that asks for protection that is not there yet.
    """
    parameters = inspect.signature(client).parameters
    arguments: dict[str, Any] = {}
    for key, value in properties.items():
        name = key.replace(".", "_")
        if key in beside or key == "bootstrap.servers":
            continue
        if key == "partition.assignment.strategy" and name in parameters:
            classes = [each.strip().rpartition(".")[2] for each in value.split(",")]
            arguments[name] = [_ASSIGNORS.get(each, each) for each in classes]
        elif name in parameters and name not in _UNSET:
            arguments[name] = _value(key, value, str(parameters[name].annotation))
        elif key == "security.protocol":
            if value.upper() != "PLAINTEXT":
                raise ConfigurationError(f"security.protocol={value} is not supported yet, only PLAINTEXT")
        elif not (key in _SERIALIZERS and any(word in value for word in _BYTES)):
            warn(f"The configuration '{key}' was supplied but isn't a known config.")
    return arguments


def _value(key: str, value: str, annotation: str) -> str | int | bool:
    text = value.strip()
    if "bool" in annotation:
        if text.lower() not in {"true", "false"}:
            raise ConfigurationError(
                f"Invalid value {value} for configuration {key}: Expected value to be either true or false"
            )
        return text.lower() == "true"
    if "str" in annotation:
        return text
    try:
        return int(text)
    except ValueError:
        raise ConfigurationError(f"Invalid value {value} for configuration {key}: Not a number of type INT") from None
