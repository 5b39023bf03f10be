"""The answers to four-letter words, as ZooKeeper 3.8 writes them: pure functions of what is to be shown.

Floor 2. Clients read some of them: kazoo the version in `envi`, zktop `stat`, exporters `mntr`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from raftkafka.model.zookeeper.status import ConnectionStatus, SessionStatus, TrafficStatus, TreeStatus

VERSION: Final = "3.8.4-raftkafka"
"""Of the protocol that is spoken. Tools look at it: from 3.5.7 on they use containers."""
FULL_VERSION: Final = f"{VERSION}, built on 2024-02-12 22:16 UTC"
NOT_SERVING: Final = "This ZooKeeper instance is not currently serving requests\n"


def ruok() -> str:
    """The process answers: that is all that it says."""
    return "imok"


def isro(tree: TreeStatus, *, writable: bool) -> str:
    """A client that wants to write looks for a server that says `rw`."""
    if not tree.serving:
        return "null"
    return "rw" if writable else "ro"


def srvr(tree: TreeStatus, traffic: TrafficStatus, *, connections: int) -> str:
    if not tree.serving:
        return NOT_SERVING
    return f"Zookeeper version: {FULL_VERSION}\n{_server(tree, traffic, connections)}"


def stat(tree: TreeStatus, traffic: TrafficStatus, connections: Sequence[ConnectionStatus]) -> str:
    if not tree.serving:
        return NOT_SERVING
    clients = "".join([f"{_connection(each, brief=True)}\n" for each in connections])
    return f"Zookeeper version: {FULL_VERSION}\nClients:\n{clients}\n{_server(tree, traffic, connections=len(connections))}"


def _server(tree: TreeStatus, traffic: TrafficStatus, connections: int) -> str:
    lines = (
        f"Latency min/avg/max: {_latencies(traffic, '/')}",
        f"Received: {traffic.received}",
        f"Sent: {traffic.sent}",
        f"Connections: {connections}",
        f"Outstanding: {traffic.outstanding}",
        f"Zxid: {_hex(tree.zxid)}",
        f"Mode: {tree.mode}",
        f"Node count: {tree.znodes}",
    )
    return _lines(lines)


def mntr(tree: TreeStatus, traffic: TrafficStatus, *, connections: int, uptime_ms: int) -> str:
    if not tree.serving:
        return NOT_SERVING
    values = (
        ("version", FULL_VERSION),
        ("server_state", tree.mode),
        ("avg_latency", f"{traffic.latency_avg_ms:.4f}"),
        ("max_latency", f"{traffic.latency_max_ms:.0f}"),
        ("min_latency", f"{traffic.latency_min_ms:.0f}"),
        ("packets_received", traffic.received),
        ("packets_sent", traffic.sent),
        ("num_alive_connections", connections),
        ("outstanding_requests", traffic.outstanding),
        ("znode_count", tree.znodes),
        ("watch_count", tree.watches),
        ("ephemerals_count", tree.ephemerals),
        ("approximate_data_size", tree.data_bytes),
        ("global_sessions", tree.sessions),
        ("uptime", uptime_ms),
    )
    return _lines(f"zk_{key}\t{value}" for key, value in values)


def conf(values: Iterable[tuple[str, object]]) -> str:
    return _lines(f"{key}={value}" for key, value in values)


def envi(values: Iterable[tuple[str, object]]) -> str:
    """`zookeeper.version` comes first, whatever else there is."""
    return _lines(("Environment:", f"zookeeper.version={FULL_VERSION}", *(f"{key}={value}" for key, value in values)))


def cons(connections: Sequence[ConnectionStatus]) -> str:
    return "".join([f"{_connection(each, brief=False)}\n" for each in connections]) + "\n"


def dump(sessions: Sequence[SessionStatus]) -> str:
    owners = [each for each in sessions if each.ephemerals]
    return _lines(
        (
            "SessionTracker dump:",
            f"Global Sessions({len(sessions)}):",
            *(f"{_hex(each.session_id)}\t{each.timeout_ms}ms" for each in sessions),
            "ephemeral nodes dump:",
            f"Sessions with Ephemerals ({len(owners)}):",
            *(
                line
                for each in owners
                for line in (f"{_hex(each.session_id)}:", *(f"\t{_line(path)}" for path in each.ephemerals))
            ),
        )
    )


def wchs(tree: TreeStatus) -> str:
    return f"{tree.watching} connections watching {tree.watched} paths\nTotal watches:{tree.watches}\n"


def wchc(sessions: Sequence[SessionStatus]) -> str:
    return _lines(
        line
        for each in sessions
        if each.watches
        for line in (_hex(each.session_id), *(f"\t{_line(path)}" for path in each.watches))
    )


def wchp(sessions: Sequence[SessionStatus]) -> str:
    by_path: dict[str, list[int]] = {}
    for each in sessions:
        for path in each.watches:
            by_path.setdefault(path, []).append(each.session_id)
    return _lines(
        line
        for path in sorted(by_path)
        for line in (_line(path), *(f"\t{_hex(session_id)}" for session_id in by_path[path]))
    )


def srst() -> str:
    return "Server stats reset.\n"


def crst() -> str:
    return "Connection stats reset.\n"


def refused(word: str) -> str:
    """As ZooKeeper says of a word that is not on its list."""
    return f"{word} is not executed because it is not in the whitelist.\n"


def _connection(each: ConnectionStatus, *, brief: bool) -> str:
    traffic = each.traffic
    said = f"queued={traffic.outstanding},recved={traffic.received},sent={traffic.sent}"
    if not brief and each.session_id:
        said += (
            f",sid={_hex(each.session_id)},lop={each.last_operation},est={each.established_ms},to={each.timeout_ms}"
            f",lcxid={_hex(each.last_xid)},lzxid={_hex(each.last_zxid)},lresp={each.answered_ms}"
            f",llat={traffic.latency_last_ms:.0f},minlat={traffic.latency_min_ms:.0f},avglat={traffic.latency_avg_ms:.0f},maxlat={traffic.latency_max_ms:.0f}"
        )
    return f" /{each.address}[{1 if each.reading else 0}]({said})"


def _latencies(traffic: TrafficStatus, separator: str) -> str:
    return separator.join(
        (f"{traffic.latency_min_ms:.0f}", f"{traffic.latency_avg_ms:.4f}", f"{traffic.latency_max_ms:.0f}")
    )


def _hex(number: int) -> str:
    """As Java's Long.toHexString: negative numbers are their 64 bits."""
    return f"0x{number & 0xFFFF_FFFF_FFFF_FFFF:x}"


def _line(path: str) -> str:
    """Paths hold no control characters; whatever else may end a line somewhere is not let through either."""
    return path if path.isprintable() else path.encode("unicode_escape").decode("ascii")


def _lines(lines: Iterable[str]) -> str:
    return "".join([f"{line}\n" for line in lines])
