"""How the descriptors that the system grants are shared out: clients must not take those that the logs and replication need.

Floor 5. A quarter is for closed segments, half for connections of clients and nodes; the rest is for active segments, Raft,
other nodes, and what the interpreter has open. Where that is less than is configured, the configured number gives way.
"""

from __future__ import annotations

import logging
import resource
from dataclasses import replace
from typing import Final

from raftkafka.model.settings.values import Settings

_log = logging.getLogger("raftkafka.node")

DESCRIPTORS_MAX: Final = 1 << 20
"""More are not asked for, whatever the system would give."""


def raise_limit() -> int:
    """Raise the soft limit to the hard one, as far as it is allowed; the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_MAX if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            return soft
        return wanted
    return DESCRIPTORS_MAX if soft == resource.RLIM_INFINITY else soft


def within_limit(settings: Settings, descriptors: int) -> Settings:
    """`settings` with no more connections and open segments than so many descriptors allow."""
    network, log = settings.network, settings.log
    connections = min(network.connections_max, max(1, descriptors // 2))
    segments = min(log.open_segments_max, max(1, descriptors // 4))
    if connections < network.connections_max:
        _log.warning(
            "of %d descriptors half are for connections: max.connections is %d here, not %d (see ulimit -n)",
            descriptors,
            connections,
            network.connections_max,
        )
    return replace(
        settings,
        network=replace(network, connections_max=connections),
        log=replace(log, open_segments_max=segments),
    )
