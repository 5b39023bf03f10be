"""Putting compacted segments in the place of those they were made from, so that a crash at any step loses nothing.

Floor 2. Kafka's names and steps: `.cleaned` files are written and synced, and gone after a crash; renamed to `.swap`, the log
last, they are valid, and a recovery puts them in place; then the segments whose offsets they cover go, and the log takes its
name last. Within a directory, earlier changes survive before later ones.
"""

from __future__ import annotations

from typing import Final

from raftkafka.model.errors import CorruptionError
from raftkafka.ports.disk import Disk
from raftkafka.storage.batches import content_ok, walk
from raftkafka.storage.segment import INDEX_SUFFIX, LOG_SUFFIX, NAME_DIGITS, TIME_INDEX_SUFFIX, base_offsets, file_name

CLEANED_SUFFIX: Final = ".cleaned"
SWAP_SUFFIX: Final = ".swap"
CHUNK_BYTES: Final = 4 << 20
IN_ORDER: Final = (INDEX_SUFFIX, TIME_INDEX_SUFFIX, LOG_SUFFIX)
"""The log's rename decides, so it comes last."""


def names_of(base_offset: int, suffix: str) -> list[str]:
    """The three files of a segment with `suffix`, in the order in which they are renamed."""
    return [file_name(base_offset, each) + suffix for each in IN_ORDER]


def rename_all(disk: Disk, directory: str, base_offset: int, source: str, target: str) -> None:
    for before, after in zip(names_of(base_offset, source), names_of(base_offset, target), strict=True):
        if disk.exists(f"{directory}/{before}"):
            disk.rename(f"{directory}/{before}", f"{directory}/{after}")


def discard(disk: Disk, directory: str, base_offset: int) -> None:
    """Remove what an unfinished cleaning has left; the log before its indexes, as long as it may count."""
    for suffix in (SWAP_SUFFIX, CLEANED_SUFFIX):
        for name in reversed(names_of(base_offset, suffix)):
            disk.remove(f"{directory}/{name}")


async def finish_swaps(disk: Disk, directory: str, names: list[str]) -> bool:
    """Complete or drop the swaps that a crash has interrupted; False when one is damaged, and segments may be missing."""
    sound = True
    for name in names:
        if name.endswith(CLEANED_SUFFIX):
            disk.remove(f"{directory}/{name}")
    for name in names:
        if not name.endswith(LOG_SUFFIX + SWAP_SUFFIX):
            continue
        stem = name.removesuffix(LOG_SUFFIX + SWAP_SUFFIX)
        if len(stem) != NAME_DIGITS or not (stem.isascii() and stem.isdecimal()):
            continue
        base = int(stem)
        try:
            end = await _end_of(disk, f"{directory}/{name}", base)
        except CorruptionError:
            discard(disk, directory, base)
            sound = False
            continue
        for other in base_offsets(names):
            if base < other < end:
                for suffix in (LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX):
                    disk.remove(f"{directory}/{file_name(other, suffix)}")
        rename_all(disk, directory, base, SWAP_SUFFIX, "")
    for name in disk.list_dir(directory):
        if name.endswith(SWAP_SUFFIX):  # indexes of a swap that did not come to count
            disk.remove(f"{directory}/{name}")
    disk.sync_dir(directory)
    return sound


async def _end_of(disk: Disk, path: str, base_offset: int) -> int:
    """The offset behind the last batch of a compacted segment, every batch of which is checked.

    Raises:
        CorruptionError: one of them is damaged.
    """
    disk.drop_cached(path)
    file = disk.open(path)
    try:
        position, end, count = 0, base_offset, CHUNK_BYTES
        while position < file.size:
            chunk = await disk.read_cold(file, position, min(count, file.size - position))
            within = 0
            count = CHUNK_BYTES
            for batch in walk(chunk):
                if batch.base_offset < end or batch.size > file.size - position - batch.position:
                    raise CorruptionError(f"{path} is damaged at position {position + batch.position}")
                if batch.position + batch.size > len(chunk):
                    count = max(CHUNK_BYTES, batch.size)
                    break
                if not content_ok(chunk, batch):
                    raise CorruptionError(f"{path} is damaged at position {position + batch.position}")
                within, end = batch.position + batch.size, batch.last_offset + 1
            if within == 0 and count == CHUNK_BYTES:
                raise CorruptionError(f"{path} is damaged at position {position}")
            position += within
        return end
    finally:
        file.close()
