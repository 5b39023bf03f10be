"""Which part of a log compaction may work on, and whether it is worth it.

Floor 2, pure. Whole closed segments that are synced and lie below the high watermark: what is not committed may still go, and
what may go must not push out what stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from raftkafka.model.settings.values import INT64_MAX
from raftkafka.storage import lookup
from raftkafka.storage.config import LogConfig
from raftkafka.storage.index import RELATIVE_MAX
from raftkafka.storage.segment import Segment
from raftkafka.storage.segments import Segments

GROUP_SEGMENTS_MAX = 32
"""Segments that become one: the old ones go in one step, which must not hold up the loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleanable:
    """Offsets from `first_dirty` to `end` have not been looked at; sizes in bytes. `overdue`: `max.compaction.lag.ms`."""

    first_dirty: int
    end: int
    clean_bytes: int
    dirty_bytes: int
    overdue: bool

    @property
    def ratio(self) -> float:
        """Kafka's dirty ratio: how much of what would be read has not been compacted yet."""
        return self.dirty_bytes / max(1, self.clean_bytes + self.dirty_bytes)


def cleanable_part(
    segments: Segments, config: LogConfig, *, cleaned_until: int, limit: int, now_ms: int
) -> Cleanable | None:
    """What of the closed segments below the offset `limit` is to be cleaned; None when nothing is dirty.

    `min.compaction.lag.ms` keeps young records out of it: a reader who is not farther behind sees every one of them.
    """
    first_dirty = max(cleaned_until, segments.first.base_offset)
    clean_bytes = dirty_bytes = 0
    end = first_dirty
    earliest: Segment | None = None
    for segment, following in pairwise(segments):
        if following.base_offset > limit or segment.is_dirty:
            break
        if following.base_offset <= first_dirty:
            clean_bytes += segment.size
            continue
        if config.min_compaction_lag_ms and newest_ms(segment, now_ms) > now_ms - config.min_compaction_lag_ms:
            break
        earliest = earliest or segment
        dirty_bytes += segment.size
        end = following.base_offset
    if earliest is None or dirty_bytes == 0:
        return None
    return Cleanable(
        first_dirty=first_dirty,
        end=end,
        clean_bytes=clean_bytes,
        dirty_bytes=dirty_bytes,
        overdue=config.max_compaction_lag_ms < INT64_MAX
        and _first_ms(earliest, now_ms) < now_ms - config.max_compaction_lag_ms,
    )


def newest_ms(segment: Segment, now_ms: int) -> int:
    """The time of the newest record; that of the last append where records carry none, or one of the future."""
    newest = segment.max_timestamp
    return segment.last_append_ms if newest < 0 or newest > now_ms else newest


def _first_ms(segment: Segment, now_ms: int) -> int:
    for _, batch in lookup.headers_from(segment, 0):
        if 0 <= batch.max_timestamp <= now_ms:
            return batch.max_timestamp
        break
    return segment.created_ms


def groups(segments: list[Segment], config: LogConfig) -> list[list[Segment]]:
    """Neighbours that together are no larger than a segment may be become one."""
    made: list[list[Segment]] = []
    size = entries = 0
    for segment in segments:
        index_bytes = 8 * (segment.size // max(1, config.index_interval_bytes) + 1)
        fits = (
            made
            and len(made[-1]) < GROUP_SEGMENTS_MAX
            and size + segment.size <= config.segment_bytes
            and entries + index_bytes <= config.index_size_max_bytes
            and segment.next_offset - made[-1][0].base_offset <= RELATIVE_MAX
        )
        if fits:
            made[-1].append(segment)
            size += segment.size
            entries += index_bytes
        else:
            made.append([segment])
            size, entries = segment.size, index_bytes
    return made
