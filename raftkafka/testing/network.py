"""The network between the nodes of a cluster under test: a gate before every port, and the cuts between pairs of nodes.

Floor 6. A cluster of one node has none: there is nobody to cut it off from.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from raftkafka.testing.callers import client_caller, raft_caller
from raftkafka.testing.gates import Gate
from raftkafka.testing.ports import NodePorts


class Network:
    """Use it on one event loop. A cut stays through kills and restarts, until it is healed."""

    def __init__(self, ports: Mapping[int, NodePorts]) -> None:
        self._cuts: set[frozenset[int]] = set()
        self._gates: dict[int, tuple[Gate, ...]] = {}
        for node_id, its in ports.items():
            if its.client.inside is not its.client.outside:
                is_cut = partial(self._is_cut, node_id)
                self._gates[node_id] = (
                    Gate(door=its.client, identify=client_caller, is_cut=is_cut),
                    Gate(door=its.raft, identify=raft_caller, is_cut=is_cut),
                )

    def _is_cut(self, one: int, other: int) -> bool:
        return frozenset((one, other)) in self._cuts

    async def connect(self, node_id: int) -> None:
        """The node is about to start."""
        for gate in self._gates.get(node_id, ()):
            await gate.open()

    def disconnect(self, node_id: int) -> None:
        """The node is down."""
        for gate in self._gates.get(node_id, ()):
            gate.close()

    def partition(self, one: int, other: int) -> None:
        self._cuts.add(frozenset((one, other)))
        self._refresh()

    def heal(self) -> None:
        self._cuts.clear()
        self._refresh()

    def _refresh(self) -> None:
        for gates in self._gates.values():
            for gate in gates:
                gate.refresh()
