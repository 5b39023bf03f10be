"""The one table of routes. Floor 4."""

from __future__ import annotations

from typing import Final

from raftkafka.console.api import cluster, document, elections, partition_map, session, timeline, topics
from raftkafka.console.api.routes import Route

ROUTES: Final[tuple[Route, ...]] = (
    *session.ROUTES,
    *cluster.ROUTES,
    *topics.ROUTES,
    *partition_map.ROUTES,
    *elections.ROUTES,
    *timeline.ROUTES,
    *document.ROUTES,
)
