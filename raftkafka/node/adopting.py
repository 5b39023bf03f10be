"""Kafka's segments as the log of an empty partition: the same records at the same offsets.

Floor 5, for a node that does not run. What a batch says of the cluster that wrote it is taken away: its leader epoch, which belongs to
another history (0 is older than any that leads here), and its producer, whose id will be given to somebody else here, who would then
be told that his records are repetitions. Invariants: a log that has records is never touched; the new one is in place as a
whole or not at all; whatever is damaged, or cannot be told from what a transaction aborted, is refused.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from raftkafka.adapters.disk import OsDisk
from raftkafka.model.errors import ConfigurationError, StartupError
from raftkafka.model.ids import NO_PRODUCER_ID
from raftkafka.model.settings.values import Settings
from raftkafka.node.restoring import log_paths, stopped
from raftkafka.record.header import BatchHeader, set_producer, stamp
from raftkafka.storage import inspection
from raftkafka.storage.directory import CLEAN_SHUTDOWN_FILE, PARTITION_METADATA_FILE

_PARTITION: Final = re.compile(r"[A-Za-z0-9._-]{1,249}-(0|[1-9][0-9]{0,9})")
_SEGMENT: Final = re.compile(r"([0-9]{20})\.log")
_CHUNK_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """What a partition holds now; `path` is None where this node has no replica of it."""

    partition: str
    path: str | None
    first_offset: int = 0
    next_offset: int = 0
    batches: int = 0


async def adopt(settings: Settings, sources: Iterable[str]) -> list[Adopted]:
    """Take over the partition directories `sources` (`.../topic-0`) of a Kafka broker that was stopped.

    Raises:
        ConfigurationError: a source is no partition directory, or has no segments.
        StartupError: the node runs, a partition has records already, or a source cannot be taken over as it is.
    """
    with stopped(settings) as disk:
        return [await _adopt(disk, settings, source.rstrip("/")) for source in sources]


async def _adopt(disk: OsDisk, settings: Settings, source: str) -> Adopted:
    name = os.path.basename(source)
    segments = _segments(source, name)
    directory = next((each for each in log_paths(settings) if disk.exists(f"{each}/{name}")), None)
    if directory is None:
        return Adopted(partition=name, path=None)
    target, making, replaced = (f"{directory}/{name}{suffix}" for suffix in ("", ".adopting", ".replaced"))
    if any(disk.file_size(f"{target}/{each}") for each in disk.list_dir(target) if _SEGMENT.fullmatch(each)):
        raise StartupError(f"{target} has records: only an empty partition can take over a log")
    for leftover in (making, replaced):
        if disk.exists(leftover):
            disk.remove_tree(leftover)
    disk.make_dir(making)
    disk.write_atomic(f"{making}/{PARTITION_METADATA_FILE}", disk.read_file(f"{target}/{PARTITION_METADATA_FILE}"))
    first = following = -1
    count = 0
    for path in segments:
        base = int(os.path.basename(path)[:20])
        first = base if first < 0 else first
        if base < following:
            raise StartupError(f"{path}: the segment before it ends at offset {following}")
        count, following = await _copy(disk, path, f"{making}/{os.path.basename(path)}", base, count)
    # The node has to look at every batch when it starts, as after a crash.
    disk.remove(f"{directory}/{CLEAN_SHUTDOWN_FILE}")
    disk.sync_dir(directory)
    disk.rename(target, replaced)
    disk.rename(making, target)
    disk.sync_dir(directory)
    disk.remove_tree(replaced)
    return Adopted(partition=name, path=target, first_offset=first, next_offset=following, batches=count)


def _segments(source: str, name: str) -> list[str]:
    if not _PARTITION.fullmatch(name) or not os.path.isdir(source):
        raise ConfigurationError(f"{source}: is no directory of a partition, TOPIC-NUMBER")
    found = sorted(each for each in os.listdir(source) if _SEGMENT.fullmatch(each))
    if not found:
        raise ConfigurationError(f"{source}: there is no segment in this directory")
    return [f"{source}/{each}" for each in found]


async def _copy(disk: OsDisk, source: str, target: str, base: int, count: int) -> tuple[int, int]:
    """The number of batches, `count` included, and the offset behind the last."""
    following = base
    file = disk.open(target, create=True)
    try:
        with _content(source) as content:
            chunk = bytearray()
            for header, batch in _batches(content, base, source):
                chunk += restamped(header, batch)
                count, following = count + 1, header.next_offset
                if len(chunk) >= _CHUNK_BYTES:
                    file.append([bytes(chunk)])
                    chunk.clear()
            if chunk:
                file.append([bytes(chunk)])
        await disk.sync([file])
    finally:
        file.close()
    return count, following


@contextmanager
def _content(path: str) -> Iterator[memoryview]:
    """The bytes of a file, which may be larger than the memory."""
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            yield memoryview(b"")
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
            yield view


def _batches(content: memoryview, base: int, path: str) -> Iterator[tuple[BatchHeader, bytes]]:
    for each in inspection.batches(content, base_offset=base):
        if isinstance(each, inspection.Damage):
            raise StartupError(
                f"{path}: at {each.position}: {each.problem} (batches of Kafka before 0.11 are not read either)"
            )
        if each.problem is not None:
            raise StartupError(f"{path}: at {each.position}: {each.problem}")
        header = each.header
        if header.is_control or header.is_transactional:
            raise StartupError(
                f"{path}: at {each.position}: offset {header.base_offset} was written in a transaction, and which of these "
                "were aborted is not known here: copy the topic with a consumer that reads what was committed"
            )
        yield header, bytes(content[each.position : each.position + header.batch_size])


def restamped(header: BatchHeader, batch: bytes) -> bytes:
    """The batch as if it had come from a producer without an id, in leader epoch 0; its records are what they were."""
    changed = bytearray(batch)
    stamp(changed, 0, header.base_offset, leader_epoch=0)
    if header.producer_id != NO_PRODUCER_ID:
        set_producer(changed, 0, producer_id=NO_PRODUCER_ID, producer_epoch=-1, base_sequence=-1)
    return bytes(changed)
