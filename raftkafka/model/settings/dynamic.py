"""Settings that may change while a node runs, for one broker or for all of them (KIP-226).

Floor 0. The values live in the metadata; each node lays them over what its file says. Only what is read each time it is used may
stand in `DYNAMIC`: a value that counts from the next start on would be a promise that is not kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from raftkafka.model.settings.keys import BY_NAME
from raftkafka.model.settings.values import Settings

VALUE_CHARS_MAX: Final = 1_024

CLUSTER_WIDE: Final = frozenset({"min.insync.replicas", "unclean.leader.election.enable"})
"""By these every partition is judged alike, whoever leads or controls: a default of all brokers, never of one (as in KIP-966)."""

LISTS: Final = frozenset({"log.cleanup.policy"})

DYNAMIC: Final = (
    frozenset(
        {
            "log.segment.bytes",
            "log.roll.ms",
            "log.roll.jitter.ms",
            "log.retention.ms",
            "log.retention.bytes",
            "log.cleanup.policy",
            "log.cleaner.dedupe.buffer.size",
            "log.cleaner.delete.retention.ms",
            "log.cleaner.min.cleanable.ratio",
            "log.cleaner.min.compaction.lag.ms",
            "log.cleaner.max.compaction.lag.ms",
            "log.index.interval.bytes",
            "log.index.size.max.bytes",
            "message.max.bytes",
            "compression.type",
            "log.message.timestamp.type",
            "log.message.timestamp.before.max.ms",
            "log.message.timestamp.after.max.ms",
            "log.message.timestamp.difference.max.ms",
            "producer.id.expiration.ms",
            "leader.replication.throttled.rate",
            "follower.replication.throttled.rate",
        }
    )
    | CLUSTER_WIDE
)


def why_invalid(name: str, value: str) -> str | None:
    """None for a value that the key may have, else what is wrong with it; the key is one of `DYNAMIC`."""
    if len(value) > VALUE_CHARS_MAX:
        return f"Invalid value for configuration {name}: longer than {VALUE_CHARS_MAX} characters"
    try:
        BY_NAME[name].parse(value)
    except ValueError as error:
        return f"Invalid value {value!r} for configuration {name}: {error}"
    return None


def why_not_together(configs: Mapping[str, str]) -> str | None:
    """What is wrong with values that are each possible; None for nothing."""
    least = configs.get("log.cleaner.min.compaction.lag.ms")
    most = configs.get("log.cleaner.max.compaction.lag.ms")
    if least is not None and most is not None and int(least) > int(most):
        return (
            f"log.cleaner.min.compaction.lag.ms={least} is larger than log.cleaner.max.compaction.lag.ms={most}: "
            "no record could be compacted in time"
        )
    return None


def overlaid(settings: Settings, configs: Mapping[str, str]) -> Settings:
    """The settings with these dynamic values in place of their own; what another version allows and this one does not is left out."""
    sections: dict[str, dict[str, Any]] = {}
    for name, value in configs.items():
        if name in DYNAMIC and why_invalid(name, value) is None:
            key = BY_NAME[name]
            sections.setdefault(key.section, {})[key.field] = key.parse(value)
    changed = {section: replace(getattr(settings, section), **fields) for section, fields in sections.items()}
    return replace(settings, **changed) if changed else settings


def not_dynamic(names: Iterable[str]) -> str | None:
    """Kafka's sentence about keys that cannot change while a broker runs; None when all of them can."""
    fixed = sorted({name for name in names if name not in DYNAMIC})
    return f"Cannot update these configs dynamically: {', '.join(fixed)}" if fixed else None
