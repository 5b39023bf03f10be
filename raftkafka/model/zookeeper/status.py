"""What an operator is shown of a server by four-letter words. Floor 0."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeStatus:
    """Of the node and its tree. `mode` is `leader`, `follower`, `observer` or `standalone`.

    `serving` False: no quorum, or not caught up yet; whoever asks for a session is sent elsewhere.
    """

    serving: bool
    mode: str
    zxid: int
    znodes: int
    ephemerals: int
    data_bytes: int
    watches: int
    watching: int
    """Connections that have watches."""
    watched: int
    """Paths that are watched."""
    sessions: int
    server_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStatus:
    """Of one session that is connected here, or of one of the cluster that owns ephemeral nodes."""

    session_id: int
    timeout_ms: int
    ephemerals: tuple[str, ...] = ()
    watches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficStatus:
    """Frames since the start or the last `srst`/`crst`; times from a request's last byte to its answer."""

    received: int
    sent: int
    outstanding: int
    latency_min_ms: float
    latency_avg_ms: float
    latency_max_ms: float
    latency_last_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionStatus:
    """`session_id` is 0 before the session is there. `established_ms` is since the epoch, `answered_ms` on a clock of its own."""

    address: str
    reading: bool
    session_id: int
    timeout_ms: int
    last_operation: str
    last_xid: int
    last_zxid: int
    established_ms: int
    answered_ms: int
    traffic: TrafficStatus
