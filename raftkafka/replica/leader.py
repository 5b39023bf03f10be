"""The leader's view of one partition: how far its followers are, who is in sync, and what is committed.

Floor 1, pure. Invariants kept here:
- I5: the set that the high watermark waits for contains the committed ISR, and the ISR that is proposed but not committed
  yet. So neither an expansion nor a shrink that the controller may or may not have made can lose a committed record.
- I4: a follower is proposed for the ISR only when it has reached the high watermark and the start of this leader's epoch.
- I1: below `min.insync.replicas` the high watermark is frozen, and so it is while the controller counts on eligible leader
  replicas (KIP-966): they have what was committed when they left the ISR, and must not come to lack anything (I4).
- I7: the high watermark never goes back, and consumers are not served until it has reached the start of this epoch.

Times are seconds of one monotonic clock. "Counted" is the offset below which a replica's records count for the high
watermark: what it has synced under `log.flush.policy=group`, what it has at all under `os` and `interval`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from raftkafka.model.api.broker_lifecycle import IsrMember
from raftkafka.model.ids import (
    NO_BROKER_EPOCH,
    NO_OFFSET,
    BrokerEpoch,
    LeaderEpoch,
    NodeId,
    Offset,
    PartitionEpoch,
)

_NEVER = float("-inf")


class Follower:
    """What the leader knows of one follower since this leadership began; offsets are -1 until it has fetched."""

    __slots__ = (
        "broker_epoch",
        "caught_up_at",
        "counted_offset",
        "fetch_offset",
        "last_fetch_at",
        "last_fetch_leader_end",
        "told_watermark",
    )

    def __init__(self, *, caught_up_at: float) -> None:
        self.fetch_offset: Offset = NO_OFFSET
        self.counted_offset: Offset = NO_OFFSET
        self.broker_epoch: BrokerEpoch = NO_BROKER_EPOCH
        self.caught_up_at = caught_up_at
        self.last_fetch_at = _NEVER
        self.last_fetch_leader_end: Offset = NO_OFFSET
        self.told_watermark: Offset = NO_OFFSET
        """The high watermark in the last answer to it: up to there it can serve consumers, if the answer arrived."""


class LeaderState:
    """One leadership of one partition: a new leader epoch takes a new one. Attributes are for reading."""

    __slots__ = (
        "_counted",
        "_followers",
        "_in_sync",
        "_lag_time_max_s",
        "_min_insync_replicas",
        "can_commit",
        "elr",
        "epoch_start_offset",
        "high_watermark",
        "isr",
        "leader_epoch",
        "log_end_offset",
        "node_id",
        "partition_epoch",
        "proposed_isr",
        "replicas",
    )

    def __init__(
        self,
        *,
        node_id: NodeId,
        leader_epoch: LeaderEpoch,
        partition_epoch: PartitionEpoch,
        replicas: tuple[NodeId, ...],
        isr: tuple[NodeId, ...],
        epoch_start_offset: Offset,
        log_end_offset: Offset,
        counted_offset: Offset,
        high_watermark: Offset,
        min_insync_replicas: int,
        now: float,
        lag_time_max_s: float,
        elr: tuple[NodeId, ...] = (),
    ) -> None:
        self.node_id = node_id
        self.leader_epoch = leader_epoch
        self.partition_epoch = partition_epoch
        self.replicas = replicas
        self.isr = isr
        self.elr = elr
        self.proposed_isr: tuple[NodeId, ...] | None = None
        self.epoch_start_offset = epoch_start_offset
        self.log_end_offset = log_end_offset
        self.high_watermark = high_watermark
        self._counted = counted_offset
        self._min_insync_replicas = min_insync_replicas
        self._lag_time_max_s = lag_time_max_s
        # Members of the ISR get the grace of one lag time to find the new leader; for others nothing is known.
        self._followers = {
            replica: Follower(caught_up_at=now if replica in isr else _NEVER)
            for replica in replicas
            if replica != node_id
        }
        self._in_sync: tuple[Follower, ...] = ()
        self.can_commit = False
        """False while the committed ISR is too small, by the reckoning of this node or of the controller: acks=all is
        refused, and the high watermark stands still. An attribute, because every append asks twice."""
        self._choose_in_sync()

    @property
    def least_isr(self) -> int:
        """The smallest ISR that may commit: a partition cannot have more in-sync replicas than replicas (KIP-966)."""
        return min(self._min_insync_replicas, len(self.replicas))

    @property
    def counted_offset(self) -> Offset:
        """The leader's own counted offset."""
        return self._counted

    def hw_serves_consumers(self) -> bool:
        """False (OFFSET_NOT_AVAILABLE) until the watermark has reached this epoch's start: it may still be behind what the
        last leader showed (KIP-207, I7)."""
        return self.high_watermark >= self.epoch_start_offset

    def follower(self, node_id: NodeId) -> Follower | None:
        """What is known of a replica other than the leader."""
        return self._followers.get(node_id)

    def set_replicas(self, replicas: tuple[NodeId, ...]) -> None:
        """The replicas have changed in this leader epoch: of a new one nothing is known, of one that is gone nothing is left."""
        self.replicas = replicas
        self._followers = {
            replica: self._followers.get(replica) or Follower(caught_up_at=_NEVER)
            for replica in replicas
            if replica != self.node_id
        }
        self._choose_in_sync()

    # Progress

    def on_local(self, *, log_end_offset: Offset, counted_offset: Offset) -> bool:
        """The leader's own log has grown or was synced. True when the high watermark moved."""
        self.log_end_offset = log_end_offset
        self._counted = max(self._counted, counted_offset)
        return self.high_watermark < self._counted and self._advance()

    def on_fetch(
        self, node_id: NodeId, *, fetch_offset: Offset, counted_offset: Offset, broker_epoch: BrokerEpoch, now: float
    ) -> bool:
        """A follower has everything below `fetch_offset`; only fetches whose last epoch agreed with this log may be given
        here. True when the high watermark moved. Ignored: a node that is no replica, and an offset beyond this log's end,
        which no log that agrees with this one can have.
        """
        follower = self._followers.get(node_id)
        end = self.log_end_offset
        if follower is None or fetch_offset > end:
            return False
        if broker_epoch != follower.broker_epoch:
            if broker_epoch < follower.broker_epoch:
                # A fetch of an earlier incarnation that was still under way says nothing of the disk as it is now.
                return False
            if follower.broker_epoch != NO_BROKER_EPOCH:
                follower.last_fetch_at, follower.last_fetch_leader_end = _NEVER, NO_OFFSET
            follower.broker_epoch = broker_epoch
        # Kafka's rule (Replica.updateFetchStateOrThrow): who now has all that the leader had at the previous fetch was
        # caught up at the time of that fetch. Without it a follower of a busy leader would never count as caught up.
        if fetch_offset >= end:
            follower.caught_up_at = now
        elif fetch_offset >= follower.last_fetch_leader_end and follower.last_fetch_at > follower.caught_up_at:
            follower.caught_up_at = follower.last_fetch_at
        follower.last_fetch_at = now
        follower.last_fetch_leader_end = end
        follower.fetch_offset = fetch_offset
        before = follower.counted_offset
        follower.counted_offset = min(counted_offset, fetch_offset)
        return before <= self.high_watermark < follower.counted_offset and self._advance()

    def on_same_fetch(self, node_id: NodeId, *, broker_epoch: BrokerEpoch, now: float) -> None:
        """A follower repeats its last fetch, which a fetch session spares it to spell out (KIP-227)."""
        follower = self._followers.get(node_id)
        if follower is not None and follower.fetch_offset >= 0:
            self.on_fetch(
                node_id,
                fetch_offset=follower.fetch_offset,
                counted_offset=follower.counted_offset,
                broker_epoch=broker_epoch,
                now=now,
            )

    # ISR

    def isr_proposal(self, now: float, is_eligible: Callable[[NodeId], bool]) -> tuple[IsrMember, ...] | None:
        """The ISR that the controller should be asked for; None when it is right as it is, or while one is proposed.

        `is_eligible` says whether a broker may join (registered, unfenced, not shutting down). The leader is always a
        member; the broker epoch of the leader and of members that have not fetched from it is -1, "the registered one".
        """
        if self.proposed_isr is not None:
            return None
        target = [each for each in self.replicas if self._belongs(each, now, is_eligible)]
        if len(target) == len(self.isr) and set(target) == set(self.isr):
            return None
        return tuple([IsrMember(node_id=each, broker_epoch=self._broker_epoch(each)) for each in target])

    def on_isr_proposed(self, isr: Iterable[IsrMember]) -> None:
        """The proposal is about to be sent: from now on the watermark waits for its members as well (I5)."""
        self.proposed_isr = tuple([member.node_id for member in isr])
        self._choose_in_sync()

    def on_isr_committed(
        self, isr: tuple[NodeId, ...], partition_epoch: PartitionEpoch, elr: tuple[NodeId, ...] = ()
    ) -> bool:
        """The controller's ISR and ELR in this leader epoch, by its answer or by the image. True when the watermark moved.

        Both tell, in any order: an epoch that is not newer says nothing new, and does not end a proposal either, because it
        may have been on its way since before that.
        """
        if partition_epoch <= self.partition_epoch:
            return False
        self.partition_epoch = partition_epoch
        self.isr = isr
        self.elr = elr
        # A proposal was for an older epoch: by now it has been committed, or never will be.
        self.proposed_isr = None
        self._choose_in_sync()
        return self._advance()

    def on_isr_refused(self, *, partition_epoch: PartitionEpoch) -> bool:
        """The controller answered that it did not take the proposal; `partition_epoch` is the one that it has in force. True
        when the watermark moved.

        Not to be called for a lost answer: the outcome is unknown, and the watermark has to wait for both ISRs until the
        image, or the answer to the same proposal sent again, tells. Nor does a refusal end the proposal when the epoch in
        force is a newer one, because an earlier try may have made it: `on_isr_committed` will tell.
        """
        if partition_epoch != self.partition_epoch:
            return False
        self.proposed_isr = None
        self._choose_in_sync()
        return self._advance()

    def set_min_insync_replicas(self, count: int) -> bool:
        """The topic's config has changed. True when the watermark moved."""
        self._min_insync_replicas = count
        self._choose_in_sync()
        return self._advance()

    # Inside

    def _belongs(self, node_id: NodeId, now: float, is_eligible: Callable[[NodeId], bool]) -> bool:
        follower = self._followers.get(node_id)
        if follower is None:
            return True
        if node_id in self.isr:
            # Who has the whole log is in sync however long nothing was appended (and however slow the last poll was).
            return follower.fetch_offset >= self.log_end_offset or now - follower.caught_up_at <= self._lag_time_max_s
        return (
            follower.counted_offset >= self.high_watermark
            and follower.counted_offset >= self.epoch_start_offset
            and now - follower.caught_up_at <= self._lag_time_max_s
            and is_eligible(node_id)
        )

    def _broker_epoch(self, node_id: NodeId) -> BrokerEpoch:
        follower = self._followers.get(node_id)
        return NO_BROKER_EPOCH if follower is None else follower.broker_epoch

    def _choose_in_sync(self) -> None:
        members = {*self.isr, *(self.proposed_isr or ())}
        self._in_sync = tuple([follower for node_id, follower in self._followers.items() if node_id in members])
        self.can_commit = len(self.isr) >= self.least_isr and not self.elr

    def _advance(self) -> bool:
        if not self.can_commit:
            return False
        lowest = self._counted
        for follower in self._in_sync:
            lowest = min(lowest, follower.counted_offset)
        if lowest <= self.high_watermark:
            return False
        self.high_watermark = lowest
        return True
