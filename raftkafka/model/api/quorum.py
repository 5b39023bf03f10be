"""AddRaftVoter (80) and RemoveRaftVoter (81): who votes in Raft (KIP-853)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NodeId

NO_DIRECTORY: Final = bytes(16)
"""Names no disk in particular: the one that the node has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRaftVoter:
    """`host` and `port`: where the node listens for Raft. It must be connected as an observer, with this directory."""

    api_key: ClassVar[ApiKey] = ApiKey.ADD_RAFT_VOTER

    voter_id: NodeId
    host: str
    port: int
    voter_directory_id: bytes = NO_DIRECTORY
    cluster_id: str | None = None
    timeout_ms: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRaftVoterResponse:
    """REQUEST_TIMED_OUT: not caught up in time, or the outcome is unknown. DUPLICATE_VOTER, INVALID_VOTER_KEY: another disk."""

    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None
    throttle_time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRaftVoter:
    api_key: ClassVar[ApiKey] = ApiKey.REMOVE_RAFT_VOTER

    voter_id: NodeId
    voter_directory_id: bytes = NO_DIRECTORY
    cluster_id: str | None = None
    timeout_ms: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRaftVoterResponse:
    """VOTER_NOT_FOUND; INVALID_REQUEST where the voters that are left could not commit anything."""

    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None
    throttle_time_ms: int = 0
