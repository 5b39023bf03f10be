"""Tests that run the product as its users do: real processes, real files, loopback."""

from __future__ import annotations

from tests.cluster_fixtures import (
    cluster,
    new_cluster,
    pytest_runtest_makereport,
    shared_cluster,
    shared_clusters,
    shared_single,
    single,
)

__all__ = [
    "cluster",
    "new_cluster",
    "pytest_runtest_makereport",
    "shared_cluster",
    "shared_clusters",
    "shared_single",
    "single",
]
