"""Who asks: what a handler may know about the connection that a request came by.

Floor 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from raftkafka.model.ids import NO_NODE, NodeId


@dataclass(slots=True, kw_only=True)
class RequestContext:
    """One per connection. `node_id` is set once the other side has proved that it knows the cluster secret."""

    listener: str
    client_address: str
    client_id: str = ""
    node_id: NodeId = NO_NODE

    @property
    def is_node(self) -> bool:
        """True for an authenticated node of this cluster; only such may fetch as a replica or speak to the controller."""
        return self.node_id != NO_NODE
