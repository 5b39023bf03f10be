"""The ZooKeeper port, or a real ZooKeeper, as the `--zookeeper` forms of the scripts use it: through kazoo. Floor 5.

kazoo is the optional extra `zookeeper` of the package, and imported here alone, when --zookeeper was given.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from raftkafka.cli.scripts.entry import instead_of_zookeeper
from raftkafka.cli.scripts.options import Parsed, UsageError
from raftkafka.model.errors import RaftKafkaError

_PORT: Final = 2181
_PATIENCE_S: Final = 30.0
"""Kafka's connection time-out of its tools, and their session's."""
_PROBE_S: Final = 10.0
_CHANGE: Final = "/config/changes/config_change_"

Client = Any
"""A started KazooClient. kazoo may be missing where this module is imported."""


class ZookeeperError(RaftKafkaError):
    """What the other side refused, or why it was not reached."""


def addresses(connect: str) -> list[tuple[str, int]]:
    """Hosts and ports of `host[:port],...[/chroot]`. Raises UsageError."""
    found = []
    for each in connect.partition("/")[0].replace(" ", "").split(","):
        host, colon, port = each.rpartition(":")
        if not colon:
            host, port = each, str(_PORT)
        if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise UsageError(f"--zookeeper {connect}: '{each}' is not host[:port]")
        found.append((host.strip("[]"), int(port)))
    return found


@contextmanager
def connected(parsed: Parsed) -> Iterator[Client]:
    """A client with a session. Raises ZookeeperError, also for what kazoo raises within."""
    import logging

    connect = parsed.needed("zookeeper")
    servers = addresses(connect)
    try:
        from kazoo.client import KazooClient
        from kazoo.exceptions import KazooException
        from kazoo.handlers.threading import KazooTimeoutError
    except ImportError:
        raise ZookeeperError("--zookeeper needs kazoo: pip install 'raftkafka[zookeeper]'") from None
    if not any(somebody_listens(*each) for each in servers):
        raise ZookeeperError(f"Nobody listens at {connect}: set zookeeper.listener, or {instead_of_zookeeper(parsed)}")
    # What kazoo logs on its way is not for users: its last word is an exception.
    logging.getLogger("kazoo").addHandler(logging.NullHandler())
    client = KazooClient(hosts=connect.replace(" ", ""), timeout=_PATIENCE_S)
    try:
        client.start(timeout=_PATIENCE_S)
        yield client
    except KazooTimeoutError:
        raise ZookeeperError(f"Timed out waiting for connection with {connect}") from None
    except KazooException as error:
        raise ZookeeperError(_said(error)) from None
    finally:
        client.stop()
        client.close()


def _said(error: Exception) -> str:
    """As ZooKeeper's own exceptions read."""
    name = type(error).__name__.removesuffix("Error").removesuffix("Exception")
    if name == "NoAuth":
        return "KeeperErrorCode = NoAuth: beyond loopback the port only reads, unless zookeeper.writable=true"
    return f"KeeperErrorCode = {name}" + (f" ({error})" if str(error) else "")


def somebody_listens(host: str, port: int) -> bool:
    import socket

    try:
        socket.create_connection((host, port), timeout=_PROBE_S).close()
    except OSError:
        return False
    return True


def decoded(data: bytes | None, path: str) -> dict[str, Any]:
    """The JSON document of a node. Raises ZookeeperError."""
    try:
        found = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise not_kafkas(path)
    return found


def not_kafkas(path: str) -> ZookeeperError:
    """For a node in which somebody else has left something else."""
    return ZookeeperError(f"{path} does not hold what Kafka writes there")


def encoded(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def read_configs(client: Client, entity: str) -> dict[str, str]:
    """Of `topics/T`, `brokers/1`, ...; none where there is no node."""
    from kazoo.exceptions import NoNodeError

    path = f"/config/{entity}"
    try:
        data, _ = client.get(path)
    except NoNodeError:
        return {}
    found = decoded(data, path).get("config", {})
    return dict(found) if isinstance(found, dict) else {}


def write_configs(client: Client, entity: str, configs: Mapping[str, str], *, tell: bool) -> None:
    """As AdminZkClient: the node is set, else created; with `tell` the brokers are told to read it again."""
    from kazoo.exceptions import NoNodeError

    path, data = f"/config/{entity}", encoded({"version": 1, "config": dict(configs)})
    try:
        client.set(path, data)
    except NoNodeError:
        client.create(path, data, makepath=True)
    if tell:
        client.create(_CHANGE, encoded({"version": 2, "entity_path": entity}), sequence=True, makepath=True)
