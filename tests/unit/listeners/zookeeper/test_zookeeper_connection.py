"""Connections of the ZooKeeper port: order, limits, deadlines, and what ends them."""

from __future__ import annotations

import asyncio
import struct

import pytest

from raftkafka.listeners.zookeeper import connection as module
from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.model.zookeeper.events import EventType, WatchedEvent
from raftkafka.model.zookeeper.ops import Create, CreateResult, Delete, ErrorResult, Multi, SetData
from raftkafka.model.zookeeper.requests import (
    Auth,
    CloseSession,
    Done,
    GetData,
    Ping,
    Reply,
    Sync,
    SyncResult,
    Unknown,
    WhoAmI,
    WhoAmIResult,
)
from raftkafka.model.zookeeper.sessions import EXPIRED, ConnectRequest, ConnectResponse
from raftkafka.wire.zookeeper.session import FRAME_MAX_BYTES


def create(path: str, data: bytes = b"") -> Create:
    return Create(path=path, data=data, acl=())


async def test_requests_are_answered_in_their_order(port, service):
    await port.start()
    client = await port.connect()
    client.send(create("/a"), Sync(path="/a"), WhoAmI(), Ping())
    assert await client.answers(4) == [
        CreateResult(path="/a"),
        SyncResult(path="/a"),
        WhoAmIResult(identities=()),
        Done(),
    ]
    assert [type(request) for request in service.asked] == [Create, Sync, WhoAmI, Ping]
    assert service.heard_count > 0


async def test_changes_are_under_way_together_and_reads_wait_for_them(port, service, until):
    await port.start()
    service.held = True
    client = await port.connect()
    client.send(create("/a"), create("/b"), Sync(path="/s"), create("/c"))
    await until(lambda: len(service.waiting) == 2)
    assert service.asked == [create("/a"), create("/b")]
    service.waiting[1](Reply(answer=CreateResult(path="/b"), zxid=2))
    service.waiting[0](Reply(answer=CreateResult(path="/a"), zxid=1))
    assert await client.answers(3) == [CreateResult(path="/a"), CreateResult(path="/b"), SyncResult(path="/s")]
    await until(lambda: len(service.waiting) == 3)
    assert service.asked[2:] == [Sync(path="/s"), create("/c")]


async def test_a_change_waits_for_a_read_that_is_under_way(port, service, until):
    await port.start()
    client = await port.connect()
    later = []
    service.handle = lambda link, request, answer: (service.asked.append(request), later.append(answer))
    client.send(Sync(path="/s"), create("/a"))
    await until(lambda: later)
    await asyncio.sleep(0)
    assert service.asked == [Sync(path="/s")]
    later[0](Reply(answer=SyncResult(path="/s")))
    await until(lambda: len(later) == 2)
    later[1](Reply(answer=CreateResult(path="/a")))
    assert await client.answers(2) == [SyncResult(path="/s"), CreateResult(path="/a")]


async def test_an_event_goes_out_between_the_replies_that_are_handed_over_around_it(port, service, until):
    await port.start()
    service.held = True
    client = await port.connect()
    client.send(create("/a"), create("/b"))
    await until(lambda: len(service.waiting) == 2)
    event = WatchedEvent(kind=EventType.NODE_CREATED, path="/a", zxid=1)
    service.waiting[0](Reply(answer=CreateResult(path="/a"), zxid=1))
    service.links[0].deliver(event)
    service.waiting[1](Reply(answer=CreateResult(path="/b"), zxid=2))
    assert (await client.next()).reply.answer == CreateResult(path="/a")
    assert await client.next() == event
    assert (await client.next()).reply.answer == CreateResult(path="/b")


async def test_a_thousand_events_leave_in_one_piece(port, service):
    await port.start()
    client = await port.connect()
    events = [WatchedEvent(kind=EventType.NODE_DATA_CHANGED, path=f"/n{number}") for number in range(1_000)]
    writes = []
    link = service.links[0]
    transport, link._transport = link._transport, None
    for event in events:
        link._out.append(link._session.encode_event(event))

    class Counting:
        def writelines(self, parts):
            writes.append(len(parts))
            transport.writelines(parts)

        def __getattr__(self, name):
            return getattr(transport, name)

    link._transport = Counting()
    link._schedule_turn()
    assert [await client.next() for _ in events] == events
    assert writes == [1_000]


async def test_what_nobody_knows_and_what_nobody_can_read_has_an_answer(port, service):
    await port.start()
    client = await port.connect()
    client.send(Unknown(op_code=99))
    client.writer.write(struct.pack(">iii", 8, 2, 4))  # getData without a body
    client.session._expected.append((2, 4))
    client.send(Ping())
    answers = await client.answers(3)
    codes = [each.code for each in answers[:2]]
    assert codes == [ZkErrorCode.UNIMPLEMENTED, ZkErrorCode.MARSHALLINGERROR]
    assert answers[2] == Done()
    assert service.asked == [Ping()]


