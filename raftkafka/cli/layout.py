"""Where the nodes of a cluster on this machine live: ports, directories, one `server.properties` each. Floor 5.

Everything is on loopback; nothing here reaches the network.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

HOST: Final = "127.0.0.1"


class Ports(NamedTuple):
    """Clients, Raft, HTTP."""

    client: int
    raft: int
    http: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlace:
    node_id: int
    directory: Path
    """The log directory; logs of the process lie beside it."""
    ports: Ports

    @property
    def address(self) -> str:
        return f"{HOST}:{self.ports.client}"

    @property
    def metrics_url(self) -> str:
        return f"http://{HOST}:{self.ports.http}/metrics"

    @property
    def properties(self) -> Path:
        return self.directory.with_name(f"{self.directory.name}.properties")

    @property
    def log(self) -> Path:
        """What the process says on stdout and stderr."""
        return self.directory.with_name(f"{self.directory.name}.log")


def consecutive_ports(nodes: int, first: int, first_http: int) -> list[Ports]:
    """Clients from `first` on, Raft 100 above, HTTP from `first_http` on: predictable, for people."""
    return [Ports(first + number, first + 100 + number, first_http + number) for number in range(nodes)]


def port_in_use(places: Sequence[NodePlace]) -> int | None:
    """The first of the nodes' ports that somebody listens on already."""
    for port in (port for place in places for port in place.ports):
        with socket.socket() as probe:
            # As a server does it: connections of an earlier run that linger do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                return port
    return None


def free_ports(nodes: int) -> list[Ports]:
    """Ports that nobody listens on now: for demonstrations and tests."""
    with ExitStack() as held:
        found: list[int] = []
        for _ in range(3 * nodes):
            # All are held until all are found, so that none comes twice.
            probe = held.enter_context(socket.socket())
            probe.bind((HOST, 0))
            found.append(probe.getsockname()[1])
    return [Ports(*found[3 * number : 3 * number + 3]) for number in range(nodes)]


def plan(directory: Path, ports: Sequence[Ports]) -> list[NodePlace]:
    """Node 1, 2, ... below `directory`, an absolute path."""
    return [
        NodePlace(node_id=number, directory=directory / f"node-{number}", ports=some)
        for number, some in enumerate(ports, start=1)
    ]


def prepare(directory: Path, places: Sequence[NodePlace]) -> None:
    """Write the settings of all nodes, and the secret they share unless it is there already."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = directory / "cluster.secret"
    if not secret.exists():
        write_secret(secret)
    for place in places:
        place.properties.write_text(properties_of(place, places, secret), encoding="utf-8")


def write_secret(path: Path) -> None:
    """A new secret for the nodes of a cluster, in a file that only its owner reads."""
    # Created with its final mode: there is no moment at which others could read it.
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")


def properties_of(place: NodePlace, places: Sequence[NodePlace], secret: Path) -> str:
    """The `server.properties` of one node of a cluster."""
    nodes = len(places)
    lines = [
        f"broker.id={place.node_id}",
        f"listeners=PLAINTEXT://{place.address}",
        f"http.listener=HTTP://{HOST}:{place.ports.http}",
        f"log.dirs={place.directory}",
        f"default.replication.factor={min(3, nodes)}",
        f"min.insync.replicas={2 if nodes >= 3 else 1}",
    ]
    if nodes > 1:
        voters = ",".join(f"{other.node_id}@{HOST}:{other.ports.raft}" for other in places)
        lines += [f"controller.quorum.voters={voters}", f"cluster.secret.file={secret}"]
    # Java properties would take a backslash in a path for an escape.
    return "".join(line.replace("\\", "\\\\") + "\n" for line in lines)
