"""The one table of routes. Floor 4."""

from __future__ import annotations

from typing import Final

from raftkafka.console.api import cluster, document, session, topics
from raftkafka.console.api.routes import Route

ROUTES: Final[tuple[Route, ...]] = (
    *session.ROUTES,
    *cluster.ROUTES,
    *topics.ROUTES,
    *document.ROUTES,
)
