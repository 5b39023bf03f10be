"""What members of a group are told when the group has moved on without them. Floor 3."""

from __future__ import annotations

from raftkafka.model.errors import ApiError


class CommitFailedError(ApiError):
    """The group has rebalanced without this consumer: its partitions may be read by others by now, and what it wanted to commit is
    theirs to say. The next poll joins again; the records since the last commit will be read again, here or elsewhere.
    """


class RebalanceInProgressError(ApiError):
    """The group rebalances, so nothing is committed now. Partitions are still held: poll, which joins, and commit again."""


class FencedInstanceIdError(ApiError):
    """Another consumer joined with the same `group_instance_id`: this one is out, and stays out (KIP-345)."""
