"""Which of the oldest segments may go.

Floor 2, pure. Only whole closed segments below the high watermark; by time, by size, or because the log start has passed
them (DeleteRecords).
"""

from __future__ import annotations

from itertools import pairwise

from raftkafka.storage.config import LogConfig
from raftkafka.storage.segment import Segment
from raftkafka.storage.segments import Segments


def removable(segments: Segments, config: LogConfig, *, now_ms: int, high_watermark: int, log_start_offset: int) -> int:
    """How many segments, counted from the oldest, retention allows to go at `now_ms`."""
    count = 0
    left_bytes = segments.size_bytes
    for oldest, following in pairwise(segments):
        if following.base_offset > high_watermark:
            break
        left_bytes -= oldest.size
        too_much = config.deletes and 0 <= config.retention_bytes <= left_bytes
        passed = following.base_offset <= log_start_offset
        if not (too_much or passed or is_expired(oldest, config, now_ms)):
            break
        count += 1
    return count


def is_expired(segment: Segment, config: LogConfig, now_ms: int) -> bool:
    """Whether the newest record of `segment` is older than `retention.ms`."""
    if config.retention_ms < 0 or segment.size == 0 or not config.deletes:
        return False
    newest = segment.max_timestamp
    if newest < 0 or newest > now_ms:
        # A record from the future would keep its segment for ever; the time of its append stands in for it.
        newest = segment.last_append_ms
    return newest >= 0 and now_ms - newest > config.retention_ms
