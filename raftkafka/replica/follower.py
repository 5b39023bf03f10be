"""The follower's side of one partition: what a fetch answer means for its log.

Floor 1, pure. Invariants kept here:
- I3: a log is cut only where the leader's epochs prove that it differs, never to a high watermark (KIP-101, KIP-279): to the
  smaller of both sides' ends of the epoch, and again if the next fetch still diverges.
- An answer of another leadership than the one followed changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from raftkafka.model.api.fetch import EpochEndOffset, FetchPartitionResponse
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import LeaderEpoch, Offset
from raftkafka.replica.epochs import EpochHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Append the records (there may be none), then take over the leader's watermark and log start as far as they go."""

    records: memoryview | bytes
    high_watermark: Offset
    log_start_offset: Offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncate:
    """Cut the log so that it ends at `offset`, and fetch again from there."""

    offset: Offset


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAt:
    """Drop the whole log and begin an empty one at `offset`: all that it holds lies before the leader's log start."""

    offset: Offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Leave the log alone and fetch again after a pause; `error` is the leader's reason."""

    error: ErrorCode


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitLeadership:
    """Leave the log alone and fetch no more until the image names another leadership."""

    error: ErrorCode


Step = Append | Truncate | StartAt | Retry | AwaitLeadership

_LEADERSHIP_ERRORS = frozenset({ErrorCode.FENCED_LEADER_EPOCH, ErrorCode.UNKNOWN_TOPIC_ID})


def next_step(
    answer: FetchPartitionResponse,
    *,
    fetched_offset: Offset,
    fetched_in_epoch: LeaderEpoch,
    leader_epoch: LeaderEpoch,
    log_start_offset: Offset,
    log_end_offset: Offset,
    epochs: EpochHistory,
) -> Step:
    """What to do with the answer to a fetch from `fetched_offset` under `fetched_in_epoch`; the rest is how things are now.

    `epochs` is the history of the follower's log, which spans `log_start_offset` to `log_end_offset`.
    """
    if fetched_in_epoch != leader_epoch or fetched_offset != log_end_offset:
        # The follower has a new leader, or has moved its end, since it asked: the answer is to another question.
        return Retry(error=ErrorCode.NONE)
    if answer.error_code is ErrorCode.OFFSET_OUT_OF_RANGE:
        return _out_of_range(answer, log_end_offset)
    if answer.error_code in _LEADERSHIP_ERRORS:
        return AwaitLeadership(error=answer.error_code)
    if answer.error_code is not ErrorCode.NONE:
        return Retry(error=answer.error_code)
    if answer.diverging_epoch is not None:
        return Truncate(
            offset=truncation_offset(
                answer.diverging_epoch,
                log_start_offset=log_start_offset,
                log_end_offset=log_end_offset,
                epochs=epochs,
            )
        )
    return Append(
        records=answer.records, high_watermark=answer.high_watermark, log_start_offset=answer.log_start_offset
    )


def truncation_offset(
    diverging: EpochEndOffset, *, log_start_offset: Offset, log_end_offset: Offset, epochs: EpochHistory
) -> Offset:
    """Where to cut, given the leader's largest epoch <= the follower's last one, and where that ends in the leader's log.

    The follower looks up the same epoch in its own history. Where it has it, both logs agree up to the smaller end. Where it
    has not, its largest epoch below that is cut to its own end, and the next fetch asks the leader about that one (KIP-279).
    """
    epoch, own_end = epochs.end_offset_for(diverging.epoch, log_end_offset)
    if diverging.epoch < 0 or diverging.end_offset < 0 or epoch < 0:
        # The leader knows none of our epochs, or we none of its: nothing shows that any of our records is right.
        return log_start_offset
    cut = min(diverging.end_offset, own_end) if epoch == diverging.epoch else own_end
    return Offset(max(log_start_offset, min(cut, log_end_offset)))


def _out_of_range(answer: FetchPartitionResponse, log_end_offset: Offset) -> Step:
    """The offset asked for is not in the leader's log.

    Below its start: the records in between are gone by retention, so the follower begins anew where the leader's log does.
    Above its end: only epochs may say where to cut, never this error (an unclean leader, or one that is still starting), and
    the fetch that carries the last epoch gets that answer next time.
    """
    if 0 <= log_end_offset < answer.log_start_offset:
        return StartAt(offset=answer.log_start_offset)
    return Retry(error=ErrorCode.OFFSET_OUT_OF_RANGE)
