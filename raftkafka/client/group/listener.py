"""What an application may want to know about its share. Floor 3."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from raftkafka.client.types import TopicPartition


class ConsumerRebalanceListener:
    """Derive from it; methods may be coroutines. They are called within a poll, or `stop`, and nowhere else, so the application is done
    with every record it was given before. What one raises comes out of that poll.

    Within them the consumer may be asked to `commit`, `seek`, `pause` or tell a `position`.
    """

    def on_partitions_revoked(self, partitions: Sequence[TopicPartition]) -> Any:
        """These go to somebody else; commit here what was done with them. With auto-commit on, that has been done already.

        An eager member gives up all, a cooperative one only those that it loses.
        """

    def on_partitions_assigned(self, partitions: Sequence[TopicPartition]) -> Any:
        """These are new; called after every rebalance, also where there are none."""

    def on_partitions_lost(self, partitions: Sequence[TopicPartition]) -> Any:
        """These went to somebody else already (a session that ended, a poll that came too late): no commit is possible."""
        return self.on_partitions_revoked(partitions)


async def tell(callback: Callable[[Sequence[TopicPartition]], Any], partitions: Sequence[TopicPartition]) -> None:
    answer = callback(partitions)
    if inspect.isawaitable(answer):
        await answer
