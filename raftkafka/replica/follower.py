"""The follower's side of one partition: where its log has to be cut, and where it has to begin again.

Floor 1, pure. Invariant I3: a log is cut only where the leader's epochs prove that it differs, never to a high watermark. One
answer need not find the point where the logs part, but every cut moves towards it, and the next fetch asks again (KIP-101,
KIP-279).
"""

from __future__ import annotations

from raftkafka.model.api.fetch import EpochEndOffset
from raftkafka.model.ids import Offset
from raftkafka.replica.epochs import EpochHistory


def truncation_offset(*, epochs: EpochHistory, log_end_offset: Offset, diverging: EpochEndOffset) -> Offset:
    """Where to cut the follower's log, whose history is `epochs`; may lie before its start, then it begins anew there.

    `diverging` is the leader's largest epoch <= the follower's last one, and the end of that in the leader's log. Where the
    follower has this epoch, both logs agree up to the smaller end. Where it has not, it cuts to the end of its own largest
    epoch below, and the next fetch asks the leader about that one.
    """
    epoch, own_end = epochs.end_offset_for(diverging.epoch, log_end_offset)
    if epoch < 0 or diverging.end_offset < 0:
        # The logs have no epoch in common: nothing shows that any of these records is the leader's.
        return Offset(0)
    if epoch != diverging.epoch:
        return own_end
    return min(diverging.end_offset, own_end)


def restart_offset(
    *, log_start_offset: Offset, log_end_offset: Offset, leader_log_start_offset: Offset
) -> Offset | None:
    """After OFFSET_OUT_OF_RANGE: the offset at which to begin an empty log, None to leave the log alone and ask again.

    A log that ends before the leader's begins has missed what retention removed: it drops all it has. A log beyond the
    leader's end is not cut for this error: an epoch has to prove that it differs, and the answer to the next fetch does. Only
    an empty log carries no epoch to be asked about, and it has nothing to lose either.
    """
    if log_end_offset < leader_log_start_offset:
        return leader_log_start_offset
    if log_start_offset == log_end_offset != leader_log_start_offset:
        return leader_log_start_offset
    return None
