"""What we read and write is what kazoo, a client that others wrote, writes and reads."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kazoo.exceptions import EXCEPTIONS, ZookeeperError
from kazoo.protocol import serialization as kz
from kazoo.security import ACL, Id

from raftkafka.model.zookeeper import ops
from raftkafka.model.zookeeper import requests as rq
from raftkafka.model.zookeeper.acl import Acl
from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.model.zookeeper.ops import (
    CheckResult,
    CreateResult,
    DeleteResult,
    ErrorResult,
    MultiResult,
    SetDataResult,
)
from raftkafka.model.zookeeper.sessions import ConnectRequest
from raftkafka.wire.zookeeper.session import ClientSession, ServerSession
from tests import zookeeper_values as zv

QUICK = settings(max_examples=50, deadline=None)


def acl_of(acl: tuple[Acl, ...]) -> list[ACL]:
    return [ACL(each.perms, Id(each.scheme, each.id)) for each in acl]


def by_kazoo(xid: int, request) -> bytes:
    """As `ConnectionHandler._submit` writes a request."""
    body = struct.pack(">ii", xid, request.type) + request.serialize()
    return struct.pack(">i", len(body)) + body


def opened() -> ServerSession:
    server = ServerSession()
    server.receive(memoryview(ClientSession().encode_connect(ConnectRequest(timeout_ms=1))))
    return server


def paired(request):
    """The request of kazoo that says the same; None where it has none."""
    match request:
        case ops.Create(ttl_ms=-1) if not request.mode.container:
            kind = kz.Create2 if request.with_stat else kz.Create
            return kind(request.path, request.data, acl_of(request.acl), request.mode)
        case ops.Delete():
            return kz.Delete(request.path, request.version)
        case ops.SetData():
            return kz.SetData(request.path, request.data, request.version)
        case ops.SetAcl():
            return kz.SetACL(request.path, acl_of(request.acl), request.version)
        case ops.Multi():
            operations = [
                kz.CheckVersion(each.path, each.version) if isinstance(each, ops.Check) else paired(each)
                for each in request.operations
            ]
            return None if None in operations else kz.Transaction(operations)
        case rq.Exists():
            return kz.Exists(request.path, request.watch)
        case rq.GetData():
            return kz.GetData(request.path, request.watch)
        case rq.GetChildren():
            kind = kz.GetChildren2 if request.with_stat else kz.GetChildren
            return kind(request.path, request.watch)
        case rq.GetAcl():
            return kz.GetACL(request.path)
        case rq.Sync():
            return kz.Sync(request.path)
        case rq.Ping():
            return kz.PingInstance
        case rq.CloseSession():
            return kz.CloseInstance
        case rq.Sasl():
            return kz.SASL(request.token)
        case rq.Reconfig():
            return kz.Reconfig(request.joining, request.leaving, request.new_members, request.config_id)
    return None


_PAIRED = zv.REQUESTS.map(lambda request: (request, paired(request))).filter(lambda pair: pair[1] is not None)


@QUICK
@given(pair=_PAIRED)
def test_requests_are_the_same_bytes(pair):
    request, of_kazoo = pair
    xid = -2 if isinstance(request, rq.Ping) else 12
    frame = by_kazoo(xid, of_kazoo)
    assert ClientSession().encode_request(12, request) == frame
    (incoming,) = opened().receive(memoryview(frame)).requests
    assert (incoming.xid, incoming.request) == (xid, request)


@pytest.mark.parametrize("request_", [rq.Auth(scheme="digest", auth=b"user:secret"), ops.Check(path="/a", version=3)])
def test_auth_and_check_are_read_as_kazoo_writes_them(request_):
    of_kazoo = kz.Auth(0, "digest", "user:secret") if isinstance(request_, rq.Auth) else kz.CheckVersion("/a", 3)
    (incoming,) = opened().receive(memoryview(by_kazoo(-4, of_kazoo))).requests
    assert incoming.request == request_


def test_an_empty_string_is_null_to_kazoo():
    """`make_acl("auth", "")` is how a kazoo client asks for nodes of its own."""
    of_kazoo = kz.Create("/a", None, [ACL(31, Id("auth", ""))], 1)
    (incoming,) = opened().receive(memoryview(by_kazoo(1, of_kazoo))).requests
    assert incoming.request.acl == (Acl(perms=31, scheme="auth", id=""),)


@QUICK
@given(request=zv.CONNECT_REQUESTS)
def test_connect_requests_are_the_same_bytes(request):
    of_kazoo = kz.Connect(
        request.protocol_version,
        request.last_zxid_seen,
        request.timeout_ms,
        request.session_id,
        request.password,
        request.read_only,
    ).serialize()
    frame = struct.pack(">i", len(of_kazoo)) + of_kazoo
    assert ClientSession.encode_connect(request) == frame
    assert ServerSession().receive(memoryview(frame)).opening == request


@QUICK
@given(response=zv.CONNECT_RESPONSES)
def test_kazoo_reads_connect_responses(response):
    frame = opened().encode_connect(response)
    found, end = kz.Connect.deserialize(frame, 4)
    assert end == len(frame)
    assert (found.protocol_version, found.time_out, found.session_id) == (
        response.protocol_version,
        response.timeout_ms,
        response.session_id,
    )
    assert (found.passwd, found.read_only) == (response.password, response.read_only)


def stat_of(stat):
    return None if stat is None else tuple(getattr(stat, field) for field in type(stat).__slots__)


def body_of(request, answer, zxid: int) -> bytes:
    """The body of the reply, after kazoo has read its header."""
    (incoming,) = opened().receive(memoryview(ClientSession().encode_request(3, request))).requests
    frame = ServerSession.encode_reply(incoming, rq.Reply(answer=answer, zxid=zxid))
    assert struct.unpack_from(">i", frame) == (len(frame) - 4,)
    header, offset = kz.ReplyHeader.deserialize(frame, 4)
    assert (header.xid, header.zxid, header.err) == (incoming.xid, zxid, 0)
    return frame[offset:]


def read_by_kazoo(of_kazoo, body: bytes):
    return type(of_kazoo).deserialize(body, 0)


def expected(answer):
    """What kazoo makes of an answer."""
    match answer:
        case CreateResult(stat=None):
            return answer.path
        case CreateResult():
            return answer.path, stat_of(answer.stat)
        case DeleteResult() | CheckResult():
            return True
        case SetDataResult() | ops.SetAclResult():
            return stat_of(answer.stat)
        case rq.ExistsResult():
            return stat_of(answer.stat) if answer.stat.czxid != -1 else None
        case rq.GetDataResult() | rq.ReconfigResult():
            return answer.data, stat_of(answer.stat)
        case rq.GetChildrenResult(stat=None):
            return list(answer.children)
        case rq.GetChildrenResult():
            return list(answer.children), stat_of(answer.stat)
        case rq.GetAclResult():
            return acl_of(answer.acl), stat_of(answer.stat)
        case rq.SyncResult():
            return answer.path
    return None


_ANSWERED = [
    number
    for number, (asked, _) in enumerate(zv.EXCHANGES)
    if number not in {2, 6, 7, 13, 14, 15}  # createTTL, check, multi, and what kazoo does not know
]


@pytest.mark.parametrize("number", _ANSWERED)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_kazoo_reads_answers(number, data):
    asked, answered = zv.EXCHANGES[number]
    request, answer = data.draw(asked), data.draw(answered)
    of_kazoo = paired(request)
    if of_kazoo is None or expected(answer) is None:
        return
    assert read_by_kazoo(of_kazoo, body_of(request, answer, 77)) == expected(answer)


_RESULTS = st.lists(
    st.builds(CreateResult, path=zv.PATHS)
    | st.just(DeleteResult())
    | st.just(CheckResult())
    | st.builds(SetDataResult, stat=zv.STATS)
    | st.builds(ErrorResult, code=st.sampled_from(ZkErrorCode)),
    max_size=5,
)


@QUICK
@given(results=_RESULTS)
def test_kazoo_reads_the_results_of_a_multi(results):
    body = body_of(ops.Multi(operations=()), MultiResult(results=tuple(results)), 8)
    found = kz.Transaction.deserialize(body, 0)
    assert len(found) == len(results)
    for of_kazoo, ours in zip(found, results, strict=True):
        if isinstance(ours, ErrorResult):
            assert type(of_kazoo) is type(EXCEPTIONS[ours.code]())
            assert isinstance(of_kazoo, ZookeeperError)
        else:
            assert of_kazoo == expected(ours)


@QUICK
@given(event=zv.EVENTS)
def test_kazoo_reads_events(event):
    frame = ServerSession.encode_event(event)
    header, offset = kz.ReplyHeader.deserialize(frame, 4)
    assert (header.xid, header.zxid, header.err) == (-1, event.zxid, 0)
    watch, end = kz.Watch.deserialize(frame, offset)
    assert (tuple(watch), end) == ((event.kind, event.state, event.path), len(frame))


@QUICK
@given(code=zv.ERRORS)
def test_kazoo_raises_the_error_of_a_code(code):
    (incoming,) = opened().receive(memoryview(ClientSession().encode_request(3, rq.Exists(path="/a")))).requests
    frame = ServerSession.encode_reply(incoming, rq.Reply(answer=ErrorResult(code=code)))
    header, end = kz.ReplyHeader.deserialize(frame, 4)
    assert end == len(frame)
    assert issubclass(EXCEPTIONS[header.err], ZookeeperError)
