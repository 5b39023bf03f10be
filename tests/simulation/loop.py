"""An event loop on which time jumps, and the lives of the processes that run on it.

Whatever a process schedules carries its incarnation in the context, so killing one makes everything it still had to do
vanish, as SIGKILL does, and stopping one leaves it waiting, as SIGSTOP does. Invariant: the order of all callbacks is a
function of the seed alone.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import heapq
import warnings
from collections import deque
from collections.abc import Callable, Coroutine
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.network import SimNetwork

CANCELLED_MAX = 2_000
"""Cancelled timers leave the heap when there are so many, and they are the larger part."""


class WorldStandsStillError(AssertionError):
    """Nothing is scheduled any more, and the scenario has not ended."""


class Incarnation:
    """One life of a process on the host `host`."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.alive = True
        self.paused = False
        self.backlog: deque[asyncio.Handle] = deque()
        self.tasks: list[asyncio.Task[Any]] = []
        self.tasks_kept = 256
        self.open_files = 0
        self.context = contextvars.copy_context()
        self.context.run(OWNER.set, self)

    def keep(self, task: asyncio.Task[Any]) -> None:
        """A killed process must not run its finally-blocks: somebody has to hold its tasks."""
        self.tasks.append(task)
        if len(self.tasks) > self.tasks_kept:
            self.tasks = [each for each in self.tasks if not each.done()]
            self.tasks_kept = max(256, 2 * len(self.tasks))


OWNER: contextvars.ContextVar[Incarnation | None] = contextvars.ContextVar("owner", default=None)


class Soon(asyncio.Handle):
    """A handle that costs little to make: there are two thousand of them in a second of the cluster."""

    __slots__ = ()

    def __init__(self, callback: Any, args: Any, loop: SimLoop, context: contextvars.Context | None) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None


class Timer(asyncio.TimerHandle):
    __slots__ = ()

    def __init__(
        self, when: float, callback: Any, args: Any, loop: SimLoop, context: contextvars.Context | None
    ) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        self._when = when
        self._scheduled = True


class Arrival(Timer):
    """Something from outside the process: a stopped one finds it before its timers when it goes on."""

    __slots__ = ()


