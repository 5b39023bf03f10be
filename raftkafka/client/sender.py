"""Takes batches to the leaders of their partitions, and takes back what failed. Floor 3.

Why order holds without an idempotent broker: a partition has at most one request under way, and that request carries every batch
that was ready (a broker accepts or refuses the batches of one request together). A failed request goes back to the head of its
lane, and nothing of that partition leaves before it is settled. With more than one under way, the first could fail (too few
in-sync replicas, a time-out) and the second succeed; no client can mend that afterwards.

With an idempotent producer (`identity`) a batch is numbered when it first leaves and keeps its numbers over retries, so that a
broker recognizes it: one copy. Up to five batches of a partition are then under way, in several requests: a leader that knows the
producer refuses what comes after a gap (OUT_OF_ORDER_SEQUENCE_NUMBER). One that does not know it takes any sequence, so requests
follow each other only after a first acknowledgement under the present numbers, and only on one connection, to one leadership.
Answers are settled in the order of sending. Once one has failed nothing more leaves, and when all are there everything from the
failed one on goes back to the head of the lane; then one request at a time, until one is acknowledged again.

Batches of which nobody knows what became leave together again, and nothing else
with them. When such a batch is given up, the others that were with it are still sent with their numbers; a broker that
has not got them says so, and then their outcome is unknown too: under new numbers they might be written twice.

Without one, a retry may write a second copy when only the answer was lost (at least once). A copy that is still on its way on a
closed connection is refused as soon as leadership moves, because every request names the leader epoch it is meant for.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

from raftkafka.client.accumulator import Accumulator
from raftkafka.client.backoff import Backoff
from raftkafka.client.channels import Channel
from raftkafka.client.deadlines import Deadlines
from raftkafka.client.gate import Gate
from raftkafka.client.identity import Identity
from raftkafka.client.lanes import Batch, Delivered, Failed, Flight, Lane
from raftkafka.client.routing import Router
from raftkafka.client.silence import SILENCE_S, Owed
from raftkafka.client.types import UNKNOWN_OFFSET
from raftkafka.model.api import Response
from raftkafka.model.api.produce import Produce, ProducePartition, ProducePartitionResponse, ProduceResponse
from raftkafka.model.errors import ApiError, ErrorCode, ProtocolError, RaftKafkaError
from raftkafka.model.ids import NO_NODE, NO_TIMESTAMP, LeaderEpoch, NodeId, PartitionIndex, TopicId

_log = logging.getLogger("raftkafka.client")

_NONE: Final = ErrorCode.NONE  # to look a member up in its enum costs ten times what a global does

_TAKEN: Final = Delivered(UNKNOWN_OFFSET, NO_TIMESTAMP)
"""It was taken, and nobody says where it stands."""

ANSWER_GRACE_S: Final = 0.5
"""The broker gives up after the time named in the request and says so; the client waits this much longer for it to say."""

LEADERSHIP_ERRORS: Final = frozenset(
    {
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.INCONSISTENT_TOPIC_ID,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.REPLICA_NOT_AVAILABLE,
        ErrorCode.BROKER_NOT_AVAILABLE,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.NEW_LEADER_ELECTED,
    }
)
"""Answers that say: ask for the leader again."""


NOTHING_WRITTEN: Final = frozenset(
    {
        ErrorCode.NOT_ENOUGH_REPLICAS,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.UNKNOWN_TOPIC_ID,
    }
)
"""Retriable answers that are given before anything is appended; after any other the outcome is in doubt.

UNKNOWN_TOPIC_OR_PARTITION is not among them: it also ends the waits on a topic that is being deleted.
"""

WRONG_NUMBERS: Final = frozenset(
    {
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
        ErrorCode.UNKNOWN_PRODUCER_ID,
        ErrorCode.INVALID_PRODUCER_EPOCH,
    }
)
"""Answers that say: these numbers do not follow those that I have. Begin a new epoch (KIP-360)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderSettings:
    """Times in seconds, sizes in bytes."""

    acks: int
    linger_s: float
    max_request_size: int
    max_in_flight: int
    request_timeout_s: float
    backoff: Backoff


