"""One listening socket of the native protocol and the connections that came by it.

Floor 4. Invariant: no more connections than `max.connections`, in total and per address; a connection above the limit is
closed before anything of it is read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from raftkafka.listeners.complaints import Complaints
from raftkafka.listeners.connection import ConnectionSurroundings, Dispatch, ServerConnection
from raftkafka.listeners.door import Door
from raftkafka.listeners.held_bytes import HELD_MAX_BYTES, HeldBytes
from raftkafka.model.ids import NodeId
from raftkafka.model.settings.values import Listener, NetworkSettings
from raftkafka.ports.probe import Probe
from raftkafka.wire.busy_poll import BusyPoll

_LOG: Final = logging.getLogger("raftkafka.network")


class BrokerServer:
    """`authentication_required`: before a node has proved itself, only ApiVersions and SASL are answered."""

    def __init__(
        self,
        *,
        listener: Listener,
        dispatch: Dispatch,
        settings: NetworkSettings,
        node_id: NodeId,
        cluster_secret: bytes,
        probe: Probe,
        cluster_id: Callable[[], str] = lambda: "",
        authentication_required: bool = False,
        held_max_bytes: int = HELD_MAX_BYTES,
        busy_poll: BusyPoll | None = None,
    ) -> None:
        self._door: Door[ServerConnection] = Door(listener=listener, limits=settings, log=_LOG)
        self._surroundings = ConnectionSurroundings(
            listener=listener.name,
            dispatch=dispatch,
            settings=settings,
            node_id=node_id,
            cluster_secret=cluster_secret,
            cluster_id=cluster_id,
            probe=probe,
            authentication_required=authentication_required,
            admit=self._door.admit,
            gone=self._door.left,
            held=HeldBytes(held_max_bytes),
            complaints=Complaints(_LOG),
            busy_poll=busy_poll,
        )

    async def start(self) -> None:
        """Listen.

        Raises:
            StartupError: the port is in use, or the address is not ours.
        """
        await self._door.open(lambda: ServerConnection(self._surroundings))

    @property
    def port(self) -> int:
        """The port in force, also where the listener asked for port 0."""
        return self._door.port

    @property
    def connections(self) -> int:
        return len(self._door)

    @property
    def held_bytes(self) -> int:
        """As far as heavy connections have reported it; see `held_bytes.HeldBytes`."""
        return self._surroundings.held.total

    async def stop(self) -> None:
        """Stop listening, send what is ready, close all connections; returns within about a second."""
        await self._door.close()
