"""A cluster for tests that do not run on an event loop, or not on this one: its own loop in a thread, plain calls.

Floor 6. Clients may be anywhere: in the test's thread, in others, in other processes. Invariant: the thread ends with the `with` block,
and a call never outlives it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import uvloop

from raftkafka.testing.cluster import Cluster
from raftkafka.testing.errors import ClusterError

_T = TypeVar("_T")


class BlockingCluster:
    """`cluster.Cluster` with plain calls: `with BlockingCluster(nodes=3) as cluster:`. The arguments are the same."""

    def __init__(
        self,
        *,
        nodes: int = 1,
        processes: bool = False,
        topics: Iterable[str] | Mapping[str, int] = (),
        properties: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        self._cluster = Cluster(
            nodes=nodes, processes=processes, topics=topics, properties=properties, directory=directory
        )
        self._born: Future[tuple[asyncio.AbstractEventLoop, Callable[[], None]]] = Future()
        self._started: Future[None] = Future()
        self._ended: Future[None] = Future()
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise ClusterError("this cluster has been started before; make another")
        # No daemon: who is interrupted still has the nodes ended and their files removed.
        self._thread = Thread(target=self._run, name="raftkafka-cluster", daemon=False)
        self._thread.start()
        try:
            self._started.result()
        except BaseException:
            self._join(self._thread)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self._join(self._thread)
        if error is None:
            self._ended.result()

    # As `Cluster`

    @property
    def node_ids(self) -> tuple[int, ...]:
        return self._cluster.node_ids

    @property
    def bootstrap(self) -> str:
        return self._cluster.bootstrap

    def leader(self, topic: str, partition: int = 0) -> int:
        return self._call(self._cluster.leader(topic, partition))

    def logs(self) -> Mapping[int, str]:
        return self._cluster.logs()

    def kill(self, node_id: int) -> None:
        self._call(self._cluster.kill(node_id))

    def stop(self, node_id: int) -> None:
        self._call(self._cluster.stop(node_id))

    def restart(self, node_id: int) -> None:
        self._call(self._cluster.restart(node_id))

    def partition(self, one: int, other: int) -> None:
        self._call(self._cluster.partition(one, other))

    def heal(self) -> None:
        self._call(self._cluster.heal())

    def advance(self, seconds: float) -> None:
        self._call(self._cluster.advance(seconds))

    # The thread

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._live())
        except BaseException as error:  # noqa: BLE001 - it belongs to who waits
            for awaited in (self._born, self._started, self._ended):
                if not awaited.done():
                    awaited.set_exception(error)
        else:
            self._ended.set_result(None)

    async def _live(self) -> None:
        own, leave = asyncio.current_task(), asyncio.Event()

        def end() -> None:
            leave.set()
            if own is not None and not self._started.done():
                own.cancel()

        self._born.set_result((asyncio.get_running_loop(), end))
        async with self._cluster:
            self._started.set_result(None)
            await leave.wait()

    def _join(self, thread: Thread) -> None:
        with suppress(Exception):  # where it was not even born, `_started` has said why
            loop, end = self._born.result()
            loop.call_soon_threadsafe(end)
        thread.join()

    def _call(self, work: Coroutine[Any, Any, _T]) -> _T:
        if not self._started.done() or self._ended.done():
            work.close()
            raise ClusterError("the cluster does not run; use it in `with`")
        loop, _ = self._born.result()
        return asyncio.run_coroutine_threadsafe(work, loop).result()


class ClusterFactory(Protocol):
    """The type of the fixture `rk_cluster`."""

    def __call__(
        self,
        *,
        nodes: int = 1,
        processes: bool = False,
        topics: Iterable[str] | Mapping[str, int] = (),
        properties: Mapping[str, str] | None = None,
    ) -> BlockingCluster:
        """A running cluster, which ends with the test. The arguments are those of `Cluster`."""
        ...
