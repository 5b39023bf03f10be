"""F6: clusters for the tests of users - in this process or beside it, without Docker or a JVM; see docs/testing.md.

The top floor: it starts what `node` and `cli` start. The names below load when they are first used: pytest imports this
package in every run, also in those that need no cluster.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raftkafka.testing.blocking import BlockingCluster, ClusterFactory
    from raftkafka.testing.cluster import Cluster
    from raftkafka.testing.errors import ClusterError

_HOMES = {
    "BlockingCluster": "raftkafka.testing.blocking",
    "Cluster": "raftkafka.testing.cluster",
    "ClusterError": "raftkafka.testing.errors",
    "ClusterFactory": "raftkafka.testing.blocking",
}

__all__ = ["BlockingCluster", "Cluster", "ClusterError", "ClusterFactory"]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value
