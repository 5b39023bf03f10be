"""From a broker to the controller, for its ZooKeeper clients: AlterZkSession (10002), ChangeZnodes (10003), TouchZkSessions (10004).

Floor 0. Kafka has no such APIs. What came of a change is no part of the answer: the broker finds it where the change is applied.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NodeId, RaftIndex
from raftkafka.model.zookeeper.acl import Identity
from raftkafka.model.zookeeper.ops import Operation


class SessionStep(IntEnum):
    """What is to become of a session."""

    CREATE = 0
    MOVE = 1
    """Its client has connected again, here."""
    END = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterZkSession:
    api_key: ClassVar[ApiKey] = ApiKey.ALTER_ZK_SESSION

    broker_id: NodeId
    session_id: int
    password: bytes = field(repr=False)
    timeout_ms: int
    step: SessionStep


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterZkSessionResponse:
    """`attached`: the entry that has connected the session to its broker, to be waited for there.

    RESOURCE_NOT_FOUND: there is no such session (any more). SASL_AUTHENTICATION_FAILED: another password.
    POLICY_VIOLATION: there are too many.
    """

    error_code: ErrorCode = ErrorCode.NONE
    attached: RaftIndex = RaftIndex(-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeZnodes:
    """`cxid` is the broker's number for it, unique in its life; `identities` are what the client has proved there."""

    api_key: ClassVar[ApiKey] = ApiKey.CHANGE_ZNODES

    broker_id: NodeId
    session_id: int
    cxid: int
    identities: tuple[Identity, ...]
    change: Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeZnodesResponse:
    """NONE: it is committed. MESSAGE_TOO_LARGE: no entry holds it."""

    error_code: ErrorCode = ErrorCode.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardSession:
    session_id: int
    age_ms: int
    """How long ago its client was heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchZkSessions:
    api_key: ClassVar[ApiKey] = ApiKey.TOUCH_ZK_SESSIONS

    broker_id: NodeId
    heard: tuple[HeardSession, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchZkSessionsResponse:
    error_code: ErrorCode = ErrorCode.NONE
