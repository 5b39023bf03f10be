"""`leader-epoch-checkpoint` of one log: written beside the old one, synced with the log's next group, then renamed.

Floor 2. So a change of leadership, which comes for many partitions at once, costs the event loop no sync of its own.
Invariant: `unsaved_from` bounds the recovery point until the epochs from there on are durable; behind the recovery point
they are read from the batches again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from raftkafka.model.errors import CorruptionError, DiskFullError
from raftkafka.model.ids import LeaderEpoch, Offset
from raftkafka.ports.disk import Disk, File
from raftkafka.replica.epochs import EpochHistory

EPOCHS_FILE: Final = "leader-epoch-checkpoint"
NEXT_SUFFIX: Final = ".next"


class EpochFile:
    """Keeps the file in step with `history`, which changes only through here."""

    def __init__(self, disk: Disk, directory: str, history: EpochHistory) -> None:
        self.history = history
        self.unsaved_from: int | None = None
        self._disk = disk
        self._path = f"{directory}/{EPOCHS_FILE}"
        self._syncing: File | None = None
        self._unsaved_since: int | None = None

    def assign(self, epoch: LeaderEpoch, start_offset: int) -> None:
        if self.history.assign(epoch, Offset(start_offset)):
            self._changed_at(start_offset)

    def truncate_from_start(self, offset: Offset) -> None:
        """The log start moved; a stale file is no harm, because its older epochs end where the log now begins."""
        if self.history.truncate_from_start(offset):
            self._changed_at(offset)

    def _changed_at(self, offset: int) -> None:
        self.unsaved_from = offset if self.unsaved_from is None else min(self.unsaved_from, offset)
        self._unsaved_since = offset if self._unsaved_since is None else min(self._unsaved_since, offset)

    def begin_sync(self) -> list[File]:
        """A new file with the epochs as they are, if they are not saved; to be synced with the log's files."""
        if self.unsaved_from is None:
            return []
        self._abandon()
        try:
            self._syncing = self._disk.open(self._path + NEXT_SUFFIX, create=True)
            self._syncing.truncate(0)
            self._syncing.append((self.history.encode(),))
        except DiskFullError:
            # The records' sync must not suffer: the recovery point waits until there is room.
            self._abandon()
            return []
        self._unsaved_since = None
        return [self._syncing]

    def end_sync(self, files: Sequence[File]) -> None:
        """`files` were synced: the new file takes the old one's place."""
        if self._syncing is None or self._syncing not in files:
            return
        self._syncing.close()
        self._syncing = None
        self._disk.rename(self._path + NEXT_SUFFIX, self._path)
        self.unsaved_from = self._unsaved_since

    def save(self) -> None:
        """Write the file now, durably, if it is not in step."""
        if self.unsaved_from is not None:
            self._replace(self.history)

    def cut(self, log_end_offset: Offset) -> None:
        """The log is about to be cut: forget the epochs behind its new end, durably, before anything else is written there.

        Raises:
            DiskFullError: nothing was forgotten.
        """
        shorter = EpochHistory(self.history.entries())
        if shorter.truncate_from_end(log_end_offset):
            self._replace(shorter)
            self.history.truncate_from_end(log_end_offset)

    def clear(self) -> None:
        """As `cut`, all of them."""
        self._replace(EpochHistory())
        self.history.clear()

    def _replace(self, history: EpochHistory) -> None:
        self._abandon()
        self._disk.write_atomic(self._path, history.encode())
        self.unsaved_from = self._unsaved_since = None

    def close(self) -> None:
        if self._syncing is not None:
            self._syncing.close()
            self._syncing = None

    def _abandon(self) -> None:
        """Drop a new file that no sync has confirmed."""
        if self._syncing is not None:
            self.close()
            self._disk.remove(self._path + NEXT_SUFFIX)


def load_epochs(disk: Disk, directory: str, names: Sequence[str]) -> EpochHistory | None:
    """The epochs on disk, from the newest whole file; None when they have to be read from the batches.

    `names` are those in the directory. A new file that is whole was about to take the old one's place.
    """
    path = f"{directory}/{EPOCHS_FILE}"
    if EPOCHS_FILE + NEXT_SUFFIX in names:
        newer = _decode(disk, path + NEXT_SUFFIX)
        if newer is not None:
            disk.rename(path + NEXT_SUFFIX, path)
            return newer
        disk.remove(path + NEXT_SUFFIX)
    return _decode(disk, path) if EPOCHS_FILE in names else None


def _decode(disk: Disk, path: str) -> EpochHistory | None:
    try:
        return EpochHistory.decode(disk.read_file(path))
    except CorruptionError:
        return None
