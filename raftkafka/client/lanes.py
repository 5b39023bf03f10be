"""Batches, and the lane that those of one partition travel in. Floor 3.

Invariant: a lane's batches leave and come back in order. One request of a lane is under way at a time; several only where brokers
can tell that one is missing (see `sender` for why).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import Final, NamedTuple

from raftkafka.client.channels import Channel
from raftkafka.client.compiled import Filling
from raftkafka.client.delivery import Outcome
from raftkafka.client.types import UNKNOWN_OFFSET, TopicPartition
from raftkafka.model.errors import ApiError, ErrorCode, RaftKafkaError
from raftkafka.model.ids import NO_PRODUCER_ID, LeaderEpoch, ProducerId, TopicId
from raftkafka.model.passing import passing_tuple
from raftkafka.record.build import encode_records
from raftkafka.record.header import HEADER_BYTES, set_producer
from raftkafka.record.layout import RecordFields
from raftkafka.replica.producers import BATCHES_REMEMBERED, sequence_after

PRODUCER_EPOCH_MAX: Final = (1 << 15) - 1

FOLLOWING_BATCHES: Final = 3
"""The most batches of a lane in one request where others may follow: fewer than all, so that they do."""

OnDone = Callable[[int, ApiError | None], None]
"""Told once: the base offset, or why not."""


class Batch(Filling):
    """Records that become one record batch; `deadline` is on the event loop's clock."""

    __slots__ = (
        "_compression",
        "_finished",
        "_held_count",
        "created",
        "deadline",
        "doubtful",
        "numbers",
        "on_done",
        "sent",
    )

    def __init__(self, *, created: float, deadline: float, compression: int, loop: asyncio.AbstractEventLoop) -> None:
        self.created = created
        self.deadline = deadline
        self.records: list[RecordFields] = []
        self.outcome = Outcome(loop)
        self._held_count = 0
        self.size_bytes = HEADER_BYTES
        """An upper bound of the encoded size until `encode`; it is what counts against the memory bound."""
        self.sent = False
        """True once a request carried it: from then on a failure leaves the outcome unknown (I18)."""
        self.doubtful = False
        """True once a request that carried it may have been carried out, whatever the answers to later ones say."""
        self.numbers: tuple[ProducerId, int, int] | None = None
        """Producer id, epoch and base sequence; None where the producer is not idempotent, and until it is sent first."""
        self.on_done: OnDone | None = None
        self._compression = compression
        self.encoded: bytearray | None = None
        self._finished: asyncio.Future[None] | None = None

    def finished(self) -> asyncio.Future[None]:
        """Set once the batch is acknowledged or failed, whichever it is; made for who asks, since few do."""
        if self._finished is None:
            self._finished = self.outcome.loop.create_future()
        return self._finished

    @property
    def open(self) -> bool:
        """True while records may still be added."""
        return self.encoded is None

    @property
    def record_count(self) -> int:
        return self._held_count or len(self.records)

    def hold(self, encoded: bytearray, record_count: int, on_done: OnDone) -> None:
        """Take a batch that somebody has encoded already; nothing more is added to it."""
        self.encoded = encoded
        self.size_bytes = len(encoded)
        self._held_count = record_count
        self.on_done = on_done

    def number(self, producer_id: ProducerId, epoch: int, sequence: int) -> None:
        """Give the batch the numbers by which brokers recognize it (KIP-98)."""
        self.numbers = (producer_id, epoch, sequence)
        if self.encoded is None:
            self.encoded = encode_records(
                self.records,
                producer_id=producer_id,
                producer_epoch=epoch,
                base_sequence=sequence,
                compression=self._compression,
            )
        else:
            set_producer(self.encoded, 0, producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence)

    def encode(self) -> bytearray:
        if self.encoded is None:
            self.encoded = encode_records(self.records, compression=self._compression)
        return self.encoded

    def succeed(self, topic_partition: TopicPartition, base_offset: int, log_append_time_ms: int) -> None:
        """Tell everybody the offsets; `log_append_time_ms` is -1 unless the topic uses the broker's time."""
        self.outcome.succeed(topic_partition, base_offset, log_append_time_ms, self.records)
        self._finish(base_offset, None)

    def fail(self, error: ApiError) -> None:
        self.outcome.fail(error, len(self.records))
        self._finish(UNKNOWN_OFFSET, error)

    def _finish(self, base_offset: int, error: ApiError | None) -> None:
        if self.on_done is not None:
            self.on_done(base_offset, error)
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)


