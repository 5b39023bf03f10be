"""Who asks: what a handler may know about the connection that a request came by.

Floor 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from raftkafka.model.ids import NO_NODE, NodeId

ANONYMOUS: Final = "ANONYMOUS"


@dataclass(slots=True, kw_only=True)
class RequestContext:
    """One per connection. `node_id` is set once the other side has proved that it knows the cluster secret."""

    listener: str
    client_address: str
    client_id: str = ""
    node_id: NodeId = NO_NODE
    principal: str = ANONYMOUS
    """Who the client has proved to be, by Kafka's name for nobody until listeners authenticate clients."""
    throttled_s: float = 0.0
    """Set by a handler: the connection listens to nothing for so long from now on, and takes this back (KIP-219)."""

    @property
    def is_node(self) -> bool:
        """True for an authenticated node of this cluster; only such may fetch as a replica or speak to the controller."""
        return self.node_id != NO_NODE
