"""The checkpoints of a log directory: one offset per partition, in Kafka's text format.

Floor 2. Lines: version 0, count, then `<topic> <partition> <offset>`. Written atomically; a damaged or missing file reads
as empty, because every checkpoint only saves work or moves forward: without a recovery point everything is checked,
without a high watermark it is learnt again, without a log start it is that of the first segment, without a cleaner's
offset all is looked at again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from raftkafka.model.ids import Offset
from raftkafka.ports.disk import Disk

RECOVERY_POINT_FILE: Final = "recovery-point-offset-checkpoint"
HIGH_WATERMARK_FILE: Final = "replication-offset-checkpoint"
LOG_START_FILE: Final = "log-start-offset-checkpoint"
CLEANER_FILE: Final = "cleaner-offset-checkpoint"
VERSION: Final = 0

Offsets = Mapping[tuple[str, int], Offset]
"""`(topic, partition)` -> offset."""


def encode(offsets: Offsets) -> bytes:
    lines = [str(VERSION), str(len(offsets))]
    lines += [f"{topic} {partition} {offset}" for (topic, partition), offset in sorted(offsets.items())]
    return ("\n".join(lines) + "\n").encode("ascii")


def decode(content: bytes) -> dict[tuple[str, int], Offset] | None:
    """What `encode` wrote; None for anything else."""
    try:
        lines = content.decode("ascii").splitlines()
        version, count = int(lines[0]), int(lines[1])
        rows = [line.split(" ") for line in lines[2:]]
        offsets = {(topic, int(partition)): Offset(int(offset)) for topic, partition, offset in rows}
    except (ValueError, IndexError):
        return None
    if version != VERSION or count != len(offsets) or any(offset < 0 for offset in offsets.values()):
        return None
    return offsets


def read(disk: Disk, path: str) -> dict[tuple[str, int], Offset]:
    """The offsets in the checkpoint at `path`; empty when it is missing or damaged.

    Raises:
        StorageError: it is there and cannot be read.
    """
    if not disk.exists(path):
        return {}
    return decode(disk.read_file(path)) or {}


async def write(disk: Disk, path: str, offsets: Offsets) -> None:
    """Replace the checkpoint at `path`, durably.

    Raises:
        StorageError: the disk refused; the old content stands.
    """
    await disk.replace(path, encode(offsets))