@passing_tuple
class Delivered(NamedTuple):
    """An answer that acknowledges a flight."""

    base_offset: int
    log_append_time_ms: int


class Failed(NamedTuple):
    """An answer that does not, or none. `in_doubt`: the batches may have been written all the same."""

    error: RaftKafkaError
    in_doubt: bool
    at_once: bool
    """The answer named a new leader: no reason to wait."""

    @property
    def may_pass(self) -> bool:
        """True when another try may succeed without a change."""
        return not isinstance(self.error, ApiError) or self.error.code.retriable


def _was_written(outcome: Delivered | Failed | None) -> bool:
    if isinstance(outcome, Failed):
        return isinstance(outcome.error, ApiError) and outcome.error.code is ErrorCode.DUPLICATE_SEQUENCE_NUMBER
    return outcome is not None


class Flight:
    """The batches of one lane in one request. `outcome` is None until its answer is there, or will never come."""

    __slots__ = ("batches", "channel", "leader_epoch", "outcome", "topic_id")

    def __init__(self, batches: list[Batch], channel: Channel, topic_id: TopicId, leader_epoch: LeaderEpoch) -> None:
        self.batches = batches
        self.channel = channel
        self.topic_id = topic_id
        self.leader_epoch = leader_epoch
        self.outcome: Delivered | Failed | None = None


