"""The names of metrics in a PromQL expression, and whether they exist."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from raftkafka.adapters.metric_table import METRICS

_STRINGS: Final = re.compile(r'"(?:\\.|[^"\\])*"')
_BRACES: Final = re.compile(r"\{[^{}]*\}")
_LABEL_LISTS: Final = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)")
_RANGES: Final = re.compile(r"\[[^\]]*\]")
_WORDS: Final = re.compile(r"(?<![a-zA-Z0-9_:.])[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\(|[a-zA-Z0-9_:])")
_OPERATORS: Final = frozenset({"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring"})
_OF_PROMETHEUS: Final = frozenset({"up", "ALERTS"})
_OF_PROCESSES: Final = frozenset(
    f"process_{name}"
    for name in (
        *("virtual_memory_bytes", "resident_memory_bytes", "start_time_seconds"),
        *("cpu_seconds_total", "open_fds", "max_fds"),
    )
)


def metric_names(expression: str) -> set[str]:
    """Whatever is neither an operator, a function, a label nor a number."""
    for noise in (_STRINGS, _BRACES, _RANGES):
        expression = noise.sub("", expression)
    expression = _LABEL_LISTS.sub(" ", expression)
    return {word for word in _WORDS.findall(expression) if word not in _OPERATORS}


def unknown_names(expression: str, recorded: Iterable[str] = ()) -> set[str]:
    """The names that no node exposes, Prometheus does not know, and no rule records."""
    known = {*recorded, *_OF_PROMETHEUS, *_OF_PROCESSES}
    for metric in METRICS:
        suffixes = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        known |= {metric.name + suffix for suffix in suffixes}
    return metric_names(expression) - known
