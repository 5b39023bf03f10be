"""What the console knows of the node that serves it. Floor 4."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.replicas import ReplicaTable
from raftkafka.model.settings.values import Settings
from raftkafka.ports.access import Sessions
from raftkafka.ports.clock import Clock
from raftkafka.ports.consensus import Consensus


class Latencies(Protocol):
    """Counts of durations so far: rising upper bounds in seconds without the last, which is unbounded, and counts per bucket."""

    @property
    def bounds(self) -> tuple[float, ...]: ...

    def requests(self) -> Mapping[str, tuple[int, ...]]:
        """By the name of the API."""
        ...

    def loop_delays(self) -> tuple[int, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleNode:
    """`address` is where this node's own clients connect. Everything of it is only read: changes go through the client."""

    settings: Settings
    store: MetadataStore
    replicas: ReplicaTable
    consensus: Consensus
    latencies: Latencies
    sessions: Sessions
    clock: Clock
    address: Callable[[], tuple[str, int]]
