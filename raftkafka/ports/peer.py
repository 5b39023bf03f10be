"""Requests from this node to other nodes: replica fetches, and everything meant for the controller.

Floor 1.
"""

from __future__ import annotations

from typing import Protocol

from raftkafka.model.api import Request, Response
from raftkafka.model.errors import RaftKafkaError
from raftkafka.model.ids import NodeId


class PeerUnavailableError(RaftKafkaError):
    """No answer: not reachable, not authenticated, closed, or out of time. The request may have been carried out."""


class Peers(Protocol):
    async def request(self, node_id: NodeId, request: Request, *, timeout_s: float, lane: str = "control") -> Response:
        """Send `request` to the inter-broker listener of `node_id` over an authenticated connection.

        Requests on one `lane` share a connection, so a long poll (`lane="fetch"`) does not hold up the controller's.

        Raises:
            PeerUnavailableError: there is no answer.
        """
        ...

    async def probe(self, node_id: NodeId, *, timeout_s: float) -> bool:
        """True when the node's inter-broker listener accepts a new connection in time."""
        ...

    async def close(self) -> None: ...
