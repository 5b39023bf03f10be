"""What the options of `rk group` mean: partitions, times, durations, files. Floor 5, pure but for reading a file.

The forms are those of Kafka's `kafka-consumer-groups`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from raftkafka.client.types import TopicPartition

Scope = list[tuple[str, list[int] | None]]
"""Topics, each with some of its partitions, or with None for all."""

_DURATION: Final = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.ASCII)
_UNITS_MS: Final = (86_400_000, 3_600_000, 60_000, 1_000)


def scope_of(topics: Sequence[str]) -> Scope:
    """`name` or `name:0,1,2` each.

    Raises:
        BadParameter: a partition is no number.
    """
    found: Scope = []
    for each in topics:
        name, colon, numbers = each.partition(":")
        if not name or (colon and not re.fullmatch(r"\d+(,\d+)*", numbers, re.ASCII)):
            raise click.BadParameter(f"{each!r} is not TOPIC or TOPIC:0,1,2", param_hint="--topic")
        found.append((name, [int(number) for number in numbers.split(",")] if colon else None))
    return found


def datetime_ms(text: str) -> int:
    """Milliseconds since the epoch; a time without a zone is UTC.

    Raises:
        BadParameter: it cannot be read, or lies before 1970.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None:
        raise click.BadParameter(f"{text!r} is not like 2024-05-31T13:30:00.000", param_hint="--to-datetime")
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    milliseconds = round(moment.timestamp() * 1000)
    if milliseconds < 0:
        raise click.BadParameter(f"{text!r} is before 1970", param_hint="--to-datetime")
    return milliseconds


def duration_ms(text: str) -> int:
    """
    Raises:
        BadParameter: it is no ISO 8601 duration of days, hours, minutes and seconds.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        raise click.BadParameter(f"{text!r} is not like P1DT2H30M or PT15M", param_hint="--by-duration")
    return round(sum(float(part) * unit for part, unit in zip(match.groups(), _UNITS_MS, strict=True) if part))


def read_offsets(file: Path, group_id: str) -> dict[TopicPartition, int]:
    """A CSV file with `topic,partition,offset` lines, or with the group before them, as `--export` writes it.

    Raises:
        BadParameter: a line cannot be read, or the file holds none for this group.
    """
    found: dict[TopicPartition, int] = {}
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            for number, row in enumerate(csv.reader(lines, strict=True), 1):
                if not row:
                    continue
                group, *rest = row if len(row) == 4 else [group_id, *row]
                if len(rest) != 3 or not rest[0] or not all(each.strip().isdecimal() for each in rest[1:]):
                    raise _unreadable(f"{file}:{number}: not topic,partition,offset")
                if group == group_id:
                    found[TopicPartition(rest[0], int(rest[1]))] = int(rest[2])
    except (csv.Error, UnicodeDecodeError) as error:
        raise _unreadable(f"{file}: {error}") from error
    if not found:
        raise _unreadable(f"{file} holds no offsets of group {group_id!r}")
    return found


def write_offsets(group_id: str, offsets: Iterable[tuple[TopicPartition, int]], *, with_group: bool) -> str:
    """What `read_offsets` reads."""
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for each, offset in offsets:
        writer.writerow(([group_id] if with_group else []) + [each.topic, each.partition, offset])
    return text.getvalue()


def _unreadable(reason: str) -> click.BadParameter:
    return click.BadParameter(reason, param_hint="--from-file")
