"""The one snapshot of the state machine on this node's disk.

Floor 4. A new file is written beside the old one, synced and renamed over it, so a complete snapshot is always there once
there has been one. Invariants: a snapshot replaces only an older one; a damaged one is neither loaded nor served (I15).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from crc32c import crc32c

from raftkafka.adapters.raft.library import Entry
from raftkafka.model.errors import CorruptionError, StartupError
from raftkafka.ports.disk import Disk

FILE_NAME: Final = "snapshot"
SNAPSHOT_MAX_BYTES: Final = 512 << 20

_MAGIC: Final = b"RkSnap2\n"
_HEADER: Final = struct.Struct("<8sIQQQIIIQ")
# magic, crc of everything behind it, index, term, previous term, sizes: commands of both entries, voters, state
_CRC_FROM: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state after `last`, and the entry before it: with both the library's log can begin there.

    `voters`: the set in force after `last` (`voters.encode`), None while it is the bootstrap set.
    """

    previous: Entry
    last: Entry
    state: bytes
    voters: bytes | None = None

    @property
    def index(self) -> int:
        return self.last[1]


def encode(snapshot: Snapshot) -> bytes:
    command, index, term = snapshot.last
    previous_command, previous_index, previous_term = snapshot.previous
    assert previous_index == index - 1, "a snapshot names two consecutive entries"
    voters = snapshot.voters or b""
    sizes = len(previous_command), len(command), len(voters), len(snapshot.state)
    header = _HEADER.pack(_MAGIC, 0, index, term, previous_term, *sizes)
    rest = b"".join((header[_CRC_FROM:], previous_command, command, voters, snapshot.state))
    return b"".join((_MAGIC, struct.pack("<I", crc32c(rest)), rest))


def decode(content: bytes) -> Snapshot:
    """Raises CorruptionError for anything but the bytes of a whole snapshot."""
    if len(content) < _HEADER.size or content[: len(_MAGIC)] != _MAGIC:
        raise CorruptionError("this is not a snapshot of the cluster's metadata")
    _, crc, index, term, previous_term, previous_size, size, voters_size, state_size = _HEADER.unpack_from(content)
    if len(content) != _HEADER.size + previous_size + size + voters_size + state_size or index < 2:
        raise CorruptionError("the snapshot is not whole")
    if crc32c(memoryview(content)[_CRC_FROM:]) != crc:
        raise CorruptionError("the snapshot's checksum does not match its content")
    last_at = _HEADER.size + previous_size
    voters_at = last_at + size
    state_at = voters_at + voters_size
    return Snapshot(
        previous=(content[_HEADER.size : last_at], index - 1, previous_term),
        last=(content[last_at:voters_at], index, term),
        voters=content[voters_at:state_at] or None,
        state=content[state_at:],
    )


class SnapshotStore:
    """`index`: of the snapshot on the disk, 0 while there is none."""

    def __init__(self, disk: Disk, directory: str) -> None:
        self._disk = disk
        self._directory = directory
        self._path = f"{directory}/{FILE_NAME}"
        self.index = 0

    def load(self) -> Snapshot | None:
        """The snapshot at start.

        Raises:
            StartupError: it is damaged. Without it the journal says too little to go on.
        """
        if not self._disk.exists(self._path):
            return None
        # Whoever wrote it may have died between the rename and the sync of the directory.
        self._disk.sync_dir(self._directory)
        try:
            snapshot = decode(self._disk.read_file(self._path))
        except CorruptionError as error:
            raise StartupError(f"{self._path} cannot be used: {error}") from error
        self.index = snapshot.index
        return snapshot

    def read(self) -> bytes:
        """The bytes to send to a follower.

        Raises:
            CorruptionError: they are damaged. StorageError: the disk refused.
        """
        content = self._disk.read_file(self._path)
        decode(content)
        return content

    def install(self, content: bytes, snapshot: Snapshot) -> None:
        """Replace the snapshot by the leader's, durably, before anything depends on it. `snapshot` is its decoding."""
        self._disk.write_atomic(self._path, content)
        self.index = snapshot.index

    async def write(self, snapshot: Snapshot) -> None:
        """Replace the snapshot by our own, off the loop; nothing may be installed meanwhile.

        Raises:
            StorageError: the disk refused.
        """
        await self._disk.replace(self._path, encode(snapshot))
        self.index = snapshot.index
