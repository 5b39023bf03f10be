"""Replicas that a user names: what is wrong with them, in Kafka's words.

Floor 1, pure. Kafka's counterpart is `ReplicationControlManager.validateManualPartitionAssignment`.
"""

from __future__ import annotations

from raftkafka.metadata.image import Image
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NodeId


def check_replicas(image: Image, replicas: tuple[NodeId, ...]) -> None:
    """Return for replicas that a partition may have: some, distinct, on registered brokers, fenced or not.

    Raises:
        ApiError: INVALID_REPLICA_ASSIGNMENT, with the reason.
    """
    if not replicas:
        raise _invalid("The manual partition assignment includes an empty replica list.")
    seen: set[NodeId] = set()
    for replica in replicas:
        if replica in seen:
            raise _invalid(f"The manual partition assignment includes the broker {replica} more than once.")
        if replica not in image.brokers:
            raise _invalid(
                f"The manual partition assignment includes broker {replica}, but no such broker is registered."
            )
        seen.add(replica)


def _invalid(message: str) -> ApiError:
    return ApiError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, message)
