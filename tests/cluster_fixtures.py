"""Fixtures for tests with real processes: a `conftest.py` imports them.

When a test fails, the end of every node's log is part of its report. When it passes, no node may have written a traceback:
whatever a peer, a disk or an operator does wrong has to come out as one clear line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.clusters import Cluster

__all__ = ["cluster", "new_cluster", "pytest_runtest_makereport", "single"]

LOG_TAIL_LINES: Final = 60

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
    made = new_cluster(3)
    made.start()
    await made.ready()
    return made


@pytest.fixture
async def single(new_cluster: ClusterFactory) -> Cluster:
    """One node that is a whole cluster, and ready."""
    made = new_cluster(1)
    made.start()
    await made.ready()
    return made


def assert_no_traceback(clusters: Iterable[Cluster]) -> None:
    for cluster in clusters:
        for path in cluster.directory.glob("*.log"):
            text = path.read_text(encoding="utf-8", errors="replace")
            assert "Traceback" not in text, f"{path.name}: {text[text.index('Traceback') :][:3_000]}"


_CLUSTERS: Final = pytest.StashKey[list[Cluster]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report: Any = yield
    if report.failed:
        for cluster in item.stash.get(_CLUSTERS, []):
            for path in sorted(cluster.directory.glob("*.log")):
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
                report.sections.append((f"{cluster.directory.name}/{path.name}", "\n".join(lines)))
    return report
