"""Operations about watches: setWatches in both forms, addWatch, checkWatches, removeWatches. Floor 2."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, TypeVar

from raftkafka.model.zookeeper.events import AddWatchMode, WatcherType
from raftkafka.model.zookeeper.requests import AddWatch, CheckWatches, Done, RemoveWatches, SetWatches
from raftkafka.wire.zookeeper.jute import INT32, INT64, MarshallingError, Reader, string, strings
from raftkafka.wire.zookeeper.op_codes import OpCode
from raftkafka.wire.zookeeper.rows import Row, done, empty

_Kind = TypeVar("_Kind", bound=IntEnum)


def _kind(reader: Reader, kinds: type[_Kind]) -> _Kind:
    number = reader.int32()
    try:
        return kinds(number)
    except ValueError:
        raise MarshallingError(f"{kinds.__name__} has no {number}") from None


def _read_set_watches(reader: Reader) -> SetWatches:
    return SetWatches(
        relative_zxid=reader.int64(), data=reader.strings(), exist=reader.strings(), child=reader.strings()
    )


def _read_set_watches2(reader: Reader) -> SetWatches:
    return SetWatches(
        relative_zxid=reader.int64(),
        data=reader.strings(),
        exist=reader.strings(),
        child=reader.strings(),
        persistent=reader.strings(),
        persistent_recursive=reader.strings(),
    )


def _write_set_watches(request: SetWatches) -> bytes:
    return INT64.pack(request.relative_zxid) + b"".join(map(strings, (request.data, request.exist, request.child)))


def _write_set_watches2(request: SetWatches) -> bytes:
    return _write_set_watches(request) + strings(request.persistent) + strings(request.persistent_recursive)


def set_watches_code(request: SetWatches) -> OpCode:
    """By which of its two forms it is sent."""
    return OpCode.SET_WATCHES2 if request.persistent or request.persistent_recursive else OpCode.SET_WATCHES


def _write_path_and_kind(request: CheckWatches | RemoveWatches) -> bytes:
    return string(request.path) + INT32.pack(request.kind)


def _read_added(reader: Reader) -> Done:
    reader.int32()
    return Done()


ROWS: Final = (
    Row(
        code=OpCode.SET_WATCHES,
        request=SetWatches,
        read_request=_read_set_watches,
        write_request=_write_set_watches,
        answer=Done,
        read_answer=done,
        write_answer=empty,
    ),
    Row(
        code=OpCode.SET_WATCHES2,
        request=SetWatches,
        read_request=_read_set_watches2,
        write_request=_write_set_watches2,
        answer=Done,
        read_answer=done,
        write_answer=empty,
    ),
    Row(
        code=OpCode.ADD_WATCH,
        request=AddWatch,
        read_request=lambda reader: AddWatch(path=reader.string(), mode=_kind(reader, AddWatchMode)),
        write_request=lambda request: string(request.path) + INT32.pack(request.mode),
        answer=Done,
        read_answer=_read_added,
        write_answer=lambda _: INT32.pack(0),  # ZooKeeper answers with an error record that says OK
    ),
    Row(
        code=OpCode.CHECK_WATCHES,
        request=CheckWatches,
        read_request=lambda reader: CheckWatches(path=reader.string(), kind=_kind(reader, WatcherType)),
        write_request=_write_path_and_kind,
        answer=Done,
        read_answer=done,
        write_answer=empty,
    ),
    Row(
        code=OpCode.REMOVE_WATCHES,
        request=RemoveWatches,
        read_request=lambda reader: RemoveWatches(path=reader.string(), kind=_kind(reader, WatcherType)),
        write_request=_write_path_and_kind,
        answer=Done,
        read_answer=done,
        write_answer=empty,
    ),
)
