"""The configs that a topic may have, which values they take, and what stands behind them where a topic says nothing.

Floor 1, pure. Names and ranges are Kafka's (https://kafka.apache.org/documentation/#topicconfigs). A key that is not here is
refused, because a config that is silently ignored is a promise that is not kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from raftkafka.model.api.configs import ConfigType

_INT_MAX: Final = 2**31 - 1
_LONG_MAX: Final = 2**63 - 1
VALUE_CHARS_MAX: Final = 1_024
LIST_CHARS_MAX: Final = 32_767
"""Of the lists of throttled replicas; a command with all of them stays below the cap of a Raft entry."""
_REPLICAS: Final = re.compile(r"\d{1,9}:\d{1,9}(,\d{1,9}:\d{1,9})*")

Check = Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicConfig:
    """`broker_keys` are the broker's keys for topics that say nothing, the one that counts first in front; where there is none,
    `default` holds."""

    kind: ConfigType
    check: Check
    broker_keys: tuple[str, ...] = ()
    default: str = ""
    chars_max: int = VALUE_CHARS_MAX


def why_invalid(key: str, value: str) -> str | None:
    """None for a config that a topic may have, else what is wrong with it."""
    config = TOPIC_CONFIGS.get(key)
    if config is None:
        return f"Unknown topic config name: {key}"
    if len(value) > config.chars_max:
        return f"Invalid value for configuration {key}: longer than {config.chars_max} characters"
    wanted = config.check(value)
    return None if wanted is None else f"Invalid value {value!r} for configuration {key}: {wanted}"


def why_not_together(configs: Mapping[str, str]) -> str | None:
    """What is wrong with values that are each possible; None for nothing."""
    least, most = configs.get("min.compaction.lag.ms"), configs.get("max.compaction.lag.ms")
    if least is not None and most is not None and int(least) > int(most):
        return (
            f"conflict topic config setting min.compaction.lag.ms ({least}) > max.compaction.lag.ms ({most}): "
            "no record could be compacted in time"
        )
    return None


def _integer(low: int, high: int) -> Check:
    def check(value: str) -> str | None:
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 19 and low <= int(value) <= high):
            return f"an integer from {low} to {high} is wanted"
        return None

    return check


def _one_of(*allowed: str) -> Check:
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


def _long(low: int, *broker_keys: str, default: int = 0) -> TopicConfig:
    return TopicConfig(
        kind=ConfigType.LONG, check=_integer(low, _LONG_MAX), broker_keys=broker_keys, default=str(default)
    )


def _int(low: int, *broker_keys: str) -> TopicConfig:
    return TopicConfig(kind=ConfigType.INT, check=_integer(low, _INT_MAX), broker_keys=broker_keys)


def _choice(*allowed: str, broker_keys: tuple[str, ...] = (), default: str = "") -> TopicConfig:
    kind = ConfigType.BOOLEAN if allowed == _BOOLEAN else ConfigType.STRING
    return TopicConfig(kind=kind, check=_one_of(*allowed), broker_keys=broker_keys, default=default)


_BOOLEAN: Final = ("true", "false")
_REPLICA_LIST: Final = TopicConfig(kind=ConfigType.LIST, check=_replicas, chars_max=LIST_CHARS_MAX)

TOPIC_CONFIGS: Final[Mapping[str, TopicConfig]] = {
    "cleanup.policy": TopicConfig(
        kind=ConfigType.LIST, check=_cleanup_policy, broker_keys=("log.cleanup.policy",), default="delete"
    ),
    "compression.type": _choice(
        "uncompressed", "zstd", "lz4", "snappy", "gzip", "producer", broker_keys=("compression.type",)
    ),
    "delete.retention.ms": _long(0, "log.cleaner.delete.retention.ms"),
    "file.delete.delay.ms": _long(0, default=60_000),
    "follower.replication.throttled.replicas": _REPLICA_LIST,
    "flush.messages": _long(1, default=_LONG_MAX),
    "flush.ms": _long(0, default=_LONG_MAX),
    "index.interval.bytes": _int(0, "log.index.interval.bytes"),
    "leader.replication.throttled.replicas": _REPLICA_LIST,
    "max.compaction.lag.ms": _long(1, "log.cleaner.max.compaction.lag.ms"),
    "max.message.bytes": _int(0, "message.max.bytes"),
    "message.timestamp.after.max.ms": _long(0, "log.message.timestamp.after.max.ms"),
    "message.timestamp.before.max.ms": _long(0, "log.message.timestamp.before.max.ms"),
    "message.timestamp.difference.max.ms": _long(0, "log.message.timestamp.difference.max.ms"),
    "message.timestamp.type": _choice("CreateTime", "LogAppendTime", broker_keys=("log.message.timestamp.type",)),
    "min.cleanable.dirty.ratio": TopicConfig(
        kind=ConfigType.DOUBLE, check=_ratio, broker_keys=("log.cleaner.min.cleanable.ratio",)
    ),
    "min.compaction.lag.ms": _long(0, "log.cleaner.min.compaction.lag.ms"),
    "min.insync.replicas": _int(1, "min.insync.replicas"),
    "preallocate": _choice(*_BOOLEAN, default="false"),
    "retention.bytes": _long(-1, "log.retention.bytes"),
    "retention.ms": _long(-1, "log.retention.ms", "log.retention.minutes", "log.retention.hours"),
    "segment.bytes": _int(1 << 10, "log.segment.bytes"),
    "segment.index.bytes": _int(4, "log.index.size.max.bytes"),
    "segment.jitter.ms": _long(0, "log.roll.jitter.ms", "log.roll.jitter.hours"),
    "segment.ms": _long(1, "log.roll.ms", "log.roll.hours"),
    "unclean.leader.election.enable": _choice(*_BOOLEAN, broker_keys=("unclean.leader.election.enable",)),
}
