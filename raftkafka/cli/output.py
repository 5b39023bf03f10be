"""How `rk` speaks: tables for people, JSON for programs, one clear line for errors. Floor 5.

Results go to stdout and nothing else does, so that a pipe gets only results. The JSON forms are documented in docs/cli.md and
change only by additions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence


def line(text: str) -> None:
    """One line of result."""
    sys.stdout.write(text + "\n")


def as_json(value: object) -> None:
    """One JSON document on one line."""
    import json

    sys.stdout.write(json.dumps(value, separators=(",", ":")) + "\n")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as their content, two blanks between them; no colours, so that `grep` and `awk` find what they see."""
    texts = [list(head), *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
    for row in texts:
        line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def printable(text: str) -> str:
    """Names that other clients have chosen, with `\\x1b` for what a terminal would obey instead of show."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def say(text: str) -> None:
    """One line beside the result: progress, or why something failed."""
    sys.stderr.write(f"rk: {text}\n")
    sys.stderr.flush()


def sentence(error: BaseException) -> str:
    """What went wrong, in one line, with the name of the code where a broker gave one."""
    from raftkafka.model.errors import ApiError

    text = printable(" ".join(str(error.message if isinstance(error, ApiError) else error).split()))
    if isinstance(error, ApiError) and text != error.code.name:
        return f"{error.code.name}: {text}"
    return text


def no_partition(topic: str, partition: int, partitions: int) -> str:
    """Why a partition that somebody named cannot be had."""
    return f"topic {topic!r} has {partitions} partitions, counted from 0: there is no partition {partition}"
