"""Puts the HTTP listener together: what it serves, to whom, and what of it this node serves at all. Floor 5."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from raftkafka.adapters.prometheus import PrometheusProbe
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.replicas import ReplicaTable
from raftkafka.listeners.http.access import Access
from raftkafka.listeners.http.app import Console, NodeApp
from raftkafka.listeners.http.hosts import allowed_hosts
from raftkafka.listeners.http.server import HttpServer
from raftkafka.model.settings.validate import is_every_interface, is_loopback
from raftkafka.model.settings.values import Settings
from raftkafka.ports.clock import Clock
from raftkafka.ports.consensus import Consensus

ONLY_METRICS: Final = "metrics and health only (the console beyond loopback needs http.auth.token.file)"


def serves_console(settings: Settings) -> bool:
    """Beyond loopback only whoever shows a token may change a cluster, so without one nobody may."""
    listener = settings.http_listener
    return listener is not None and (is_loopback(listener.host) or bool(settings.http_auth_token))


def http_port(
    settings: Settings,
    *,
    store: MetadataStore,
    consensus: Consensus,
    clock: Clock,
    now: Callable[[], float],
    replicas: ReplicaTable,
    probe: PrometheusProbe,
    ready: Callable[[], tuple[bool, str]],
    own_port: Callable[[], int],
) -> HttpServer | None:
    """None where no listener is configured. `own_port` is where this node's clients connect, once it listens."""
    listener = settings.http_listener
    if listener is None:
        return None
    # By the port, which one host has once: browsers send a cookie to all ports of a host.
    access = Access(
        token=settings.http_auth_token or None, cookie_name=f"raftkafka_{listener.port or settings.node_id}", now=now
    )

    def address() -> tuple[str, int]:
        host = settings.listeners[0].host
        return ("::1" if host == "::" else "127.0.0.1") if is_every_interface(host) else host, own_port()

    def console() -> Console:
        # Only now: most nodes are never asked, and it brings the client with it.
        from raftkafka.console.app import Console as RealConsole
        from raftkafka.console.node import ConsoleNode

        return RealConsole(
            ConsoleNode(
                settings=settings,
                store=store,
                replicas=replicas,
                consensus=consensus,
                latencies=probe,
                sessions=access,
                clock=clock,
                address=address,
            )
        )

    app = NodeApp(
        metrics=probe.pieces,
        ready=ready,
        hosts=allowed_hosts(
            listener,
            given=settings.http_allowed_hosts,
            advertised=[each.host for each in settings.advertised_listeners],
        ),
        access=access,
        console=console if serves_console(settings) else None,
    )
    return HttpServer(listener=listener, app=app)
