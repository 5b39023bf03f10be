"""An event loop on which time jumps, and the lives of the nodes that run on it.

Whatever a node schedules carries its incarnation in the context; killing the incarnation makes everything it still had
to do vanish, as SIGKILL does.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

from raftkafka.model.errors import StorageError

if TYPE_CHECKING:
    from tests.simulation.raft.network import SimNetwork


class Incarnation:
    """One life of a node."""

    def __init__(self, node_id: int) -> None:
        self.node_id = node_id
        self.alive = True


OWNER: contextvars.ContextVar[Incarnation | None] = contextvars.ContextVar("owner", default=None)


class _NoSelector:
    """Nothing happens outside: instead of waiting for events, time jumps."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        assert timeout is not None, "the simulated world stands still: nothing is scheduled"
        self._loop.now += timeout
        return []

    def close(self) -> None: ...


class SimLoop(asyncio.BaseEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self._clock_resolution = 1e-9
        self._selector = _NoSelector(self)
        self.network: SimNetwork
        self.tasks: list[asyncio.Task[Any]] = []
        self.set_task_factory(self._make_task)

    def _make_task(self, loop: Any, coroutine: Any, **kwargs: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=loop, **kwargs)
        if OWNER.get() is not None or kwargs.get("context") is not None:
            self.tasks.append(task)
        return task

    def time(self) -> float:
        return self.now

    def _process_events(self, event_list: list[Any]) -> None: ...

    def _write_to_self(self) -> None: ...

    def call_soon(self, callback: Any, *args: Any, context: contextvars.Context | None = None) -> asyncio.Handle:
        return super().call_soon(self._guarded(callback, context), *args, context=context)

    def call_at(
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return super().call_at(when, self._guarded(callback, context), *args, context=context)

    @staticmethod
    def _guarded(callback: Any, context: contextvars.Context | None) -> Any:
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is None:
            return callback

        def run(*args: Any) -> None:
            if owner.alive:
                callback(*args)

        return run

    async def create_server(self, factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        return self.network.listen(factory, host, port)

    async def create_connection(self, factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        return await self.network.connect(factory, host, port)

    def finish(self) -> None:
        """Close coroutines of the dead, so that nobody complains about them later."""
        for task in self.tasks:
            coroutine = task.get_coro()
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            try:
                coroutine.close()  # type: ignore[union-attr]
            except (RuntimeError, StorageError, ValueError):
                continue
        self.close()
