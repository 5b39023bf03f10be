"""One connection on a transport that the test holds in its hands."""

from __future__ import annotations

import asyncio
import logging
import struct

import pytest

from raftkafka.adapters.raft import link as links
from raftkafka.adapters.raft.link import Link
from raftkafka.model.errors import ProtocolError
from raftkafka.model.ids import NodeId
from raftkafka.wire.node_auth import NodeAuthClient, NodeAuthServer

SECRET = b"secret"


class FakeTransport(asyncio.Transport):
    def __init__(self):
        super().__init__()
        self.written = bytearray()
        self.unsent = 0
        self.aborted = False

    def write(self, data):
        self.written += data

    def get_extra_info(self, name, default=None):
        return ("192.0.2.1", 4711)

    def get_write_buffer_size(self):
        return self.unsent

    def is_closing(self):
        return self.aborted

    def abort(self):
        self.aborted = True

    def take(self):
        written, self.written = bytes(self.written), bytearray()
        return written


class Owner:
    def __init__(self, *, admits=True):
        self.admits = admits
        self.frames = []
        self.closed = 0

    def link_up(self, link):
        return self.admits

    def link_frame(self, link, frame):
        if frame == b"bad":
            raise ProtocolError("no message")
        self.frames.append(frame)

    def link_closed(self, link):
        self.closed += 1


def pair(*, admits=True, client_secret=SECRET):
    client = Link(Owner(), NodeAuthClient(secret=client_secret, node_id=NodeId(2), nonce=b"c" * 16))
    server = Link(Owner(admits=admits), NodeAuthServer(secret=SECRET, node_id=NodeId(1), nonce=b"s" * 16))
    transports = FakeTransport(), FakeTransport()
    client.connection_made(transports[0])
    server.connection_made(transports[1])
    return client, server, *transports


async def test_a_link_that_was_aborted_before_its_connection_was_made_closes_it():
    """The node stopped in the turn in which it had accepted the connection."""
    server = Link(Owner(), NodeAuthServer(secret=SECRET, node_id=NodeId(1), nonce=b"s" * 16))
    transport = FakeTransport()
    server.abort()
    server.connection_made(transport)
    assert transport.aborted


def shake_hands(**kwargs):
    client, server, near, far = pair(**kwargs)
    for _ in range(3):
        server.data_received(near.take())
        client.data_received(far.take())
    return client, server, near, far


def frame(payload):
    return struct.pack("<I", len(payload)) + payload


async def test_both_sides_know_each_other_after_the_handshake():
    client, server, _, _ = shake_hands()
    assert (client.peer, server.peer) == (1, 2)


async def test_frames_arrive_whole_however_they_are_cut():
    client, server, near, _ = shake_hands()
    for payload in (b"one", b"", b"two", b"x" * 3000):
        client.send(payload)
    for byte in near.take():
        server.data_received(bytes([byte]))
    assert server._owner.frames == [b"one", b"two", b"x" * 3000], "an empty frame only says that the sender lives"


@pytest.mark.parametrize("limit", ["before", "after"])
async def test_a_long_frame_is_refused_before_it_is_buffered(limit, caplog):
    caplog.set_level(logging.WARNING, "raftkafka.raft")
    _, server, _, far = shake_hands() if limit == "after" else pair()
    server.data_received(struct.pack("<I", 257 if limit == "before" else links.FRAME_MAX_BYTES + 1))
    assert far.aborted
    assert len(caplog.records) == 1
    assert "192.0.2.1" in caplog.text


async def test_nothing_behind_a_bad_frame_is_read():
    _, server, _, far = shake_hands()
    server.data_received(frame(b"good") + frame(b"bad") + frame(b"never"))
    assert far.aborted
    assert server._owner.frames == [b"good"]


async def test_a_wrong_secret_shows_on_the_side_that_dialled(caplog):
    _, server, near, _ = shake_hands(client_secret=b"another")
    assert near.aborted
    assert server.peer is None
    assert "does not know this cluster's secret" in caplog.text


async def test_an_owner_may_refuse_who_has_proved_itself():
    _, server, _, far = shake_hands(admits=False)
    assert far.aborted
    assert server.peer is None


async def test_a_stranger_that_says_nothing_is_closed(monkeypatch):
    monkeypatch.setattr(links, "HANDSHAKE_TIMEOUT_S", 0)
    _, server, _, far = pair()
    await asyncio.sleep(0.01)
    assert far.aborted
    server.connection_lost(None)
    assert server._owner.closed == 1
    assert server.closed.done()
    assert not server.send(b"into the void")


async def test_silence_closes_and_life_is_shown():
    client, _, near, _ = shake_hands()
    client.check_idle(client.heard_at + links.IDLE_TIMEOUT_S - 0.1)
    assert near.take() == frame(b"")
    client.check_idle(client.heard_at + links.IDLE_TIMEOUT_S + 0.1)
    assert near.aborted


async def test_a_peer_that_does_not_read_is_cut_off():
    client, _, near, _ = shake_hands()
    near.unsent = links.UNSENT_MAX_BYTES + 1
    assert not client.send(b"one more")
    assert near.aborted


async def test_a_link_that_was_given_up_sends_nothing_and_is_closed_once():
    client, _, near, _ = shake_hands()
    client.abandon()
    client.connection_lost(None)
    assert client.closed.done()
    assert not client.send(b"more")
    assert not near.written
    assert client._owner.closed == 1
