"""The listening socket: caps, ports, stopping, and what an idle connection costs."""

from __future__ import annotations

import asyncio
import resource
import socket
from pathlib import Path
from unittest.mock import Mock

import pytest

from raftkafka.client.connection import Connection
from raftkafka.listeners.connection import ServerConnection
from raftkafka.listeners.server import BrokerServer
from raftkafka.model.api.cluster import ApiVersions, DescribeCluster, DescribeClusterResponse
from raftkafka.model.errors import StartupError
from raftkafka.model.ids import NodeId
from raftkafka.model.settings.values import Listener, NetworkSettings
from raftkafka.ports.probe import NullProbe


def answer(context, request):
    return DescribeClusterResponse(cluster_id=context.client_id, controller_id=NodeId(1), brokers=())


def server_on(port: int) -> BrokerServer:
    return BrokerServer(
        listener=Listener(name="PLAINTEXT", host="127.0.0.1", port=port),
        dispatch=answer,
        settings=NetworkSettings(),
        node_id=NodeId(1),
        cluster_secret=b"",
        probe=NullProbe(),
    )


async def test_a_port_in_use_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartupError, match=f"port {port} on 127.0.0.1 is in use"):
            await server_on(port).start()


async def test_stop_closes_connections_and_the_port_is_free_again(serve, until):
    server = await serve(answer)
    connection = await Connection.open("127.0.0.1", server.port, client_id="c")
    await connection.request(DescribeCluster())
    port = server.port
    await server.stop()
    await until(lambda: connection.closed)
    again = server_on(port)
    await again.start()
    await again.stop()


async def test_a_connection_that_is_made_after_stop_is_closed(serve):
    """It was accepted in the turn of the loop before."""
    server = await serve(answer)
    await server.stop()
    transport = Mock()
    transport.get_extra_info.return_value = ("127.0.0.1", 4711)
    ServerConnection(server._surroundings).connection_made(transport)
    transport.abort.assert_called_once_with()


@pytest.mark.parametrize("limit", ["connections_max", "connections_per_ip_max"])
async def test_connections_above_the_limit_are_closed_at_once(serve, until, probe, limit):
    server = await serve(answer, **{limit: 2})
    first, second = [await Connection.open("127.0.0.1", server.port, client_id="c") for _ in range(2)]
    await first.request(ApiVersions())
    await second.request(ApiVersions())
    third = await Connection.open("127.0.0.1", server.port, client_id="c")
    await until(lambda: third.closed)
    await first.close()
    await until(lambda: server.connections == 1)
    fourth = await Connection.open("127.0.0.1", server.port, client_id="c")
    await fourth.request(ApiVersions())
    await fourth.close()
    await second.close()
    await until(lambda: server.connections == 0)
    assert (probe.opened, probe.closed) == (3, 3)


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def test_five_hundred_idle_connections_cost_less_than_five_mebibytes_of_rings(serve, until):
    server = await serve(answer)
    host = ("127.0.0.1", server.port)
    warm = await Connection.open(*host, client_id="c")
    await warm.request(ApiVersions())
    before = _resident_bytes()
    sockets = []
    for _ in range(5):
        for _ in range(100):
            one = socket.socket()
            one.setblocking(False)
            sockets.append(one)
            await asyncio.get_running_loop().sock_connect(one, host)
        await until(lambda: server.connections == len(sockets) + 1)
    cost = _resident_bytes() - before
    for one in sockets:
        one.close()
    await warm.close()
    assert cost < 5 << 20
