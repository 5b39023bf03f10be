"""What the membership machine knows of the outside, and what it asks of it.

Floor 1, pure. A step of the machine returns effects in order: answers to requests that have waited (or have just come), and
values to be stored in the log. What depends on a stored value goes on in `Membership.stored`, once it is committed or refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NewType

from raftkafka.group.records import StoredGroup
from raftkafka.model.api.membership import JoinGroupResponse, SyncGroupResponse
from raftkafka.model.ids import GenerationId, MemberId, TimestampMs

Ticket = NewType("Ticket", int)
"""Stands for one request whose answer is due."""


class GroupState(Enum):
    """Kafka's states of a classic group; the values are what clients read.

    EMPTY: no members, maybe offsets. PREPARING_REBALANCE: members are joining. COMPLETING_REBALANCE: the generation is decided and waits for
    its leader's assignment. STABLE: assigned. DEAD: about to be deleted.
    """

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """`loop_s` measures time-outs and never jumps; `wall_ms` is written into records."""

    loop_s: float
    wall_ms: TimestampMs


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who sent a request, as DescribeGroups tells it."""

    client_id: str
    client_host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLimits:
    """`group.*` settings of the broker."""

    min_session_timeout_ms: int = 6_000
    max_session_timeout_ms: int = 1_800_000
    initial_rebalance_delay_ms: int = 3_000
    max_size: int = (1 << 31) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    ticket: Ticket
    response: JoinGroupResponse | SyncGroupResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentOf:
    """Stored: what the leader of this generation has assigned."""

    generation: GenerationId
    assignments: dict[MemberId, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacementOf:
    """Stored: a static member that came back under a new id, while the group is stable (KIP-345)."""

    generation: GenerationId
    member_id: MemberId


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptinessOf:
    """Stored: the last member has gone."""

    generation: GenerationId


Purpose = AssignmentOf | ReplacementOf | EmptinessOf


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    value: StoredGroup
    purpose: Purpose


Effect = Answer | Store
