"""Who may send to a leader now: a connection that is open, and not too much under way on it. Floor 3."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from raftkafka.client.channels import Channel
from raftkafka.client.lanes import Lane
from raftkafka.client.routing import Router
from raftkafka.model.errors import RaftKafkaError
from raftkafka.model.ids import NodeId

_log = logging.getLogger("raftkafka.client")

LANE: Final = "produce"

UNSENT_BYTES_MAX: Final = 4 << 20
"""With acks=0 no answer slows the sender down; a connection with more than this to write does."""


class Gate:
    """Lanes that cannot be served wait here, and are woken when it may be worth another try.

    `max_in_flight` bounds the requests under way per leader; None where nothing is answered (acks=0). `unreachable` is told
    of each lane whose leader could not be connected to.
    """

    def __init__(
        self,
        *,
        router: Router,
        max_in_flight: int | None,
        wake: Callable[[Lane], None],
        unreachable: Callable[[Lane], None],
    ) -> None:
        self._router = router
        self._max_in_flight = max_in_flight
        self._wake = wake
        self._unreachable = unreachable
        self._in_flight: dict[NodeId, int] = {}
        self._channels: dict[NodeId, Channel] = {}
        """Good until the view changes (a broker may have moved) or they close: to ask the pool costs a key of its own."""
        self._waiting: dict[NodeId, dict[Lane, None]] = {}
        self._dialling: set[NodeId] = set()
        self._draining: dict[NodeId, asyncio.Task[None]] = {}
        self._throttled: dict[NodeId, asyncio.TimerHandle] = {}
        self._stopped = False
        router.on_update.append(self._channels.clear)

    def enter(self, leader: NodeId) -> Channel | None:
        """The connection for one more request; None when lanes have to `wait`, and what they wait for is under way."""
        channel = self._channels.get(leader)
        if channel is None or channel.closed:
            channel = self._router.live_channel(leader, lane=LANE)
            if channel is not None:
                self._channels[leader] = channel
        if leader in self._throttled:
            return None
        if channel is None:
            if leader not in self._dialling:
                self._dialling.add(leader)
                self._router.dial(leader, lane=LANE, on_done=partial(self._dialled, leader))
        elif self._max_in_flight is not None:
            if self._in_flight.get(leader, 0) >= self._max_in_flight:
                return None
        elif channel.unsent_bytes > UNSENT_BYTES_MAX:
            if leader not in self._draining:
                drain = self._drain(leader, channel)
                self._draining[leader] = asyncio.get_running_loop().create_task(drain)
            return None
        return channel

    def wait(self, leader: NodeId, lanes: Iterable[Lane]) -> None:
        self._waiting.setdefault(leader, {}).update(dict.fromkeys(lanes))

    def sent(self, leader: NodeId) -> None:
        self._in_flight[leader] = self._in_flight.get(leader, 0) + 1

    def answered(self, leader: NodeId) -> None:
        """A request that was `sent` has ended, whichever way."""
        self._in_flight[leader] -= 1
        self._open(leader)

    def throttle(self, leader: NodeId, seconds: float) -> None:
        """The leader listens to nothing for so long (KIP-219): what is sent meanwhile would only run out of time."""
        earlier = self._throttled.pop(leader, None)
        if earlier is not None:
            earlier.cancel()
        loop = asyncio.get_running_loop()
        self._throttled[leader] = loop.call_later(seconds, self._listens_again, leader)

    def _listens_again(self, leader: NodeId) -> None:
        del self._throttled[leader]
        self._open(leader)

    def stop(self) -> None:
        self._stopped = True
        for timer in self._throttled.values():
            timer.cancel()
        self._router.on_update.remove(self._channels.clear)
        for task in self._draining.values():
            task.cancel()

    def _open(self, leader: NodeId) -> None:
        for lane in self._waiting.pop(leader, ()):
            self._wake(lane)

    def _dialled(self, leader: NodeId, error: RaftKafkaError | None) -> None:
        self._dialling.discard(leader)
        if self._stopped:
            return
        if error is not None:
            for lane in self._waiting.get(leader, ()):
                self._unreachable(lane)
        self._open(leader)

    async def _drain(self, leader: NodeId, channel: Channel) -> None:
        try:
            await channel.drain()
        except RaftKafkaError as error:
            _log.debug("broker %d: %s", leader, error)  # the next send says it again, to those whom it concerns
        finally:
            del self._draining[leader]
        self._open(leader)
