"""What a partition knows of its idempotent producers: which batch comes next, and which have been written already.

Floor 1, pure. Kafka's rules (ProducerStateManager, ProducerAppendInfo; KIP-98, KIP-360): of every producer id the epoch and
the last five batches are known. One of these again is answered with its offset and not appended, an older epoch is
refused, a new epoch begins with sequence 0, and within an epoch no sequence is left out. A producer id that nobody knows
(any more) may begin with any sequence, as since Kafka 2.5. Invariants (I8): the table follows from the batch headers of the
log below `end` alone, in their order, so that leaders, followers and restarted nodes come to the same one; taking the
log back to an earlier end takes the table back to what it was there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.passing import passing_tuple

BATCHES_REMEMBERED: Final = 5
"""Kafka's NUM_BATCHES_TO_RETAIN: what an idempotent producer may have under way."""

SEQUENCE_MAX: Final = (1 << 31) - 1
"""After it comes 0 again."""

PRODUCERS_MAX: Final = 10_000
"""Producer ids of one partition; the one that was silent for the longest time is forgotten first."""

UNDO_MAX: Final = 128
"""Appends that can be taken back without reading the log: what a new leader has not got is rarely more."""


class BatchHeader(Protocol):
    """What is asked of a batch here: `record.header.BatchHeader` without its bytes."""

    @property
    def producer_id(self) -> int: ...

    @property
    def producer_epoch(self) -> int: ...

    @property
    def base_sequence(self) -> int: ...

    @property
    def last_offset_delta(self) -> int: ...


@passing_tuple
class Written(NamedTuple):
    """A batch of a producer that stands in the log. `timestamp_ms` is the batch's largest."""

    base_sequence: int
    last_sequence: int
    base_offset: int
    last_offset: int
    timestamp_ms: int


@passing_tuple
class ProducerEntry(NamedTuple):
    """`batches` are all of `epoch`, oldest first: at least one, at most five."""

    epoch: int
    batches: tuple[Written, ...]


class Duplicate(NamedTuple):
    """Where the batches of a repeated request stand."""

    first_offset: int
    last_offset: int
    timestamp_ms: int


@passing_tuple
class _Undo(NamedTuple):
    base_offset: int
    producer_id: int
    before: ProducerEntry | None


def sequence_after(sequence: int, records: int) -> int:
    """`sequence` and `records` more, modulo 2^31 as Kafka counts."""
    return (sequence + records) & SEQUENCE_MAX


