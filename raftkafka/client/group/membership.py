"""This consumer as the coordinator knows it: member id and generation; joins, syncs, leaves. Floor 3.

Invariant: an answer to what was sent under another generation or member id changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

from raftkafka.client.group.coordinator import JOIN_LANE, LATER, Coordinator
from raftkafka.client.group.errors import FencedInstanceIdError
from raftkafka.client.group.settings import GroupSettings
from raftkafka.group.consumer_protocol import PROTOCOL_TYPE
from raftkafka.model.api.membership import (
    JoinGroup,
    JoinGroupProtocol,
    JoinGroupResponse,
    LeaveGroup,
    LeaveGroupResponse,
    LeavingMember,
    SyncGroup,
    SyncGroupAssignment,
    SyncGroupResponse,
)
from raftkafka.model.errors import ApiError, ErrorCode, ProtocolError, RaftKafkaError
from raftkafka.model.ids import NO_GENERATION, NO_MEMBER, GenerationId, MemberId

_log = logging.getLogger("raftkafka.client")

JOIN_GRACE_S: Final = 5.0
"""The coordinator waits for the others as long as `max_poll_interval_ms`; its answer needs a moment more (as in Kafka)."""
LEAVE_TIMEOUT_S: Final = 5.0

OUT: Final = frozenset({ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION})
_AGAIN: Final = LATER | {ErrorCode.REBALANCE_IN_PROGRESS}

Assign = Callable[[JoinGroupResponse], Awaitable[Mapping[MemberId, bytes]]]


class Identity(NamedTuple):
    generation: GenerationId
    member_id: MemberId
    group_instance_id: str | None


class Joined(NamedTuple):
    """A place in a generation: the protocol chosen, and the bytes of this member's share."""

    generation: GenerationId
    protocol: str
    assignment: bytes


