"""Ports of loopback that stay ours while nobody listens on them: a node that is down comes back where it was.

Floor 6. A socket that is bound and never listens keeps its number from everybody who asks the kernel for one, whoever connects
is refused, and a server may bind the same port: Linux allows that to sockets with SO_REUSEADDR while none of them listens.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from raftkafka.cli.layout import HOST


class ReservedPort:
    """`number` is free for our own servers until `release`."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((HOST, 0))
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        self._socket.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """`outside` is where others connect, `inside` where the node listens; a gate stands between where they differ."""

    outside: ReservedPort
    inside: ReservedPort

    @staticmethod
    def of(*, gated: bool) -> Door:
        outside = ReservedPort()
        return Door(outside=outside, inside=ReservedPort() if gated else outside)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePorts:
    client: Door
    raft: Door
    http: ReservedPort

    @staticmethod
    def of(*, gated: bool) -> NodePorts:
        return NodePorts(client=Door.of(gated=gated), raft=Door.of(gated=gated), http=ReservedPort())

    def release(self) -> None:
        for port in (self.client.outside, self.client.inside, self.raft.outside, self.raft.inside, self.http):
            port.release()
