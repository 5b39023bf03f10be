"""The controller's part in the life of ZooKeeper's clients: it ends sessions that have run out, reaps nodes that go by
themselves, and lets Kafka's nodes that tools have written go when what they ask for is done.

Floor 3. Soft state, empty but on the controller. It decides nothing that `metadata.znodes` has not worked out, and what it proposes is
refused where it has become stale.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final

from raftkafka.broker.controller_queue import Decide
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.metadata.changes import Changes
from raftkafka.metadata.commands import Command
from raftkafka.metadata.decide import Decision, kafka_nodes_upkeep
from raftkafka.metadata.image import Image
from raftkafka.metadata.znodes.expiry import SessionClocks, endings
from raftkafka.metadata.znodes.reaping import reapings
from raftkafka.model.api import Response
from raftkafka.model.api.znodes import TouchZkSessions, TouchZkSessionsResponse
from raftkafka.model.errors import ApiError
from raftkafka.model.ids import TimestampMs
from raftkafka.ports.probe import Probe

_log = logging.getLogger("raftkafka.zookeeper")

REAP_INTERVAL_S: Final = 60.0
"""`znode.container.checkIntervalMs`"""


class ZooKeeperUpkeep:
    def __init__(
        self,
        *,
        store: MetadataStore,
        submit: Callable[[Decide], Awaitable[Response]],
        now: Callable[[], float],
        now_ms: Callable[[], TimestampMs],
        probe: Probe,
        delete_topic_enable: bool = True,
    ) -> None:
        self._store = store
        self._submit = submit
        self._now = now
        self._now_ms = now_ms
        self._probe = probe
        self._delete_topic_enable = delete_topic_enable
        self._in_order: Image | None = None
        """The last image in which Kafka's nodes needed nothing."""
        self._clocks = SessionClocks()
        self._active = False
        self._ending = False
        self._reap_at_s = 0.0
        store.subscribe(self._changed)

    def begin(self) -> None:
        """This node is the controller, or it has slept: nobody's silence means anything yet."""
        self._active = True
        self._clocks.begin((each for _, each in self._store.image.znodes.sessions.items()), self._now())
        self._reap_at_s = self._now() + REAP_INTERVAL_S

    def end(self) -> None:
        self._active = False
        self._clocks = SessionClocks()

    def heard(self, request: TouchZkSessions) -> TouchZkSessionsResponse:
        ages_s = {each.session_id: each.age_ms / 1000 for each in request.heard}
        znodes = self._store.image.znodes
        own = {
            session_id: age_s
            for session_id, age_s in ages_s.items()
            if (session := znodes.sessions.get(session_id)) is not None and session.node_id == request.broker_id
        }
        self._clocks.heard(znodes, own, self._now())
        return TouchZkSessionsResponse()

    def due(self) -> bool:
        """Whether `work` has anything to do now; asked often, so it costs next to nothing without clients."""
        return (
            self._active
            and not self._ending
            and (bool(self._clocks.expired(self._now())) or self._reaps() or not self._is_in_order())
        )

    def _is_in_order(self) -> bool:
        """Whether Kafka's nodes say how things are; looked at once per image."""
        image = self._store.image
        if image is not self._in_order and not any(True for _ in self._of_kafka(image)):
            self._in_order = image
        return image is self._in_order

    def _of_kafka(self, image: Image) -> Iterator[Command]:
        return kafka_nodes_upkeep.upkeep(image, delete_topic_enable=self._delete_topic_enable)

    def _reaps(self) -> bool:
        return self._now() >= self._reap_at_s

    async def work(self) -> None:
        """End what has run out and reap what is due; what fails is tried again at the next tick."""
        self._ending = True
        try:
            expired = self._clocks.expired(self._now())
            if expired:
                _log.info("ending %d sessions whose clients were not heard in time", len(expired))
                await self._submit(lambda image: _nobody_asks(endings(image.znodes, expired)))
                left = self._store.image.znodes.sessions
                self._probe.zookeeper_sessions_expired(sum(each not in left for each in expired))
            if not self._is_in_order():
                await self._submit(lambda image: _nobody_asks(self._of_kafka(image)))
            if self._reaps():
                self._reap_at_s = self._now() + REAP_INTERVAL_S
                if any(True for _ in reapings(self._store.image.znodes, self._now_ms())):
                    await self._submit(lambda image: _nobody_asks(reapings(image.znodes, self._now_ms())))
        except ApiError as error:
            _log.info("sessions and nodes that are over stay for a while: %s", error)
        finally:
            self._ending = False

    def _changed(self, image: Image, changes: Changes) -> None:
        if self._active and changes.zk_sessions:
            self._clocks.follow(image.znodes, changes.zk_sessions, self._now())


def _nobody_asks(commands: Iterable[Command]) -> Decision:
    return Decision(commands=tuple(commands), respond=lambda _: TouchZkSessionsResponse())
