"""The names of metrics and of labels in a PromQL expression, and whether they exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
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


_SELECTORS: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^{}]*)\}")
_MATCHERS: Final = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)")
_OF_SCRAPES: Final = frozenset({"job", "instance", "cluster"})
"""What Prometheus adds to every series, by the scrape configuration in ops/."""
_OF_ALERTS: Final = frozenset({"alertname", "alertstate", "severity", "directory", "group", "topic"})


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


def labels_of(name: str, recorded: Mapping[str, str] | None = None) -> frozenset[str]:
    """The labels that series of this name have; `recorded` are the expressions of the recording rules."""
    if recorded and name in recorded:
        expression = recorded[name]
        lists = [labels for kind, labels in _grouped(expression) if kind == "by"]
        if lists:
            return frozenset(label for labels in lists for label in labels) - {"le"}
        return frozenset.union(*[labels_of(each) for each in metric_names(expression)])
    if name == "ALERTS":
        return _OF_SCRAPES | _OF_ALERTS
    for metric in METRICS:
        if name == metric.name or (metric.kind == "histogram" and name.rpartition("_")[0] == metric.name):
            own = frozenset(metric.labels) | ({"le"} if name.endswith("_bucket") else frozenset())
            return _OF_SCRAPES | own
    return _OF_SCRAPES


def _grouped(expression: str) -> list[tuple[str, list[str]]]:
    found = re.findall(
        r"\b(by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)", _STRINGS.sub("", expression)
    )
    return [(kind, re.findall(r"\w+", labels)) for kind, labels in found]


def unknown_labels(expression: str, recorded: Mapping[str, str] | None = None) -> set[str]:
    """Labels that are asked for where no such series has them, as `name{label}` or `by label`."""
    without_strings = _STRINGS.sub('""', expression)
    unknown = {
        f"{name}{{{label}}}"
        for name, matchers in _SELECTORS.findall(without_strings)
        for label in _MATCHERS.findall(matchers)
        if label not in labels_of(name, recorded)
    }
    everything = frozenset.union(*[labels_of(name, recorded) for name in metric_names(expression)])
    return unknown | {
        f"{kind} {label}" for kind, labels in _grouped(expression) for label in labels if label not in everything
    }
