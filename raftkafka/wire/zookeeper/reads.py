"""Operations that only look: exists, getData, getChildren in both forms, getACL, getEphemerals, getAllChildrenNumber, sync.

Floor 2.
"""

from __future__ import annotations

from typing import Any, Final

from raftkafka.model.zookeeper import requests
from raftkafka.model.zookeeper.requests import Exists, GetChildren, GetChildrenResult, GetData, GetDataResult
from raftkafka.wire.zookeeper.jute import INT32, Reader, boolean, buffer, string, strings
from raftkafka.wire.zookeeper.op_codes import OpCode
from raftkafka.wire.zookeeper.records import read_acl, read_stat, write_acl, write_stat
from raftkafka.wire.zookeeper.rows import Row


def read_get_data(reader: Reader) -> GetData:
    return GetData(path=reader.string(), watch=reader.boolean())


def read_get_children(reader: Reader) -> GetChildren:
    return GetChildren(path=reader.string(), watch=reader.boolean())


def write_path_and_watch(request: Exists | GetData | GetChildren) -> bytes:
    return string(request.path) + boolean(request.watch)


def read_get_data_result(reader: Reader) -> GetDataResult:
    return GetDataResult(data=reader.buffer(), stat=read_stat(reader))


def write_get_data_result(result: GetDataResult) -> bytes:
    return buffer(result.data) + write_stat(result.stat)


def read_get_children_result(reader: Reader) -> GetChildrenResult:
    return GetChildrenResult(children=reader.strings())


def write_get_children_result(result: GetChildrenResult) -> bytes:
    return strings(result.children)


def _write_get_children2_result(result: GetChildrenResult) -> bytes:
    assert result.stat is not None, "getChildren2 is answered with the node's Stat"
    return strings(result.children) + write_stat(result.stat)


def _write_path(request: Any) -> bytes:
    return string(request.path)


ROWS: Final = (
    Row(
        code=OpCode.EXISTS,
        request=Exists,
        read_request=lambda reader: Exists(path=reader.string(), watch=reader.boolean()),
        write_request=write_path_and_watch,
        answer=requests.ExistsResult,
        read_answer=lambda reader: requests.ExistsResult(stat=read_stat(reader)),
        write_answer=lambda result: write_stat(result.stat),
    ),
    Row(
        code=OpCode.GET_DATA,
        request=GetData,
        read_request=read_get_data,
        write_request=write_path_and_watch,
        answer=GetDataResult,
        read_answer=read_get_data_result,
        write_answer=write_get_data_result,
    ),
    Row(
        code=OpCode.GET_CHILDREN,
        request=GetChildren,
        read_request=read_get_children,
        write_request=write_path_and_watch,
        answer=GetChildrenResult,
        read_answer=read_get_children_result,
        write_answer=write_get_children_result,
    ),
    Row(
        code=OpCode.GET_CHILDREN2,
        request=GetChildren,
        read_request=lambda reader: GetChildren(path=reader.string(), watch=reader.boolean(), with_stat=True),
        write_request=write_path_and_watch,
        answer=GetChildrenResult,
        read_answer=lambda reader: GetChildrenResult(children=reader.strings(), stat=read_stat(reader)),
        write_answer=_write_get_children2_result,
    ),
    Row(
        code=OpCode.GET_ACL,
        request=requests.GetAcl,
        read_request=lambda reader: requests.GetAcl(path=reader.string()),
        write_request=_write_path,
        answer=requests.GetAclResult,
        read_answer=lambda reader: requests.GetAclResult(acl=read_acl(reader), stat=read_stat(reader)),
        write_answer=lambda result: write_acl(result.acl) + write_stat(result.stat),
    ),
    Row(
        code=OpCode.GET_EPHEMERALS,
        request=requests.GetEphemerals,
        read_request=lambda reader: requests.GetEphemerals(prefix=reader.string()),
        write_request=lambda request: string(request.prefix),
        answer=requests.GetEphemeralsResult,
        read_answer=lambda reader: requests.GetEphemeralsResult(paths=reader.strings()),
        write_answer=lambda result: strings(result.paths),
    ),
    Row(
        code=OpCode.GET_ALL_CHILDREN_NUMBER,
        request=requests.GetAllChildrenNumber,
        read_request=lambda reader: requests.GetAllChildrenNumber(path=reader.string()),
        write_request=_write_path,
        answer=requests.GetAllChildrenNumberResult,
        read_answer=lambda reader: requests.GetAllChildrenNumberResult(count=reader.int32()),
        write_answer=lambda result: INT32.pack(result.count),
    ),
    Row(
        code=OpCode.SYNC,
        request=requests.Sync,
        read_request=lambda reader: requests.Sync(path=reader.string()),
        write_request=_write_path,
        answer=requests.SyncResult,
        read_answer=lambda reader: requests.SyncResult(path=reader.string()),
        write_answer=_write_path,
    ),
)
