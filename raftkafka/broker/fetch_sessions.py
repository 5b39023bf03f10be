"""What fetches are about, kept between them: incremental fetch sessions (KIP-227).

Floor 3. A row is one partition that somebody asks for. It hears of everything that happens to its partition and puts itself on
the list of its session, so that an answer looks at the partitions with news and at no others, however many there are. A
fetch without a session has rows, too, which live as long as it waits.

The invariant: a row that is not on the list has told all it could tell. The list is in order: whoever was served goes to its end,
so that those who found the answer full come first the next time.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Final

from raftkafka.broker.partition import Partition
from raftkafka.broker.purgatory import DelayedFetch
from raftkafka.model.api.fetch import Fetch, FetchPartition
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import (
    NO_EPOCH,
    NO_NODE,
    NO_OFFSET,
    LeaderEpoch,
    NodeId,
    Offset,
    PartitionIndex,
    TopicId,
    TopicPartition,
)
from raftkafka.replica.fetch_session import FINAL_EPOCH, INITIAL_EPOCH, NO_SESSION, next_epoch

EVICTION_S: Final = 120.0
"""Kafka's `min.incremental.fetch.session.eviction.ms`: how long a session is left in peace."""

PARTITIONS_MAX: Final = 500_000
"""Partitions in all sessions together, some 150 bytes each; who finds no room asks without a session."""


class FetchRow:
    """One partition of one session; `sent_*` is what the asker was told last."""

    __slots__ = ("_session", "asked", "hears", "key", "noted_epoch", "partition", "sent_log_start", "sent_watermark")

    def __init__(self, session: FetchSession, key: TopicPartition, asked: FetchPartition) -> None:
        self._session = session
        self.key = key
        self.asked = asked
        self.partition: Partition | None = None
        """The one that was looked at last."""
        self.hears = False
        """Whether the partition tells this row of its news; urgent ones it tells once."""
        self.sent_watermark: Offset = NO_OFFSET
        self.sent_log_start: Offset = NO_OFFSET
        self.noted_epoch: LeaderEpoch = NO_EPOCH
        """The leadership that has taken what a follower asked as its progress."""

    def news(self, *, urgent: bool) -> None:
        session = self._session
        session.due[self] = None
        if urgent:
            self.hears = False
        if session.delayed is not None and (urgent or session.hurries):
            session.delayed.wake()

    def hear_of(self, partition: Partition) -> None:
        """Hear of news from now on: what the partition has to tell at this moment is being looked at."""
        if self.partition is not partition:
            self.hear_no_more()
            self.partition = partition
        self.hears = True
        partition.waiting_fetches.join(self, follower=self._session.is_follower)

    def hear_no_more(self) -> None:
        if self.partition is not None:
            self.partition.waiting_fetches.leave(self)
            self.partition = None
        self.hears = False


class FetchSession:
    """`due` are the rows to look at for the next answer. `hurries`: a watermark that moved is reason enough to answer."""

    __slots__ = (
        "created_at",
        "delayed",
        "due",
        "epoch",
        "hurries",
        "is_follower",
        "last_used_at",
        "looked_at",
        "replica_id",
        "rows",
        "session_id",
    )

    def __init__(self, *, session_id: int, replica_id: NodeId, now: float, hurries: bool) -> None:
        self.session_id = session_id
        self.replica_id = replica_id
        self.is_follower = replica_id != NO_NODE
        self.hurries = hurries and self.is_follower
        self.epoch = next_epoch(INITIAL_EPOCH)
        self.created_at = self.last_used_at = self.looked_at = now
        self.rows: dict[tuple[TopicId, PartitionIndex], FetchRow] = {}
        self.due: dict[FetchRow, None] = {}
        self.delayed: DelayedFetch | None = None

    def ask(self, partitions: Iterable[FetchPartition]) -> None:
        """Partitions that are new, or asked for differently from now on."""
        rows, due = self.rows, self.due
        for asked in partitions:
            row = rows.get((asked.topic_id, asked.partition))
            if row is None:
                key = TopicPartition(asked.topic_id, asked.partition)
                row = rows[key] = FetchRow(self, key, asked)
            else:
                row.asked = asked
                row.noted_epoch = NO_EPOCH
            due[row] = None

    def forget(self, key: TopicPartition) -> None:
        row = self.rows.pop(key, None)
        if row is not None:
            row.hear_no_more()
            self.due.pop(row, None)

    def end(self) -> None:
        """Nobody asks any more; a fetch that waits is answered with what there is."""
        if self.delayed is not None:
            self.delayed.answer_now()
        for row in self.rows.values():
            row.hear_no_more()


