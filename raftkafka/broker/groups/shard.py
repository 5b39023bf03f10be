"""The groups of one partition of `__consumer_offsets`, while this broker leads it: their coordinator.

Floor 3. Runs the pure groups: hands them time, puts what they want stored into the log, and answers what they answer. Nothing is
served before everything below the high watermark is read (I11), and nothing once the leadership in which it was read is over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from raftkafka.broker import background
from raftkafka.broker.groups.log import GroupLog, Settle
from raftkafka.group.effects import (
    Answer,
    AssignmentOf,
    Client,
    Effect,
    GroupLimits,
    GroupState,
    Now,
    Store,
    Ticket,
)
from raftkafka.group.group import Group
from raftkafka.group.loading import LoadedGroups
from raftkafka.group.records import GroupLogRecord, GroupRecord, OffsetRecord
from raftkafka.model.api.committed_offsets import (
    OffsetCommit,
    OffsetCommitPartitionResponse,
    OffsetCommitResponse,
    OffsetCommitTopicResponse,
    OffsetDelete,
    OffsetDeleteResponse,
    OffsetFetchGroup,
    OffsetFetchGroupResponse,
)
from raftkafka.model.api.groups import DescribedGroup
from raftkafka.model.api.membership import (
    Heartbeat,
    JoinGroup,
    JoinGroupResponse,
    LeaveGroup,
    LeaveGroupResponse,
    LeftMember,
    SyncGroup,
    SyncGroupResponse,
)
from raftkafka.model.errors import ApiError, CorruptionError, ErrorCode, StorageError
from raftkafka.model.ids import NO_MEMBER, GroupId, MemberId
from raftkafka.model.settings.values import GroupSettings
from raftkafka.ports.clock import Clock

_log = logging.getLogger("raftkafka.groups")

RECORDS_PER_BATCH: Final = 500
"""Tombstones in one append when many are written."""

LOAD_RETRY_S: Final = 1.0
GROUPS_PER_TURN: Final = 100

GROUPS_MAX: Final = 100_000
"""Of one partition. Whoever asks for another one is told to come again."""

_NONE: Final = ErrorCode.NONE


class GroupShard:
    """`commits` counts offsets since the shard was loaded; for the metrics."""

    def __init__(
        self,
        *,
        log: GroupLog,
        settings: GroupSettings,
        clock: Clock,
        new_uuid: Callable[[], str],
        topic_exists: Callable[[str], bool],
    ) -> None:
        self.log = log
        self.is_loaded = False
        self.commits = 0
        self._settings = settings
        self._clock = clock
        self._new_uuid = new_uuid
        self._topic_exists = topic_exists
        self._rebalances_of_forgotten = 0
        self._loop = asyncio.get_running_loop()
        self._limits = GroupLimits(
            min_session_timeout_ms=settings.min_session_timeout_ms,
            max_session_timeout_ms=settings.max_session_timeout_ms,
            initial_rebalance_delay_ms=settings.initial_rebalance_delay_ms,
            max_size=settings.max_size,
        )
        self._groups: dict[GroupId, Group] = {}
        self._timers: dict[GroupId, tuple[float, asyncio.Handle]] = {}
        """When each goes off, since uvloop's do not all know: what is due already is no timer of its own."""
        self._waiting: dict[Ticket, asyncio.Future[Any]] = {}
        self._tickets = 0
        self._closed = False
        self._loading: asyncio.Task[None] | None = None

    def __iter__(self) -> Iterator[Group]:
        return iter(list(self._groups.values()))

    @property
    def rebalances(self) -> int:
        """Generations decided here."""
        return self._rebalances_of_forgotten + sum(group.membership.rebalances for group in self._groups.values())

    # Taking and leaving office

    def start(self) -> None:
        """Read the log once all that it holds at this moment is committed: what the last coordinator acknowledged is among it."""
        self.log.when_committed(self._begin_loading)

    def close(self) -> None:
        """This broker is the coordinator no more. What waits for a commit hears so from the log."""
        self._closed = True
        if self._loading is not None:
            self._loading.cancel()
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for group in self._groups.values():
            for effect in group.membership.abandon(ErrorCode.NOT_COORDINATOR):
                if isinstance(effect, Answer):
                    self._resolve(effect)

    def _begin_loading(self, code: ErrorCode) -> None:
        if code is _NONE and not self._closed:
            self._loading = background.start(self._load(), name=f"loading of {self.log.partition}")

    async def _load(self) -> None:
        began = self._loop.time()
        while True:
            loaded = LoadedGroups(self._limits)
            try:
                await self.log.load(loaded)
                break
            except (StorageError, CorruptionError) as error:
                # As when a consumer meets it: this replica serves no longer, and an intact one becomes the coordinator.
                self.log.partition.take_offline(error)
                return
            except ApiError as error:
                _log.error("%s: the groups cannot be read: %s", self.log.partition, error)
                await asyncio.sleep(LOAD_RETRY_S)
        self._groups = loaded.groups(self._now())
        self.is_loaded = True
        for group in self:
            self._arm(group)
        topics = {topic for group in self for topic, _ in group.offsets.places}
        # Nobody may have been the coordinator when they were deleted.
        self.topics_deleted(frozenset(topic for topic in topics if not self._topic_exists(topic)))
        if loaded.unreadable:
            _log.error("%s: %d records are none that groups write, left out", self.log.partition, loaded.unreadable)
        took_ms = (self._loop.time() - began) * 1000
        _log.info(
            "%s: coordinator of %d groups with %d offsets, read in %.0f ms",
            self.log.partition,
            len(self._groups),
            loaded.offsets,
            took_ms,
        )

    # Members

    def join(self, request: JoinGroup, client: Client) -> asyncio.Future[JoinGroupResponse]:
        ticket, answer = self._wait_for_answer()
        group = self._groups.get(request.group_id)
        if group is None:
            if request.member_id != NO_MEMBER:
                answer.set_result(
                    JoinGroupResponse(error_code=ErrorCode.UNKNOWN_MEMBER_ID, member_id=request.member_id)
                )
                del self._waiting[ticket]
                return answer
            if len(self._groups) >= GROUPS_MAX:
                answer.set_result(JoinGroupResponse(error_code=ErrorCode.COORDINATOR_NOT_AVAILABLE))
                del self._waiting[ticket]
                return answer
            group = self._made(request.group_id)
        name = client.client_id if request.group_instance_id is None else request.group_instance_id
        effects = group.membership.join(
            request, ticket, client=client, new_member_id=MemberId(f"{name}-{self._new_uuid()}"), now=self._now()
        )
        self._perform(group, effects)
        return answer

    def sync(self, request: SyncGroup) -> asyncio.Future[SyncGroupResponse]:
        ticket, answer = self._wait_for_answer()
        group = self._groups.get(request.group_id)
        if group is None:
            answer.set_result(SyncGroupResponse(error_code=ErrorCode.UNKNOWN_MEMBER_ID))
            del self._waiting[ticket]
            return answer
        self._perform(group, group.membership.sync(request, ticket, now=self._now()))
        return answer

    def heartbeat(self, request: Heartbeat) -> ErrorCode:
        group = self._groups.get(request.group_id)
        if group is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        # Deadlines move away only: the timer that is armed comes early, and looks again.
        return group.membership.heartbeat(
            request.member_id, request.group_instance_id, request.generation_id, now=self._now()
        )

    def leave(self, request: LeaveGroup) -> LeaveGroupResponse:
        group = self._groups.get(request.group_id)
        left: list[LeftMember] = []
        for each in request.members:
            error = ErrorCode.UNKNOWN_MEMBER_ID
            if group is not None:
                error, effects = group.membership.leave(
                    each.member_id, each.group_instance_id, each.reason, now=self._now()
                )
                self._perform(group, effects)
            left.append(
                LeftMember(member_id=each.member_id, group_instance_id=each.group_instance_id, error_code=error)
            )
        return LeaveGroupResponse(members=tuple(left))

    # Offsets

    def commit(self, request: OffsetCommit) -> OffsetCommitResponse | asyncio.Future[OffsetCommitResponse]:
        group = self._groups.get(request.group_id)
        if group is None:
            if request.generation_id >= 0:
                return refused_commit(request, ErrorCode.ILLEGAL_GENERATION)
            if len(self._groups) >= GROUPS_MAX:
                return refused_commit(request, ErrorCode.COORDINATOR_NOT_AVAILABLE)
            group = self._made(request.group_id)
        decision = group.decide_commit(
            request, metadata_max_bytes=self._settings.offset_metadata_max_bytes, now=self._now()
        )
        if not decision.records:
            self._drop_if_nothing(group)
            return OffsetCommitResponse(topics=decision.topics)
        answer: asyncio.Future[OffsetCommitResponse] = self._loop.create_future()

        def settle(code: ErrorCode) -> None:
            if not answer.done():
                answer.set_result(OffsetCommitResponse(topics=_with_error(decision.topics, code)))

        self._append_offsets(group, decision.records, settle)
        self._bound(answer, lambda: settle(ErrorCode.COORDINATOR_NOT_AVAILABLE))
        return answer

    def fetch(self, wanted: OffsetFetchGroup) -> OffsetFetchGroupResponse:
        group = self._groups.get(wanted.group_id)
        return (group or Group(wanted.group_id, self._limits)).fetch(wanted)

    def delete_offsets(self, request: OffsetDelete) -> OffsetDeleteResponse | asyncio.Future[OffsetDeleteResponse]:
        group = self._groups.get(request.group_id)
        if group is None:
            return OffsetDeleteResponse(error_code=ErrorCode.GROUP_ID_NOT_FOUND)
        decision = group.decide_delete_offsets(request)
        if not decision.records:
            return OffsetDeleteResponse(error_code=decision.error_code, topics=decision.topics)
        answer: asyncio.Future[OffsetDeleteResponse] = self._loop.create_future()

        def settle(code: ErrorCode) -> None:
            if not answer.done():
                failed = code is not _NONE
                answer.set_result(OffsetDeleteResponse(error_code=code, topics=() if failed else decision.topics))

        self._append_in_batches(group, decision.records, settle)
        self._bound(answer, lambda: settle(ErrorCode.COORDINATOR_NOT_AVAILABLE))
        return answer

    # Groups

    def described(self, group_id: GroupId, *, include_history: bool) -> DescribedGroup:
        group = self._groups.get(group_id)
        if group is None:
            return DescribedGroup(group_id=group_id, group_state="Dead")
        return group.described(include_history=include_history)

    def delete(self, group_id: GroupId) -> asyncio.Future[ErrorCode]:
        answer: asyncio.Future[ErrorCode] = self._loop.create_future()
        group = self._groups.get(group_id)
        refusal = ErrorCode.GROUP_ID_NOT_FOUND if group is None else group.why_not_delete()
        if group is None or refusal is not _NONE:
            answer.set_result(refusal)
            return answer

        def settle(code: ErrorCode) -> None:
            if not answer.done():
                answer.set_result(code)

        self._append_death(group, group.deletion(), settle)
        self._bound(answer, lambda: settle(ErrorCode.COORDINATOR_NOT_AVAILABLE))
        return answer

    async def expire_offsets(self) -> None:
        """Write tombstones for what has been kept long enough."""
        for done, group in enumerate(self):
            if not self.is_loaded or not self.log.is_led:
                return
            records = group.decide_expiry(retention_ms=self._settings.offsets_retention_ms, now=self._now())
            if records:
                _log.info("%s: %d records expire", group.group_id, len(records), extra={"group": group.group_id})
            if records and isinstance(records[-1], GroupRecord):
                self._append_death(group, records, _ignore)
            elif records:
                self._append_in_batches(group, records, _ignore)
            if done % GROUPS_PER_TURN == 0:
                await asyncio.sleep(0)

    def topics_deleted(self, names: frozenset[str]) -> None:
        """Forget the offsets of topics that are gone, before another topic of such a name has any."""
        if not names:
            return
        for group in self:
            records = group.offsets_of_topics(names)
            if records:
                self._append_in_batches(group, records, _ignore)

    # What the groups want done

    def _perform(self, group: Group, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Answer):
                self._resolve(effect)
            else:
                self._store(group, effect)
        if not self._drop_if_nothing(group):
            self._arm(group)

    def _resolve(self, answer: Answer) -> None:
        future = self._waiting.pop(answer.ticket, None)
        if future is not None and not future.done():
            future.set_result(answer.response)

    def _store(self, group: Group, store: Store) -> None:
        settled = False

        def settle(code: ErrorCode) -> None:
            nonlocal settled
            if settled or self._closed:
                return
            settled = True
            if code is ErrorCode.INVALID_COMMIT_OFFSET_SIZE:
                code = ErrorCode.UNKNOWN_SERVER_ERROR
            timer.cancel()
            membership = group.membership
            self._perform(group, membership.stored(store.purpose, code, now=self._now()))
            if isinstance(store.purpose, AssignmentOf) and membership.state is GroupState.STABLE:
                _log.info(
                    "%s: generation %d of %d members is assigned by %s",
                    group.group_id,
                    membership.generation,
                    len(membership.members),
                    membership.leader,
                    extra={"group": group.group_id},
                )

        # Later than this nobody waits: the rebalance is begun anew, and its record follows this one.
        timer = self._loop.call_later(self._commit_timeout_s, lambda: settle(ErrorCode.COORDINATOR_NOT_AVAILABLE))
        self.log.append([GroupRecord(group_id=group.group_id, value=store.value)], settle)

    def _append_offsets(self, group: Group, records: Sequence[OffsetRecord], settle: Settle) -> None:
        group.offsets.appended(records)

        def settled(code: ErrorCode) -> None:
            group.offsets.settled(records)
            if code is _NONE:
                self.commits += len(records)
                for record in records:
                    group.offsets.apply(record)
            else:
                self._drop_if_nothing(group)
            settle(code)

        self.log.append(records, settled)

    def _append_in_batches(self, group: Group, records: Sequence[GroupLogRecord], settle: Settle) -> None:
        """Tombstones; `settle` hears of the last batch, or of the first one that was refused."""
        refused: list[ErrorCode] = []

        def settled(batch: Sequence[GroupLogRecord], last: bool, code: ErrorCode) -> None:
            if code is not _NONE:
                refused.append(code)
            elif not self._closed:
                self._apply(group, batch)
            if last:
                settle(refused[0] if refused else _NONE)

        for start in range(0, len(records), RECORDS_PER_BATCH):
            batch = records[start : start + RECORDS_PER_BATCH]
            last = start + RECORDS_PER_BATCH >= len(records)
            self.log.append(batch, partial(settled, batch, last))

    def _append_death(self, group: Group, records: Sequence[GroupLogRecord], settle: Settle) -> None:
        """From now on nobody joins or commits: nothing may come between the tombstones and the end."""
        group.membership.die()

        def settled(code: ErrorCode) -> None:
            if code is not _NONE:
                group.membership.revive()
            settle(code)

        self._append_in_batches(group, records, settled)

    def _apply(self, group: Group, records: Sequence[GroupLogRecord]) -> None:
        for record in records:
            if isinstance(record, OffsetRecord):
                group.offsets.apply(record)
            elif record.value is None and self._groups.get(group.group_id) is group:
                self._forget(group)

    # Small things

    def _made(self, group_id: GroupId) -> Group:
        group = self._groups[group_id] = Group(group_id, self._limits)
        return group

    def _drop_if_nothing(self, group: Group) -> bool:
        """A group that never was (nobody joined, nothing was committed) leaves nothing, in the log neither."""
        if group.is_nothing and not group.membership.generation and self._groups.get(group.group_id) is group:
            self._forget(group)
            return True
        return False

    def _forget(self, group: Group) -> None:
        del self._groups[group.group_id]
        self._rebalances_of_forgotten += group.membership.rebalances
        armed = self._timers.pop(group.group_id, None)
        if armed is not None:
            armed[1].cancel()

    def _arm(self, group: Group) -> None:
        if self._closed or self._groups.get(group.group_id) is not group:
            return
        due_s = group.membership.due_s
        armed = self._timers.get(group.group_id)
        if armed is not None:
            at_s, timer = armed
            if at_s <= due_s:
                return
            timer.cancel()
            del self._timers[group.group_id]
        if due_s < float("inf"):
            self._timers[group.group_id] = due_s, self._loop.call_at(due_s, self._time_is_up, group)

    def _time_is_up(self, group: Group) -> None:
        self._timers.pop(group.group_id, None)
        self._perform(group, group.membership.expire(self._now()))

    def _wait_for_answer(self) -> tuple[Ticket, asyncio.Future[Any]]:
        self._tickets += 1
        ticket = Ticket(self._tickets)
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._waiting[ticket] = answer
        return ticket, answer

    def _bound(self, answer: asyncio.Future[Any], expire: Callable[[], None]) -> None:
        """The record stays in the log and may still be committed: what the client hears then is "ask again" (I18)."""
        if not answer.done():
            timer = self._loop.call_later(self._commit_timeout_s, expire)
            answer.add_done_callback(lambda _: timer.cancel())

    @property
    def _commit_timeout_s(self) -> float:
        return self._settings.offsets_commit_timeout_ms / 1000

    def _now(self) -> Now:
        return Now(loop_s=self._loop.time(), wall_ms=self._clock.now_ms())


def refused_commit(request: OffsetCommit, code: ErrorCode) -> OffsetCommitResponse:
    """The same error for every partition."""
    topics = tuple(
        [
            OffsetCommitTopicResponse(
                name=topic.name,
                partitions=tuple(
                    [OffsetCommitPartitionResponse(partition=each.partition) for each in topic.partitions]
                ),
            )
            for topic in request.topics
        ]
    )
    return OffsetCommitResponse(topics=_with_error(topics, code))


def _with_error(
    topics: tuple[OffsetCommitTopicResponse, ...], code: ErrorCode
) -> tuple[OffsetCommitTopicResponse, ...]:
    """What was to succeed has failed so."""
    if code is _NONE:
        return topics
    return tuple(
        [
            OffsetCommitTopicResponse(
                name=topic.name,
                partitions=tuple(
                    [
                        each
                        if each.error_code is not _NONE
                        else OffsetCommitPartitionResponse(partition=each.partition, error_code=code)
                        for each in topic.partitions
                    ]
                ),
            )
            for topic in topics
        ]
    )


def _ignore(_: ErrorCode) -> None:
    """The duty looks again some minutes later."""
