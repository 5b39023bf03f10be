"""Bringing a log back from its directory, after an orderly stop or after any other.

Floor 2. Invariants: a synced record is never cut off (I1), damage is never built upon (I15). What the recovery point
vouches for is believed; everything behind it is read and checked. Behind it two kinds of bad bytes differ. A torn tail
was never synced and is cut off: its file is too short for it, or pages of it are missing; nothing valid follows it in its file,
and either nothing follows in later files, or its own file is too short, which a synced one cannot be (syncs cover older segments
first). Any other damage may have been synced, the last batch of all included, so it is kept, the log is marked corrupt from
there, and somebody who knows other replicas decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from raftkafka.model.errors import CorruptionError
from raftkafka.model.ids import LeaderEpoch, Offset
from raftkafka.ports.disk import Disk
from raftkafka.record.header import HEADER_BYTES
from raftkafka.replica.epochs import EpochHistory
from raftkafka.replica.producers import ProducerTable
from raftkafka.storage import swap
from raftkafka.storage.batches import shape_at
from raftkafka.storage.config import LogConfig
from raftkafka.storage.epoch_file import EPOCHS_FILE, load_epochs
from raftkafka.storage.producer_state import SNAPSHOT_SUFFIX, load, snapshot_offsets
from raftkafka.storage.reading import load_indexes
from raftkafka.storage.scan import Walk, valid_after, walk_segment
from raftkafka.storage.segment import (
    ASIDE_SUFFIX,
    DELETED_SUFFIX,
    INDEX_SUFFIX,
    TIME_INDEX_SUFFIX,
    Segment,
    base_offsets,
    file_name,
)

RECOVERY_LIMIT_FILE: Final = "recovery-point-limit"
SPARSE_FILE: Final = "sparse-offsets"
"""There when compaction, here or at a leader, has removed batches: whatever the policy is now, gaps are no damage."""

_NOWHERE: Final = 1 << 63


@dataclass(slots=True, kw_only=True)
class Recovered:
    """The state of a log as its directory gives it; `segments` has at least one, the last is the active one."""

    segments: list[Segment]
    epochs: EpochHistory
    log_start_offset: Offset
    flushed_offset: Offset
    producers: ProducerTable = field(default_factory=lambda: ProducerTable(0))
    snapshots: list[int] = field(default_factory=list)
    """The offsets of the producer snapshots that may be believed."""
    corruption: CorruptionError | None = None
    corrupt_from: int = _NOWHERE
    has_recovery_limit: bool = False
    sparse: bool = False
    has_sparse_mark: bool = False
    cleaned_until: Offset = Offset(0)


async def recover(
    disk: Disk,
    directory: str,
    *,
    config: LogConfig,
    clean: bool,
    recovery_point: Offset,
    log_start_offset: Offset,
    now_ms: int,
    cleaned_until: Offset,
) -> Recovered:
    """See `Log.open`."""
    found = await _recover(
        disk,
        directory,
        config=config,
        clean=clean,
        recovery_point=recovery_point,
        log_start_offset=log_start_offset,
        now_ms=now_ms,
    )
    limits = [Offset(found.segments[-1].next_offset)]
    if found.has_recovery_limit:
        # The log was cut after the checkpoint was written: behind that point nothing was looked at.
        limits.append(load_recovery_limit(disk, directory) or Offset(0))
    found.cleaned_until = Offset(max(0, min(cleaned_until, *limits)))
    return found


async def _recover(
    disk: Disk,
    directory: str,
    *,
    config: LogConfig,
    clean: bool,
    recovery_point: Offset,
    log_start_offset: Offset,
    now_ms: int,
) -> Recovered:
    disk.make_dir(directory)
    names = disk.list_dir(directory)
    limit = load_recovery_limit(disk, directory) if RECOVERY_LIMIT_FILE in names else None
    if limit is not None:
        recovery_point = min(recovery_point, limit)
    has_sparse_mark = SPARSE_FILE in names
    sparse = config.compacts or has_sparse_mark
    swapped = True
    if any(name.endswith((swap.CLEANED_SUFFIX, swap.SWAP_SUFFIX)) for name in names):
        swapped = await swap.finish_swaps(disk, directory, names)
        names = disk.list_dir(directory)
    segments = _find_segments(disk, directory, names, config, clean=clean)
    epochs = load_epochs(disk, directory, names)
    if not segments:
        segments.append(_create(disk, directory, log_start_offset, config))
        _drop_snapshots(disk, directory, names, above=-1)
        found = Recovered(
            segments=segments,
            epochs=EpochHistory(),
            log_start_offset=log_start_offset,
            flushed_offset=log_start_offset,
            producers=ProducerTable(log_start_offset),
            has_recovery_limit=limit is not None,
            sparse=sparse,
            has_sparse_mark=has_sparse_mark,
        )
        if recovery_point > log_start_offset:
            _mark(found, segments[0].path, log_start_offset)
        return found
    trusted_from = _NOWHERE if clean else recovery_point
    # After a swap that cannot be completed, segments that the recovery point vouches for may be gone.
    first = _first_to_walk(segments, trusted_from, everything=epochs is None or not swapped)
    for at, segment in enumerate(segments):
        segment.next_offset = segments[at + 1].base_offset if at + 1 < len(segments) else segment.base_offset
        segment.created_ms = segment.last_append_ms = now_ms
    for segment in segments[:first]:
        if not segment.load_indexes():
            await load_indexes(disk, segment, rebuild=True)
            segment.write_indexes()
        segment.unload()
    history = epochs if epochs is not None else EpochHistory()
    epochs_before = history.encode()
    began = Walk(next_offset=segments[first].base_offset)
    if clean and epochs is not None:
        await _resume_at_last_index_entry(disk, segments[-1], began)
    history.truncate_from_end(Offset(began.next_offset))
    snapshots = snapshot_offsets(names)
    if not clean:
        snapshots = _drop_snapshots(disk, directory, names, above=segments[first].base_offset)
    producers = await load(disk, directory, snapshots, segments, upto=began.next_offset)
    found = Recovered(
        segments=segments,
        epochs=history,
        log_start_offset=log_start_offset,
        flushed_offset=recovery_point,
        producers=producers,
        snapshots=snapshots,
        has_recovery_limit=limit is not None,
        sparse=sparse,
        has_sparse_mark=has_sparse_mark,
    )
    await _walk_from(disk, found, first, began, recovery_point=trusted_from)
    active = segments[-1]
    end = active.next_offset
    found.log_start_offset = Offset(max(log_start_offset, segments[0].base_offset))
    if found.log_start_offset > end and found.corruption is None:
        # The log start is durable, what stood below it was free to go: begin anew where it says.
        for segment in segments:
            segment.delete()
        segments[:] = [_create(disk, directory, found.log_start_offset, config)]
        found.snapshots = _drop_snapshots(disk, directory, names, above=-1)
        found.producers = ProducerTable(found.log_start_offset)
        found.epochs.clear()
        found.flushed_offset = found.log_start_offset
        return found
    if found.producers.end > end:
        # An orderly stop left a snapshot above what is there now.
        found.snapshots = _drop_snapshots(disk, directory, names, above=end)
        found.producers = await load(disk, directory, found.snapshots, segments, upto=end)
    found.flushed_offset = Offset(end if clean else max(min(recovery_point, end), found.log_start_offset))
    found.epochs.truncate_from_start(found.log_start_offset)
    for segment in segments[first:]:
        segment.flushed_size = segment.size if clean else 0
    if found.corruption is None and (epochs is None or history.encode() != epochs_before):
        disk.write_atomic(f"{directory}/{EPOCHS_FILE}", history.encode())
    return found


def save_recovery_limit(disk: Disk, directory: str, offset: Offset) -> None:
    """From now on no recovery point above `offset` counts for this log (it is about to be cut there)."""
    standing = load_recovery_limit(disk, directory)
    if standing is None or offset < standing:
        disk.write_atomic(f"{directory}/{RECOVERY_LIMIT_FILE}", f"0\n{offset}\n".encode("ascii"))


def load_recovery_limit(disk: Disk, directory: str) -> Offset | None:
    """The limit in force; 0 when it cannot be read, because then nothing is known to be safe."""
    path = f"{directory}/{RECOVERY_LIMIT_FILE}"
    if not disk.exists(path):
        return None
    lines = disk.read_file(path).split(b"\n")
    if len(lines) == 3 and lines[0] == b"0" and lines[1].isdigit():
        return Offset(int(lines[1]))
    return Offset(0)


def save_sparse_mark(disk: Disk, directory: str) -> None:
    """From now on this log may have gaps, also for whoever opens it under another cleanup policy."""
    disk.write_atomic(f"{directory}/{SPARSE_FILE}", b"0\n")


def drop_recovery_limit(disk: Disk, directory: str) -> None:
    """A recovery point taken after the cut is durable in the checkpoint: it is right by itself."""
    disk.remove(f"{directory}/{RECOVERY_LIMIT_FILE}")


def _create(disk: Disk, directory: str, base_offset: int, config: LogConfig) -> Segment:
    return Segment.create(disk, directory, base_offset, index_interval_bytes=config.index_interval_bytes)


def _find_segments(disk: Disk, directory: str, names: list[str], config: LogConfig, *, clean: bool) -> list[Segment]:
    """The segments by base offset. Leftovers go: half-deleted files, indexes without a log, and after an orderly stop
    what the recovery before it had set aside."""
    bases = base_offsets(names)
    stems = {file_name(base, "") for base in bases}
    for name in names:
        stem, dot, suffix = name.partition(".")
        orphan = dot + suffix in (INDEX_SUFFIX, TIME_INDEX_SUFFIX) and stem not in stems
        if name.endswith((DELETED_SUFFIX, ".tmp")) or orphan or (clean and name.endswith(ASIDE_SUFFIX)):
            disk.remove(f"{directory}/{name}")
    if not clean:
        # The stop may have been for a sync that failed: then the cache shows records that are on no disk (I1).
        for base in bases:
            disk.drop_cached(f"{directory}/{file_name(base)}")
    return [
        Segment(
            disk,
            directory,
            base,
            index_interval_bytes=config.index_interval_bytes,
            size=disk.file_size(f"{directory}/{file_name(base)}"),
        )
        for base in bases
    ]


def _drop_snapshots(disk: Disk, directory: str, names: list[str], *, above: int) -> list[int]:
    """Remove the producer snapshots above an offset, durably; those that stay."""
    offsets = snapshot_offsets(names)
    outdated = [offset for offset in offsets if offset > above]
    for offset in outdated:
        disk.remove(f"{directory}/{file_name(offset, SNAPSHOT_SUFFIX)}")
    if outdated:
        disk.sync_dir(directory)
    return [offset for offset in offsets if offset <= above]


def _first_to_walk(segments: list[Segment], trusted_from: int, *, everything: bool) -> int:
    """The place of the first segment that reaches above the recovery point; the last one always counts."""
    if everything:
        return 0
    for at in range(len(segments) - 1):
        if segments[at + 1].base_offset > trusted_from:
            return at
    return len(segments) - 1


async def _resume_at_last_index_entry(disk: Disk, segment: Segment, walk: Walk) -> None:
    """Let `walk` begin at the last batch that the index of an orderly closed segment knows, if that is to be believed."""
    if not segment.load_indexes() or segment.index is None or segment.index.last is None:
        return
    relative, position = segment.index.last
    header = await disk.read_cold(segment.opened(), position, HEADER_BYTES)
    batch = shape_at(header, 0) if len(header) == HEADER_BYTES else None
    if batch is not None and batch.last_offset == segment.base_offset + relative:
        walk.valid_end, walk.next_offset = position, batch.base_offset


async def _walk_from(disk: Disk, found: Recovered, first: int, began: Walk, *, recovery_point: int) -> None:
    """Read the segments from place `first` on, cut a torn tail or mark damage, and collect epochs."""
    segments = found.segments
    at = first
    while at < len(segments):
        segment = segments[at]
        walk = began if at == first else Walk(next_offset=segment.base_offset)
        walk.producers = found.producers
        await walk_segment(disk, segment, walk, sparse=found.sparse)
        for epoch, offset in walk.epochs:
            found.epochs.assign(LeaderEpoch(epoch), Offset(offset))
        later = segments[at + 1 :]
        ends_early = bool(later) and walk.next_offset != later[0].base_offset
        if found.corruption is None and (walk.damaged_at is not None or ends_early):
            later_valid = [other for other in later if await valid_after(disk, other, -1, walk.next_offset - 1)]
            is_short = walk.is_short or walk.damaged_at is None
            is_torn = is_short or walk.lacks_pages
            if walk.next_offset < recovery_point or walk.valid_follows or not is_torn or (later_valid and not is_short):
                _mark(found, segment.path, walk.next_offset)
            else:
                for other in reversed(later):
                    if other in later_valid:
                        other.set_aside()
                    else:
                        other.delete()
                del segments[at + 1 :]
                disk.sync_dir(segment.path.rpartition("/")[0])
                segment.truncate(walk.valid_end, walk.next_offset)
                # Durable now: another crash must not bring the tail back beside a segment that begins where it did.
                await disk.sync(segment.begin_sync())
                segment.end_sync()
        if found.corruption is None:
            segment.size, segment.next_offset = walk.valid_end, walk.next_offset
        elif at + 1 == len(segments):
            segment.next_offset = max(walk.next_offset, found.corrupt_from)
        if at + 1 < len(segments):
            segment.write_indexes()
            segment.unload()
        at += 1
    end = segments[-1].next_offset
    if end < recovery_point < _NOWHERE and found.corruption is None:
        _mark(found, segments[-1].path, end)


def _mark(found: Recovered, path: str, offset: int) -> None:
    if found.corruption is None:
        found.corrupt_from = offset
        found.corruption = CorruptionError(f"{path} is damaged: the batch at offset {offset} is not whole or not there")