class FetchSessions:
    """The sessions of this broker, at most `slots` of them. Followers go first, then who asks for more partitions."""

    def __init__(self, *, slots: int, random: Random, hurries: bool = False) -> None:
        self._slots = slots
        self._random = random
        self._hurries = hurries
        self._sessions: dict[int, FetchSession] = {}  # the least recently used one first
        self.partitions = 0
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, request: Fetch, now: float) -> FetchSession:
        """The session that a request belongs to, brought up to date by it; one without an id for a request on its own.

        Raises:
            ApiError: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH.
        """
        if request.session_epoch in (FINAL_EPOCH, INITIAL_EPOCH):
            if request.session_id != NO_SESSION:
                self._close_own(request)
            return self._begin(request, now)
        session = self._sessions.get(request.session_id)
        if session is None or session.replica_id != request.replica_id:
            raise ApiError(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.epoch != request.session_epoch:
            raise ApiError(ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        if session.delayed is not None:
            session.delayed.answer_now()
        before = len(session.rows)
        for each in request.forgotten:
            session.forget(TopicPartition(each.topic_id, each.partition))
        session.ask(request.partitions)
        self.partitions += len(session.rows) - before
        if self.partitions > PARTITIONS_MAX:
            self._close(session)
            raise ApiError(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        session.epoch = next_epoch(session.epoch)
        session.last_used_at = now
        self._sessions[session.session_id] = self._sessions.pop(session.session_id)
        return session

    def _begin(self, request: Fetch, now: float) -> FetchSession:
        count = len(request.partitions)
        if request.session_epoch == INITIAL_EPOCH and request.replica_id != NO_NODE:
            self._make_followers_room(count)
        kept = (
            request.session_epoch == INITIAL_EPOCH
            and self.partitions + count <= PARTITIONS_MAX
            and self._make_room(is_follower=request.replica_id != NO_NODE, partitions=count, now=now)
        )
        session = FetchSession(
            session_id=self._new_id() if kept else NO_SESSION,
            replica_id=request.replica_id,
            now=now,
            hurries=self._hurries,
        )
        session.ask(request.partitions)
        if kept:
            self._sessions[session.session_id] = session
            self.partitions += len(session.rows)
        return session

    def _new_id(self) -> int:
        while True:
            session_id = self._random.randrange(1, 1 << 31)
            if session_id not in self._sessions:
                return session_id

    def _make_room(self, *, is_follower: bool, partitions: int, now: float) -> bool:
        """Kafka's rule (FetchSessionCache.tryEvict): who was silent for long goes; else a new one drives out a lesser one."""
        if len(self._sessions) < self._slots:
            return True
        if not self._sessions:
            return False
        victim = next(iter(self._sessions.values()))
        if now - victim.last_used_at <= EVICTION_S:
            evictable = [
                each
                for each in self._sessions.values()
                if now - each.created_at > EVICTION_S or (is_follower and not each.is_follower)
            ]
            if not evictable:
                return False
            victim = min(evictable, key=_worth)
            if _worth(victim) >= (is_follower, partitions):
                return False
        self.evictions += 1
        self._close(victim)
        return True

    def _make_followers_room(self, count: int) -> None:
        """Consumers that ask for many partitions, whether there are such or not, must not cost replication its sessions."""
        for session in [each for each in self._sessions.values() if not each.is_follower]:
            if not PARTITIONS_MAX - self.partitions < count <= PARTITIONS_MAX:
                return
            self.evictions += 1
            self._close(session)

    def _close_own(self, request: Fetch) -> None:
        session = self._sessions.get(request.session_id)
        if session is not None and session.replica_id == request.replica_id:
            self._close(session)

    def _close(self, session: FetchSession) -> None:
        del self._sessions[session.session_id]
        self.partitions -= len(session.rows)
        session.end()


def _worth(session: FetchSession) -> tuple[bool, int]:
    return session.is_follower, len(session.rows)
