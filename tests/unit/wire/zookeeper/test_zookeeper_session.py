"""Both ends of ZooKeeper's protocol: round trips of every operation, limits, foreign bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raftkafka.model.errors import ProtocolError
from raftkafka.model.zookeeper import ops
from raftkafka.model.zookeeper import requests as rq
from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.model.zookeeper.sessions import ConnectRequest, ConnectResponse
from raftkafka.model.zookeeper.stat import Stat
from raftkafka.wire.zookeeper.multi import OPERATIONS_MAX
from raftkafka.wire.zookeeper.op_codes import OpCode
from raftkafka.wire.zookeeper.operations import ROWS, code_of, name_of
from raftkafka.wire.zookeeper.session import CONNECT_MAX_BYTES, ClientSession, Outcome, ServerSession
from raftkafka.wire.zookeeper.words import Word
from tests.zookeeper_values import (
    CONNECT_REQUESTS,
    CONNECT_RESPONSES,
    ERRORS,
    EVENTS,
    EXCHANGES,
    INT32,
    INT64,
    REQUESTS,
)

QUICK = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
CONNECT = ConnectRequest(timeout_ms=10_000)
CONNECTED = ConnectResponse(timeout_ms=10_000, session_id=1)


def view(data: bytes) -> memoryview:
    return memoryview(data)


def opened(**limits: int) -> ServerSession:
    session = ServerSession(**limits)
    session.receive(view(ClientSession().encode_connect(CONNECT)))
    assert session.opened
    return session


def connected(server: ServerSession) -> ClientSession:
    client = ClientSession()
    client.receive(view(server.encode_connect(CONNECTED)))
    return client


@pytest.mark.parametrize("number", range(len(EXCHANGES)))
@QUICK
@given(data=st.data(), xid=INT32.filter(lambda xid: xid != -1), zxid=INT64)
def test_every_operation_survives_the_way_there_and_back(number, data, xid, zxid):
    asked, answered = EXCHANGES[number]
    request, answer = data.draw(asked), data.draw(answered)
    server = opened()
    client = connected(server)
    frame = client.encode_request(xid, request)
    received = server.receive(view(frame))
    (incoming,) = received.requests
    assert (incoming.request, incoming.error, received.consumed) == (request, None, len(frame))
    assert name_of(incoming.op_code) == OpCode(incoming.op_code).name
    reply = rq.Reply(answer=answer, zxid=zxid)
    (outcome,), _ = client.receive(view(server.encode_reply(incoming, reply)))
    assert isinstance(outcome, Outcome)
    assert (outcome.xid, outcome.reply) == (incoming.xid, reply)


def test_every_operation_of_the_table_is_among_the_exchanges():
    @settings(max_examples=1, deadline=None, database=None)
    @given(data=st.data())
    def collect(data):
        for asked, _ in EXCHANGES:
            codes.add(code_of(data.draw(asked)))

    codes: set[int] = set()
    collect()
    assert codes | {OpCode.CREATE2, OpCode.CREATE_CONTAINER, OpCode.SET_WATCHES, OpCode.SET_WATCHES2} == set(ROWS)


@QUICK
@given(request=REQUESTS, code=ERRORS)
def test_an_error_is_a_header_alone(request, code):
    server = opened()
    client = connected(server)
    (incoming,) = server.receive(view(client.encode_request(7, request))).requests
    frame = server.encode_reply(incoming, rq.Reply(answer=ops.ErrorResult(code=code), zxid=9))
    assert len(frame) == 4 + 16
    (outcome,), _ = client.receive(view(frame))
    assert outcome.reply == rq.Reply(answer=ops.ErrorResult(code=code), zxid=9)


@QUICK
@given(event=EVENTS)
def test_events_come_between_replies(event):
    server = opened()
    client = connected(server)
    (incoming,) = server.receive(view(client.encode_request(7, rq.Sync(path="/a")))).requests
    reply = rq.Reply(answer=rq.SyncResult(path="/a"), zxid=3)
    found, consumed = client.receive(view(server.encode_event(event) + server.encode_reply(incoming, reply)))
    assert found[0] == event
    assert found[1].reply == reply
    assert consumed == len(server.encode_event(event)) + 4 + 16 + 4 + 2


@QUICK
@given(request=CONNECT_REQUESTS, response=CONNECT_RESPONSES)
def test_connecting_survives_the_way_there_and_back(request, response):
    server, client = ServerSession(), ClientSession()
    frame = client.encode_connect(request)
    received = server.receive(view(frame))
    assert (received.opening, received.requests, received.consumed) == (request, [], len(frame))
    (found,), _ = client.receive(view(server.encode_connect(response)))
    assert found == response


def test_clients_before_3_4_get_the_answer_that_they_know():
    server = ServerSession()
    old = struct.pack(">iiqiqi16s", 44, 0, 5, 30_000, 0, 16, bytes(16))
    received = server.receive(view(old))
    assert received.opening == ConnectRequest(timeout_ms=30_000, last_zxid_seen=5)
    assert len(server.encode_connect(CONNECTED)) == 4 + 36
    assert len(opened().encode_connect(CONNECTED)) == 4 + 37


@pytest.mark.parametrize("word", Word)
def test_four_letter_words_open_a_connection_too(word):
    server = ServerSession()
    received = server.receive(view(word.value + b"\n"))
    assert (received.opening, received.consumed) == (word, 4)


def test_what_is_no_whole_frame_waits_and_says_how_much_it_needs():
    server = ServerSession()
    frame = ClientSession().encode_connect(CONNECT)
    assert (server.receive(view(frame[:3])).consumed, server.receive(view(frame[:3])).needed) == (0, 0)
    for cut in range(4, len(frame)):
        received = server.receive(view(frame[:cut]))
        assert (received.opening, received.consumed, received.needed) == (None, 0, len(frame))
    assert server.receive(view(frame)).opening == CONNECT
    request = ClientSession().encode_request(1, rq.GetData(path="/a"))
    received = server.receive(view(request + request[:-1]))
    assert (len(received.requests), received.consumed, received.needed) == (1, len(request), len(request))


def test_a_limit_leaves_the_rest_for_later():
    server = opened()
    request = ClientSession().encode_request(1, rq.GetData(path="/a"))
    received = server.receive(view(request * 3), limit=2)
    assert (len(received.requests), received.consumed) == (2, 2 * len(request))


@pytest.mark.parametrize(
    ("start", "who"),
    [
        (b"\xafRK1....", "a client of the raftkafka protocol"),
        (b"GET / HTTP/1.1\r\n", "an HTTP client"),
        (b"\x16\x03\x01\x02\x00\x01", "a TLS client"),
        (b"\xff\xff\xff\xff....", "a frame of -1 bytes"),
        (struct.pack(">i", CONNECT_MAX_BYTES + 1), "a frame of 2049 bytes"),
        (b"\x00\x00\x00\x00....", "a record ends"),
        (struct.pack(">iiqiqi", 28, 0, 0, 0, 0, -2), "a length of -2"),
        (struct.pack(">iiqiqi", 28, 0, 0, 0, 0, 2**31 - 1), "a record ends"),
    ],
)
def test_strangers_are_told_from_clients(start, who):
    with pytest.raises(ProtocolError, match=who):
        ServerSession().receive(view(start))


@pytest.mark.parametrize("length", [-1, -(2**31), 0, 7, 101, 2**31 - 1])
def test_a_frame_of_no_length_ends_the_connection_after_what_stood_before(length):
    server = opened(frame_max_bytes=100)
    good, bad = ClientSession().encode_request(1, rq.GetData(path="/a")), struct.pack(">i", length)
    received = server.receive(view(good + bad))
    assert (len(received.requests), received.consumed) == (1, len(good))
    with pytest.raises(ProtocolError, match=f"of {length} bytes"):
        server.receive(view(bad))


def framed(op_code: int, body: bytes, xid: int = 5) -> bytes:
    return struct.pack(">iii", 8 + len(body), xid, op_code) + body


@pytest.mark.parametrize("op_code", [0, -1, 10, 20, 23, 99, 108, -10, 2**31 - 1])
def test_an_unknown_operation_has_an_answer_and_costs_nothing_more(op_code):
    server = opened()
    client = connected(server)
    request = rq.Unknown(op_code=op_code)
    (incoming, behind) = server.receive(view(client.encode_request(5, request) + framed(OpCode.PING, b""))).requests
    assert (incoming.xid, incoming.request, incoming.error) == (5, None, ZkErrorCode.UNIMPLEMENTED)
    assert behind.request == rq.Ping()
    assert name_of(op_code) == "UNKNOWN"
    refused = rq.Reply(answer=ops.ErrorResult(code=ZkErrorCode.UNIMPLEMENTED))
    (outcome,), _ = client.receive(view(server.encode_reply(incoming, refused)))
    assert outcome.reply == refused


@pytest.mark.parametrize("kind", [OpCode.MULTI, OpCode.MULTI_READ])
def test_a_multi_is_one_step_of_bounded_length(kind):
    operation = ops.Check(path="/", version=-1) if kind is OpCode.MULTI else rq.GetData(path="/")

    def asked(count: int):
        every = (operation,) * count
        request = ops.Multi(operations=every) if kind is OpCode.MULTI else rq.MultiRead(reads=every)
        (incoming,) = opened().receive(view(ClientSession().encode_request(1, request))).requests
        assert incoming.request == (None if incoming.error else request)
        return incoming.error

    assert asked(OPERATIONS_MAX) is None
    assert asked(OPERATIONS_MAX + 1) is ZkErrorCode.QUOTAEXCEEDED


@pytest.mark.parametrize(
    ("op_code", "body", "error"),
    [
        (OpCode.GET_DATA, b"", ZkErrorCode.MARSHALLINGERROR),
        (OpCode.GET_DATA, struct.pack(">i", 2**31 - 1) + b"/a", ZkErrorCode.MARSHALLINGERROR),
        (OpCode.GET_DATA, struct.pack(">i2s?", 2, b"/\xff", True), ZkErrorCode.MARSHALLINGERROR),
        (OpCode.SET_WATCHES, struct.pack(">qi", 0, 2**31 - 1), ZkErrorCode.MARSHALLINGERROR),
        (OpCode.SET_WATCHES, struct.pack(">qi", 0, -2), ZkErrorCode.MARSHALLINGERROR),
        (OpCode.ADD_WATCH, struct.pack(">i2si", 2, b"/a", 2), ZkErrorCode.MARSHALLINGERROR),
        (OpCode.REMOVE_WATCHES, struct.pack(">i2si", 2, b"/a", 0), ZkErrorCode.MARSHALLINGERROR),
        (OpCode.CREATE, struct.pack(">i2siii", 2, b"/a", -1, 0, 7), ZkErrorCode.BADARGUMENTS),
        (OpCode.CREATE, struct.pack(">i2siii", 2, b"/a", -1, 0, -1), ZkErrorCode.BADARGUMENTS),
        (OpCode.MULTI, b"", ZkErrorCode.MARSHALLINGERROR),
        (OpCode.MULTI, struct.pack(">i?i", OpCode.GET_DATA, False, -1), ZkErrorCode.MARSHALLINGERROR),
        (OpCode.MULTI_READ, struct.pack(">i?i", OpCode.DELETE, False, -1), ZkErrorCode.MARSHALLINGERROR),
        (OpCode.MULTI, struct.pack(">i?i", OpCode.SET_ACL, False, -1), ZkErrorCode.MARSHALLINGERROR),
    ],
)
def test_a_malformed_body_has_an_answer_and_costs_nothing_more(op_code, body, error):
    incoming, behind = opened().receive(view(framed(op_code, body) + framed(OpCode.PING, b""))).requests
    assert (incoming.xid, incoming.request, incoming.error) == (5, None, error)
    assert behind.request == rq.Ping()


def test_null_strings_and_vectors_are_empty_and_null_data_is_not():
    body = struct.pack(">iiii", -1, -1, -1, 0)
    (incoming,) = opened().receive(view(framed(OpCode.CREATE, body))).requests
    assert incoming.request == ops.Create(path="", data=None, acl=())
    body = struct.pack(">iiii", -1, 0, -1, 0)
    (incoming,) = opened().receive(view(framed(OpCode.CREATE, body))).requests
    assert incoming.request == ops.Create(path="", data=b"", acl=())


def test_fields_of_later_versions_are_passed_over():
    body = struct.pack(">i2s?", 2, b"/a", True) + b"and more"
    (incoming,) = opened().receive(view(framed(OpCode.EXISTS, body))).requests
    assert incoming.request == rq.Exists(path="/a", watch=True)


def test_a_vector_is_not_begun_that_cannot_end():
    body = struct.pack(">q", 0) + struct.pack(">i", 250_000) + bytes(999_996)
    (incoming,) = opened().receive(view(framed(OpCode.SET_WATCHES, body))).requests
    assert incoming.error is ZkErrorCode.MARSHALLINGERROR


def test_a_client_refuses_what_it_did_not_ask_for():
    server = opened()
    client = connected(server)
    (incoming,) = server.receive(view(ClientSession().encode_request(7, rq.Exists(path="/a")))).requests
    frame = server.encode_reply(incoming, rq.Reply(answer=rq.ExistsResult(stat=Stat())))
    with pytest.raises(ProtocolError, match="nobody waits"):
        client.receive(view(frame))
    client.encode_request(8, rq.Exists(path="/a"))
    with pytest.raises(ProtocolError, match="nobody waits"):
        client.receive(view(frame))


def test_an_answer_of_another_operation_is_a_bug_of_ours():
    (incoming,) = opened().receive(view(ClientSession().encode_request(7, rq.Exists(path="/a")))).requests
    with pytest.raises(AssertionError, match="EXISTS is not answered by SyncResult"):
        ServerSession.encode_reply(incoming, rq.Reply(answer=rq.SyncResult(path="/a")))
