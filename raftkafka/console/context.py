"""What every handler of the API is given beside the request. Floor 4."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from raftkafka.client.admin import Admin
from raftkafka.console.api.errors import unknown_partition, unknown_topic
from raftkafka.console.clients import Clients
from raftkafka.console.lag import LagSamples
from raftkafka.console.live import Live
from raftkafka.console.node import ConsoleNode
from raftkafka.console.streams import Streams
from raftkafka.console.throttle import Throttle
from raftkafka.metadata.image import Image, Partition, Topic
from raftkafka.model.errors import RaftKafkaError

SEEN_S: Final = 2.0
"""What an answer to a change waits for this node's own image to show it, so that a page which asks again sees it."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    node: ConsoleNode
    clients: Clients
    streams: Streams
    live: Live
    lag: LagSamples
    throttle: Throttle

    @property
    def image(self) -> Image:
        """The metadata as this node has applied it."""
        return self.node.store.image

    async def admin(self) -> Admin:
        return await self.clients.admin()

    def topic(self, name: str) -> Topic:
        """Raises HttpError: there is none of that name."""
        topic = self.image.topic_by_name(name)
        if topic is None:
            raise unknown_topic(name)
        return topic

    def partition(self, topic: str, index: int) -> Partition:
        """Raises HttpError: there is no such partition."""
        found = self.topic(topic).partition(index)
        if found is None:
            raise unknown_partition(topic, index)
        return found

    async def see(self, condition: Callable[[Image], bool]) -> None:
        """Wait until this node's image shows what another one may have answered."""
        await self.node.store.wait_for(condition, timeout_s=SEEN_S)


async def or_none(asked: Awaitable[_T]) -> _T | None:
    """What was asked for, or None where it cannot be had: for numbers that an overview can do without."""
    try:
        return await asked
    except (RaftKafkaError, TimeoutError):
        return None
