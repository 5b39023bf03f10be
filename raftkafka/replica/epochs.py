"""Which leader epoch wrote which offsets: the history by which two logs find out where they part.

Floor 1, pure. Invariant: epochs and start offsets both rise strictly from entry to entry. Rules: KIP-101 (truncate by
epoch, never to the high watermark), KIP-279 (largest epoch <= the one asked), KIP-320 (end offsets in fetches).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Final, NamedTuple

from raftkafka.model.errors import CorruptionError
from raftkafka.model.ids import NO_EPOCH, NO_OFFSET, LeaderEpoch, Offset

CHECKPOINT_VERSION: Final = 0


class EpochEntry(NamedTuple):
    """`start_offset` is the offset of the first record that was written in `epoch`."""

    epoch: LeaderEpoch
    start_offset: Offset


class EpochHistory:
    """The leader epochs of one log, oldest first."""

    __slots__ = ("_epochs", "_starts")

    def __init__(self, entries: Iterable[EpochEntry | tuple[LeaderEpoch, Offset]] = ()) -> None:
        self._epochs: list[LeaderEpoch] = []
        self._starts: list[Offset] = []
        for epoch, start_offset in entries:
            self.assign(epoch, start_offset)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EpochHistory) and self.entries() == other.entries()

    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self._epochs)

    def __repr__(self) -> str:
        return f"EpochHistory({[tuple(entry) for entry in self.entries()]})"

    def entries(self) -> tuple[EpochEntry, ...]:
        return tuple(map(EpochEntry, self._epochs, self._starts))

    @property
    def latest(self) -> LeaderEpoch:
        """The newest epoch, -1 when there is none."""
        return self._epochs[-1] if self._epochs else NO_EPOCH

    @property
    def latest_start_offset(self) -> Offset:
        return self._starts[-1] if self._starts else NO_OFFSET

    def assign(self, epoch: LeaderEpoch, start_offset: Offset) -> bool:
        """Note that `epoch` begins at `start_offset`; True when that changed anything.

        Entries that contradict the new one (an epoch as high, or a start as late) give way: the log that is being
        written is the truth.
        """
        if epoch < 0 or start_offset < 0:
            return False
        if self._epochs and self._epochs[-1] == epoch and self._starts[-1] <= start_offset:
            return False
        while self._epochs and (self._epochs[-1] >= epoch or self._starts[-1] >= start_offset):
            self._epochs.pop()
            self._starts.pop()
        self._epochs.append(epoch)
        self._starts.append(start_offset)
        return True

    def end_offset_for(self, epoch: LeaderEpoch, log_end_offset: Offset) -> tuple[LeaderEpoch, Offset]:
        """The largest epoch <= `epoch`, and the offset behind its last record.

        (-1, -1) when nothing is known. An epoch older than the history ends where the history starts: retention has
        removed its records, so nothing above that point can be its own.
        """
        if epoch < 0 or not self._epochs:
            return NO_EPOCH, NO_OFFSET
        above = bisect_right(self._epochs, epoch)
        if above == 0:
            return epoch, self._starts[0]
        end = log_end_offset if above == len(self._epochs) else self._starts[above]
        return self._epochs[above - 1], end

    def epoch_at(self, offset: Offset) -> LeaderEpoch:
        """The epoch that wrote (or will write) the record at `offset`; -1 when it lies before the history."""
        above = bisect_right(self._starts, offset)
        return self._epochs[above - 1] if above else NO_EPOCH

    def span_at(self, offset: int) -> tuple[LeaderEpoch, int | None]:
        """The epoch of the batch that begins at `offset`, and the offset where the next one begins; None while it is the newest.

        The log start may lie within a batch (DeleteRecords), which then begins before the history: it is of its first epoch.
        """
        above = bisect_right(self._starts, offset)
        epoch = self._epochs[max(above - 1, 0)] if self._epochs else NO_EPOCH
        return epoch, self._starts[above] if above < len(self._starts) else None

    def truncate_from_end(self, offset: Offset) -> bool:
        """Forget the epochs that begin at or behind `offset`, the new log end; True when there were any."""
        keep = bisect_left(self._starts, offset)
        changed = keep < len(self._starts)
        del self._epochs[keep:], self._starts[keep:]
        return changed

    def truncate_from_start(self, offset: Offset) -> bool:
        """Move the beginning to `offset`, the new log start: the epoch in force there begins there now."""
        first = bisect_right(self._starts, offset) - 1
        if first < 0 or (first == 0 and self._starts[0] == offset):
            return False
        del self._epochs[:first], self._starts[:first]
        self._starts[0] = offset
        return True

    def clear(self) -> None:
        self._epochs.clear()
        self._starts.clear()

    def encode(self) -> bytes:
        """Kafka's `leader-epoch-checkpoint`: version, count, then a line `<epoch> <start offset>` each."""
        lines = [str(CHECKPOINT_VERSION), str(len(self._epochs))]
        lines += [f"{epoch} {start}" for epoch, start in zip(self._epochs, self._starts, strict=True)]
        return ("\n".join(lines) + "\n").encode("ascii")

    @classmethod
    def decode(cls, content: bytes) -> EpochHistory:
        """The history written by `encode`.

        Raises:
            CorruptionError: not such a file, or not rising.
        """
        try:
            lines = content.decode("ascii").splitlines()
            version, count = int(lines[0]), int(lines[1])
            pairs = [(int(epoch), int(start)) for epoch, start in (line.split(" ") for line in lines[2:])]
        except (ValueError, IndexError) as error:
            raise CorruptionError(f"damaged leader epoch checkpoint: {error}") from error
        if version != CHECKPOINT_VERSION or count != len(pairs):
            raise CorruptionError(f"leader epoch checkpoint of version {version} with {len(pairs)} of {count} entries")
        history = cls([(LeaderEpoch(epoch), Offset(start)) for epoch, start in pairs])
        if len(history) != count:
            raise CorruptionError("leader epoch checkpoint is not in rising order")
        return history
