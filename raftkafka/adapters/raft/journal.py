"""The Raft journal: entries, term and vote in append-only segments, and the news of what has become durable.

Floor 4. All methods run on the event loop; syncs happen off it, one at a time, each covering whatever was written before
it began. Invariants: nothing is rewritten in place; `durable_index` and the callbacks of `after_durable` never run ahead
of a sync; a failed write or sync is fatal and never retried.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from raftkafka.adapters.raft import journal_records as records
from raftkafka.adapters.raft.journal_load import load, segment_name
from raftkafka.adapters.raft.library import Entry
from raftkafka.model.errors import StorageError
from raftkafka.ports.disk import Disk, File
from raftkafka.ports.probe import Probe

FLUSH_BYTES: Final = 1 << 20
"""Records that wait for the end of the loop's turn are written earlier when there are this many bytes."""


class Journal:
    """`on_durable` is called after every sync, `on_failure` once, when the disk has refused."""

    def __init__(
        self,
        disk: Disk,
        directory: str,
        *,
        probe: Probe,
        on_durable: Callable[[], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._probe = probe
        self._on_durable = on_durable
        self._on_failure = on_failure
        self.entries: list[Entry] = []
        self.term = 0
        self.vote: int | None = None
        self.durable_index = 0
        self._file: File | None = None
        self._segment = 0
        self._position = 0  # where the next record will stand
        self._synced = 0  # up to where the file is known to be durable
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._written = 0  # records since the start of this process
        self._durable = 0  # how many of them a sync has covered
        self._unsynced_entries: deque[tuple[int, int]] = deque()
        self._waiters: deque[tuple[int, Callable[[], None]]] = deque()
        self._obsolete: list[str] = []
        self._sync_task: asyncio.Task[None] | None = None
        self._failed = False
        self.is_new = False
        """There was no journal before this start."""

    # Life

    async def open(self) -> None:
        """Load what is there, cut a torn tail, and make sure that the rest is durable: after a crash it may not be.

        Raises:
            StartupError: the journal is damaged. StorageError: the disk refused.
        """
        loaded = load(self._disk, self._directory)
        self.entries, self.term, self.vote = loaded.entries, loaded.term, loaded.vote
        self._segment = loaded.segment
        if loaded.segment == 0:
            self.is_new = True
            for name in loaded.obsolete:
                self._disk.remove(f"{self._directory}/{name}")
            self._begin_segment()
            self._flush()
        else:
            self._file = self._disk.open(f"{self._directory}/{segment_name(loaded.segment)}")
            if self._file.size > loaded.end:
                self._file.truncate(loaded.end)
            self._position = loaded.end
            self._obsolete = loaded.obsolete
        assert self._file is not None
        await self._disk.sync([self._file])
        self._disk.sync_dir(self._directory)
        self._note_durable(self._file, self._written, self._position, self._obsolete)
        self.durable_index = self.entries[-1][1] if self.entries else 0

    async def close(self) -> None:
        """Write and sync what is left."""
        if self._sync_task is not None:
            await self._sync_task
        if self._file is None:
            return
        if not self._failed:
            self.kick()
            if self._sync_task is not None:
                await self._sync_task
        self._file.close()
        self._file = None

    # Changes; they are in memory at once, in the file after `kick`, durable after its sync

    def append(self, entry: Entry) -> None:
        self.entries.append(entry)
        self._write(records.entry(entry))
        self._unsynced_entries.append((self._written, entry[1]))

    def truncate_from(self, index: int) -> None:
        """Drop entries from `index` on."""
        if self.entries and index <= self.entries[-1][1]:
            del self.entries[max(0, index - self.entries[0][1]) :]
            self._write(records.truncate(index))
            self.durable_index = min(self.durable_index, index - 1)
            self._unsynced_entries = deque(each for each in self._unsynced_entries if each[1] < index)

    def set_term(self, term: int, vote: int | None) -> None:
        self.term, self.vote = term, vote
        self._write(records.term_and_vote(term, vote))

    def cut_to(self, index: int) -> None:
        """Drop entries below `index`, which a durable snapshot covers, by going on in a new segment."""
        if self.entries and index > self.entries[0][1]:
            del self.entries[: index - self.entries[0][1]]
            self._begin_segment()

    # Durability

    @property
    def bytes_in_segment(self) -> int:
        return self._position

    @property
    def is_durable(self) -> bool:
        """Everything that was ever changed is durable."""
        return self._durable >= self._written

    def after_durable(self, callback: Callable[[], None]) -> None:
        """Call back once everything changed so far is durable: now, if it is."""
        if self.is_durable and not self._failed:
            callback()
        else:
            self._waiters.append((self._written, callback))

    def check(self) -> None:
        """Look whether the next start will find what was synced: an open file goes on working although its name is gone.

        Raises:
            StorageError: the directory was removed or unmounted, or its device does not answer.
        """
        if self._file is not None and not self._disk.exists(self._file.path):
            raise StorageError(
                f"{self._file.path} is gone: its directory was removed or unmounted, or its device has failed"
            )

    def kick(self) -> None:
        """Write what is pending and have it synced; call it at the end of a turn in which something changed."""
        if self._failed or self.is_durable:
            return
        self._flush()
        if self._sync_task is None and not self._failed:
            self._sync_task = asyncio.get_running_loop().create_task(self._sync())

    async def _sync(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while not self._failed and not self.is_durable:
                self._flush()
                assert self._file is not None
                file, written, position, obsolete = self._file, self._written, self._position, self._obsolete
                started = loop.time()
                await self._disk.sync([file])
                self.check()
                self._probe.raft_sync(loop.time() - started)
                self._note_durable(file, written, position, obsolete)
        except StorageError as error:
            self._fail(error)
        finally:
            self._sync_task = None

    def _note_durable(self, file: File, written: int, position: int, obsolete: list[str]) -> None:
        """A sync that began with these values has ended."""
        self._durable = max(self._durable, written)
        if file is self._file:
            self._synced = max(self._synced, position)
            self._remove(obsolete)
        while self._unsynced_entries and self._unsynced_entries[0][0] <= self._durable:
            self.durable_index = max(self.durable_index, self._unsynced_entries.popleft()[1])
        while self._waiters and self._waiters[0][0] <= self._durable:
            self._waiters.popleft()[1]()
        if self.is_durable:
            # Costs no sync: it lets the next start tell damage of what was durable from a torn write.
            self._append_to_file([self._frame(records.mark())])
        self._on_durable()

    def _remove(self, names: list[str]) -> None:
        for name in names:
            self._disk.remove(f"{self._directory}/{name}")
        if names:
            self._obsolete = [name for name in self._obsolete if name not in names]

    # Bytes

    def _begin_segment(self) -> None:
        old = self._file
        if old is not None:
            self._obsolete = [*self._obsolete, segment_name(self._segment)]
            old.close()
        self._segment += 1
        path = f"{self._directory}/{segment_name(self._segment)}"
        self._disk.remove(path)
        try:
            self._file = self._disk.open(path, create=True)
        except StorageError as error:
            self._file = None
            self._fail(error)
            return
        # The new segment says everything that the old one said, so what was pending for that one is dropped.
        self._pending, self._pending_bytes, self._position, self._synced = [], 0, 0, 0
        for payload in (
            records.base(),
            records.term_and_vote(self.term, self.vote),
            *map(records.entry, self.entries),
            records.complete(),
        ):
            self._write(payload)

    def _frame(self, payload: bytes) -> bytes:
        framed = records.frame(payload, segment=self._segment, position=self._position, synced=self._synced)
        self._position += len(framed)
        return framed

    def _write(self, payload: bytes) -> None:
        framed = self._frame(payload)
        self._pending.append(framed)
        self._pending_bytes += len(framed)
        self._written += 1
        if self._pending_bytes >= FLUSH_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._pending and not self._failed:
            pending, self._pending, self._pending_bytes = self._pending, [], 0
            self._append_to_file([b"".join(pending)])

    def _append_to_file(self, buffers: list[bytes]) -> None:
        assert self._file is not None
        try:
            self._file.append(buffers)
        except StorageError as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not self._failed:
            self._failed = True
            self._on_failure(error)
