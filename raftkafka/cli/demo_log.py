"""Which log the demonstration streams: a real one of this machine, as large as can be found. Floor 5."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from raftkafka.model.errors import ConfigurationError

READ_MAX_BYTES: Final = 64 << 20
_SNIFFED_BYTES: Final = 4096
_LOG_ROOTS: Final = (Path("/var/log"),)
_TEXT_ROOTS: Final = (Path("/var/lib/dpkg"), Path("/usr/share/common-licenses"), Path("/usr/share/doc"))
_FILES_LOOKED_AT_MAX: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenLog:
    """`note` says so when this is no log."""

    path: Path
    note: str = ""


def choose(given: Path | None) -> ChosenLog:
    """The file named, else the largest readable text below /var/log, else any text, with a note.

    Raises:
        ConfigurationError: what was named is no readable text, or there is none at all.
    """
    if given is not None:
        if not _is_text(given):
            raise ConfigurationError(f"{given} is not a readable text file with something in it")
        return ChosenLog(path=given)
    if (found := _largest_text(_LOG_ROOTS)) is not None:
        return ChosenLog(path=found)
    if (found := _largest_text(_TEXT_ROOTS)) is not None:
        return ChosenLog(
            path=found,
            note=f"there is no readable log below /var/log; this is {found}, some other text. "
            "For a log of your own: make demo LOG=/path/to/file",
        )
    raise ConfigurationError("no readable text was found on this machine; name one: make demo LOG=/path/to/file")


def lines_of(path: Path, count: int) -> list[bytes]:
    """`count` lines, the file's own, from the start again where it has fewer."""
    with path.open("rb") as file:
        lines = file.read(READ_MAX_BYTES).splitlines()
    # A carriage return inside a line would be one line here and two for others.
    return list(islice(cycle([line.replace(b"\r", b" ") for line in lines]), count))


def _largest_text(roots: tuple[Path, ...]) -> Path | None:
    sized = sorted(((size, path) for root in roots for size, path in _files(root) if size), reverse=True)
    return next((path for _, path in sized if _is_text(path)), None)


def _files(root: Path) -> Iterator[tuple[int, Path]]:
    looked_at = 0
    for directory, _, names in os.walk(root):
        for name in names:
            looked_at += 1
            if looked_at > _FILES_LOOKED_AT_MAX:
                return
            path = Path(directory, name)
            try:
                status = path.lstat()
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode):
                yield status.st_size, path


def _is_text(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_SNIFFED_BYTES)
    except OSError:
        return False
    control = sum(byte < 32 and byte not in b"\t\n\r\x1b" for byte in head)
    return bool(head.strip()) and b"\0" not in head and control * 100 < len(head)
