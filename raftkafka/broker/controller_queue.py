"""One change after the other: decide, commit through Raft, apply, answer.

Floor 3. Requests that wait are decided in turn on a working image, their commands go through Raft together, and
everybody is answered when they have been applied here. Nothing else proposes metadata. A decision that went stale is
harmless: commands carry guards that `apply` checks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from raftkafka.broker import background
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.metadata.apply import apply_all
from raftkafka.metadata.commands import Command, encode_entries, level_of
from raftkafka.metadata.decide import Decision
from raftkafka.metadata.image import Image
from raftkafka.model.api import Response
from raftkafka.model.errors import ApiError, ErrorCode, RaftKafkaError
from raftkafka.model.ids import RaftIndex, TimestampMs
from raftkafka.ports.consensus import Consensus, NotLeaderError, OutcomeUnknownError
from raftkafka.ports.probe import Probe

WAITING_MAX: Final = 10_000
BATCH_MAX: Final = 256

Decide = Callable[[Image], Decision]


@dataclass(slots=True)
class _Waiting:
    decide: Decide
    answer: asyncio.Future[Response]


class ControllerQueue:
    """Runs decisions while this node leads Raft."""

    def __init__(
        self,
        *,
        consensus: Consensus,
        store: MetadataStore,
        probe: Probe,
        timeout_s: float,
        now_ms: Callable[[], TimestampMs] | None = None,
    ) -> None:
        self._consensus = consensus
        self._store = store
        self._probe = probe
        self._timeout_s = timeout_s
        self._now_ms = now_ms
        self._waiting: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None

    async def submit(self, decide: Decide) -> Response:
        """The response of the decision once its commands are applied on this node.

        Raises:
            ApiError: NOT_CONTROLLER (nothing was changed), REQUEST_TIMED_OUT (proposed, outcome unknown),
                THROTTLING_QUOTA_EXCEEDED (too many requests wait).
        """
        if len(self._waiting) >= WAITING_MAX:
            raise ApiError(
                ErrorCode.THROTTLING_QUOTA_EXCEEDED, f"{WAITING_MAX} controller requests are waiting already"
            )
        loop = asyncio.get_running_loop()
        waiting = _Waiting(decide, loop.create_future())
        self._waiting.append(waiting)
        if self._task is None:
            self._task = background.start(self._run(), name="controller queue")
        return await waiting.answer

    def fail_all(self, error: ApiError) -> None:
        """This node no longer leads: nothing that waits has been proposed."""
        while self._waiting:
            _answer(self._waiting.popleft(), error)

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]
                try:
                    await self._decide_and_commit(batch)
                finally:
                    # Only a fault of ours leaves somebody without an answer; nobody shall wait for ever because of it.
                    for waiting in batch:
                        _answer(waiting, ApiError(ErrorCode.UNKNOWN_SERVER_ERROR, "the controller failed; see its log"))
        finally:
            self._task = None

    async def _decide_and_commit(self, batch: list[_Waiting]) -> None:
        commands, decided = self._decide(batch)
        try:
            await self._commit(commands)
        except NotLeaderError as error:
            failure = ApiError(ErrorCode.NOT_CONTROLLER, str(error))
        except OutcomeUnknownError as error:
            failure = ApiError(ErrorCode.REQUEST_TIMED_OUT, f"the outcome is unknown: {error}")
        else:
            for waiting, decision in decided:
                _answer(waiting, decision.respond(self._store.image))
            return
        for waiting, _ in decided:
            _answer(waiting, failure)

    def _decide(self, batch: list[_Waiting]) -> tuple[list[Command], list[tuple[_Waiting, Decision]]]:
        working = self._store.image
        undone: tuple[Command, ...] = ()
        # Only the broker epoch of a registration depends on the index; the true one is read back after apply.
        tentative = RaftIndex(self._store.applied_index + 1)
        commands: list[Command] = []
        decided: list[tuple[_Waiting, Decision]] = []
        for waiting in batch:
            if undone:
                # Only for who comes behind it: fencing a broker, which changes thousands of partitions, mostly comes alone.
                working, undone = apply_all(working, tentative, undone).image, ()
            try:
                decision = waiting.decide(working)
            except ApiError as refused:
                _answer(waiting, refused)
                continue
            needed = max(map(level_of, decision.commands), default=0)
            if needed > working.feature_level and working.cluster_id:
                text = f"this needs feature level {needed}, the cluster's metadata has {working.feature_level}"
                _answer(waiting, ApiError(ErrorCode.UNSUPPORTED_VERSION, text))
                continue
            if decision.commands:
                undone = tuple(decision.commands)
                commands.extend(decision.commands)
            decided.append((waiting, decision))
        return commands, decided

    async def _commit(self, commands: list[Command]) -> None:
        """Propose the commands in as many entries as their size asks for.

        Raises:
            NotLeaderError: nothing was proposed.
            OutcomeUnknownError: all, some or none of it may be applied.
        """
        loop = asyncio.get_running_loop()
        proposed = False
        time_ms = None if self._now_ms is None else self._now_ms()
        for entry in encode_entries(commands, time_ms=time_ms):
            began = loop.time()
            try:
                await self._consensus.propose(entry, timeout_s=self._timeout_s)
            except NotLeaderError as error:
                if not proposed:
                    raise
                raise OutcomeUnknownError(f"only a part of it was proposed: {error}") from error
            proposed = True
            self._probe.raft_commit(loop.time() - began)


def _answer(waiting: _Waiting, outcome: Response | RaftKafkaError) -> None:
    if waiting.answer.done():
        return
    if isinstance(outcome, RaftKafkaError):
        waiting.answer.set_exception(outcome)
    else:
        waiting.answer.set_result(outcome)
