"""FindCoordinator (10), ListGroups (16), DescribeGroups (15), DeleteGroups (42). Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.groups import (
    Coordinator,
    DeletedGroup,
    DeleteGroups,
    DeleteGroupsResponse,
    DescribedGroup,
    DescribedMember,
    DescribeGroups,
    DescribeGroupsResponse,
    FindCoordinator,
    FindCoordinatorResponse,
    GroupEvent,
    ListedGroup,
    ListGroups,
    ListGroupsResponse,
)
from raftkafka.wire.native.fields import (
    BOOL,
    BYTES,
    COUNT,
    ERROR,
    ID,
    INT8,
    OFFSET,
    PORT,
    STRING,
    Shape,
    array,
    nullable,
)
from raftkafka.wire.native.rows import without_records

_COORDINATOR: Final = Shape(
    Coordinator,
    key=STRING,
    node_id=ID,
    host=STRING,
    port=PORT,
    error_code=ERROR,
    error_message=nullable(STRING),
)
FIND_COORDINATOR: Final = without_records(
    Shape(FindCoordinator, key_type=INT8, coordinator_keys=array(STRING)),
    Shape(FindCoordinatorResponse, coordinators=array(_COORDINATOR.field), throttle_time_ms=COUNT),
)

_LISTED: Final = Shape(ListedGroup, group_id=STRING, protocol_type=STRING, group_state=STRING, group_type=STRING)
LIST_GROUPS: Final = without_records(
    Shape(ListGroups, states_filter=array(STRING), types_filter=array(STRING)),
    Shape(ListGroupsResponse, error_code=ERROR, groups=array(_LISTED.field), throttle_time_ms=COUNT),
)

_MEMBER: Final = Shape(
    DescribedMember,
    member_id=STRING,
    group_instance_id=nullable(STRING),
    client_id=STRING,
    client_host=STRING,
    member_metadata=BYTES,
    member_assignment=BYTES,
)
_EVENT: Final = Shape(GroupEvent, time_ms=OFFSET, generation_id=ID, group_state=STRING, members=COUNT, reason=STRING)
_DESCRIBED: Final = Shape(
    DescribedGroup,
    error_code=ERROR,
    error_message=nullable(STRING),
    group_id=STRING,
    group_state=STRING,
    protocol_type=STRING,
    protocol_data=STRING,
    generation_id=ID,
    members=array(_MEMBER.field),
    history=array(_EVENT.field),
)
DESCRIBE_GROUPS: Final = without_records(
    Shape(DescribeGroups, groups=array(STRING), include_history=BOOL),
    Shape(DescribeGroupsResponse, groups=array(_DESCRIBED.field), throttle_time_ms=COUNT),
)

_DELETED: Final = Shape(DeletedGroup, group_id=STRING, error_code=ERROR)
DELETE_GROUPS: Final = without_records(
    Shape(DeleteGroups, groups_names=array(STRING)),
    Shape(DeleteGroupsResponse, results=array(_DELETED.field), throttle_time_ms=COUNT),
)
