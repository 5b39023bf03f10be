"""The configs that a topic may have, and which values they take.

Floor 1, pure. Names and ranges are Kafka's (https://kafka.apache.org/documentation/#topicconfigs). A key that is not here is
refused, because a config that is silently ignored is a promise that is not kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

_INT_MAX: Final = 2**31 - 1
_LONG_MAX: Final = 2**63 - 1
VALUE_CHARS_MAX: Final = 1_024
_REPLICAS: Final = re.compile(r"\d{1,9}:\d{1,9}(,\d{1,9}:\d{1,9})*")


def why_invalid(key: str, value: str) -> str | None:
    """None for a config that a topic may have, else what is wrong with it."""
    check = _CHECKS.get(key)
    if check is None:
        return f"Unknown topic config name: {key}"
    if len(value) > VALUE_CHARS_MAX:
        return f"Invalid value for configuration {key}: longer than {VALUE_CHARS_MAX} characters"
    wanted = check(value)
    return None if wanted is None else f"Invalid value {value!r} for configuration {key}: {wanted}"


def _integer(low: int, high: int) -> Callable[[str], str | None]:
    def check(value: str) -> str | None:
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 19 and low <= int(value) <= high):
            return f"an integer from {low} to {high} is wanted"
        return None

    return check


def _one_of(*allowed: str) -> Callable[[str], str | None]:
    def check(value: str) -> str | None:
        return None if value in allowed else f"one of {', '.join(allowed)} is wanted"

    return check


def _ratio(value: str) -> str | None:
    try:
        fits = 0.0 <= float(value) <= 1.0
    except ValueError:
        fits = False
    return None if fits else "a number from 0 to 1 is wanted"


def _cleanup_policy(value: str) -> str | None:
    policies = [each.strip() for each in value.split(",")]
    fits = all(each in ("compact", "delete") for each in policies) and len(set(policies)) == len(policies)
    return None if fits else "compact, delete or both are wanted"


def _replicas(value: str) -> str | None:
    fits = value in ("", "*") or _REPLICAS.fullmatch(value) is not None
    return None if fits else "'*', or partition:broker,partition:broker,... is wanted"


_CHECKS: Final[Mapping[str, Callable[[str], str | None]]] = {
    "cleanup.policy": _cleanup_policy,
    "compression.type": _one_of("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"),
    "delete.retention.ms": _integer(0, _LONG_MAX),
    "file.delete.delay.ms": _integer(0, _LONG_MAX),
    "follower.replication.throttled.replicas": _replicas,
    "flush.messages": _integer(1, _LONG_MAX),
    "flush.ms": _integer(0, _LONG_MAX),
    "index.interval.bytes": _integer(0, _INT_MAX),
    "leader.replication.throttled.replicas": _replicas,
    "max.compaction.lag.ms": _integer(1, _LONG_MAX),
    "max.message.bytes": _integer(0, _INT_MAX),
    "message.timestamp.after.max.ms": _integer(0, _LONG_MAX),
    "message.timestamp.before.max.ms": _integer(0, _LONG_MAX),
    "message.timestamp.difference.max.ms": _integer(0, _LONG_MAX),
    "message.timestamp.type": _one_of("CreateTime", "LogAppendTime"),
    "min.cleanable.dirty.ratio": _ratio,
    "min.compaction.lag.ms": _integer(0, _LONG_MAX),
    "min.insync.replicas": _integer(1, _INT_MAX),
    "preallocate": _one_of("true", "false"),
    "retention.bytes": _integer(-1, _LONG_MAX),
    "retention.ms": _integer(-1, _LONG_MAX),
    "segment.bytes": _integer(1 << 10, _INT_MAX),
    "segment.index.bytes": _integer(4, _INT_MAX),
    "segment.jitter.ms": _integer(0, _LONG_MAX),
    "segment.ms": _integer(1, _LONG_MAX),
    "unclean.leader.election.enable": _one_of("true", "false"),
}
