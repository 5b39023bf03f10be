"""Segment files for `rk log`: found, read, dumped, checked. Floor 5. The checks themselves are in `storage.inspection`."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from raftkafka.cli.output import as_json, line
from raftkafka.model.errors import ApiError, ConfigurationError, CorruptionError
from raftkafka.record.compression import CODECS
from raftkafka.record.header import BatchHeader
from raftkafka.record.iterate import Record, decode_records
from raftkafka.storage import inspection
from raftkafka.storage.inspection import Damage, Seen

_NAMES: Final = {code: name for name, code in CODECS.items()}
_SUFFIXES: Final = (".log", ".index", ".timeindex")
INT32_MAX: Final = (1 << 31) - 1
"""Sequences begin again at 0 behind it."""

PROBLEMS_MAX: Final = 100
"""Of one segment: a file that is damaged all over need not be told byte by byte."""


@dataclass(slots=True)
class Checked:
    path: str
    batches: int = 0
    records: int = 0
    bytes: int = 0
    problems: list[tuple[str, int | None, str]] = field(default_factory=list)


def segments_of(path: str) -> list[str]:
    """The segment that a path names, or those in a directory, in order."""
    if not os.path.isdir(path):
        base_offset_of(path, wanted=(".log",))
        return [path]
    found = sorted(each.path for each in os.scandir(path) if each.name.endswith(".log") and each.name[:-4].isdecimal())
    if not found:
        raise ConfigurationError(f"{path}: there is no segment in this directory")
    return found


def base_offset_of(path: str, *, wanted: tuple[str, ...] = _SUFFIXES) -> int:
    """The offset in the name of a segment's file; raises ConfigurationError where it is none."""
    name, suffix = os.path.splitext(os.path.basename(path))
    if suffix not in wanted or not name.isdecimal() or len(name) > 20:
        raise ConfigurationError(f"{path}: the name of a segment is an offset and {' or '.join(wanted)}")
    return int(name)


@contextmanager
def _content(path: str) -> Iterator[memoryview]:
    """The bytes of a file, which may be larger than the memory."""
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            yield memoryview(b"")
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            view = memoryview(mapped)
            try:
                yield view
            finally:
                view.release()


def verified(path: str, *, deep: bool) -> Checked:
    """Check a segment and the indexes beside it."""
    base_offset = base_offset_of(path, wanted=(".log",))
    checked, seen = Checked(path), list[Seen]()
    with _content(path) as content:
        checked.bytes = len(content)
        for each in inspection.batches(content, base_offset=base_offset):
            problem = each.problem
            if isinstance(each, Seen):
                seen.append(each)
                checked.batches += 1
                checked.records += each.header.records_count
                if problem is None and deep:
                    problem = inspection.records_problem(content, each)
            if problem is not None and len(checked.problems) < PROBLEMS_MAX:
                checked.problems.append((path, each.position, problem))
    for suffix, problems_of in (
        (".index", inspection.offset_index_problems),
        (".timeindex", inspection.time_index_problems),
    ):
        index = path.removesuffix(".log") + suffix
        if os.path.exists(index):
            with open(index, "rb") as file:
                found = problems_of(file.read(), seen, base_offset=base_offset)
                for text in found:
                    if len(checked.problems) < PROBLEMS_MAX:
                        checked.problems.append((index, None, text))
    return checked


@dataclass(frozen=True, slots=True)
class Dump:
    """One file as text or JSON. `offset` and `most` choose batches of a `.log`."""

    path: str
    deep: bool
    offset: int | None
    most: int | None
    json: bool

    def show(self) -> bool:
        """Print it; False where something in it is damaged."""
        base_offset = base_offset_of(self.path)
        if not self.json:
            line(f"Dumping {self.path}")
            line(f"Starting offset: {base_offset}")
        if not self.path.endswith(".log"):
            self._show_index(base_offset)
            return True
        with _content(self.path) as content:
            return self._show_batches(content, base_offset)

    def _show_index(self, base_offset: int) -> None:
        with open(self.path, "rb") as file:
            content = file.read()
        if self.path.endswith(".timeindex"):
            for timestamp, relative in inspection.time_entries(content):
                self._entry({"timestamp": timestamp, "offset": base_offset + relative})
        else:
            for relative, position in inspection.offset_entries(content):
                self._entry({"offset": base_offset + relative, "position": position})

    def _entry(self, values: dict[str, Any]) -> None:
        if self.json:
            as_json(values)
        else:
            line(" ".join(f"{name}: {value}" for name, value in values.items()))

    def _show_batches(self, content: memoryview, base_offset: int) -> bool:
        shown, sound = 0, True
        for each in inspection.batches(content, base_offset=base_offset):
            if isinstance(each, Damage):
                sound = False
                self._entry({"position": each.position, "problem": each.problem})
                continue
            if self.offset is not None and each.header.last_offset < self.offset:
                continue
            if shown == self.most:
                break
            shown += 1
            sound = sound and each.problem is None
            sound = self._show_batch(content, each) and sound
        return sound

    def _show_batch(self, content: memoryview, seen: Seen) -> bool:
        records: list[Record] = []
        problem = seen.problem
        if self.deep and problem is None:
            try:
                records = decode_records(content, seen.position)
            except (CorruptionError, ApiError) as error:
                problem = str(error)
        values = _of_batch(seen, valid=problem is None)
        if problem is not None:
            values["problem"] = problem
        if self.json:
            as_json({**values, "records": [_of_record(each, seen.header) for each in records]} if self.deep else values)
            return problem is None
        self._entry({name: _java(value) for name, value in values.items()})
        for record in records:
            line("| " + " ".join(f"{name}: {_java(value)}" for name, value in _of_record(record, seen.header).items()))
        return problem is None


def _of_batch(seen: Seen, *, valid: bool) -> dict[str, Any]:
    """In the words of Kafka's DumpLogSegments."""
    header = seen.header
    numbered = header.producer_id >= 0 and header.base_sequence >= 0
    return {
        "baseOffset": header.base_offset,
        "lastOffset": header.last_offset,
        "count": header.records_count,
        "baseSequence": header.base_sequence,
        "lastSequence": (header.base_sequence + header.last_offset_delta) & INT32_MAX if numbered else -1,
        "producerId": header.producer_id,
        "producerEpoch": header.producer_epoch,
        "partitionLeaderEpoch": header.partition_leader_epoch,
        "isTransactional": header.is_transactional,
        "isControl": header.is_control,
        "position": seen.position,
        _time(header): header.max_timestamp,
        "size": header.batch_size,
        "magic": header.magic,
        "compresscodec": _NAMES.get(header.compression, f"unknown ({header.compression})"),
        "crc": header.crc,
        "isvalid": valid,
    }


def _of_record(record: Record, header: BatchHeader) -> dict[str, Any]:
    numbered = header.base_sequence >= 0
    return {
        "offset": record.offset,
        _time(header): record.timestamp_ms,
        "keySize": -1 if record.key is None else len(record.key),
        "valueSize": -1 if record.value is None else len(record.value),
        "sequence": (header.base_sequence + record.offset - header.base_offset) & INT32_MAX if numbered else -1,
        "headerKeys": [name for name, _ in record.headers],
        "key": None if record.key is None else record.key.decode(errors="replace"),
        "payload": None if record.value is None else record.value.decode(errors="replace"),
    }


def _time(header: BatchHeader) -> str:
    return "LogAppendTime" if header.has_log_append_time else "CreateTime"


def _java(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{','.join(map(str, value))}]"
    return "null" if value is None else value
