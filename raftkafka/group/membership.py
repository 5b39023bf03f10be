"""The membership of one classic group: who is in, in which generation, who waits for what.

Floor 1, pure. Kafka's protocol (KIP-62, 134, 345, 394, 559, 800, 814) as a value machine: a request and the time go in, effects
come out. Invariants: a generation has one leader and one assignment, and is Stable only once that is stored (I12). From the moment
a generation is decided, nobody commits or hears heartbeats in an older one (I11). Every ticket is answered exactly once.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from raftkafka.group import consumer_protocol
from raftkafka.group.effects import (
    Answer,
    AssignmentOf,
    Client,
    Effect,
    EmptinessOf,
    GroupLimits,
    GroupState,
    Now,
    Purpose,
    ReplacementOf,
    Store,
    Ticket,
)
from raftkafka.group.members import NEVER, Member, Members
from raftkafka.group.records import StoredGroup
from raftkafka.model.api.groups import GroupEvent
from raftkafka.model.api.membership import JoinGroup, JoinGroupProtocol, JoinGroupResponse, SyncGroup, SyncGroupResponse
from raftkafka.model.errors import ErrorCode, ProtocolError
from raftkafka.model.ids import NO_GENERATION, NO_MEMBER, NO_TIMESTAMP, GenerationId, MemberId, TimestampMs

NEW_MEMBER_JOIN_TIMEOUT_S: Final = 300.0
"""A new member that waits for its first generation may be gone, and have come again under another id (KAFKA-7610)."""

PENDING_MAX: Final = 10_000
"""Members that were told their id and have not come back with it yet."""

HISTORY_MAX: Final = 50
REASON_MAX_CHARS: Final = 255
"""Of what a client says."""

EVENT_MAX_CHARS: Final = 1_024
"""Of what the history says: thousands of members may go at once, and each has its name."""

_E: Final = ErrorCode
_S: Final = GroupState
_CAN_REBALANCE: Final = (_S.STABLE, _S.COMPLETING_REBALANCE, _S.EMPTY)


class Membership:
    """Public attributes are for reading."""

    def __init__(self, limits: GroupLimits) -> None:
        self.state = _S.EMPTY
        self.generation = GenerationId(0)
        self.protocol_type: str | None = None
        self.protocol: str | None = None
        self.leader: MemberId | None = None
        self.members = Members()
        self.state_since_ms: TimestampMs = NO_TIMESTAMP
        self.subscribed_topics: frozenset[str] | None = None
        """Of a consumer group in a decided generation; None where the members' metadata do not tell."""
        self.history: deque[GroupEvent] = deque(maxlen=HISTORY_MAX)
        self.rebalances = 0
        self._limits = limits
        self._pending: dict[MemberId, float] = {}
        self._join_ends_s = NEVER
        self._sync_ends_s = NEVER
        self._initial_delay_left_s: float | None = None
        self._newcomer = False
        self._stored_generation = NO_GENERATION
        self.due_s = NEVER
        """No later than `next_deadline_s`, and known without a walk over the members; `expire` makes it exact."""
        self._out: list[Effect] = []

    @classmethod
    def restored(cls, limits: GroupLimits, stored: StoredGroup, now: Now) -> Membership:
        """As the log has it: the members of the last assigned generation, each with a fresh session."""
        self = cls(limits)
        self.generation = stored.generation
        self.protocol_type = stored.protocol_type or None
        self.state_since_ms = stored.current_state_timestamp_ms
        if not stored.members:
            return self
        self.state = _S.STABLE
        self.protocol = stored.protocol
        self.leader = stored.leader
        for each in stored.members:
            member = Member(
                member_id=each.member_id,
                group_instance_id=each.group_instance_id,
                client_id=each.client_id,
                client_host=each.client_host,
                session_timeout_ms=each.session_timeout_ms,
                rebalance_timeout_ms=each.rebalance_timeout_ms,
                protocols=(JoinGroupProtocol(name=stored.protocol or "", metadata=each.subscription),),
                assignment=each.assignment,
            )
            self.members.add(member)
            self._heard(member, now)
        self._read_subscriptions()
        self._note("loaded from the log by a new coordinator", now)
        return self

    # What requests ask

    def join(
        self, request: JoinGroup, ticket: Ticket, *, client: Client, new_member_id: MemberId, now: Now
    ) -> list[Effect]:
        """`new_member_id`: what a member without an id becomes."""
        error = self._why_not_join(request)
        if error is not _E.NONE:
            if error is _E.GROUP_MAX_SIZE_REACHED:
                self._pending.pop(request.member_id, None)
                if request.member_id in self.members:
                    self._forget(request.member_id)
            self._refuse_join(ticket, error, request.member_id)
        elif request.member_id != NO_MEMBER:
            self._join_known(request, ticket, client, now)
        elif request.group_instance_id is not None:
            old = self.members.of_instance(request.group_instance_id)
            if old is None:
                self._add(request, ticket, client, new_member_id, now)
            else:
                self._replace_static(request, ticket, client, old=old, new=new_member_id, now=now)
        else:
            self._pending[new_member_id] = now.loop_s + request.session_timeout_ms / 1000
            self._is_due(self._pending[new_member_id])
            self._refuse_join(ticket, _E.MEMBER_ID_REQUIRED, new_member_id)
        self._complete_join_when_all_are_here(now)
        return self._drained()

    def sync(self, request: SyncGroup, ticket: Ticket, *, now: Now) -> list[Effect]:
        error = self._why_not_sync(request)
        member = self.members.get(request.member_id)
        if error is not _E.NONE or member is None:
            self._out.append(Answer(ticket=ticket, response=SyncGroupResponse(error_code=error)))
            return self._drained()
        member.must_sync = False
        if self.state is _S.STABLE:
            self._heard(member, now)
            self._answer_sync(ticket, member.assignment)
            return self._drained()
        self._drop_sync(member, _E.REBALANCE_IN_PROGRESS)
        member.sync = ticket
        if member.member_id == self.leader and self._stored_generation != self.generation:
            # Once only: a leader that asks twice must not leave two assignments of one generation in the log (I12).
            self._stored_generation = self.generation
            given = {each.member_id: each.assignment for each in request.assignments}
            self._store_assignment({each.member_id: given.get(each.member_id, b"") for each in self.members})
        return self._drained()

    def heartbeat(
        self, member_id: MemberId, group_instance_id: str | None, generation: GenerationId, *, now: Now
    ) -> ErrorCode:
        error = self.why_not(member_id, group_instance_id)
        if error is not _E.NONE:
            return error
        if generation != self.generation:
            return _E.ILLEGAL_GENERATION
        member = self.members.get(member_id)
        assert member is not None
        self._heard(member, now)
        return _E.REBALANCE_IN_PROGRESS if self.state is _S.PREPARING_REBALANCE else _E.NONE

    def leave(
        self, member_id: MemberId, group_instance_id: str | None, reason: str | None, *, now: Now
    ) -> tuple[ErrorCode, list[Effect]]:
        """An administrator names a static member by its instance alone."""
        if member_id == NO_MEMBER:
            found = None if group_instance_id is None else self.members.of_instance(group_instance_id)
            if found is None:
                return _E.UNKNOWN_MEMBER_ID, []
            member_id = found
        elif self._pending.pop(member_id, None) is not None:
            self._complete_join_when_all_are_here(now)
            return _E.NONE, self._drained()
        else:
            error = self.why_not(member_id, group_instance_id)
            if error is not _E.NONE:
                return error, []
        self._remove(member_id, f"member {member_id} leaves: {_said(reason)}", now)
        self._complete_join_when_all_are_here(now)
        return _E.NONE, self._drained()

    def may_commit(
        self, member_id: MemberId, group_instance_id: str | None, generation: GenerationId, *, now: Now
    ) -> ErrorCode:
        """Whether offsets may be committed so; a member that commits is alive."""
        if self.state is _S.DEAD:
            return _E.COORDINATOR_NOT_AVAILABLE
        if generation < 0 and self.state is _S.EMPTY:
            return _E.NONE  # from outside, by an administrator or by somebody who assigns partitions himself
        if generation < 0 and member_id == NO_MEMBER and group_instance_id is None:
            return _E.UNKNOWN_MEMBER_ID
        error = self.why_not(member_id, group_instance_id)
        if error is not _E.NONE:
            return error
        if generation != self.generation:
            return _E.ILLEGAL_GENERATION
        if self.state is _S.COMPLETING_REBALANCE:
            # The decided generation owns nothing yet, and what the last one commits now could come after its successor reads.
            return _E.REBALANCE_IN_PROGRESS
        member = self.members.get(member_id)
        assert member is not None
        self._heard(member, now)
        return _E.NONE

    def why_not(self, member_id: MemberId, group_instance_id: str | None) -> ErrorCode:
        """Why this is no member: NONE where it is one."""
        if self.state is _S.DEAD:
            return _E.COORDINATOR_NOT_AVAILABLE
        if group_instance_id is not None:
            current = self.members.of_instance(group_instance_id)
            if current is None:
                return _E.UNKNOWN_MEMBER_ID
            if current != member_id:
                return _E.FENCED_INSTANCE_ID
        return _E.NONE if member_id in self.members else _E.UNKNOWN_MEMBER_ID

    # What time and the log bring

    @property
    def is_idle(self) -> bool:
        """No members, and none about to join."""
        return self.state is _S.EMPTY and not self._pending

    @property
    def next_deadline_s(self) -> float:
        """When `expire` has something to do at the earliest, by the loop's clock; asks every member."""
        return min(
            self._join_ends_s,
            self._sync_ends_s,
            min((each.expires_s for each in self.members), default=NEVER),
            min(self._pending.values(), default=NEVER),
        )

    def expire(self, now: Now) -> list[Effect]:
        """Do what is due: members and joins that were waited for in vain."""
        for member_id in [each for each, deadline_s in self._pending.items() if deadline_s <= now.loop_s]:
            del self._pending[member_id]
        for member in self.members:
            if member.expires_s <= now.loop_s:
                self._remove(member.member_id, f"member {member.member_id}: its session has expired", now)
        if self._sync_ends_s <= now.loop_s:
            self._sync_is_over(now)
        if self._join_ends_s <= now.loop_s:
            self._join_is_over(now)
        self._complete_join_when_all_are_here(now)
        self.due_s = self.next_deadline_s
        return self._drained()

    def stored(self, purpose: Purpose, error: ErrorCode, *, now: Now) -> list[Effect]:
        """A `Store` is committed, or not (it still may be: the next generation will say so)."""
        if purpose.generation != self.generation:
            return []
        if isinstance(purpose, AssignmentOf) and self.state is _S.COMPLETING_REBALANCE:
            if error is _E.NONE:
                self._assign(purpose.assignments, now)
            else:
                self._reset_assignment(error)
                self._prepare_rebalance(f"the assignment could not be stored: {error.name}", now)
        elif isinstance(purpose, ReplacementOf):
            self._replaced(purpose.member_id, error, now)
        return self._drained()

    def abandon(self, error: ErrorCode) -> list[Effect]:
        """This broker is the coordinator no more: answer all that wait."""
        for member in self.members:
            self._drop_join(member, error)
            self._drop_sync(member, error)
        return self._drained()

    def die(self) -> None:
        """The group is being deleted: whoever comes now is asked to come again."""
        assert not self.members
        self.state = _S.DEAD

    def revive(self) -> None:
        """The deletion was refused."""
        self.state = _S.EMPTY

    def snapshot(self, assignments: dict[MemberId, bytes] | None = None) -> StoredGroup:
        """The generation as it is to be stored."""
        protocol = self.protocol or ""
        return StoredGroup(
            protocol_type=self.protocol_type or "",
            generation=self.generation,
            protocol=self.protocol,
            leader=self.leader,
            current_state_timestamp_ms=self.state_since_ms,
            members=tuple(
                [
                    each.stored(protocol, each.assignment if assignments is None else assignments[each.member_id])
                    for each in self.members
                ]
            ),
        )

    # Joining

    def _why_not_join(self, request: JoinGroup) -> ErrorCode:
        limits = self._limits
        if not limits.min_session_timeout_ms <= request.session_timeout_ms <= limits.max_session_timeout_ms:
            return _E.INVALID_SESSION_TIMEOUT
        asks_for_id = request.member_id == NO_MEMBER and request.group_instance_id is None
        if not self._has_room_for(request.member_id) or (asks_for_id and len(self._pending) >= PENDING_MAX):
            return _E.GROUP_MAX_SIZE_REACHED
        if self.state is _S.DEAD:
            return _E.COORDINATOR_NOT_AVAILABLE
        if self.state is _S.EMPTY:
            supported = bool(request.protocol_type and request.protocols)
        else:
            supported = request.protocol_type == self.protocol_type and self.members.support_all(request.protocols)
            if not self.members:  # all have left while it was being prepared
                supported = bool(request.protocol_type and request.protocols)
        return _E.NONE if supported else _E.INCONSISTENT_GROUP_PROTOCOL

    def _has_room_for(self, member_id: MemberId) -> bool:
        if self.state in (_S.EMPTY, _S.DEAD):
            return True
        member = self.members.get(member_id)
        if self.state is _S.PREPARING_REBALANCE:
            # Who is back counts, not who was here: so a group shrinks to a limit that has been lowered.
            if member is not None and member.join is not None:
                return True
            return self.members.joining < self._limits.max_size
        return member is not None or len(self.members) < self._limits.max_size

    def _join_known(self, request: JoinGroup, ticket: Ticket, client: Client, now: Now) -> None:
        member_id = request.member_id
        if member_id in self._pending and request.group_instance_id is None:
            self._add(request, ticket, client, member_id, now)
            return
        error = self.why_not(member_id, request.group_instance_id)
        if error is not _E.NONE:
            self._refuse_join(ticket, error, member_id)
            return
        member = self.members.get(member_id)
        assert member is not None
        same = member.protocols == request.protocols
        leads = member_id == self.leader
        # Who missed the answer gets it again. A leader that asks in a stable group wants a rebalance: its topics may have changed.
        repeated = same and (self.state is _S.COMPLETING_REBALANCE or (self.state is _S.STABLE and not leads))
        if repeated:
            self._heard(member, now)
            self._answer_join(member, ticket)
            return
        self._update(member, request, ticket)
        if self.state in _CAN_REBALANCE:
            why = "as its leader" if leads and same else "with other metadata"
            self._prepare_rebalance(f"member {member_id} joins again {why}: {_said(request.reason)}", now)

    def _add(self, request: JoinGroup, ticket: Ticket, client: Client, member_id: MemberId, now: Now) -> None:
        self._pending.pop(member_id, None)
        if not self.members:
            self.protocol_type = request.protocol_type
        member = Member(
            member_id=member_id,
            group_instance_id=request.group_instance_id,
            client_id=client.client_id,
            client_host=client.client_host,
            session_timeout_ms=request.session_timeout_ms,
            rebalance_timeout_ms=_rebalance_timeout_ms(request),
            protocols=request.protocols,
            join=ticket,
            is_new=True,
            deadline_s=now.loop_s + NEW_MEMBER_JOIN_TIMEOUT_S,
        )
        self.members.add(member)
        self._is_due(member.deadline_s)
        if self.leader is None:
            self.leader = member_id
        self._newcomer = True
        if self.state in _CAN_REBALANCE:
            self._prepare_rebalance(f"member {member_id} joins: {_said(request.reason)}", now)

    def _update(self, member: Member, request: JoinGroup, ticket: Ticket) -> None:
        self.members.set_protocols(member, request.protocols)
        member.session_timeout_ms = request.session_timeout_ms
        member.rebalance_timeout_ms = _rebalance_timeout_ms(request)
        self._drop_join(member, _E.REBALANCE_IN_PROGRESS)
        self.members.begin_join(member, ticket)

    def _replace_static(
        self, request: JoinGroup, ticket: Ticket, client: Client, *, old: MemberId, new: MemberId, now: Now
    ) -> None:
        """The same instance has started again: it takes over the place, and the old id is fenced (KIP-345)."""
        was = self.members.get(old)
        assert was is not None
        self._drop_join(was, _E.FENCED_INSTANCE_ID)
        self._drop_sync(was, _E.FENCED_INSTANCE_ID)
        member = self.members.rename(old, new)
        member.client_id, member.client_host = client.client_id, client.client_host
        if self.leader == old:
            self.leader = new
        # It has an id that it answers to: what it waits for ends with the rebalance, and its session counts from there.
        member.is_new = False
        self._heard(member, now)
        self._update(member, request, ticket)
        instance = request.group_instance_id
        if self.state is _S.STABLE and self.members.elect_protocol() == self.protocol:
            # Nothing changes for anybody, but the log has to know the new id.
            self._store(ReplacementOf(generation=self.generation, member_id=new))
        elif self.state in (_S.STABLE, _S.COMPLETING_REBALANCE):
            self._prepare_rebalance(f"static member {instance} is back as {new}: {_said(request.reason)}", now)

    def _replaced(self, member_id: MemberId, error: ErrorCode, now: Now) -> None:
        member = self.members.get(member_id)
        if member is None or member.join is None or self.state is not _S.STABLE:
            return  # it waits for a rebalance by now, and is answered when that ends
        if error is not _E.NONE:
            self._drop_join(member, error)
            self._prepare_rebalance(f"the return of {member_id} could not be stored: {error.name}", now)
            return
        ticket = self.members.end_join(member)
        assert ticket is not None
        self._heard(member, now)
        self._answer_join(member, ticket, skip_assignment=member_id == self.leader)

    # The rebalance

    def _prepare_rebalance(self, reason: str, now: Now) -> None:
        if self.state is _S.COMPLETING_REBALANCE:
            self._reset_assignment(_E.REBALANCE_IN_PROGRESS)
        self._sync_ends_s = NEVER
        longest_s = self._longest_rebalance_s()
        if self.state is _S.EMPTY:
            # A group that starts is given time to become whole, so that it does not rebalance with every member.
            delay_s = self._limits.initial_rebalance_delay_ms / 1000
            self._initial_delay_left_s = max(0.0, longest_s - delay_s)
            self._newcomer = False
            self._join_ends_s = now.loop_s + delay_s
        else:
            self._initial_delay_left_s = None
            self._join_ends_s = now.loop_s + longest_s
        self._is_due(self._join_ends_s)
        self._become(_S.PREPARING_REBALANCE, reason, now)

    def _longest_rebalance_s(self) -> float:
        return max((each.rebalance_timeout_ms for each in self.members), default=0) / 1000

    def _complete_join_when_all_are_here(self, now: Now) -> None:
        if (
            self.state is _S.PREPARING_REBALANCE
            and self._initial_delay_left_s is None
            and not self._pending
            and self.members.joining == len(self.members)
        ):
            self._complete_join(now)

    def _join_is_over(self, now: Now) -> None:
        left_s = self._initial_delay_left_s
        if left_s is not None and self._newcomer and left_s > 0:
            delay_s = min(self._limits.initial_rebalance_delay_ms / 1000, left_s)
            self._newcomer = False
            self._initial_delay_left_s = left_s - delay_s
            self._join_ends_s = now.loop_s + delay_s
            self._is_due(self._join_ends_s)
            return
        self._complete_join(now)

    def _complete_join(self, now: Now) -> None:
        """Decide the next generation out of those who have joined; static members keep their place until their session ends."""
        self._initial_delay_left_s = None
        late = [each for each in self.members if each.join is None and each.group_instance_id is None]
        for member in late:
            self._forget(member.member_id)
        here = [each for each in self.members if each.join is not None]
        if self.members and not here:
            self._join_ends_s = now.loop_s + self._longest_rebalance_s()
            self._is_due(self._join_ends_s)
            return  # static members only, none of them back: their sessions decide
        self._join_ends_s = NEVER
        leader = None if self.leader is None else self.members.get(self.leader)
        if here and (leader is None or leader.join is None):
            self.leader = here[0].member_id
        self.generation = GenerationId(self.generation + 1)
        without = "".join(f", without {each.member_id} who did not join in time" for each in late)
        if not self.members:
            self.leader = None
            self.protocol = None
            self.subscribed_topics = None
            self._become(_S.EMPTY, f"no members are left{without}", now)
            self._store(EmptinessOf(generation=self.generation))
            return
        self.protocol = self.members.elect_protocol()
        self._read_subscriptions()
        self.rebalances += 1
        self._become(_S.COMPLETING_REBALANCE, f"{_members(len(here))} joined{without}", now)
        self._sync_ends_s = now.loop_s + self._longest_rebalance_s()
        self._is_due(self._sync_ends_s)
        for member in self.members:
            member.is_new = False
            ticket = self.members.end_join(member)
            if ticket is not None:
                member.must_sync = True
                self._heard(member, now)
                self._answer_join(member, ticket)

    def _store_assignment(self, assignments: dict[MemberId, bytes]) -> None:
        purpose = AssignmentOf(generation=self.generation, assignments=assignments)
        self._out.append(Store(value=self.snapshot(assignments), purpose=purpose))

    def _store(self, purpose: Purpose) -> None:
        self._out.append(Store(value=self.snapshot(), purpose=purpose))

    def _assign(self, assignments: dict[MemberId, bytes], now: Now) -> None:
        for member in self.members:
            member.assignment = assignments.get(member.member_id, b"")
            if member.sync is not None:
                ticket, member.sync = member.sync, None
                self._heard(member, now)
                self._answer_sync(ticket, member.assignment)
        self._become(_S.STABLE, f"assigned by {self.leader}", now)

    def _reset_assignment(self, error: ErrorCode) -> None:
        for member in self.members:
            member.assignment = b""
            member.must_sync = False
            self._drop_sync(member, error)

    def _sync_is_over(self, now: Now) -> None:
        """Members that were told of the generation and never asked for their share are taken for gone."""
        self._sync_ends_s = NEVER
        silent = [each.member_id for each in self.members if each.must_sync]
        if not silent or self.state not in (_S.COMPLETING_REBALANCE, _S.STABLE):
            return
        for member_id in silent:
            self._forget(member_id)
        self._prepare_rebalance(f"{', '.join(silent)} did not ask for their assignment in time", now)

    # Members that go

    def _remove(self, member_id: MemberId, reason: str, now: Now) -> None:
        self._forget(member_id)
        if self.state in (_S.STABLE, _S.COMPLETING_REBALANCE):
            self._prepare_rebalance(reason, now)
        else:
            self._note(reason, now)

    def _forget(self, member_id: MemberId) -> None:
        member = self.members.get(member_id)
        assert member is not None
        self._drop_join(member, _E.UNKNOWN_MEMBER_ID)
        self._drop_sync(member, _E.UNKNOWN_MEMBER_ID)
        self.members.remove(member_id)
        if self.leader == member_id:
            self.leader = next((each.member_id for each in self.members), None)

    # Answers

    def _why_not_sync(self, request: SyncGroup) -> ErrorCode:
        error = self.why_not(request.member_id, request.group_instance_id)
        if error is not _E.NONE:
            return error
        if request.generation_id != self.generation:
            return _E.ILLEGAL_GENERATION
        if request.protocol_type is not None and request.protocol_type != self.protocol_type:
            return _E.INCONSISTENT_GROUP_PROTOCOL
        if request.protocol_name is not None and request.protocol_name != self.protocol:
            return _E.INCONSISTENT_GROUP_PROTOCOL
        return _E.REBALANCE_IN_PROGRESS if self.state is _S.PREPARING_REBALANCE else _E.NONE

    def _answer_join(self, member: Member, ticket: Ticket, *, skip_assignment: bool = False) -> None:
        assert self.leader is not None
        leads = member.member_id == self.leader
        response = JoinGroupResponse(
            generation_id=self.generation,
            protocol_type=self.protocol_type,
            protocol_name=self.protocol,
            leader=self.leader,
            skip_assignment=skip_assignment,
            member_id=member.member_id,
            members=self.members.described(self.protocol or "") if leads else (),
        )
        self._out.append(Answer(ticket=ticket, response=response))

    def _refuse_join(self, ticket: Ticket, error: ErrorCode, member_id: MemberId) -> None:
        self._out.append(Answer(ticket=ticket, response=JoinGroupResponse(error_code=error, member_id=member_id)))

    def _answer_sync(self, ticket: Ticket, assignment: bytes) -> None:
        response = SyncGroupResponse(
            protocol_type=self.protocol_type, protocol_name=self.protocol, assignment=assignment
        )
        self._out.append(Answer(ticket=ticket, response=response))

    def _drop_join(self, member: Member, error: ErrorCode) -> None:
        ticket = self.members.end_join(member)
        if ticket is not None:
            self._refuse_join(ticket, error, NO_MEMBER if error is _E.UNKNOWN_MEMBER_ID else member.member_id)
            self._is_due(member.deadline_s)

    def _drop_sync(self, member: Member, error: ErrorCode) -> None:
        if member.sync is not None:
            self._out.append(Answer(ticket=member.sync, response=SyncGroupResponse(error_code=error)))
            member.sync = None
            self._is_due(member.deadline_s)

    # Small things

    def _heard(self, member: Member, now: Now) -> None:
        member.deadline_s = now.loop_s + member.session_timeout_ms / 1000
        self._is_due(member.deadline_s)

    def _is_due(self, deadline_s: float) -> None:
        self.due_s = min(self.due_s, deadline_s)

    def _become(self, state: GroupState, reason: str, now: Now) -> None:
        self.state = state
        self.state_since_ms = now.wall_ms
        self._note(reason, now)

    def _note(self, reason: str, now: Now) -> None:
        if len(reason) > EVENT_MAX_CHARS:
            reason = f"{reason[: EVENT_MAX_CHARS - 3]}..."
        self.history.append(
            GroupEvent(
                time_ms=now.wall_ms,
                generation_id=self.generation,
                group_state=self.state.value,
                members=len(self.members),
                reason=reason,
            )
        )

    def _read_subscriptions(self) -> None:
        self.subscribed_topics = None
        if self.protocol_type != consumer_protocol.PROTOCOL_TYPE or self.protocol is None:
            return
        topics: set[str] = set()
        try:
            for member in self.members:
                topics.update(consumer_protocol.decode_subscription(member.metadata(self.protocol)).topics)
        except ProtocolError:
            return  # some other protocol under the name of the consumers'
        self.subscribed_topics = frozenset(topics)

    def _drained(self) -> list[Effect]:
        out, self._out = self._out, []
        return out


def _members(count: int) -> str:
    return "1 member has" if count == 1 else f"{count} members have"


def _rebalance_timeout_ms(request: JoinGroup) -> int:
    return request.session_timeout_ms if request.rebalance_timeout_ms < 0 else request.rebalance_timeout_ms


def _said(reason: str | None) -> str:
    return "not specified" if not reason else reason[:REASON_MAX_CHARS]
