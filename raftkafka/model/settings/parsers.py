"""From the text of one value to a typed value. Every parser raises `ValueError` with a sentence about what is wrong.

Floor 0. The caller puts file, line and key in front of the sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from raftkafka.model.ids import NodeId
from raftkafka.model.settings.values import FlushPolicy, Listener, ReplicaSelector, TracesExporter, Voter

Parser = Callable[[str], object]

INT32_MAX: Final = (1 << 31) - 1
INT64_MAX: Final = (1 << 63) - 1

_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?\]")
_LISTENER: Final = re.compile(r"(?P<name>[^:/\s]*)://(?P<host>.*):(?P<port>[^:\]]*)")
_LISTENER_NAME: Final = re.compile(r"[A-Za-z0-9_]+")
_HTTP_URL: Final = re.compile(r"https?://[A-Za-z0-9._\[\]:%-]+(/[!-~]*)?")
_VOTER: Final = re.compile(r"(?P<id>[^@]*)@(?P<host>.*):(?P<port>[^:\]]*)")


def integer(low: int, high: int = INT32_MAX) -> Parser:
    def parse(text: str) -> int:
        return _bounded(text, low, high)

    return parse


def duration(unit_ms: int, *, unlimited: bool = False) -> Parser:
    """A count of units, at least 1, as milliseconds; -1 stays -1 (for ever) where `unlimited`."""

    def parse(text: str) -> int:
        count = _bounded(text, -1 if unlimited else 1, INT64_MAX // unit_ms)
        if count == 0:
            raise ValueError("must be -1 (for ever) or at least 1, not 0")
        return count if count < 0 else count * unit_ms

    return parse


def boolean(text: str) -> bool:
    """`true` or `false`, in any case."""
    lowered = text.lower()
    if lowered not in {"true", "false"}:
        raise ValueError(f"must be true or false, not {text!r}")
    return lowered == "true"


def one_of(*choices: str) -> Parser:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}, not {text!r}")
        return text

    return parse


def word(text: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text


def flush_policy(text: str) -> FlushPolicy:
    return FlushPolicy(one_of(*(policy.value for policy in FlushPolicy))(text.lower()))


def cleanup_policy(text: str) -> str:
    """`delete`, `compact` or both, in Kafka's order."""
    policies = set(split_list(text))
    if not policies or not policies <= {"compact", "delete"}:
        raise ValueError(f"must be delete, compact or compact,delete, not {text!r}")
    return ",".join(sorted(policies))


def traces_exporter(text: str) -> TracesExporter:
    return TracesExporter(one_of(*(exporter.value for exporter in TracesExporter))(text.lower()))


def http_url(text: str) -> str:
    """`http://host:port` or `https://...`, with a path or without; empty for none."""
    if text and (not _HTTP_URL.fullmatch(text)):
        raise ValueError(f"must be of the form http://host:port, not {text!r}")
    return text


def ratio(text: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"must be a number from 0 to 1, not {text!r}")
    return value


def replica_selector(text: str) -> ReplicaSelector:
    """The class names that Kafka ships, with or without their package."""
    return ReplicaSelector(
        one_of(*(selector.value for selector in ReplicaSelector))(text.removeprefix("org.apache.kafka.common.replica."))
    )


def path(text: str) -> Path:
    if "\0" in text:
        raise ValueError("must not contain a null character")
    return Path(word(text))


def paths(text: str) -> tuple[Path, ...]:
    """A list of directories, at least one, none twice."""
    found = tuple(path(part) for part in split_list(text))
    if not found:
        raise ValueError("must name at least one directory")
    if len(set(found)) < len(found):
        raise ValueError(f"names a directory twice: {text!r}")
    return found


def listener(text: str) -> Listener:
    """`NAME://host:port`; an empty host is every interface, port 0 a free one."""
    match = _LISTENER.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not of the form NAME://host:port")
    name = match["name"]
    if not _LISTENER_NAME.fullmatch(name):
        raise ValueError(f"{text!r} has no usable listener name before '://' (letters, digits, '_')")
    return Listener(name=name.upper(), host=_host(match["host"]), port=_port(match["port"], low=0))


def listeners(text: str) -> tuple[Listener, ...]:
    found = tuple(listener(part) for part in split_list(text))
    if not found:
        raise ValueError("must name at least one listener, such as PLAINTEXT://localhost:9092")
    return found


def optional_listener(text: str) -> Listener | None:
    """A listener, or None for an empty value or `none`."""
    return None if text.lower() in {"", "none"} else listener(text)


def zookeeper_listener(text: str) -> Listener | None:
    """`host:port`, as ZooKeeper's clients write it; None for an empty value or `none`."""
    if text.lower() in {"", "none"}:
        return None
    return listener(text if "://" in text else f"ZOOKEEPER://{text}")


def voters(text: str) -> tuple[Voter, ...]:
    """`1@host:9093, 2@host:9093`; empty for a node alone."""
    return tuple(_voter(part) for part in split_list(text))


def protocol_map(text: str) -> tuple[tuple[str, str], ...]:
    """`NAME:PROTOCOL, ...`, both in upper case."""
    pairs: list[tuple[str, str]] = []
    for part in split_list(text):
        name, colon, protocol = part.partition(":")
        if not colon or not name or not protocol:
            raise ValueError(f"{part!r} is not of the form NAME:PROTOCOL")
        pairs.append((name.strip().upper(), protocol.strip().upper()))
    return tuple(pairs)


def names(text: str) -> tuple[str, ...]:
    return tuple(split_list(text))


def split_list(text: str) -> list[str]:
    """Parts between commas, without the blanks around them and without empty ones."""
    return [stripped for part in text.split(",") if (stripped := part.strip())]


def _voter(text: str) -> Voter:
    match = _VOTER.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not of the form id@host:port")
    host = _host(match["host"])
    if not host:
        raise ValueError(f"{text!r} has no host between '@' and ':'")
    return Voter(node_id=NodeId(_bounded(match["id"], 0, INT32_MAX)), host=host, port=_port(match["port"], low=1))


def _bounded(text: str, low: int, high: int) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"must be a whole number, not {text!r}")
    if len(text) > 20 or not low <= (number := int(text)) <= high:
        raise ValueError(f"must be between {low} and {high}, not {text}")
    return number


def _port(text: str, *, low: int) -> int:
    try:
        return _bounded(text, low, 65_535)
    except ValueError as error:
        raise ValueError(f"the port {error}") from None


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        if "*" in text:
            raise ValueError(
                f"the host {text!r} contains '*': Markdown emphasis that was copied along with the address?"
            )
        if ":" in text:
            raise ValueError(f"the host {text!r} contains ':': write an IPv6 address in brackets, as in [::1]")
        raise ValueError(f"the host {text!r} contains a character that no host name has")
    return text.removeprefix("[").removesuffix("]")
