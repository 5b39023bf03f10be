"""One replica on this node: its log, its role, and what waits on it.

Floor 3. All checks that protect the log stand here, in this order: the replica is online, it leads, it leads in the
epoch that was asked (I2). The high watermark moves only by `replica.leader` (leader) or by the leader's word (follower).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from raftkafka.broker.purgatory import CommitQueue, FetchWaiters
from raftkafka.metadata.image import Partition as PartitionState
from raftkafka.model.errors import ApiError, CorruptionError, DiskFullError, ErrorCode, StorageError
from raftkafka.model.ids import (
    NO_EPOCH,
    NO_NODE,
    NO_OFFSET,
    BrokerEpoch,
    LeaderEpoch,
    NodeId,
    Offset,
    PartitionEpoch,
    TimestampMs,
    TopicPartition,
)
from raftkafka.model.settings.values import FlushPolicy
from raftkafka.model.topics import INTERNAL_TOPICS
from raftkafka.ports.disk import File
from raftkafka.replica.leader import LeaderState
from raftkafka.storage.log import Appended, Log

_log = logging.getLogger("raftkafka.partition")


class RequestsFlush(Protocol):
    """The flusher of the log directory, as a partition sees it."""

    def request(self, partition: Partition) -> None: ...


@dataclass(slots=True)
class PartitionCounters:
    """Totals since start, read by the metrics at scrape time."""

    bytes_in: int = 0
    records_in: int = 0
    bytes_out: int = 0


class Partition:
    """A replica of one partition. Public attributes are for reading; roles change through `lead` and `follow`."""

    def __init__(
        self,
        *,
        log: Log,
        topic: str,
        node_id: NodeId,
        flusher: RequestsFlush,
        flush_policy: FlushPolicy,
        high_watermark: Offset,
        now: Callable[[], float],
        lag_time_max_s: float,
        isr_may_change: Callable[[Partition], None],
        went_offline: Callable[[], None],
        device_failed: Callable[[Partition, StorageError], None],
    ) -> None:
        self.log = log
        self.topic = topic
        self.is_internal = topic in INTERNAL_TOPICS
        self.topic_partition: TopicPartition = log.topic_partition
        self.counters = PartitionCounters()
        self.waiting_fetches = FetchWaiters()
        self.waiting_commits = CommitQueue()
        self.leader: LeaderState | None = None
        self.leader_id: NodeId = NO_NODE
        self.leader_epoch: LeaderEpoch = NO_EPOCH
        self.state: PartitionState | None = None
        self.min_insync_replicas = 1
        self.offline: StorageError | CorruptionError | None = None
        self._node_id = node_id
        self._flusher = flusher
        self._counts_flushed = flush_policy is FlushPolicy.GROUP
        self._high_watermark = _within(log, high_watermark)
        self._now = now
        self._lag_time_max_s = lag_time_max_s
        self._isr_may_change = isr_may_change
        self._went_offline = went_offline
        self._device_failed = device_failed
        self._follower_starts: dict[NodeId, Offset] = {}
        self._starts_moved = asyncio.Event()

    def __str__(self) -> str:
        return f"{self.topic}-{self.topic_partition.partition}"

    @property
    def high_watermark(self) -> Offset:
        return self.leader.high_watermark if self.leader is not None else self._high_watermark

    @property
    def is_damaged(self) -> bool:
        """True when records that this replica has acknowledged may be lost: bytes that have changed, or, where nothing is
        synced before it is acknowledged, a sync that failed."""
        damaged = isinstance(self.offline, CorruptionError)
        return damaged or (self.offline is not None and not self._counts_flushed)

    @property
    def is_leader(self) -> bool:
        return self.leader is not None

    # Roles

    def lead(self, state: PartitionState, *, min_insync_replicas: int) -> None:
        """Take the leadership that the image gives, or take over a new ISR in the same leadership."""
        self.set_min_insync_replicas(min_insync_replicas)
        if self.leader is not None and state.leader_epoch == self.leader_epoch:
            self.state = state
            if self.leader.replicas != state.replicas:
                self.leader.set_replicas(state.replicas)
            if self.leader.on_isr_committed(state.isr, state.partition_epoch, state.elr):
                self._watermark_moved()
            self._isr_may_change(self)
            return
        high_watermark = self.high_watermark
        # From one epoch to the next nobody else can have led: what waits for its commit waits on in the same log.
        self._leave_role(keep_commits=self.leader is not None and state.leader_epoch == self.leader_epoch + 1)
        self.state = state
        self.leader_id = self._node_id
        self.leader_epoch = state.leader_epoch
        self.log.begin_epoch(state.leader_epoch)
        self.leader = LeaderState(
            node_id=self._node_id,
            leader_epoch=state.leader_epoch,
            partition_epoch=state.partition_epoch,
            replicas=state.replicas,
            isr=state.isr,
            elr=state.elr,
            epoch_start_offset=self.log.log_end_offset,
            log_end_offset=self.log.log_end_offset,
            counted_offset=self._counted(),
            high_watermark=high_watermark,
            min_insync_replicas=min_insync_replicas,
            now=self._now(),
            lag_time_max_s=self._lag_time_max_s,
        )
        if self._counts_flushed and self.log.flushed_offset < self.log.log_end_offset:
            self._flusher.request(self)
        # An ISR of one commits what it has without waiting for anybody's fetch.
        self._local_progress()
        _log.debug("%s: leading in epoch %d from offset %d", self, self.leader_epoch, self.log.log_end_offset)

    def set_min_insync_replicas(self, count: int) -> None:
        """What the topic asks of acks=all from now on."""
        self.min_insync_replicas = count
        if self.leader is not None and self.leader.set_min_insync_replicas(count):
            self._watermark_moved()

    def follow(self, state: PartitionState) -> None:
        """Follow the leader that the image names (it may name nobody)."""
        if self.leader is not None:
            self._high_watermark = self.leader.high_watermark
            _log.debug("%s: no longer leading, epoch %d", self, state.leader_epoch)
        if self.leader is not None or state.leader_epoch != self.leader_epoch:
            self._leave_role()
        self.leader = None
        self.state = state
        self.leader_id = state.leader
        self.leader_epoch = state.leader_epoch

    def leave(self) -> None:
        """The image has no replica here any more: serve nothing from now on, whenever the log is deleted."""
        self.close()
        self.state = None
        self.leader_id = NO_NODE
        self.leader_epoch = NO_EPOCH

    def close(self, code: ErrorCode = ErrorCode.NOT_LEADER_OR_FOLLOWER) -> None:
        """Answer everything that waits; the log is closed by whoever owns its directory."""
        if self.leader is not None:
            self._high_watermark = self.leader.high_watermark
        self.leader = None
        self.waiting_commits.fail(code)
        self.waiting_fetches.role_changed()

    def take_offline(self, error: StorageError | CorruptionError) -> None:
        """Stop serving this replica: its bytes are damaged or its disk is gone (I15)."""
        if self.offline is None:
            self.offline = error
            _log.error("%s goes offline: %s", self, error)
            self.close(ErrorCode.KAFKA_STORAGE_ERROR)
            self._went_offline()

    def device_failed(self, error: StorageError) -> None:
        """A write or a sync of this log failed: its directory goes offline, and this replica with it in any case."""
        self._device_failed(self, error)
        self.take_offline(error)

    def _leave_role(self, *, keep_commits: bool = False) -> None:
        if not keep_commits:
            self.waiting_commits.fail(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        self.waiting_fetches.role_changed()
        self._follower_starts.clear()
        self._starts_moved.set()

    # Checks

    def check_leader(self, current_leader_epoch: LeaderEpoch) -> LeaderState:
        """The leader's state, or why this replica may not answer.

        Raises:
            ApiError: KAFKA_STORAGE_ERROR, NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH (KIP-320).
        """
        if self.offline is not None:
            raise ApiError(ErrorCode.KAFKA_STORAGE_ERROR, str(self.offline))
        if self.leader is None:
            raise ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        if current_leader_epoch not in (self.leader_epoch, NO_EPOCH):
            stale = current_leader_epoch < self.leader_epoch
            raise ApiError(ErrorCode.FENCED_LEADER_EPOCH if stale else ErrorCode.UNKNOWN_LEADER_EPOCH)
        return self.leader

    def check_follower(self, current_leader_epoch: LeaderEpoch) -> None:
        """Whether this replica, which does not lead, may serve a consumer (KIP-392).

        Raises:
            ApiError: KAFKA_STORAGE_ERROR, NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH.
        """
        if self.offline is not None:
            raise ApiError(ErrorCode.KAFKA_STORAGE_ERROR, str(self.offline))
        if self.state is None:
            # No replica any more, or not yet: nobody keeps this log in step.
            raise ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        if current_leader_epoch not in (NO_EPOCH, self.leader_epoch):
            stale = current_leader_epoch < self.leader_epoch
            raise ApiError(ErrorCode.FENCED_LEADER_EPOCH if stale else ErrorCode.UNKNOWN_LEADER_EPOCH)

    # Leading

    def append(self, records: memoryview, *, epoch: LeaderEpoch, needs_isr: bool, now_ms: TimestampMs) -> Appended:
        """Append what a producer sent; the view is stamped in place and not needed afterwards.

        What an idempotent producer repeats is answered with where it stands (`bytes` is 0), and nothing is appended.

        Raises:
            ApiError: refused, nothing was appended.
        """
        leader = self.check_leader(epoch)
        if needs_isr and not leader.can_commit:
            raise ApiError(
                ErrorCode.NOT_ENOUGH_REPLICAS,
                f"{self} has {len(leader.isr)} in-sync replicas of the {leader.least_isr} that it needs",
            )
        try:
            appended = self.log.append_as_leader(records, leader_epoch=self.leader_epoch, now_ms=now_ms)
        except DiskFullError as error:
            raise ApiError(ErrorCode.KAFKA_STORAGE_ERROR, str(error)) from error
        except StorageError as error:
            self.device_failed(error)
            raise ApiError(ErrorCode.KAFKA_STORAGE_ERROR, str(error)) from error
        if not appended.bytes:
            return appended
        counters = self.counters
        counters.bytes_in += appended.bytes
        counters.records_in += appended.records
        if self._counts_flushed or self.log.wants_sync:
            self._flusher.request(self)
        self.waiting_fetches.log_end_moved()
        self._local_progress()
        return appended

    def on_replica_fetch(
        self,
        node_id: NodeId,
        *,
        fetch_offset: Offset,
        flushed_offset: Offset,
        broker_epoch: BrokerEpoch,
        log_start_offset: Offset = NO_OFFSET,
    ) -> None:
        """A follower has everything from `log_start_offset` to `fetch_offset`, and below `flushed_offset` on its disk."""
        assert self.leader is not None
        if self._follower_starts.get(node_id) != log_start_offset:
            self._follower_starts[node_id] = log_start_offset
            self._starts_moved.set()
        moved = self.leader.on_fetch(
            node_id,
            fetch_offset=fetch_offset,
            counted_offset=min(flushed_offset, fetch_offset) if self._counts_flushed else fetch_offset,
            broker_epoch=broker_epoch,
            now=self._now(),
        )
        if moved:
            self._watermark_moved()
        if len(self.leader.isr) < len(self.leader.replicas):
            self._isr_may_change(self)

    def on_replica_waits(self, node_id: NodeId, *, broker_epoch: BrokerEpoch) -> None:
        """A follower asks again from where it has asked before: it lives, and has come no further."""
        assert self.leader is not None
        self.leader.on_same_fetch(node_id, broker_epoch=broker_epoch, now=self._now())
        if len(self.leader.isr) < len(self.leader.replicas):
            self._isr_may_change(self)

    # Deleting records

    def delete_records_before(self, offset: Offset | None) -> Offset:
        """Raise the log start to `offset`, or to the high watermark; the offset that it stands for (KIP-107).

        In memory: who answers for it makes it durable first (`LogDirs.save_log_starts`).

        Raises:
            ApiError: as `check_leader`, POLICY_VIOLATION, OFFSET_OUT_OF_RANGE.
        """
        self.check_leader(NO_EPOCH)
        if not self.log.config.deletes:
            raise ApiError(ErrorCode.POLICY_VIOLATION, f"cleanup.policy of {self} does not include delete")
        wanted = self.high_watermark if offset is None else offset
        if not 0 <= wanted <= self.high_watermark:
            raise ApiError(ErrorCode.OFFSET_OUT_OF_RANGE, f"{wanted} is not in [0, {self.high_watermark}] of {self}")
        if self.log.advance_log_start(wanted):
            # Followers hear of it at once, not when their poll is over.
            self.waiting_fetches.log_end_moved()
        return wanted

    def low_watermark(self, is_active: Callable[[NodeId], bool]) -> Offset:
        """The lowest log start among the replicas on live brokers, as far as they have told; -1 while one has not."""
        assert self.leader is not None
        others = (each for each in self.leader.replicas if each != self._node_id and is_active(each))
        return min((self._follower_starts.get(each, NO_OFFSET) for each in others), default=self.log.log_start_offset)

    async def log_starts_moved(self, *, timeout_s: float) -> None:
        """Wait until a follower tells of another log start, at most so long."""
        self._starts_moved.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._starts_moved.wait()
        except TimeoutError:
            return

    def isr_refused(self, partition_epoch: PartitionEpoch) -> None:
        """The controller did not take the proposed ISR; `partition_epoch` is the one that it has in force."""
        if self.leader is not None and self.leader.on_isr_refused(partition_epoch=partition_epoch):
            self._watermark_moved()

    def files_to_sync(self) -> tuple[list[File], Offset]:
        return self.log.files_to_sync()

    def on_flushed(self, end: Offset, files: list[File]) -> None:
        """The flusher made everything below `end` durable."""
        self.log.mark_flushed(end, files)
        self._local_progress()

    def _counted(self) -> Offset:
        return self.log.flushed_offset if self._counts_flushed else self.log.log_end_offset

    def _local_progress(self) -> None:
        leader, log = self.leader, self.log
        if leader is not None and leader.on_local(
            log_end_offset=log.log_end_offset,
            counted_offset=log.flushed_offset if self._counts_flushed else log.log_end_offset,
        ):
            self._watermark_moved()

    def _watermark_moved(self) -> None:
        if self.waiting_commits:
            self.waiting_commits.complete(self.high_watermark)
        self.waiting_fetches.watermark_moved()

    # Following

    def set_follower_watermark(self, leader_watermark: Offset) -> None:
        """The leader's high watermark, as far as this log reaches; it never goes back here either (I7)."""
        reachable = min(leader_watermark, self.log.log_end_offset)
        if reachable > self._high_watermark:
            self._high_watermark = Offset(reachable)
            self.waiting_fetches.watermark_moved()

    def truncated(self) -> None:
        """The log was cut: what lay above its end was never committed."""
        self._high_watermark = _within(self.log, self._high_watermark)


def _within(log: Log, high_watermark: Offset) -> Offset:
    """I13: log start <= high watermark <= log end. What lies before the log start was committed before it went."""
    return Offset(max(log.log_start_offset, min(high_watermark, log.log_end_offset)))