class ProducerTable:
    """The producers of one log, by id. `end`: the offset below which everything has been noted."""

    __slots__ = ("_heard_from", "_undo", "_undo_from", "end", "entries")

    def __init__(self, end: int, entries: Iterable[tuple[int, ProducerEntry]] = ()) -> None:
        """`entries` in the order of their last batches, as of `end`."""
        self.end = end
        self.entries: dict[int, ProducerEntry] = dict(entries)
        self._undo: deque[_Undo] = deque()
        self._undo_from = end
        self._heard_from = 0
        """Who has written from here on has been heard since `expire` was called last."""

    # Checking

    def check(self, headers: Sequence[BatchHeader]) -> Duplicate | None:
        """Judge the batches of one append together, in their order; where they stand if all have been written before.

        Raises:
            ApiError: OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH; DUPLICATE_SEQUENCE_NUMBER when only some of
                the batches are here, or not back to back: then one answer cannot tell the offsets, send them one by one.
        """
        if len(headers) == 1:
            header = headers[0]
            entry = self.entries.get(header.producer_id)
            if (
                entry is not None
                and header.producer_epoch == entry.epoch
                and header.base_sequence == (entry.batches[-1].last_sequence + 1) & SEQUENCE_MAX
            ):
                return None  # what nearly every request brings: the one batch that is due
        repeated: list[Written] = []
        new = 0
        ahead: dict[int, tuple[int, int]] = {}
        for header in headers:
            producer_id, epoch, sequence = header.producer_id, header.producer_epoch, header.base_sequence
            if producer_id < 0:
                new += 1
                continue
            entry = self.entries.get(producer_id)
            known = ahead.get(producer_id)
            if known is None and entry is not None:
                known = (entry.epoch, entry.batches[-1].last_sequence)
            if known is not None:
                if epoch == known[0]:
                    if sequence != (known[1] + 1) & SEQUENCE_MAX:
                        written = None if entry is None or producer_id in ahead else _find(entry, header)
                        if written is None:
                            raise _out_of_order(header, f"after {known[1]}")
                        repeated.append(written)
                        continue
                elif epoch < known[0]:
                    raise ApiError(
                        ErrorCode.INVALID_PRODUCER_EPOCH,
                        f"producer {producer_id} has epoch {known[0]} here, the batch has the older epoch {epoch}",
                    )
                elif sequence != 0:
                    raise _out_of_order(header, "where a new epoch begins with 0")
            new += 1
            ahead[producer_id] = (epoch, sequence_after(sequence, header.last_offset_delta))
        return _duplicate(repeated, new) if repeated else None

    # Noting what the log has

    def note(  # noqa: PLR0917 - positional, because it is called per batch
        self,
        producer_id: int,
        epoch: int,
        base_sequence: int,
        base_offset: int,
        last_offset: int,
        timestamp_ms: int,
    ) -> None:
        """A batch with a producer id stands in the log, behind all that were noted before; whether it should is decided."""
        entries = self.entries
        before = entries.pop(producer_id, None)  # so that the youngest stand last
        last_sequence = (base_sequence + last_offset - base_offset) & SEQUENCE_MAX
        written = Written(base_sequence, last_sequence, base_offset, last_offset, timestamp_ms)
        if before is None or before.epoch != epoch:
            entries[producer_id] = ProducerEntry(epoch, (written,))
            if len(entries) > PRODUCERS_MAX:
                del entries[next(iter(entries))]
        else:
            entries[producer_id] = ProducerEntry(epoch, (*before.batches[1 - BATCHES_REMEMBERED :], written))
        undo = self._undo
        if len(undo) >= UNDO_MAX:
            self._undo_from = undo.popleft().base_offset + 1
        undo.append(_Undo(base_offset, producer_id, before))
        self.end = last_offset + 1

    def truncate(self, end: int) -> bool:
        """The log was cut at `end`; False when that is too far back to be undone: then build the table anew."""
        undo = self._undo
        if end < self._undo_from:
            return False
        while undo and undo[-1].base_offset >= end:
            last = undo.pop()
            if last.before is None:
                self.entries.pop(last.producer_id, None)
            else:
                self.entries[last.producer_id] = last.before
        self.end = min(self.end, end)
        self._heard_from = min(self._heard_from, end)
        return True

    def clear(self, end: int) -> None:
        """All records are gone, the log goes on at `end`."""
        self.restore(ProducerTable(end))

    def restore(self, other: ProducerTable) -> None:
        """Become what `other` is."""
        self.end, self.entries = other.end, other.entries
        self._undo, self._undo_from = other._undo, other._undo_from
        self._heard_from = min(self._heard_from, other.end)

    def expire(self, *, now_ms: int, expiration_ms: int) -> int:
        """Forget the producers whose newest batch is older (`producer.id.expiration.ms`); how many went.

        Its time is that of the producer's records, which may be old ones, or have none. So nobody goes who has written since
        the last call: what is repeated within a round of calls is recognized, whatever time it bears.
        """
        heard_from, self._heard_from = self._heard_from, self.end
        old = [
            key
            for key, entry in self.entries.items()
            if entry.batches[-1].last_offset < heard_from and now_ms - entry.batches[-1].timestamp_ms >= expiration_ms
        ]
        for producer_id in old:
            del self.entries[producer_id]
        return len(old)


def _find(entry: ProducerEntry, header: BatchHeader) -> Written | None:
    """The remembered batch that has the very sequences of this one."""
    last_sequence = sequence_after(header.base_sequence, header.last_offset_delta)
    for written in entry.batches:
        if written.base_sequence == header.base_sequence and written.last_sequence == last_sequence:
            return written
    return None


def _duplicate(repeated: list[Written], new: int) -> Duplicate:
    together = all(one.last_offset + 1 == two.base_offset for one, two in pairwise(repeated))
    if new or not together:
        raise ApiError(
            ErrorCode.DUPLICATE_SEQUENCE_NUMBER,
            f"{len(repeated)} of {len(repeated) + new} batches have been written before; send them one by one",
        )
    newest = repeated[-1]
    return Duplicate(repeated[0].base_offset, newest.last_offset, newest.timestamp_ms)


def _out_of_order(header: BatchHeader, place: str) -> ApiError:
    return ApiError(
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
        f"sequence {header.base_sequence} of producer {header.producer_id} epoch {header.producer_epoch} {place}",
    )
