"""Operations that change the tree: create in its four forms, delete, setData, setACL, check. Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.zookeeper import ops
from raftkafka.model.zookeeper.modes import CreateMode
from raftkafka.model.zookeeper.ops import Check, Create, CreateResult, Delete, SetAcl, SetData
from raftkafka.wire.zookeeper.jute import INT32, INT64, Reader, UnknownModeError, buffer, string
from raftkafka.wire.zookeeper.op_codes import OpCode
from raftkafka.wire.zookeeper.records import read_acl, read_stat, write_acl, write_stat
from raftkafka.wire.zookeeper.rows import Row, empty

_MODES: Final = {mode.value: mode for mode in CreateMode}


def create_code(request: Create) -> OpCode:
    """By which of its four forms a create is sent."""
    if not request.with_stat:
        return OpCode.CREATE
    if request.mode.ttl or request.ttl_ms != ops.NO_TTL:
        return OpCode.CREATE_TTL  # also where the two do not go together, for that is to be refused
    return OpCode.CREATE_CONTAINER if request.mode.container else OpCode.CREATE2


def _read_create_as(reader: Reader, *, with_stat: bool, with_ttl: bool) -> Create:
    path, data, acl, flags = reader.string(), reader.buffer(), read_acl(reader), reader.int32()
    ttl_ms = reader.int64() if with_ttl else ops.NO_TTL
    mode = _MODES.get(flags)
    if mode is None:
        raise UnknownModeError(f"there is no create mode {flags}")
    return Create(path=path, data=data, acl=acl, mode=mode, ttl_ms=ttl_ms, with_stat=with_stat)


def read_create(reader: Reader) -> Create:
    return _read_create_as(reader, with_stat=False, with_ttl=False)


def read_create2(reader: Reader) -> Create:
    """create2 and createContainer: ZooKeeper goes by the mode in both."""
    return _read_create_as(reader, with_stat=True, with_ttl=False)


def read_create_ttl(reader: Reader) -> Create:
    return _read_create_as(reader, with_stat=True, with_ttl=True)


def write_create(request: Create) -> bytes:
    body = string(request.path) + buffer(request.data) + write_acl(request.acl) + INT32.pack(request.mode)
    return body + INT64.pack(request.ttl_ms) if create_code(request) is OpCode.CREATE_TTL else body


def read_create_result(reader: Reader) -> CreateResult:
    return CreateResult(path=reader.string())


def read_create2_result(reader: Reader) -> CreateResult:
    return CreateResult(path=reader.string(), stat=read_stat(reader))


def write_create_result(result: CreateResult) -> bytes:
    return string(result.path) if result.stat is None else string(result.path) + write_stat(result.stat)


def read_delete(reader: Reader) -> Delete:
    return Delete(path=reader.string(), version=reader.int32())


def read_check(reader: Reader) -> Check:
    return Check(path=reader.string(), version=reader.int32())


def write_path_and_version(request: Delete | Check) -> bytes:
    return string(request.path) + INT32.pack(request.version)


def read_set_data(reader: Reader) -> SetData:
    return SetData(path=reader.string(), data=reader.buffer(), version=reader.int32())


def write_set_data(request: SetData) -> bytes:
    return string(request.path) + buffer(request.data) + INT32.pack(request.version)


def read_set_data_result(reader: Reader) -> ops.SetDataResult:
    return ops.SetDataResult(stat=read_stat(reader))


def write_set_data_result(result: ops.SetDataResult) -> bytes:
    return write_stat(result.stat)


def _read_set_acl(reader: Reader) -> SetAcl:
    return SetAcl(path=reader.string(), acl=read_acl(reader), version=reader.int32())


def _write_set_acl(request: SetAcl) -> bytes:
    return string(request.path) + write_acl(request.acl) + INT32.pack(request.version)


def _write_set_acl_result(result: ops.SetAclResult) -> bytes:
    return write_stat(result.stat)


ROWS: Final = (
    Row(
        code=OpCode.CREATE,
        request=Create,
        read_request=read_create,
        write_request=write_create,
        answer=CreateResult,
        read_answer=read_create_result,
        write_answer=lambda result: string(result.path),
    ),
    *(
        Row(
            code=code,
            request=Create,
            read_request=read_create_ttl if code is OpCode.CREATE_TTL else read_create2,
            write_request=write_create,
            answer=CreateResult,
            read_answer=read_create2_result,
            write_answer=write_create_result,
        )
        for code in (OpCode.CREATE2, OpCode.CREATE_CONTAINER, OpCode.CREATE_TTL)
    ),
    Row(
        code=OpCode.DELETE,
        request=Delete,
        read_request=read_delete,
        write_request=write_path_and_version,
        answer=ops.DeleteResult,
        read_answer=lambda _: ops.DeleteResult(),
        write_answer=empty,
    ),
    Row(
        code=OpCode.SET_DATA,
        request=SetData,
        read_request=read_set_data,
        write_request=write_set_data,
        answer=ops.SetDataResult,
        read_answer=read_set_data_result,
        write_answer=write_set_data_result,
    ),
    Row(
        code=OpCode.SET_ACL,
        request=SetAcl,
        read_request=_read_set_acl,
        write_request=_write_set_acl,
        answer=ops.SetAclResult,
        read_answer=lambda reader: ops.SetAclResult(stat=read_stat(reader)),
        write_answer=_write_set_acl_result,
    ),
    Row(
        code=OpCode.CHECK,
        request=Check,
        read_request=read_check,
        write_request=write_path_and_version,
        answer=ops.CheckResult,
        read_answer=lambda _: ops.CheckResult(),
        write_answer=empty,
    ),
)
