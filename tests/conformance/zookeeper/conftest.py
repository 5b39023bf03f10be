"""Clusters for these tests."""

from tests.cluster_fixtures import new_cluster, pytest_runtest_makereport

__all__ = ["new_cluster", "pytest_runtest_makereport"]