class Membership:
    """`changed` is called whenever there is something for the next poll: a reason to join, a loss, an error that is final."""

    def __init__(self, *, coordinator: Coordinator, settings: GroupSettings, changed: Callable[[], None]) -> None:
        self.identity = Identity(NO_GENERATION, NO_MEMBER, settings.group_instance_id)
        self.rejoin_reason: str | None = None
        self.lost = False
        """Whatever was held under the last generation is held no longer."""
        self.fatal: ApiError | None = None
        self.joining = False
        """The next generation is being negotiated; what is heard of the one before says nothing new."""
        self.waiting_to_join = False
        """A JoinGroup is under way, which keeps the session alive by itself."""
        self._coordinator = coordinator
        self._settings = settings
        self._changed = changed

    @property
    def has_session(self) -> bool:
        return self.identity.generation >= 0 and not self.waiting_to_join and self.fatal is None

    def ask_to_rejoin(self, reason: str) -> None:
        """With the next poll."""
        if self.rejoin_reason is None:
            _log.info("group %s: joining again: %s", self._settings.group_id, reason)
            self.rejoin_reason = reason
        self._changed()

    def lose(self, sent_as: Identity, code: ErrorCode) -> None:
        """The coordinator says that `sent_as` is no member, or that the group has gone on without it."""
        if self.is_current(sent_as):
            _log.warning("group %s: out of the group: %s", self._settings.group_id, code.name)
            self.forget(keep_member_id=code is ErrorCode.ILLEGAL_GENERATION)
            self.ask_to_rejoin(f"out of the group: {code.name}")

    def is_current(self, sent_as: Identity) -> bool:
        return sent_as == self.identity and sent_as.generation >= 0 and not self.joining

    def forget(self, *, keep_member_id: bool = False) -> None:
        member_id = self.identity.member_id if keep_member_id else NO_MEMBER
        self.identity = Identity(NO_GENERATION, member_id, self._settings.group_instance_id)
        self.lost = True

    def fenced(self) -> ApiError:
        return self.fail(
            FencedInstanceIdError(
                ErrorCode.FENCED_INSTANCE_ID,
                f"another consumer of group {self._settings.group_id!r} has taken group_instance_id "
                f"{self._settings.group_instance_id!r}",
            )
        )

    def fail(self, error: ApiError) -> ApiError:
        """Nothing that is tried again will help; every poll says so."""
        self.fatal = error
        self.lost = True
        self._changed()
        return error

    async def join(
        self, protocols: Callable[[], tuple[JoinGroupProtocol, ...]], assign: Assign, reason: str
    ) -> Joined | None:
        """A place in the next generation, whatever time it takes; None when this member was put out meanwhile (see `lost`).

        Raises:
            ApiError: the group does not take this member, for good.
        """
        failures = 0
        while True:
            try:
                code, joined = await self._join_once(protocols(), assign, reason)
            except ApiError as error:
                if not error.code.retriable:
                    raise
                code, joined = error.code, None
                _log.debug("group %s: not joined yet: %s", self._settings.group_id, error)
            except ProtocolError:
                raise
            except RaftKafkaError as error:
                code, joined = ErrorCode.NETWORK_EXCEPTION, None
                _log.debug("group %s: not joined yet: %s", self._settings.group_id, error)
            if joined is not None or code in OUT:
                return joined
            if code is not ErrorCode.MEMBER_ID_REQUIRED:
                failures += 1
                await asyncio.sleep(self._coordinator.delay_s(failures))

    async def _join_once(
        self, protocols: tuple[JoinGroupProtocol, ...], assign: Assign, reason: str
    ) -> tuple[ErrorCode, Joined | None]:
        settings = self._settings
        request = JoinGroup(
            group_id=settings.group_id,
            session_timeout_ms=settings.session_timeout_ms,
            rebalance_timeout_ms=settings.max_poll_interval_ms,
            member_id=self.identity.member_id,
            group_instance_id=settings.group_instance_id,
            protocol_type=PROTOCOL_TYPE,
            protocols=protocols,
            reason=reason,
        )
        self.waiting_to_join = True
        try:
            response = await self._coordinator.ask(
                request, JoinGroupResponse, lambda answer: answer.error_code, lane=JOIN_LANE, timeout_s=self._patience_s
            )
        finally:
            self.waiting_to_join = False
        code = response.error_code
        if code is ErrorCode.MEMBER_ID_REQUIRED:
            self.identity = self.identity._replace(member_id=response.member_id)
            return code, None
        if code is ErrorCode.UNKNOWN_MEMBER_ID:
            self.forget()
            return code, None
        self._check(code)
        if code is not ErrorCode.NONE:
            return code, None
        self.identity = Identity(response.generation_id, response.member_id, settings.group_instance_id)
        return await self._sync(response, assign)

    async def _sync(self, joined: JoinGroupResponse, assign: Assign) -> tuple[ErrorCode, Joined | None]:
        assignments = await assign(joined) if joined.leader == joined.member_id else {}
        sent_as = self.identity
        request = SyncGroup(
            group_id=self._settings.group_id,
            generation_id=joined.generation_id,
            member_id=joined.member_id,
            group_instance_id=self._settings.group_instance_id,
            protocol_type=joined.protocol_type,
            protocol_name=joined.protocol_name,
            assignments=tuple(
                SyncGroupAssignment(member_id=member_id, assignment=share) for member_id, share in assignments.items()
            ),
        )
        response = await self._coordinator.ask(
            request, SyncGroupResponse, lambda answer: answer.error_code, lane=JOIN_LANE, timeout_s=self._patience_s
        )
        code = response.error_code
        if code in OUT or self.identity != sent_as:
            self.forget(keep_member_id=code is not ErrorCode.UNKNOWN_MEMBER_ID)
            return ErrorCode.ILLEGAL_GENERATION, None
        self._check(code)
        if code is not ErrorCode.NONE:
            return code, None
        return code, Joined(joined.generation_id, joined.protocol_name or "", response.assignment)

    def _check(self, code: ErrorCode) -> None:
        """Raise what no further try will change."""
        if code is ErrorCode.FENCED_INSTANCE_ID:
            raise self.fenced()
        if code is not ErrorCode.NONE and code not in _AGAIN:
            raise ApiError(code, _explained(code, self._settings))

    async def leave(self, reason: str) -> None:
        """Let the others have the partitions at once. A static member does not leave: it is expected back (KIP-345)."""
        identity = self.identity
        self.forget()
        if not identity.member_id or identity.group_instance_id is not None:
            return
        request = LeaveGroup(
            group_id=self._settings.group_id, members=(LeavingMember(member_id=identity.member_id, reason=reason),)
        )
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                await self._coordinator.ask(request, LeaveGroupResponse, lambda answer: answer.error_code)
        except (RaftKafkaError, TimeoutError) as error:
            # The session will end by itself.
            _log.debug("group %s: left without an answer: %s", self._settings.group_id, error)

    @property
    def _patience_s(self) -> float:
        return self._settings.max_poll_interval_ms / 1000 + JOIN_GRACE_S


def _explained(code: ErrorCode, settings: GroupSettings) -> str:
    group = f"group {settings.group_id!r}"
    match code:
        case ErrorCode.INCONSISTENT_GROUP_PROTOCOL:
            names = ", ".join(assignor.name for assignor in settings.assignors)
            return f"{group}: the other members know none of these assignors: {names}"
        case ErrorCode.INVALID_SESSION_TIMEOUT:
            return (
                f"{group}: session_timeout_ms, {settings.session_timeout_ms}, is not between the brokers' "
                "group.min.session.timeout.ms and group.max.session.timeout.ms"
            )
        case ErrorCode.GROUP_MAX_SIZE_REACHED:
            return f"{group} has as many members as group.max.size allows"
        case _:
            return f"{group} does not take this consumer"
