"""A pytest plugin: kazoo's own tests, which come with it, against three of our nodes instead of ZooKeeper's servers.

`make conformance-kazoo` runs all of them, `tests/integration/test_kazoo_suite.py` a part. The harness of those tests asks for a cluster; what it may do with one is what `_Cluster` can.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from tests.clusters import Cluster, _free_port

for name in ("OpenSSL", "jks"):
    # Imported by the harness for certificates, which nobody asks for here.
    if find_spec(name) is None:
        sys.modules[name] = ModuleType(name)

from kazoo.testing import harness  # noqa: E402 - it needs those

NODES = 3
_COUNTS_OBJECTS = "counts objects of the test process, in which this plugin starts the nodes; see docs/zookeeper.md"
NOT_FOR_US = {
    "TestSSLClient": "the port has no TLS",
    "TestReconfig": "reconfig is not served: voters are changed by rk cluster",
    "TestReadOnlyMode::test_read_only": "a node without a quorum serves nobody, read-only clients neither",
    "KazooTreeCacheTests::test_close": _COUNTS_OBJECTS,
    "KazooTreeCacheTests::test_delete_operation": _COUNTS_OBJECTS,
}


class _Server:
    def __init__(self, cluster: Cluster, node_id: int, port: int) -> None:
        self._cluster = cluster
        self._node_id = node_id
        self.address = f"127.0.0.1:{port}"
        cluster.configure(node_id, {"zookeeper.listener": self.address})

    @property
    def running(self) -> bool:
        return self._cluster.is_running(self._node_id)

    def run(self) -> None:
        if not self.running:
            self._cluster.start(self._node_id)

    def stop(self) -> None:
        if self.running:
            self._cluster.kill(self._node_id)


class _Cluster:
    """Its nodes stay for the whole run: the harness ends it after each class of tests, and nothing depends on that."""

    def __init__(self) -> None:
        self._directory = tempfile.mkdtemp(prefix="kazoo-tests-")
        self._cluster = Cluster(Path(self._directory), NODES, {})
        self._servers = [_Server(self._cluster, node_id, _free_port()) for node_id in self._cluster.node_ids]

    def __getitem__(self, index: int) -> _Server:
        return self._servers[index]

    def __iter__(self):
        return iter(self._servers)

    def start(self) -> None:
        for server in self._servers:
            server.run()
        asyncio.run(self._cluster.ready())

    def terminate(self) -> None:
        """Of the harness, between classes."""

    def get_logs(self) -> list[str]:
        return [self._cluster.last_words(node_id) for node_id in self._cluster.node_ids]

    def close(self) -> None:
        self._cluster.close()
        shutil.rmtree(self._directory, ignore_errors=True)


_made: list[_Cluster] = []


def _the_cluster() -> _Cluster:
    if not _made:
        _made.append(_Cluster())
    return _made[0]


def pytest_configure() -> None:
    os.environ.setdefault("ZOOKEEPER_VERSION", "3.8.4")
    harness.get_global_cluster = _the_cluster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name, reason in NOT_FOR_US.items():
            if f"::{name}::" in f"{item.nodeid}::":
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_unconfigure() -> None:
    for each in _made:
        each.close()
