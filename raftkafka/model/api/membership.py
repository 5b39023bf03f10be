"""Who is in a group: JoinGroup (key 11), SyncGroup (14), Heartbeat (12) and LeaveGroup (13), Kafka's classic protocol.

Floor 0. `metadata` and `assignment` are bytes of the group's own protocol (`protocol_type`), which the coordinator passes on
unread; those of consumers are `group.consumer_protocol`. A `group_instance_id` makes a static member (KIP-345).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_GENERATION, NO_MEMBER, GenerationId, GroupId, MemberId


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinGroupProtocol:
    """A way to assign (an assignor's name), and what this member wants its leader to know."""

    name: str
    metadata: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinGroup:
    """To the coordinator. The first request has no member id: the answer is MEMBER_ID_REQUIRED with one (KIP-394).

    `protocols`: the preferred one first. `rebalance_timeout_ms`: how long others wait for this member to join again, -1 as long
    as the session. `reason`: why it joins, for the coordinator's log and history (KIP-800).
    """

    api_key: ClassVar[ApiKey] = ApiKey.JOIN_GROUP

    group_id: GroupId
    session_timeout_ms: int
    rebalance_timeout_ms: int = -1
    member_id: MemberId = NO_MEMBER
    group_instance_id: str | None = None
    protocol_type: str
    protocols: tuple[JoinGroupProtocol, ...]
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinGroupMember:
    member_id: MemberId
    group_instance_id: str | None = None
    metadata: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinGroupResponse:
    """Comes when all have joined. `members` is empty for all but the `leader`, who assigns, unless `skip_assignment`
    (KIP-814: a static leader that came back while the group is stable).
    """

    error_code: ErrorCode = ErrorCode.NONE
    generation_id: GenerationId = NO_GENERATION
    protocol_type: str | None = None
    protocol_name: str | None = None
    leader: MemberId = NO_MEMBER
    skip_assignment: bool = False
    member_id: MemberId = NO_MEMBER
    members: tuple[JoinGroupMember, ...] = ()
    throttle_time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncGroupAssignment:
    member_id: MemberId
    assignment: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncGroup:
    """`assignments` come from the leader; the others send none. `protocol_type` and `protocol_name` None: not checked."""

    api_key: ClassVar[ApiKey] = ApiKey.SYNC_GROUP

    group_id: GroupId
    generation_id: GenerationId
    member_id: MemberId
    group_instance_id: str | None = None
    protocol_type: str | None = None
    protocol_name: str | None = None
    assignments: tuple[SyncGroupAssignment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncGroupResponse:
    """Comes when the leader's assignment is committed."""

    error_code: ErrorCode = ErrorCode.NONE
    protocol_type: str | None = None
    protocol_name: str | None = None
    assignment: bytes = b""
    throttle_time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """At least one in a session. REBALANCE_IN_PROGRESS: join again."""

    api_key: ClassVar[ApiKey] = ApiKey.HEARTBEAT

    group_id: GroupId
    generation_id: GenerationId
    member_id: MemberId
    group_instance_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatResponse:
    error_code: ErrorCode = ErrorCode.NONE
    throttle_time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeavingMember:
    """A static member may be named by its instance id alone, the member id left empty."""

    member_id: MemberId = NO_MEMBER
    group_instance_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveGroup:
    api_key: ClassVar[ApiKey] = ApiKey.LEAVE_GROUP

    group_id: GroupId
    members: tuple[LeavingMember, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftMember:
    member_id: MemberId
    group_instance_id: str | None = None
    error_code: ErrorCode = ErrorCode.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveGroupResponse:
    error_code: ErrorCode = ErrorCode.NONE
    members: tuple[LeftMember, ...] = ()
    throttle_time_ms: int = 0
