"""Reading the journal at start: which segment counts, and what it says.

Floor 4. A segment begins with the whole journal of its time (BASE ... COMPLETE) and goes on with changes. Nothing that a
segment holds was promised to anybody before a sync that covers its COMPLETE, so an incomplete newest segment is a crash
during compaction: it is dropped, and the one before it is still there. Damage anywhere else refuses to start.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import Final

from raftkafka.adapters.raft import journal_records as records
from raftkafka.adapters.raft.journal_records import Record
from raftkafka.adapters.raft.library import Entry
from raftkafka.model.errors import CorruptionError, StartupError
from raftkafka.ports.disk import Disk

_log = logging.getLogger("raftkafka.raft")
_NAME: Final = re.compile(r"journal-(\d{10})\.seg")


def segment_name(number: int) -> str:
    return f"journal-{number:010d}.seg"


@dataclass(slots=True, kw_only=True)
class Loaded:
    """What the journal holds. `segment` 0: there is none yet. `end`: bytes of the segment that count."""

    entries: list[Entry] = field(default_factory=list)
    term: int = 0
    vote: int | None = None
    segment: int = 0
    end: int = 0
    obsolete: list[str] = field(default_factory=list)


def load(disk: Disk, directory: str) -> Loaded:
    """Read the newest complete segment; names in `obsolete` may be removed.

    Raises:
        StartupError: the journal is damaged; the message says where.
    """
    numbers = sorted(int(match[1]) for name in disk.list_dir(directory) if (match := _NAME.fullmatch(name)))
    names = {number: segment_name(number) for number in numbers}
    for number in reversed(numbers):
        path = f"{directory}/{names[number]}"
        # The last start may have ended with a failed sync: the cache then shows entries that are on no disk.
        disk.drop_cached(path)
        content = disk.read_file(path)
        try:
            found = records.scan(content, segment=number, path=path)
            loaded = _replay(found, number, path)
        except CorruptionError as error:
            raise StartupError(f"the Raft journal cannot be trusted: {error}") from error
        if loaded is None:
            _log.warning("%s was never completed: a crash during compaction, or at the first start", path)
            continue
        if loaded.end < len(content):
            _log.warning("%s: cutting %d bytes of a torn write", path, len(content) - loaded.end)
        loaded.obsolete = [name for other, name in names.items() if other != number]
        return loaded
    if numbers and numbers != [1]:
        raise StartupError(f"no journal segment in {directory} is complete")
    return Loaded(obsolete=list(names.values()))


def _replay(found: list[Record], number: int, path: str) -> Loaded | None:
    """None: the segment's beginning is not complete."""
    if not any(record.type == records.COMPLETE for record in found):
        return None
    loaded = Loaded(segment=number, end=found[-1].end)
    for record in found:
        if record.type == records.ENTRY:
            _append(loaded, records.parse_entry(record.payload), path)
        elif record.type == records.TRUNCATE:
            _truncate(loaded, records.parse_truncate(record.payload))
        elif record.type == records.TERM:
            loaded.term, loaded.vote = records.parse_term(record.payload)
    return loaded


def _append(loaded: Loaded, entry: Entry, path: str) -> None:
    if loaded.entries and entry[1] != loaded.entries[-1][1] + 1:
        raise CorruptionError(f"{path}: entry {entry[1]} follows entry {loaded.entries[-1][1]}")
    loaded.entries.append(entry)


def _truncate(loaded: Loaded, index: int) -> None:
    if loaded.entries:
        del loaded.entries[max(0, index - loaded.entries[0][1]) :]