class SimLoop(asyncio.BaseEventLoop):
    """`network` must be set before anything connects. Errors that nobody caught are collected in `errors`."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.now = 1_000.0
        self.random = random
        self.network: SimNetwork
        self.errors: list[tuple[str, str, BaseException | None]] = []
        self._heap: list[tuple[float, int, Timer]] = []
        self._number = 0
        self._cancelled = 0
        self._all_tasks: list[Incarnation] = []
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._on_error)

    # Time and order

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Any, *args: Any, context: contextvars.Context | None = None) -> asyncio.Handle:
        handle = Soon(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self._push(Timer(when, callback, args, self, context))

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self._push(Timer(self.now + delay, callback, args, self, context))

    def arrive(self, when: float, callback: Any, *args: Any, context: contextvars.Context) -> asyncio.TimerHandle:
        """As `call_at`, for what comes from outside the process whose context is given."""
        return self._push(Arrival(when, callback, args, self, context))

    def _push(self, handle: Timer) -> asyncio.TimerHandle:
        self._number += 1
        heapq.heappush(self._heap, (handle._when, self._number, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self._cancelled += 1
        if self._cancelled > CANCELLED_MAX and 2 * self._cancelled > len(self._heap):
            self._heap = [entry for entry in self._heap if not entry[2]._cancelled]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def _run_once(self) -> None:
        """One turn: what is due now, in the order of the processes that the seed draws."""
        ready, heap = self._ready, self._heap
        if not ready:
            while heap and heap[0][2]._cancelled:
                heapq.heappop(heap)
                self._cancelled -= 1
            if not heap:
                raise WorldStandsStillError("nothing is scheduled any more")
            if heap[0][0] > self.now:
                self.now = heap[0][0]
        now = self.now
        due = 0
        while heap and heap[0][0] <= now:
            handle = heapq.heappop(heap)[2]
            if handle._cancelled:
                self._cancelled -= 1
            else:
                handle._scheduled = False
                ready.append(handle)
                due += 1
        count = len(ready)
        if due > 1 and count > 1:
            self._shuffle_owners()
        for _ in range(count):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            context = handle._context
            owner = context.get(OWNER)
            if owner is not None:
                if not owner.alive:
                    continue
                if owner.paused:
                    owner.backlog.append(handle)
                    continue
            try:
                context.run(handle._callback, *handle._args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - as in asyncio: one callback does not stop the others
                self.call_exception_handler(
                    {"message": f"Exception in {handle._callback!r}", "exception": error, "handle": handle}
                )

    def run_in(self, context: contextvars.Context, callback: Callable[[], object]) -> None:
        """Run this now, in a callback of somebody else, as if it were a handle of its own."""
        try:
            context.run(callback)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - as above
            handle = Soon(callback, (), self, context)
            self.call_exception_handler({"message": f"Exception in {callback!r}", "exception": error, "handle": handle})

    def _shuffle_owners(self) -> None:
        """Processes run side by side: at one instant any of them may be first; each keeps its own order."""
        lots: dict[Incarnation | None, list[asyncio.Handle]] = {}
        for handle in self._ready:
            lots.setdefault(handle._context.get(OWNER), []).append(handle)
        if len(lots) > 1:
            order = list(lots.values())
            self.random.shuffle(order)
            self._ready.clear()
            for lot in order:
                self._ready.extend(lot)

    # Processes

    def resume(self, incarnation: Incarnation) -> None:
        """SIGCONT: first what was ready, then what arrived, then the timers that are due."""
        incarnation.paused = False
        backlog, incarnation.backlog = incarnation.backlog, deque()
        timers = [each for each in backlog if type(each) is Timer]
        arrived = [each for each in backlog if type(each) is not Timer]
        self._ready.extend(arrived)
        self._ready.extend(timers)

    def _make_task(self, loop: Any, coroutine: Any, **kwargs: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=loop, **kwargs)
        context = kwargs.get("context")
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is not None:
            if not owner.tasks:
                self._all_tasks.append(owner)
            owner.keep(task)
        return task

    def _on_error(self, loop: Any, context: dict[str, Any]) -> None:
        handle = context.get("handle")
        owner = handle._context.get(OWNER) if handle is not None else OWNER.get()
        if owner is not None and not owner.alive:
            return  # it died in the middle of a step
        where = owner.host if owner is not None else "world"
        self.errors.append((where, f"{self.now:.6f} {context.get('message')}", context.get("exception")))

    # What asyncio expects of a loop

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        return self.network.listen(protocol_factory, host, port)

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        return await self.network.connect(protocol_factory, host, port)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """The work is carried out at once and finished a little later."""
        future = self.create_future()

        def settle() -> None:
            if future.cancelled():
                return
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 - as a thread would carry it over
                future.set_exception(error)
            else:
                future.set_result(result)

        self.call_later(self.random.uniform(0.0001, 0.002), settle)
        return future

    def _process_events(self, event_list: list[Any]) -> None: ...

    def _write_to_self(self) -> None: ...

    def run(self, scenario: Coroutine[Any, Any, Any]) -> Any:
        """Run `scenario` to its end; collecting garbage meanwhile would only cost time."""
        collecting = gc.isenabled()
        gc.disable()
        try:
            return self.run_until_complete(scenario)
        finally:
            self._bury()
            if collecting:
                gc.enable()

    def _bury(self) -> None:
        """Close the coroutines of the dead and of the living, so that nobody complains about them later."""
        self.set_exception_handler(lambda loop, context: None)
        with warnings.catch_warnings():
            # Of coroutines that had not begun when the world ended.
            warnings.simplefilter("ignore", RuntimeWarning)
            self._close_coroutines()
        self.close()

    def _close_coroutines(self) -> None:
        for incarnation in self._all_tasks:
            incarnation.alive = False
            for task in incarnation.tasks:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                if task.done():
                    task.cancelled() or task.exception()
                    continue
                try:
                    task.get_coro().close()  # type: ignore[union-attr]
                except BaseException:  # noqa: BLE001 - a finally-block in a world that has ended
                    continue
