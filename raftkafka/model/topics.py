"""Topic names: the one place that decides what may become a directory on disk.

Floor 0.
"""

from __future__ import annotations

import re
from typing import Final

NAME_MAX_CHARS: Final = 249
_LEGAL: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")

OFFSETS_TOPIC: Final = "__consumer_offsets"
"""Groups and their offsets. Its partitions' leaders are the coordinators."""

INTERNAL_TOPICS: Final = frozenset({OFFSETS_TOPIC, "__transaction_state"})


def why_illegal(name: str) -> str | None:
    """None for a legal topic name, else what is wrong with it, in Kafka's words."""
    if not name:
        return "topic name is illegal, it can't be empty"
    if name in {".", ".."}:
        return f"topic name cannot be {name!r}"
    if len(name) > NAME_MAX_CHARS:
        return f"topic name is illegal, it can't be longer than {NAME_MAX_CHARS} characters"
    if not _LEGAL.fullmatch(name):
        return (
            f"topic name {name!r} is illegal, it contains a character other than ASCII alphanumerics, '.', '_' and '-'"
        )
    return None


def collision_key(name: str) -> str:
    """Names that differ only in `.` and `_` would share a metric name; Kafka refuses the second one."""
    return name.replace(".", "_")
