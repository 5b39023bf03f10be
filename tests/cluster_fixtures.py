"""Fixtures for tests with real processes: a `conftest.py` imports them.

When a test fails, the end of every node's log is part of its report. When it passes, no node may have written a traceback:
whatever a peer, a disk or an operator does wrong has to come out as one clear line.

A cluster that starts costs a test a second or two. Tests that break nothing take one that is there (`shared_cluster`, `shared_single`):
it has no topics, no groups and no configs when they begin, and goes to the next test unless this one failed.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.clusters import Cluster

__all__ = [
    "cluster",
    "new_cluster",
    "pytest_runtest_makereport",
    "shared_cluster",
    "shared_clusters",
    "shared_single",
    "single",
]

LOG_TAIL_LINES: Final = 60

QUICK: Final = {"group.initial.rebalance.delay.ms": "0"}
"""A group waits three seconds for others before its first generation, unless it is told not to."""

ClusterFactory = Callable[..., Cluster]


@pytest.fixture
def new_cluster(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ClusterFactory]:
    """`new_cluster(nodes, properties)`: nothing is started yet."""
    made: list[Cluster] = []
    request.node.stash[_CLUSTERS] = made

    def make(nodes: int = 3, properties: Mapping[str, str] | None = None) -> Cluster:
        cluster = Cluster(tmp_path / f"cluster-{len(made)}", nodes, properties or {})
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.close()
    assert_no_traceback(made)


@pytest.fixture
async def cluster(new_cluster: ClusterFactory) -> Cluster:
    """Three nodes that are ready."""
    made = new_cluster(3, QUICK)
    made.start()
    await made.ready()
    return made


@pytest.fixture
async def single(new_cluster: ClusterFactory) -> Cluster:
    """One node that is a whole cluster, and ready."""
    made = new_cluster(1, QUICK)
    made.start()
    await made.ready()
    return made


@pytest.fixture(scope="session")
def shared_clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedClusters]:
    """Of this worker."""
    shared = SharedClusters(tmp_path_factory.mktemp("shared"))
    yield shared
    shared.close()


@pytest.fixture
async def shared_cluster(shared_clusters: SharedClusters, request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    """Three nodes that are ready, in no other state than a test before left them: ids and offsets of Raft go on."""
    async with shared_clusters.lent(3, request.node) as cluster:
        yield cluster


@pytest.fixture
async def shared_single(shared_clusters: SharedClusters, request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    async with shared_clusters.lent(1, request.node) as cluster:
        yield cluster


class SharedClusters:
    """By their number of nodes; each is started when it is first asked for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._clusters: dict[int, Cluster] = {}
        self._made = 0

    @contextlib.asynccontextmanager
    async def lent(self, nodes: int, test: pytest.Item) -> AsyncIterator[Cluster]:
        cluster = self._clusters.pop(nodes, None)
        if cluster is None:
            self._made += 1
            cluster = Cluster(self._directory / f"cluster-{self._made}", nodes, QUICK)
            cluster.start()
        test.stash[_CLUSTERS] = [cluster]
        try:
            await cluster.ready()
            yield cluster
            assert_no_traceback([cluster])
            if test.stash.get(_FAILED, False):
                raise _NotForOthersError
            await cluster.tidy()
        except _NotForOthersError:
            cluster.close()
        except BaseException:
            cluster.close()
            raise
        else:
            self._clusters[nodes] = cluster

    def close(self) -> None:
        for cluster in self._clusters.values():
            cluster.close()
        assert_no_traceback(self._clusters.values())


class _NotForOthersError(Exception):
    """A test has failed: nobody knows in what state its cluster is."""


def assert_no_traceback(clusters: Iterable[Cluster]) -> None:
    for cluster in clusters:
        for path in cluster.directory.glob("*.log"):
            text = path.read_text(encoding="utf-8", errors="replace")
            assert "Traceback" not in text, f"{path.name}: {text[text.index('Traceback') :][:3_000]}"


_CLUSTERS: Final = pytest.StashKey[list[Cluster]]()
_FAILED: Final = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report: Any = yield
    if report.failed:
        item.stash[_FAILED] = True
        for cluster in item.stash.get(_CLUSTERS, []):
            for path in sorted(cluster.directory.glob("*.log")):
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
                report.sections.append((f"{cluster.directory.name}/{path.name}", "\n".join(lines)))
    return report
