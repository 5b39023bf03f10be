"""Groups as others see them: FindCoordinator (key 10), ListGroups (16), DescribeGroups (15) and DeleteGroups (42).

Floor 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import (
    NO_GENERATION,
    NO_NODE,
    NO_TIMESTAMP,
    GenerationId,
    GroupId,
    MemberId,
    NodeId,
    TimestampMs,
)

KEY_TYPE_GROUP: Final = 0
KEY_TYPE_TRANSACTION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FindCoordinator:
    """To any broker. The first question creates `__consumer_offsets`."""

    api_key: ClassVar[ApiKey] = ApiKey.FIND_COORDINATOR

    key_type: int = KEY_TYPE_GROUP
    coordinator_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinator:
    key: str
    node_id: NodeId = NO_NODE
    host: str = ""
    port: int = 0
    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindCoordinatorResponse:
    coordinators: tuple[Coordinator, ...]
    throttle_time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListGroups:
    """To every broker, each knows its own. Filters that are empty let all through; case does not matter (KIP-518, KIP-848)."""

    api_key: ClassVar[ApiKey] = ApiKey.LIST_GROUPS

    states_filter: tuple[str, ...] = ()
    types_filter: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedGroup:
    """`group_state`: Empty, PreparingRebalance, CompletingRebalance, Stable or Dead."""

    group_id: GroupId
    protocol_type: str
    group_state: str
    group_type: str = "classic"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListGroupsResponse:
    error_code: ErrorCode = ErrorCode.NONE
    groups: tuple[ListedGroup, ...] = ()
    throttle_time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeGroups:
    """To the coordinator of all these groups. `include_history` is ours: what became of the group of late, and why."""

    api_key: ClassVar[ApiKey] = ApiKey.DESCRIBE_GROUPS

    groups: tuple[GroupId, ...]
    include_history: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedMember:
    """`member_metadata` and `member_assignment` are bytes of the group's protocol, empty while the group rebalances."""

    member_id: MemberId
    group_instance_id: str | None = None
    client_id: str
    client_host: str
    member_metadata: bytes = b""
    member_assignment: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupEvent:
    """A turn in a group's life: the state that it came to, in which generation, with how many members, and why."""

    time_ms: TimestampMs = NO_TIMESTAMP
    generation_id: GenerationId = NO_GENERATION
    group_state: str
    members: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedGroup:
    """A group that does not exist is Dead, without an error (Kafka up to version 5 of this API).

    MESSAGE_TOO_LARGE: the answer is full with the groups before this one, ask for it in another request.
    """

    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None
    group_id: GroupId
    group_state: str = ""
    protocol_type: str = ""
    protocol_data: str = ""
    generation_id: GenerationId = NO_GENERATION
    members: tuple[DescribedMember, ...] = ()
    history: tuple[GroupEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeGroupsResponse:
    groups: tuple[DescribedGroup, ...]
    throttle_time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteGroups:
    """To the coordinator of all these groups; NON_EMPTY_GROUP while a group has members (KIP-229)."""

    api_key: ClassVar[ApiKey] = ApiKey.DELETE_GROUPS

    groups_names: tuple[GroupId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedGroup:
    group_id: GroupId
    error_code: ErrorCode = ErrorCode.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteGroupsResponse:
    results: tuple[DeletedGroup, ...]
    throttle_time_ms: int = 0
