"""Fetch (key 1): record batches from partitions, for consumers and for followers."""

from __future__ import annotations

from typing import ClassVar

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import (
    NO_BROKER_EPOCH,
    NO_EPOCH,
    NO_NODE,
    NO_OFFSET,
    BrokerEpoch,
    LeaderEpoch,
    NodeId,
    Offset,
    PartitionIndex,
    TopicId,
)
from raftkafka.model.passing import passing_value


@passing_value
class FetchPartition:
    """Where to read one partition.

    `flushed_offset` (followers only): below it everything is synced to the follower's disk; the leader counts the
    follower up to it under `log.flush.policy=group`, up to `fetch_offset` under `os` and `interval`.
    """

    topic_id: TopicId
    partition: PartitionIndex
    current_leader_epoch: LeaderEpoch = NO_EPOCH
    fetch_offset: Offset
    last_fetched_epoch: LeaderEpoch = NO_EPOCH
    log_start_offset: Offset = NO_OFFSET
    flushed_offset: Offset = NO_OFFSET
    max_bytes: int = 1 << 20


@passing_value
class ForgottenPartition:
    """A partition that leaves the fetch session."""

    topic_id: TopicId
    partition: PartitionIndex


@passing_value
class Fetch:
    """`replica_id` is -1 for consumers; a follower gives its node id and broker epoch (KIP-903).

    The answer waits until `min_bytes` are there or `max_wait_ms` have passed.

    Sessions (KIP-227): with `session_epoch` -1 the request is whole and stands alone; with 0 it is whole and asks for a
    session (a `session_id` other than 0 is closed first); with 1, 2, ... `partitions` are those that are new in the session
    or whose row has changed, `forgotten` leave it, and all others are asked for as they were the last time.

    `rack_id` (consumers, KIP-392): the reader's rack. Only who gives one is sent to, and served by, a follower.
    """

    api_key: ClassVar[ApiKey] = ApiKey.FETCH

    replica_id: NodeId = NO_NODE
    replica_epoch: BrokerEpoch = NO_BROKER_EPOCH
    max_wait_ms: int = 500
    min_bytes: int = 1
    max_bytes: int = 50 << 20
    isolation_level: int = 0
    session_id: int = 0
    session_epoch: int = -1
    partitions: tuple[FetchPartition, ...]
    forgotten: tuple[ForgottenPartition, ...] = ()
    rack_id: str = ""


@passing_value
class EpochEndOffset:
    """The end offset of the largest epoch <= the one asked for (KIP-320)."""

    epoch: LeaderEpoch
    end_offset: Offset


@passing_value
class FetchPartitionResponse:
    """Whole record batches, back to back, in the chunks of `records`; the first may begin before `fetch_offset`.

    `diverging_epoch` set: the logs differ, the follower truncates to it and fetches again (KIP-595).
    `preferred_read_replica` set: there are no records here, because that replica is nearer to the consumer (KIP-392).
    """

    topic_id: TopicId
    partition: PartitionIndex
    error_code: ErrorCode = ErrorCode.NONE
    high_watermark: Offset = NO_OFFSET
    last_stable_offset: Offset = NO_OFFSET
    log_start_offset: Offset = NO_OFFSET
    diverging_epoch: EpochEndOffset | None = None
    current_leader: NodeId = NO_NODE
    current_leader_epoch: LeaderEpoch = NO_EPOCH
    preferred_read_replica: NodeId = NO_NODE
    records: memoryview | bytes = b""


@passing_value
class FetchResponse:
    """Of a whole request one entry per partition, in its order; of an incremental one those partitions that have news.

    `session_id` 0: there is no session, so the next request has to be whole again.
    """

    partitions: tuple[FetchPartitionResponse, ...]
    error_code: ErrorCode = ErrorCode.NONE
    throttle_time_ms: int = 0
    session_id: int = 0
