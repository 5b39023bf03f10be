"""multi and multiRead: several operations, each behind a header of its own, and a header that says they are over.

Floor 2. Invariant: the two kinds do not mix.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.model.zookeeper.ops import (
    Check,
    CheckResult,
    Create,
    CreateResult,
    Delete,
    DeleteResult,
    ErrorResult,
    Multi,
    MultiResult,
    SetData,
    SetDataResult,
    SingleOp,
)
from raftkafka.model.zookeeper.requests import (
    GetChildren,
    GetChildrenResult,
    GetData,
    GetDataResult,
    MultiRead,
    MultiReadResult,
)
from raftkafka.wire.zookeeper import changes, reads
from raftkafka.wire.zookeeper.jute import INT32, MarshallingError, Reader, TooManyError
from raftkafka.wire.zookeeper.op_codes import ERROR_RESULT, OpCode
from raftkafka.wire.zookeeper.rows import Row

OPERATIONS_MAX: Final = 5_000
"""Of a multi or multiRead: it is one step of the loop, of a multi on every node."""

_HEADER: Final = struct.Struct(">i?i")
_END: Final = _HEADER.pack(-1, True, -1)
_NO_ERROR: Final = -1

_Reading = Callable[[Reader], Any]
_CHANGES: Final[dict[int, _Reading]] = {
    OpCode.CREATE: changes.read_create,
    OpCode.CREATE2: changes.read_create2,
    OpCode.CREATE_CONTAINER: changes.read_create2,
    OpCode.CREATE_TTL: changes.read_create_ttl,
    OpCode.DELETE: changes.read_delete,
    OpCode.SET_DATA: changes.read_set_data,
    OpCode.CHECK: changes.read_check,
}
_READS: Final[dict[int, _Reading]] = {
    OpCode.GET_DATA: reads.read_get_data,
    OpCode.GET_CHILDREN: reads.read_get_children,
}


def read_error_code(reader: Reader) -> ZkErrorCode:
    number = reader.int32()
    try:
        return ZkErrorCode(number)
    except ValueError:
        raise MarshallingError(f"there is no error {number}") from None


def _read_error(reader: Reader) -> ErrorResult:
    return ErrorResult(code=read_error_code(reader))


_CHANGED: Final[dict[int, _Reading]] = {
    OpCode.CREATE: changes.read_create_result,
    OpCode.CREATE2: changes.read_create2_result,
    OpCode.DELETE: lambda _: DeleteResult(),
    OpCode.SET_DATA: changes.read_set_data_result,
    OpCode.CHECK: lambda _: CheckResult(),
    ERROR_RESULT: _read_error,
}
_READ: Final[dict[int, _Reading]] = {
    OpCode.GET_DATA: reads.read_get_data_result,
    OpCode.GET_CHILDREN: reads.read_get_children_result,
    ERROR_RESULT: _read_error,
}


def _read_all(reader: Reader, known: dict[int, _Reading]) -> tuple[Any, ...]:
    found: list[Any] = []
    while True:
        code, over, _ = reader.fields(_HEADER)
        if over:
            return tuple(found)
        if code not in known:
            raise MarshallingError(f"operation {code} has no place in a multi of this kind")
        if len(found) == OPERATIONS_MAX:
            raise TooManyError(f"more than {OPERATIONS_MAX} operations in one multi")
        found.append(known[code](reader))


def _change_code(operation: SingleOp) -> tuple[int, bytes]:
    if isinstance(operation, Create):
        return changes.create_code(operation), changes.write_create(operation)
    if isinstance(operation, Delete):
        return OpCode.DELETE, changes.write_path_and_version(operation)
    if isinstance(operation, SetData):
        return OpCode.SET_DATA, changes.write_set_data(operation)
    if isinstance(operation, Check):
        return OpCode.CHECK, changes.write_path_and_version(operation)
    raise ValueError("a multi has no place for setACL")


def _read_code(read: GetData | GetChildren) -> tuple[int, bytes]:
    return OpCode.GET_DATA if isinstance(read, GetData) else OpCode.GET_CHILDREN, reads.write_path_and_watch(read)


def _result_code(result: object) -> tuple[int, bytes]:
    if isinstance(result, CreateResult):
        # One code for the forms with a Stat, as ZooKeeper has it.
        return OpCode.CREATE if result.stat is None else OpCode.CREATE2, changes.write_create_result(result)
    if isinstance(result, SetDataResult):
        return OpCode.SET_DATA, changes.write_set_data_result(result)
    if isinstance(result, GetDataResult):
        return OpCode.GET_DATA, reads.write_get_data_result(result)
    if isinstance(result, GetChildrenResult):
        return OpCode.GET_CHILDREN, reads.write_get_children_result(result)
    if isinstance(result, DeleteResult):
        return OpCode.DELETE, b""
    assert isinstance(result, CheckResult), f"{result!r} is no result within a multi"
    return OpCode.CHECK, b""


def _write_operations(coded: list[tuple[int, bytes]]) -> bytes:
    return b"".join([_HEADER.pack(code, False, _NO_ERROR) + body for code, body in coded]) + _END


def _write_results(answer: MultiResult | MultiReadResult) -> bytes:
    parts: list[bytes] = []
    for result in answer.results:
        if isinstance(result, ErrorResult):
            parts.append(_HEADER.pack(ERROR_RESULT, False, result.code) + INT32.pack(result.code))
        else:
            code, body = _result_code(result)
            parts.append(_HEADER.pack(code, False, 0) + body)
    return b"".join(parts) + _END


ROWS: Final = (
    Row(
        code=OpCode.MULTI,
        request=Multi,
        read_request=lambda reader: Multi(operations=_read_all(reader, _CHANGES)),
        write_request=lambda multi: _write_operations([_change_code(each) for each in multi.operations]),
        answer=MultiResult,
        read_answer=lambda reader: MultiResult(results=_read_all(reader, _CHANGED)),
        write_answer=_write_results,
    ),
    Row(
        code=OpCode.MULTI_READ,
        request=MultiRead,
        read_request=lambda reader: MultiRead(reads=_read_all(reader, _READS)),
        write_request=lambda multi: _write_operations([_read_code(each) for each in multi.reads]),
        answer=MultiReadResult,
        read_answer=lambda reader: MultiReadResult(results=_read_all(reader, _READ)),
        write_answer=_write_results,
    ),
)
