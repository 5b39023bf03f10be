"""The one table of routes. Floor 4."""

from __future__ import annotations

from typing import Final

from raftkafka.console.api import (
    brokers,
    cluster,
    document,
    elections,
    events,
    groups,
    messages,
    partition_map,
    reassignments,
    session,
    timeline,
    topic_changes,
    topics,
)
from raftkafka.console.api.routes import Route

ROUTES: Final[tuple[Route, ...]] = (
    *session.ROUTES,
    *cluster.ROUTES,
    *brokers.ROUTES,
    *topics.ROUTES,
    *topic_changes.ROUTES,
    *partition_map.ROUTES,
    *messages.ROUTES,
    *groups.ROUTES,
    *reassignments.ROUTES,
    *elections.ROUTES,
    *timeline.ROUTES,
    *events.ROUTES,
    *document.ROUTES,
)