@pytest.mark.parametrize("frame", [struct.pack(">i", FRAME_MAX_BYTES + 1), b"\xff\xff\xff\xff", struct.pack(">i", 3)])
async def test_a_malformed_frame_ends_the_connection_alone(port, service, probe, frame, until):
    await port.start()
    client, other = await port.connect(), await port.connect()
    client.writer.write(frame)
    assert await client.next() is None
    assert probe.malformed == 1
    await until(lambda: service.gone_links == service.links[:1])
    other.send(Ping())
    assert await other.answers(1) == [Done()]


async def test_the_largest_node_fits_through(port, service):
    await port.start()
    client = await port.connect()
    data = bytes(0xFFFFF)
    client.send(SetData(path="/a", data=data), Ping())
    service.answers[SetData] = lambda request: Reply(answer=ErrorResult(code=ZkErrorCode.NONODE))
    assert await client.answers(2) == [ErrorResult(code=ZkErrorCode.NONODE), Done()]
    assert service.asked[0] == SetData(path="/a", data=data)


async def test_bytes_that_come_one_by_one_are_put_together(port, service):
    await port.start()
    client = await port.connect(raw=True)
    for byte in client.session.encode_connect(ConnectRequest(timeout_ms=7)):
        client.writer.write(bytes([byte]))
        await client.writer.drain()
        await asyncio.sleep(0)
    assert await client.next() == service.response
    assert service.connects == [ConnectRequest(timeout_ms=7)]


@pytest.mark.parametrize("start", [b"", b"\x00\x00"])
async def test_who_opens_no_session_in_time_is_cut(port, start):
    await port.start(handshake_timeout_ms=50)
    client = await port.connect(raw=True)
    client.writer.write(start)
    assert await client.next() is None


async def test_who_waits_too_long_for_a_session_is_cut_and_may_try_elsewhere(port, service, until):
    await port.start(handshake_timeout_ms=50)
    service.answer_connects = False
    client = await port.connect(raw=True)
    client.writer.write(client.session.encode_connect(ConnectRequest(timeout_ms=7)))
    assert await client.next() is None
    await until(lambda: service.gone_links == service.links)


async def test_requests_behind_a_connect_request_wait_for_the_session(port, service, until):
    await port.start()
    service.answer_connects = False
    answers = []
    service.connect = lambda link, request, answer: answers.append(answer)
    client = await port.connect(raw=True)
    client.writer.write(client.session.encode_connect(ConnectRequest(timeout_ms=7)))
    client.send(Ping())
    await until(lambda: answers)
    assert service.asked == []
    answers[0](service.response)
    assert await client.next() == service.response
    assert await client.answers(1) == [Done()]


async def test_a_silent_session_is_cut_after_its_time(port, service):
    await port.start()
    service.response = ConnectResponse(timeout_ms=50, session_id=5, password=b"")
    client = await port.connect()
    assert await client.next() is None


async def test_an_expired_session_is_told_so(port, service, until):
    await port.start()
    service.response = EXPIRED
    client = await port.connect()
    assert await client.next() is None
    await until(lambda: service.gone_links == service.links)


async def test_no_session_here_and_now_is_a_closed_connection(port, service):
    await port.start()
    service.response = None
    client = await port.connect(raw=True)
    client.writer.write(client.session.encode_connect(ConnectRequest(timeout_ms=7)))
    assert await client.next() is None


async def test_the_end_of_a_session_is_answered_and_closes(port, service, until):
    await port.start()
    client = await port.connect()
    client.send(CloseSession(), Ping())
    assert await client.answers(1) == [Done()]
    assert await client.next() is None
    assert service.asked == [CloseSession()]
    await until(lambda: service.gone_links == service.links)


async def test_refused_credentials_are_answered_and_close(port, service):
    await port.start()
    service.answers[Auth] = lambda request: Reply(answer=ErrorResult(code=ZkErrorCode.AUTHFAILED))
    client = await port.connect()
    client.send(Auth(scheme="digest", auth=b"x"), Ping())
    assert await client.answers(1) == [ErrorResult(code=ZkErrorCode.AUTHFAILED)]
    assert await client.next() is None
    assert Ping() not in service.asked


async def test_the_service_may_end_a_session(port, service):
    await port.start()
    client = await port.connect()
    service.links[0].deliver(WatchedEvent(kind=EventType.NODE_DELETED, path="/a"))
    service.links[0].end("its session moved")
    assert await client.next() == WatchedEvent(kind=EventType.NODE_DELETED, path="/a")
    assert await client.next() is None


