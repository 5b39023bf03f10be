"""The limit of a reassignment that the console began goes when the reassignment has ended. Floor 4.

As `--verify` of kafka-reassign-partitions.sh takes it away, but without somebody who thinks of it. Invariant: it is taken away only when
the controller says that nothing moves any more. What a node forgot by its restart stands in `GET /reassignments`, and `DELETE
/reassignments/throttle` takes it away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Final

from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.client.throttles import FOLLOWERS, LEADERS, RATES, clear_throttles
from raftkafka.console.clients import Clients
from raftkafka.metadata.image import ALL_BROKERS, Image
from raftkafka.model.errors import RaftKafkaError
from raftkafka.model.ids import NodeId

AGAIN_S: Final = 2.0
"""Between two looks: the image of this node may be behind, and a broker may be away."""
LOOK_S: Final = 60.0

_log = logging.getLogger("raftkafka.console")


class Throttle:
    """`stop` when nobody can ask any more."""

    def __init__(self, *, store: MetadataStore, clients: Clients) -> None:
        self._store = store
        self._clients = clients
        self._topics: set[str] = set()
        self._brokers: set[int] = set()
        self._ending: asyncio.Task[None] | None = None

    @property
    def bytes_per_s(self) -> int | None:
        """The largest limit of a broker; None where there is none."""
        rates = [configs[name] for _, configs in self._limited() for name in RATES if name in configs]
        return max(map(int, rates), default=None)

    def ends_with_the_moves(self, topics: Iterable[str], brokers: Iterable[int]) -> None:
        """Take the limits of these topics and of all brokers away as soon as nothing moves.

        `brokers`: those that were limited, of which the image of this node may not know yet.
        """
        self._topics.update(topics)
        self._brokers.update(brokers)
        if self._ending is None or self._ending.done():
            self._ending = asyncio.get_running_loop().create_task(self._end())

    async def clear(self) -> None:
        """Now, of all. Raises RaftKafkaError."""
        await self._clear(filter(self._is_limited, self._store.image.topic_ids), ())

    async def _clear(self, topics: Iterable[str], brokers: Iterable[int]) -> None:
        limited = {int(node) for node, _ in self._limited()} | set(brokers)
        await clear_throttles(await self._clients.admin(), sorted(limited), sorted(topics))

    def stop(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None

    def _limited(self) -> list[tuple[NodeId, Mapping[str, str]]]:
        """Brokers; a default of all brokers is somebody's standing wish."""
        return [
            (node, configs)
            for node, configs in self._store.image.broker_configs.items()
            if node != ALL_BROKERS and not configs.keys().isdisjoint(RATES)
        ]

    def _is_limited(self, name: str) -> bool:
        topic = self._store.image.topic_by_name(name)
        return topic is not None and not topic.configs.keys().isdisjoint((LEADERS, FOLLOWERS))

    async def _end(self) -> None:
        while self._topics:
            await self._store.wait_for(lambda image: not is_moving(image), timeout_s=LOOK_S)
            # What is limited from here on belongs to moves that begin now, and has a turn of its own.
            topics, self._topics = self._topics, set()
            brokers, self._brokers = self._brokers, set()
            try:
                admin = await self._clients.admin()
                if not await admin.list_partition_reassignments():
                    await self._clear([each for each in topics if self._store.image.topic_by_name(each)], brokers)
                    continue
            except (RaftKafkaError, TimeoutError) as error:
                _log.warning("the limit of the reassignment is not taken away yet: %s", error)
            self._topics |= topics
            self._brokers |= brokers
            await asyncio.sleep(AGAIN_S)


def is_moving(image: Image) -> bool:
    return any(each.adding or each.removing for topic in image.topics.values() for each in topic.partitions)
