"""What the console knows of the node that serves it. Floor 4."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.model.settings.values import Settings
from raftkafka.ports.access import Sessions
from raftkafka.ports.clock import Clock
from raftkafka.ports.consensus import Consensus


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleNode:
    """`address` is where this node's own clients connect. Everything of it is only read: changes go through the client."""

    settings: Settings
    store: MetadataStore
    consensus: Consensus
    sessions: Sessions
    clock: Clock
    address: Callable[[], tuple[str, int]]