async def test_a_port_that_is_not_writable_refuses_changes_and_asks_nobody(port, service):
    await port.start(writable=False)
    client = await port.connect()
    client.send(create("/a"), Delete(path="/a"), SetData(path="/a", data=b""), Multi(operations=()), Sync(path="/"))
    refused = ErrorResult(code=ZkErrorCode.NOAUTH)
    assert await client.answers(5) == [refused] * 4 + [SyncResult(path="/")]
    assert service.asked == [Sync(path="/")]


async def test_a_port_beyond_loopback_is_not_writable_unless_it_is_told_to_be(port):
    assert not (await port.start(host="")).writable
    assert (await port.start(host="", writable=True)).writable
    assert (await port.start()).writable


async def test_changes_under_way_are_bounded(port, service, until):
    await port.start()
    service.held = True
    client = await port.connect()
    count = module.OUTSTANDING_MAX + 50
    client.send(*(create(f"/{number}") for number in range(count)))
    await until(lambda: len(service.waiting) == module.OUTSTANDING_MAX)
    for number, answer in enumerate(service.waiting[:50]):
        answer(Reply(answer=CreateResult(path=f"/{number}")))
    await client.answers(50)
    await until(lambda: len(service.waiting) == count)
    for number, answer in enumerate(service.waiting[50:], 50):
        answer(Reply(answer=CreateResult(path=f"/{number}")))
    assert (await client.answers(count - 50))[-1] == CreateResult(path=f"/{count - 1}")


async def test_bytes_under_way_are_bounded(port, service, until, monkeypatch):
    monkeypatch.setattr(module, "OUTSTANDING_MAX_BYTES", 10_000)
    await port.start()
    service.held = True
    client = await port.connect()
    client.send(*(create(f"/{number}", bytes(4_000)) for number in range(10)))
    await until(lambda: len(service.waiting) == 3)
    await asyncio.sleep(0)
    assert len(service.waiting) == 3
    assert service.links[0].status().reading is False
    for number in range(10):
        await until(lambda number=number: len(service.waiting) > number)
        service.waiting[number](Reply(answer=CreateResult(path=f"/{number}")))
    assert len(await client.answers(10)) == 10


async def test_who_does_not_read_his_events_is_cut(port, service, until, monkeypatch):
    monkeypatch.setattr(module, "UNSENT_MAX_BYTES", 1 << 20)
    await port.start()
    await port.connect()
    event = WatchedEvent(kind=EventType.NODE_DATA_CHANGED, path="/" + "x" * 10_000)

    def deliver() -> bool:
        for _ in range(50):
            service.links[0].deliver(event)
        return bool(service.gone_links)

    await until(deliver)
    assert service.links[0].held_bytes == 0


async def test_who_does_not_read_his_answers_gets_no_more_of_them(port, service, until):
    await port.start()
    client = await port.connect()
    path = "/" + "x" * 30_000
    service.answers[GetData] = lambda request: Reply(answer=ErrorResult(code=ZkErrorCode.NONODE))
    asked = 2_000
    client.send(*(Sync(path=path) for _ in range(asked)))
    await until(lambda: service.links[0].status().reading is False and service.links[0]._writing_paused)
    assert len(service.asked) < asked
    assert await client.answers(asked) == [SyncResult(path=path)] * asked


async def test_requests_that_cost_much_hold_up_nobody_else(port, service, monkeypatch):
    await port.start()
    costly, other = await port.connect(), await port.connect()
    monkeypatch.setattr(module, "TURN_S", 0.0)  # each of them takes longer than a turn may

    def answer(request: GetData) -> Reply:
        return Reply(answer=ErrorResult(code=ZkErrorCode.NONODE))

    service.answers[GetData] = answer
    asked = 200  # fewer than a turn may hand out
    costly.send(*(GetData(path="/costly") for _ in range(asked)))
    other.send(Ping())
    assert await other.answers(1) == [Done()]
    before = service.asked.index(Ping())
    assert before < asked - 1
    assert len(await costly.answers(asked)) == asked


async def test_a_bug_behind_the_port_costs_one_connection(port, service, caplog):
    await port.start()
    client, other = await port.connect(), await port.connect()
    client.send(GetData(path="/a"))
    assert await client.next() is None
    assert "its GET_DATA failed by a fault of this node" in caplog.text
    client = await port.connect()
    service.answers[Sync] = lambda request: Reply(answer=Done())
    client.send(Sync(path="/"))
    assert await client.next() is None
    other.send(Ping())
    assert await other.answers(1) == [Done()]


async def test_answers_after_the_end_are_dropped(port, service, until):
    await port.start()
    service.held = True
    client = await port.connect()
    client.send(create("/a"))
    await until(lambda: service.waiting)
    await client.close()
    await until(lambda: service.gone_links)
    service.waiting[0](Reply(answer=CreateResult(path="/a")))
    service.links[0].deliver(WatchedEvent(kind=EventType.NODE_CREATED, path="/a"))
    service.links[0].end("late")
    assert service.links[0].held_bytes == 0
