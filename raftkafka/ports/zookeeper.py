"""What the listener of ZooKeeper's protocol needs behind it, and what that side may do to a connection.

Floor 1. Both live on one loop and call each other directly: a reply or an event is handed over at the moment in which the tree has
that state, so that a client sees both in the order of the changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from raftkafka.model.zookeeper.events import WatchedEvent
from raftkafka.model.zookeeper.requests import Reply, Request
from raftkafka.model.zookeeper.sessions import ConnectRequest, ConnectResponse
from raftkafka.model.zookeeper.status import SessionStatus, TreeStatus


class ZooKeeperLink(Protocol):
    """One connection. It has at most one session in its life."""

    @property
    def host(self) -> str:
        """The client's address without its port: what it is known by under the scheme `ip`."""
        ...

    def deliver(self, event: WatchedEvent) -> None:
        """Send an event, before any reply that is handed over later."""
        ...

    def end(self, reason: str) -> None:
        """The session is over, or has moved to another connection: close once what is ready has been sent."""
        ...


class ZooKeeperService(Protocol):
    """Sessions, watches and the tree. Every `answer` is called once, at once or later; what it is called with after the link has
    gone is dropped."""

    def connect(
        self, link: ZooKeeperLink, request: ConnectRequest, answer: Callable[[ConnectResponse | None], None]
    ) -> None:
        """Open a session or take one up again. None: not here, not now; the client will try another server."""
        ...

    def heard(self, link: ZooKeeperLink) -> None:
        """Something came from the client: its session is alive."""
        ...

    def handle(self, link: ZooKeeperLink, request: Request, answer: Callable[[Reply], None]) -> None:
        """Carry out a request of an established session.

        Changes of the tree may be handed over while earlier ones wait for their answer; they must take effect, and be
        answered, in that order. Anything else comes when all before it is answered.
        """
        ...

    def gone(self, link: ZooKeeperLink) -> None:
        """The connection is closed: its watches go, its session stays until it is closed or expires."""
        ...

    def status(self) -> TreeStatus: ...

    def sessions(self) -> tuple[SessionStatus, ...]:
        """For `dump`, `wchc` and `wchp`."""
        ...
