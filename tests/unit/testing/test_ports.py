"""A reserved port refuses whoever connects, is nobody else's, and lets our own servers come and go."""

from __future__ import annotations

import asyncio
import socket

import pytest

from raftkafka.cli.layout import HOST
from raftkafka.testing.ports import NodePorts, ReservedPort
from tests.servers import ended


@pytest.fixture
def port():
    made = ReservedPort()
    yield made
    made.release()


async def test_servers_come_and_go_on_a_reserved_port(port: ReservedPort) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(asyncio.Protocol, HOST, port.number)
        server = await loop.create_server(asyncio.Protocol, HOST, port.number)
        transport, _ = await loop.create_connection(asyncio.Protocol, HOST, port.number)
        transport.abort()
        await ended(server)


def test_nobody_else_is_given_it(port: ReservedPort) -> None:
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((HOST, port.number))
    others = [ReservedPort() for _ in range(50)]
    try:
        assert port.number not in {each.number for each in others}
    finally:
        for each in others:
            each.release()


@pytest.mark.parametrize(("gated", "expected"), [(True, 5), (False, 3)])
def test_a_gate_needs_a_port_of_its_own(gated: bool, expected: int) -> None:
    ports = NodePorts.of(gated=gated)
    try:
        doors = (ports.client, ports.raft)
        numbers = {each.number for door in doors for each in (door.outside, door.inside)} | {ports.http.number}
        assert len(numbers) == expected
    finally:
        ports.release()
