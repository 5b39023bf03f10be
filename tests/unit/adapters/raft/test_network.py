"""Dialling, on both event loops: uvloop makes the protocol before it connects, and tells it nothing of what it gives up."""

from __future__ import annotations

import asyncio
import socket
from random import Random

import pytest
import uvloop

from raftkafka.adapters.raft.network import STRANGERS_MAX, Network
from raftkafka.model.ids import NodeId
from raftkafka.ports.consensus import RaftVoter
from raftkafka.wire.node_auth import NodeIdentity
from tests.servers import ended


def network(node_id):
    return Network(
        node_id=NodeId(node_id),
        cluster_secret=b"a secret of some length",
        identity=lambda: NodeIdentity(),
        random=Random(1),
        on_message=lambda node, message: None,
        on_peer=lambda node, connected: None,
    )


def voter_at(port):
    return RaftVoter(node_id=NodeId(2), host="127.0.0.1", port=port)


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_tries_that_fail_leave_nothing_behind(make_loop):
    async def scenario():
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        own = network(1)
        for _ in range(2 * STRANGERS_MAX):
            with pytest.raises(OSError):
                await own._connect(voter_at(port))
        assert not own._strangers, "who dials in would find the door closed"

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(scenario())


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_try_that_is_cancelled_at_any_turn_leaves_no_link_that_looks_alive(make_loop):
    async def scenario():
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        own = network(1)
        for turns in range(12):
            made = []
            make = own._dialled
            own._dialled = lambda voter, make=make, made=made: made.append(make(voter)) or made[-1]
            dial = asyncio.ensure_future(own._connect(voter_at(port)))
            for _ in range(turns):
                await asyncio.sleep(0)
            dial.cancel()
            await asyncio.wait([dial])
            own._dialled = make
            for link in made:
                if dial.cancelled():
                    assert link.closed.done()
                    assert not link.send(b"x")
                else:
                    link.abort()
                    await link.closed
        await ended(server)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(scenario())