class Lane:
    """The batches of one partition, oldest first; those in `flights` left before all that wait.

    With an idempotent producer they are numbered when they first leave, in that order. Sequences are counted per partition,
    so each lane keeps an epoch of its own and bumps it alone (KIP-360): whenever a batch is given up whose number was
    used, what follows begins a new epoch with sequence 0. Doubtful batches keep their numbers, and stand first.
    """

    __slots__ = (
        "epoch",
        "failures",
        "flights",
        "followable",
        "last_error",
        "next_sequence",
        "not_before",
        "one_by_one",
        "producer_id",
        "spent_id",
        "timer",
        "topic_partition",
        "tried_epoch",
        "waiting",
    )

    def __init__(self, topic_partition: TopicPartition) -> None:
        self.topic_partition = topic_partition
        self.waiting: deque[Batch] = deque()
        self.flights: deque[Flight] = deque()
        self.followable = False
        """The leader has acknowledged a batch under the present numbers, and nothing has failed since: it would notice a gap."""
        self.failures = 0
        """In a row; sets the distance to the next try."""
        self.not_before = 0.0
        self.tried_epoch = -1
        """The leader epoch of the last try; a higher one is a reason not to wait any longer."""
        self.one_by_one = False
        """Set when several batches were refused together: sent alone, the guilty one fails alone."""
        self.last_error: BaseException | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.producer_id = NO_PRODUCER_ID
        self.spent_id = NO_PRODUCER_ID
        """An id whose epochs this lane has used up."""
        self.epoch = 0
        self.next_sequence = 0

    def adopt(self, producer_id: ProducerId) -> None:
        """Number batches under this id from now on."""
        self.producer_id, self.epoch, self.next_sequence = producer_id, 0, 0
        self.followable = False

    def number(self, batches: Iterable[Batch]) -> None:
        """Number what has none yet."""
        for batch in batches:
            if batch.numbers is None:
                batch.number(self.producer_id, self.epoch, self.next_sequence)
                self.next_sequence = sequence_after(self.next_sequence, batch.record_count)

    def begin_epoch(self) -> None:
        """A number that was used will not be sent again: what follows must not be taken for what is missing."""
        for batch in self.waiting:
            if not batch.doubtful:
                batch.numbers = None
        self.next_sequence = 0
        self.followable = False
        self.epoch += 1
        if self.epoch > PRODUCER_EPOCH_MAX and self.producer_id >= 0:
            self.spent_id, self.producer_id = self.producer_id, NO_PRODUCER_ID

    def ready_at(self, *, linger_s: float, batch_size: int, flushing: bool) -> float:
        """When the head may be sent, on the event loop's clock."""
        head = self.waiting[0]
        if flushing or len(self.waiting) > 1 or not head.open or head.size_bytes >= batch_size:
            return self.not_before
        return max(self.not_before, head.created + linger_s)

    def may_leave(self, batch_size: int) -> bool:
        """Whether something may be sent: nothing is under way, or full batches may follow what is.

        Less than a full batch waits for the answer, and travels with what comes until then.
        """
        waiting = self.waiting
        if not waiting:
            return False
        if not self.flights:
            return True
        head = waiting[0]
        return (
            self.followable
            and not head.doubtful
            and (len(waiting) > 1 or not head.open or head.size_bytes >= batch_size)
            and self._under_way() < BATCHES_REMEMBERED
        )

    def may_use(self, channel: Channel, topic_id: TopicId, leader_epoch: LeaderEpoch) -> bool:
        """Whether what is under way went the same way: only on one connection to one leadership nothing overtakes."""
        if not self.flights:
            return True
        last = self.flights[-1]
        return last.channel is channel and last.topic_id == topic_id and last.leader_epoch == leader_epoch

    def _under_way(self) -> int:
        return sum([len(flight.batches) for flight in self.flights]) if self.flights else 0

    def take(self, room_bytes: int, *, at_least_one: bool) -> list[Batch]:
        """Take batches out, oldest first, as many as fit.

        Doubtful ones leave together and alone, as they left before: then a broker knows all of them, or none.
        """
        taken: list[Batch] = []
        waiting = self.waiting
        head = waiting[0] if waiting else None
        if head is not None and head.doubtful and head.numbers is not None and not self.one_by_one:
            group = list(takewhile(lambda batch: batch.doubtful, waiting))
            if at_least_one or sum([batch.size_bytes for batch in group]) <= room_bytes:
                taken = [waiting.popleft() for _ in group]
            return taken
        count = len(waiting)
        if self.followable:
            count = min(FOLLOWING_BATCHES, BATCHES_REMEMBERED - self._under_way())
        elif self.producer_id >= 0:
            count = BATCHES_REMEMBERED
        while waiting and len(taken) < count and (waiting[0].size_bytes <= room_bytes or (at_least_one and not taken)):
            batch = waiting.popleft()
            room_bytes -= batch.size_bytes
            taken.append(batch)
            if self.one_by_one or (self.flights and len(waiting) == 1 and waiting[0].open):
                break  # what follows is full: the last batch may grow until the next answer
        return taken

    def put_back(self) -> Failed:
        """All flights have ended and the first has failed: what was under way waits again, before everything sent later.

        Doubtful batches come to stand first. A later flight that was acknowledged proves that those before it were
        written, so all of these are in doubt until the broker says where they stand. Behind a flight that certainly was not
        written nothing was either; one that the broker calls a repetition was written, and hides nothing behind it.
        """
        first = self.flights[0].outcome
        assert isinstance(first, Failed)
        flights = list(self.flights)
        self.flights.clear()
        written = max([at for at, flight in enumerate(flights) if _was_written(flight.outcome)], default=-1)
        possible = True
        for at, flight in enumerate(flights):
            outcome = flight.outcome
            possible = possible and (at <= written or (isinstance(outcome, Failed) and outcome.in_doubt))
            if possible:
                for batch in flight.batches:
                    batch.doubtful = True
        self.waiting.extendleft([batch for flight in reversed(flights) for batch in reversed(flight.batches)])
        self.followable = False
        return first

    def hold_back(self, until: float, *, tried_epoch: int) -> None:
        """Not before `until` (on the event loop's clock), unless leadership moves on from `tried_epoch`."""
        self.failures += 1
        self.not_before = until
        self.tried_epoch = max(self.tried_epoch, tried_epoch)
