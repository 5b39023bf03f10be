"""The plugin for pytest: the fixture `rk_cluster`, and the words of nodes that are processes in the report of a failed test.

Floor 6. pytest loads it wherever raftkafka is installed; nothing of a node is loaded before a test asks for one.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from raftkafka.testing.blocking import BlockingCluster, ClusterFactory

_LOG_TAIL_LINES: Final = 40
_CLUSTERS: Final = pytest.StashKey["list[BlockingCluster]"]()


@pytest.fixture
def rk_cluster(request: pytest.FixtureRequest) -> Iterator[ClusterFactory]:
    """`rk_cluster(nodes=1, processes=False, topics=(), properties=None)`: a running cluster that ends with the test.

    It has a thread of its own, so it serves tests of every kind: plain, asyncio, threads, other processes.
    """
    from raftkafka.testing.blocking import BlockingCluster

    clusters = request.node.stash[_CLUSTERS] = list[BlockingCluster]()
    with ExitStack() as running:

        def start(
            *,
            nodes: int = 1,
            processes: bool = False,
            topics: Iterable[str] | Mapping[str, int] = (),
            properties: Mapping[str, str] | None = None,
        ) -> BlockingCluster:
            cluster = BlockingCluster(nodes=nodes, processes=processes, topics=topics, properties=properties)
            running.enter_context(cluster)
            clusters.append(cluster)
            return cluster

        yield start


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and report.failed:
        for cluster in item.stash.get(_CLUSTERS, []):
            for node_id, text in cluster.logs().items():
                tail = "\n".join(text.splitlines()[-_LOG_TAIL_LINES:])
                report.sections.append((f"raftkafka node {node_id}", tail))
    return report
