"""Requests between nodes: shared connections, reconnecting, nodes that are gone, stopped or strangers."""

from __future__ import annotations

import asyncio

import pytest

from raftkafka.adapters.peers import NodePeers
from raftkafka.listeners.server import BrokerServer
from raftkafka.model.api.cluster import DescribeCluster, DescribeClusterResponse, DescribeQuorum, DescribeQuorumResponse
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NodeId
from raftkafka.model.settings.values import Listener, NetworkSettings
from raftkafka.ports.peer import PeerUnavailableError
from raftkafka.ports.probe import NullProbe
from tests.servers import ended

SECRET = b"the secret"
OTHER = NodeId(2)


class Node:
    """Node 2: counts connections, answers who asked; DescribeQuorum waits for `release`."""

    def __init__(self) -> None:
        self.server: BrokerServer | None = None
        self.port = 0
        self.release = asyncio.Event()
        self.opened = 0

    def connection_opened(self, listener):
        self.opened += 1

    async def quorum(self):
        await self.release.wait()
        return DescribeQuorumResponse()

    def dispatch(self, context, request):
        if isinstance(request, DescribeQuorum):
            return self.quorum()
        if not context.is_node:
            raise ApiError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "nodes only")
        return DescribeClusterResponse(cluster_id="c", controller_id=context.node_id, brokers=())

    async def start(self):
        probe = NullProbe()
        probe.connection_opened = self.connection_opened
        self.server = BrokerServer(
            listener=Listener(name="PLAINTEXT", host="127.0.0.1", port=self.port),
            dispatch=self.dispatch,
            settings=NetworkSettings(),
            node_id=OTHER,
            cluster_secret=SECRET,
            probe=probe,
        )
        await self.server.start()
        self.port = self.server.port


@pytest.fixture
async def node():
    node = Node()
    await node.start()
    yield node
    node.release.set()
    await node.server.stop()


@pytest.fixture
async def connect():
    made = []

    def make(port: int, secret: bytes = SECRET) -> NodePeers:
        made.append(
            NodePeers(
                node_id=NodeId(1),
                cluster_secret=secret,
                resolve=lambda node_id: ("127.0.0.1", port) if node_id in {OTHER, 3} else None,
                client_id="node-1",
                connect_timeout_s=2.0,
            )
        )
        return made[-1]

    yield make
    for peers in made:
        await peers.close()


async def test_a_request_arrives_from_a_node_that_has_proved_itself(node, connect):
    answer = await connect(node.port).request(OTHER, DescribeCluster(), timeout_s=5)
    assert answer.controller_id == 1


async def test_concurrent_callers_share_a_connection_and_lanes_do_not(node, connect):
    peers = connect(node.port)
    slow = asyncio.ensure_future(peers.request(OTHER, DescribeQuorum(), timeout_s=5, lane="fetch"))
    await asyncio.gather(*[peers.request(OTHER, DescribeCluster(), timeout_s=5) for _ in range(20)])
    assert node.opened == 2
    assert not slow.done()
    node.release.set()
    await slow


async def test_after_a_restart_of_the_other_node_requests_arrive_again(node, connect):
    peers = connect(node.port)
    await peers.request(OTHER, DescribeCluster(), timeout_s=5)
    await node.server.stop()
    with pytest.raises(PeerUnavailableError):
        await peers.request(OTHER, DescribeCluster(), timeout_s=5)
    await node.start()
    await peers.request(OTHER, DescribeCluster(), timeout_s=5)


async def test_an_unknown_node_and_the_wrong_node_are_unavailable(node, connect):
    peers = connect(node.port)
    with pytest.raises(PeerUnavailableError, match="address"):
        await peers.request(NodeId(9), DescribeCluster(), timeout_s=1)
    with pytest.raises(PeerUnavailableError, match="expected"):
        await peers.request(NodeId(3), DescribeCluster(), timeout_s=1)


async def test_without_the_secret_nothing_is_asked(node, connect):
    with pytest.raises(PeerUnavailableError, match="secret"):
        await connect(node.port, b"wrong").request(OTHER, DescribeCluster(), timeout_s=1)


async def test_errors_in_place_of_responses_are_raised_as_they_are(node, connect):
    def refuse(context, request):
        raise ApiError(ErrorCode.NOT_CONTROLLER, "not me")

    await node.server.stop()
    node.dispatch = refuse
    await node.start()
    with pytest.raises(ApiError, match="not me"):
        await connect(node.port).request(OTHER, DescribeCluster(), timeout_s=5)


async def test_a_request_that_is_not_answered_in_time_ends(node, connect):
    with pytest.raises(PeerUnavailableError):
        await connect(node.port).request(OTHER, DescribeQuorum(), timeout_s=0.05)


@pytest.fixture
async def frozen_port():
    """What a stopped process looks like: the kernel accepts, nobody answers."""
    held = []
    is_over = False

    def hold(reader, writer):
        held.append(writer)
        if is_over:
            writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    is_over = True
    for writer in held:
        writer.close()
    await ended(server)


async def test_probe_tells_the_living_from_the_stopped_and_the_dead(node, frozen_port, connect):
    assert await connect(node.port).probe(OTHER, timeout_s=5)
    assert not await connect(frozen_port).probe(OTHER, timeout_s=0.05)
    assert not await connect(node.port).probe(NodeId(9), timeout_s=5)
    await node.server.stop()
    assert not await connect(node.port).probe(OTHER, timeout_s=5)


async def test_a_stopped_node_costs_a_bounded_wait_and_all_callers_hear_of_it(frozen_port, connect):
    peers = connect(frozen_port)
    results = await asyncio.gather(
        *[peers.request(OTHER, DescribeCluster(), timeout_s=5) for _ in range(3)], return_exceptions=True
    )
    assert [type(result) for result in results] == [PeerUnavailableError] * 3


async def test_a_node_that_stops_answering_is_connected_to_anew(node, connect):
    peers = connect(node.port)
    await peers.request(OTHER, DescribeCluster(), timeout_s=5)
    with pytest.raises(PeerUnavailableError):
        await peers.request(OTHER, DescribeQuorum(), timeout_s=0.05)
    await peers.request(OTHER, DescribeCluster(), timeout_s=5)
    assert node.opened == 2


async def test_closing_ends_those_who_wait(frozen_port, connect):
    peers = connect(frozen_port)
    waiting = asyncio.ensure_future(peers.request(OTHER, DescribeCluster(), timeout_s=5))
    await asyncio.sleep(0)
    await peers.close()
    with pytest.raises(PeerUnavailableError):
        await waiting
    with pytest.raises(PeerUnavailableError, match="stopping"):
        await peers.request(OTHER, DescribeCluster(), timeout_s=5)
