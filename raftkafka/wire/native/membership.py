"""JoinGroup (11), SyncGroup (14), Heartbeat (12), LeaveGroup (13). Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.membership import (
    Heartbeat,
    HeartbeatResponse,
    JoinGroup,
    JoinGroupMember,
    JoinGroupProtocol,
    JoinGroupResponse,
    LeaveGroup,
    LeaveGroupResponse,
    LeavingMember,
    LeftMember,
    SyncGroup,
    SyncGroupAssignment,
    SyncGroupResponse,
)
from raftkafka.wire.native.fields import BOOL, BYTES, COUNT, ERROR, ID, INT32, STRING, Shape, array, nullable
from raftkafka.wire.native.rows import without_records

_PROTOCOL: Final = Shape(JoinGroupProtocol, name=STRING, metadata=BYTES)
_MEMBER: Final = Shape(JoinGroupMember, member_id=STRING, group_instance_id=nullable(STRING), metadata=BYTES)
JOIN_GROUP: Final = without_records(
    Shape(
        JoinGroup,
        group_id=STRING,
        session_timeout_ms=INT32,
        rebalance_timeout_ms=INT32,
        member_id=STRING,
        group_instance_id=nullable(STRING),
        protocol_type=STRING,
        protocols=array(_PROTOCOL.field),
        reason=nullable(STRING),
    ),
    Shape(
        JoinGroupResponse,
        error_code=ERROR,
        generation_id=ID,
        protocol_type=nullable(STRING),
        protocol_name=nullable(STRING),
        leader=STRING,
        skip_assignment=BOOL,
        member_id=STRING,
        members=array(_MEMBER.field),
        throttle_time_ms=COUNT,
    ),
)

_ASSIGNMENT: Final = Shape(SyncGroupAssignment, member_id=STRING, assignment=BYTES)
SYNC_GROUP: Final = without_records(
    Shape(
        SyncGroup,
        group_id=STRING,
        generation_id=ID,
        member_id=STRING,
        group_instance_id=nullable(STRING),
        protocol_type=nullable(STRING),
        protocol_name=nullable(STRING),
        assignments=array(_ASSIGNMENT.field),
    ),
    Shape(
        SyncGroupResponse,
        error_code=ERROR,
        protocol_type=nullable(STRING),
        protocol_name=nullable(STRING),
        assignment=BYTES,
        throttle_time_ms=COUNT,
    ),
)

HEARTBEAT: Final = without_records(
    Shape(Heartbeat, group_id=STRING, generation_id=ID, member_id=STRING, group_instance_id=nullable(STRING)),
    Shape(HeartbeatResponse, error_code=ERROR, throttle_time_ms=COUNT),
)

_LEAVING: Final = Shape(LeavingMember, member_id=STRING, group_instance_id=nullable(STRING), reason=nullable(STRING))
_LEFT: Final = Shape(LeftMember, member_id=STRING, group_instance_id=nullable(STRING), error_code=ERROR)
LEAVE_GROUP: Final = without_records(
    Shape(LeaveGroup, group_id=STRING, members=array(_LEAVING.field)),
    Shape(LeaveGroupResponse, error_code=ERROR, members=array(_LEFT.field), throttle_time_ms=COUNT),
)