class _Request:
    """A produce request under way: all its lanes have their leader there, and a flight each, in that order."""

    __slots__ = ("channel", "flights", "lanes", "leader")

    def __init__(self, leader: NodeId, channel: Channel, lanes: list[Lane], flights: list[Flight]) -> None:
        self.leader = leader
        self.channel = channel
        self.lanes = lanes
        self.flights = flights


class Sender:
    """`wake` a lane whenever something was added to it; everything else happens by answers, timers and refreshes."""

    def __init__(
        self,
        *,
        router: Router,
        accumulator: Accumulator,
        settings: SenderSettings,
        random: Random,
        identity: Identity | None,
    ) -> None:
        """`identity` makes the producer idempotent; whoever made it lets it call `identity_known`."""
        self._identity = identity
        self._router = router
        self._accumulator = accumulator
        self._settings = settings
        self._random = random
        self._loop = asyncio.get_running_loop()
        self._ready: dict[Lane, None] = {}
        self._pumping = False
        self._one_by_one = False
        """The last request carried one record: somebody sends one at a time, and waits for each."""
        self._flushing = 0
        self._owed: Owed[_Request] = Owed(
            router=router,
            moved=lambda sent: any(map(self._leader_moved, sent.lanes)),
            abandon=lambda sent: sent.channel.abort(),
            silence_s=SILENCE_S,
        )
        self._gate = Gate(
            router=router,
            max_in_flight=settings.max_in_flight if settings.acks != 0 else None,
            wake=self.wake,
            unreachable=self._hold_back,
        )
        self._deadlines = Deadlines(accumulator=accumulator, cause=self._cause)
        self._stopped = False
        router.on_update.append(self._on_update)

    async def flush(self) -> None:
        """Send everything that was added before, without lingering, and wait until it is acknowledged or failed."""
        self._flushing += 1
        try:
            self._wake_all()
            incomplete = self._accumulator.incomplete()
            if incomplete:
                await asyncio.wait(incomplete)
        finally:
            self._flushing -= 1

    def stop(self) -> None:
        """Send nothing more; what is left fails."""
        self._stopped = True
        self._router.on_update.remove(self._on_update)
        self._owed.stop()
        self._deadlines.stop()
        self._gate.stop()
        for lane in self._accumulator.lanes.values():
            if lane.timer is not None:
                lane.timer.cancel()
        self._accumulator.fail_everything(
            ApiError(ErrorCode.REQUEST_TIMED_OUT, "the producer was stopped before the answer; the outcome is unknown")
        )

    def wake(self, lane: Lane) -> None:
        """Look at this lane on the next turn of the loop: what is sent within one turn travels together."""
        self._ready[lane] = None
        if not self._pumping and not self._stopped:
            self._pumping = True
            self._loop.call_soon(self._pump)
        self._deadlines.watch()

    def wake_awaited(self, lane: Lane) -> None:
        """As `wake`, for a record whose sender does nothing more before its answer.

        Where the last request carried one record, and nothing else is on its way, the next turn of the loop (a system call, and
        a tenth of a round trip) would join nothing to this one: it leaves now. Of several who send at the same time only the
        first one does; the request of the others carries more than one record, and everything goes by turns again.
        """
        if self._one_by_one and self._accumulator.has_one and not self._pumping and not self._stopped:
            self._ready[lane] = None
            self._pump()
            self._deadlines.watch()
        else:
            self.wake(lane)

    def identity_known(self) -> None:
        """There is a producer id, or there will never be one."""
        self._wake_all()

    def _wake_all(self) -> None:
        for lane in self._accumulator.lanes.values():
            if lane.waiting:
                self.wake(lane)

    # Sending

    def _pump(self) -> None:
        self._pumping = False
        if self._stopped:
            return
        ready, self._ready = self._ready, {}
        if self._identity is not None and self._identity.refusal is not None:
            self._accumulator.fail_everything(self._identity.refusal)
            return
        now = self._loop.time()
        batch_size, linger_s = self._accumulator.batch_size, self._settings.linger_s
        by_leader: dict[NodeId, list[Lane]] = {}
        for lane in ready:
            if not lane.may_leave(batch_size):
                continue  # the answer to what is under way wakes the lane
            at = lane.not_before
            if linger_s:
                at = lane.ready_at(linger_s=linger_s, batch_size=batch_size, flushing=self._flushing > 0)
            if at > now:
                self._wake_at(lane, at)
                continue
            name, partition = lane.topic_partition
            leadership = self._router.view.leadership(name, partition)
            if leadership is None or leadership.leader == NO_NODE:
                self._router.request_update()  # `_on_update` wakes the lane
                continue
            if self._identity is not None and lane.producer_id < 0 and not self._may_number(lane, self._identity):
                continue  # `identity_known` wakes the lane
            by_leader.setdefault(leadership.leader, []).append(lane)
        for leader, lanes in by_leader.items():
            self._send_to(leader, lanes)

    @staticmethod
    def _may_number(lane: Lane, identity: Identity) -> bool:
        if identity.producer_id < 0 or identity.producer_id == lane.spent_id:
            identity.renew(lane.spent_id)
            return False
        lane.adopt(identity.producer_id)
        return True

    def _cause(self) -> BaseException | None:
        identity = self._identity
        missing = None if identity is None or identity.producer_id >= 0 else identity.last_error
        return self._router.last_failure or missing

    def _wake_at(self, lane: Lane, at: float) -> None:
        if lane.timer is not None:
            lane.timer.cancel()
        lane.timer = self._loop.call_at(at, self.wake, lane)

    def _send_to(self, leader: NodeId, lanes: list[Lane]) -> None:
        lanes.reverse()
        while lanes:
            channel = self._gate.enter(leader)
            if channel is None:
                self._gate.wait(leader, reversed(lanes))
                return
            chosen: list[Lane] = []
            flights: list[Flight] = []
            room = self._settings.max_request_size
            while lanes:
                lane = lanes[-1]
                topic_id, epoch = self._leadership(lane)
                if not lane.may_use(channel, topic_id, epoch):
                    lanes.pop()  # the answers to what is under way wake it
                    continue
                batches = lane.take(room, at_least_one=not chosen)
                if not batches:
                    break
                for batch in batches:
                    room -= batch.size_bytes
                flight = Flight(batches, channel, topic_id, epoch)
                lane.flights.append(flight)
                flights.append(flight)
                chosen.append(lanes.pop())
            if chosen:
                self._send(leader, channel, chosen, flights)
                for lane in reversed(chosen):
                    if lane.waiting and lane.flights and lane.may_leave(self._accumulator.batch_size):
                        lanes.insert(0, lane)

    def _leadership(self, lane: Lane) -> tuple[TopicId, LeaderEpoch]:
        name, partition = lane.topic_partition
        topic = self._router.view.topic(name)
        assert topic is not None, "a leader was found for it"
        return topic.topic_id, topic.partitions[partition].leader_epoch

    def _send(self, leader: NodeId, channel: Channel, lanes: list[Lane], flights: list[Flight]) -> None:
        settings = self._settings
        deadline = flights[0].batches[0].deadline
        partitions: list[ProducePartition] = []
        for lane, flight in zip(lanes, flights, strict=True):
            deadline = min(deadline, flight.batches[0].deadline)
            partitions.append(self._partition(lane, flight))
        timeout_s = settings.request_timeout_s
        left_s = deadline - self._loop.time()
        if left_s < timeout_s:
            timeout_s = max(left_s, 0.001)
        request = Produce(acks=settings.acks, timeout_ms=max(1, int(timeout_s * 1000)), partitions=tuple(partitions))
        try:
            if settings.acks == 0:
                channel.send(request)
                for lane, flight in zip(lanes, flights, strict=True):
                    flight.outcome = _TAKEN
                    self._settle(lane)
                return
            sent = _Request(leader, channel, lanes, flights)
            channel.ask(request, timeout_s=timeout_s + ANSWER_GRACE_S, on_answer=partial(self._answered, sent))
        except RaftKafkaError as error:
            self._unanswered(channel, lanes, flights, error)
            return
        batches = flights[0].batches
        self._one_by_one = len(lanes) == 1 and len(batches) == 1 and batches[0].record_count == 1
        self._gate.sent(leader)
        self._owed.add(sent)

    def _partition(self, lane: Lane, flight: Flight) -> ProducePartition:
        lane.tried_epoch = flight.leader_epoch
        if self._identity is not None:
            lane.number(flight.batches)
        encoded: list[bytearray] = []
        for batch in flight.batches:
            encoded.append(batch.encode())
            batch.sent = True
        return ProducePartition(
            topic_id=flight.topic_id,
            partition=PartitionIndex(lane.topic_partition.partition),
            leader_epoch=flight.leader_epoch,
            records=memoryview(encoded[0] if len(encoded) == 1 else b"".join(encoded)),
        )

    # Answers

    def _answered(self, sent: _Request, answer: Response | RaftKafkaError) -> None:
        self._owed.discard(sent)
        if self._stopped:
            return
        if isinstance(answer, ProduceResponse) and len(answer.partitions) == len(sent.lanes):
            if answer.throttle_time_ms:
                self._gate.throttle(sent.leader, answer.throttle_time_ms / 1000)
            for lane, flight, partition in zip(sent.lanes, sent.flights, answer.partitions, strict=True):
                self._note(flight, partition)
                self._settle(lane)
        elif isinstance(answer, ApiError):
            for lane, flight in zip(sent.lanes, sent.flights, strict=True):
                flight.outcome = _refusal(answer)
                self._settle(lane)
        else:
            error = (
                answer if isinstance(answer, RaftKafkaError) else ProtocolError("the answer does not fit the request")
            )
            self._unanswered(sent.channel, sent.lanes, sent.flights, error)
        self._gate.answered(sent.leader)

    def _unanswered(self, channel: Channel, lanes: list[Lane], flights: list[Flight], error: RaftKafkaError) -> None:
        """Closed or out of time: the requests may have been carried out. Nothing more may travel on that connection."""
        _log.debug("produce without an answer: %s", error)
        for flight in flights:
            flight.outcome = Failed(error, in_doubt=True, at_once=False)
        channel.abort()  # other requests on it hear of it now
        self._router.request_update()
        for lane in lanes:
            self._settle(lane)

    def _note(self, flight: Flight, answer: ProducePartitionResponse) -> None:
        code = answer.error_code
        if code is _NONE:
            flight.outcome = Delivered(answer.base_offset, answer.log_append_time_ms)
            return
        knows_leader = code in LEADERSHIP_ERRORS and self._router.hint(
            answer.topic_id, answer.partition, answer.current_leader, answer.current_leader_epoch
        )
        flight.outcome = _refusal(ApiError(code, answer.error_message or ""), at_once=knows_leader)

    def _settle(self, lane: Lane) -> None:
        """Act upon the answers that are there, in the order of sending."""
        flights = lane.flights
        while flights and isinstance(answer := flights[0].outcome, Delivered):
            self._acknowledged(lane, flights.popleft().batches, answer)
        if flights and any(isinstance(flight.outcome, Failed) for flight in flights):
            lane.followable = False
        if not flights or flights[0].outcome is None:
            if lane.waiting:
                self.wake(lane)
        elif None not in [flight.outcome for flight in flights]:
            self._failed(lane, len(flights[0].batches))

    def _failed(self, lane: Lane, count: int) -> None:
        """The oldest request failed, and all of the lane have ended; it carried `count` batches."""
        failed = lane.put_back()
        error = failed.error
        lane.last_error = error
        if failed.may_pass:
            _log.debug("%s: %s, trying again", lane.topic_partition, error)
            self._retry(lane, at_once=failed.at_once)
            return
        assert isinstance(error, ApiError)
        if count > 1:
            lane.one_by_one = True
            self.wake(lane)
        elif self._identity is not None:
            self._refused_numbers(lane, error)
        else:
            self._give_up(lane, error)

    def _give_up(self, lane: Lane, error: ApiError) -> None:
        batch = lane.waiting.popleft()
        self._accumulator.fail(batch, self._verdict(batch, error))
        lane.one_by_one = False
        self.wake(lane)

    def _refused_numbers(self, lane: Lane, error: ApiError) -> None:
        """One numbered batch was refused for good: it fails, or takes new numbers when nobody can have the old ones."""
        batch = lane.waiting[0]
        if error.code is ErrorCode.DUPLICATE_SEQUENCE_NUMBER:
            # It was written, so long ago that the broker has forgotten where.
            self._acknowledged(lane, [lane.waiting.popleft()], _TAKEN)
            self.wake(lane)
        elif error.code in WRONG_NUMBERS and not batch.doubtful:
            _log.info("%s: %s; going on with a new producer epoch", lane.topic_partition, error)
            lane.begin_epoch()
            self._retry(lane)
        else:
            lane.begin_epoch()
            self._give_up(lane, error)

    @staticmethod
    def _verdict(batch: Batch, error: ApiError) -> ApiError:
        """Only a batch whose every request was refused for good is known not to be written (I18)."""
        if not batch.doubtful:
            return error
        return ApiError(
            ErrorCode.REQUEST_TIMED_OUT, f"sent, but the outcome is unknown; sent again it was refused: {error}"
        )

    def _acknowledged(self, lane: Lane, batches: list[Batch], answer: Delivered) -> None:
        lane.failures = 0
        lane.last_error = None
        lane.one_by_one = False
        lane.followable = self._identity is not None
        base_offset = answer.base_offset
        for batch in batches:
            self._accumulator.acknowledge(lane, batch, base_offset, answer.log_append_time_ms)
            if base_offset != UNKNOWN_OFFSET:
                base_offset += batch.record_count

    def _retry(self, lane: Lane, *, at_once: bool = False) -> None:
        self._hold_back(lane, at_once=at_once)
        self._deadlines.expire(lane)
        self.wake(lane)

    def _hold_back(self, lane: Lane, *, at_once: bool = False) -> None:
        delay_s = 0.0 if at_once else self._settings.backoff.delay_s(lane.failures + 1, self._random)
        leadership = self._router.view.leadership(*lane.topic_partition)
        tried_epoch = -1 if at_once or leadership is None else leadership.leader_epoch
        lane.hold_back(self._loop.time() + delay_s, tried_epoch=tried_epoch)

    def _leader_moved(self, lane: Lane) -> bool:
        leadership = self._router.view.leadership(*lane.topic_partition)
        return leadership is not None and leadership.leader_epoch > lane.tried_epoch

    def _on_update(self) -> None:
        """A refresh came in: lanes without a leader may have one, lanes with a new leader need not wait any longer."""
        for lane in self._accumulator.lanes.values():
            if not lane.waiting or lane.flights:
                continue
            if self._leader_moved(lane):
                lane.not_before = 0.0
            self.wake(lane)


def _refusal(error: ApiError, *, at_once: bool = False) -> Failed:
    """Hardly a refusal that may pass says that nothing was written: a leader may have appended and then lost its post."""
    return Failed(error, in_doubt=error.code.retriable and error.code not in NOTHING_WRITTEN, at_once=at_once)
