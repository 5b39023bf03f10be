"""Who has been heard of lately: the controller's soft state about brokers. Pure; `now` is the loop's clock in seconds.

Floor 3. A new controller knows nothing and gives everybody a fresh session, as Kafka's does: fencing late is harmless,
fencing by somebody else's clock is not.
"""

from __future__ import annotations

from collections.abc import Iterable

from raftkafka.model.ids import NodeId


class Sessions:
    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._heard: dict[NodeId, float] = {}

    def begin(self, nodes: Iterable[NodeId], now: float) -> None:
        """A new controller starts counting."""
        self._heard = dict.fromkeys(nodes, now)

    def touch(self, node_id: NodeId, now: float) -> None:
        self._heard[node_id] = now

    def forget(self, node_id: NodeId) -> None:
        self._heard.pop(node_id, None)

    def heard_within(self, node_id: NodeId, now: float, seconds: float) -> bool:
        heard = self._heard.get(node_id)
        return heard is not None and now - heard <= seconds

    def expired(self, now: float) -> list[NodeId]:
        """Nodes whose session has run out; each is named until it is forgotten or heard of again."""
        return [node_id for node_id, heard in self._heard.items() if now - heard > self._timeout_s]
