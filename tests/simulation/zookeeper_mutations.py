"""Deliberate bugs of the ZooKeeper port, each switched on by a test alone: `python -m tests.simulation.zookeeper_mutations [names]`.

Counts the seeds of `tests.simulation.zookeeper` until a checker speaks. As in `mutations`, every one is a mistake on the line where it
would be made here.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from raftkafka.broker.zookeeper.reading import Reader
from raftkafka.broker.zookeeper.service import ZooKeeperService
from raftkafka.broker.zookeeper.watches import Watch, WatchTable
from raftkafka.metadata.znodes import operations
from raftkafka.metadata.znodes.draft import TreeDraft
from raftkafka.metadata.znodes.expiry import SessionClocks
from raftkafka.model.zookeeper.events import WatchedEvent
from raftkafka.model.zookeeper.sessions import ConnectRequest
from tests.simulation.detection import Detection, Mutation, print_table, search
from tests.simulation.mutations import _replaced
from tests.simulation.zookeeper import simulate

SEEDS_MAX = 100
FAULTS_S = 20.0
Bug = contextlib.AbstractContextManager[None]


@contextlib.contextmanager
def count_zxids_from_the_start_of_the_node() -> Iterator[None]:
    """And take whoever has seen a later one elsewhere."""

    def connect(original: Any) -> Any:
        def lenient(self: ZooKeeperService, link: Any, request: ConnectRequest, answer: Any) -> None:
            original(self, link, replace(request, last_zxid_seen=-(2**62)), answer)

        return lenient

    own = property(
        lambda self: self._store.applied_index - self.__dict__.setdefault("first", self._store.applied_index)
    )
    with (
        _replaced(ZooKeeperService, "_zxid", lambda _: own),
        _replaced(ZooKeeperService, "connect", connect),
    ):
        yield


def tell_events_later() -> Bug:
    """Not before the answer that shows the change."""

    def fire(self: ZooKeeperService, happened: Any) -> None:
        for link in self._watches.fire(happened.kind, happened.path):
            event = WatchedEvent(kind=happened.kind, path=happened.path)
            asyncio.get_running_loop().call_later(0.05, link.deliver, event)

    return _replaced(ZooKeeperService, "_fire", lambda _: fire)


def tell_the_last_event_first() -> Bug:
    """Several changes of one entry, or of one turn, are told in no order."""

    def fire(original: Any) -> Any:
        def two_at_a_time(self: ZooKeeperService, happened: Any) -> None:
            held = self.__dict__.setdefault("held", [])
            held.append(happened)
            if len(held) == 4:
                while held:
                    original(self, held.pop())

        return two_at_a_time

    return _replaced(ZooKeeperService, "_fire", fire)


def leave_watches_that_have_fired() -> Bug:
    """One-shot watches stay."""

    def fire(original: Any) -> Any:
        def again(self: WatchTable[Any], kind: Any, path: str) -> list[Any]:
            before = dict(self._by_path.get(path, {}))
            fired: list[Any] = original(self, kind, path)
            for watcher, had in before.items():
                self.add(watcher, path, Watch(had))
            return fired

        return again

    return _replaced(WatchTable, "fire", fire)


def forget_what_was_missed() -> Bug:
    """Watches are taken up again, and nobody is told what has happened meanwhile."""

    def take_up(original: Any) -> Any:
        return lambda self, request: original(self, replace(request, relative_zxid=2**62))

    return _replaced(Reader, "set_watches", take_up)


def forget_the_watches_of_others() -> Bug:
    """With one connection that goes, all watches of the path go."""

    def forget(self: WatchTable[Any], watcher: Any) -> None:
        for path in tuple(self._by_watcher.get(watcher, ())):
            for each, had in tuple(self._by_path[path].items()):
                self._drop(each, path, had)

    return _replaced(WatchTable, "forget", lambda _: forget)


def leave_ephemerals() -> Bug:
    """A session ends, its nodes stay."""

    def end(self: TreeDraft, session_id: int, zxid: int) -> None:
        self.sessions = self.sessions.without(session_id)
        self.touched_sessions.add(session_id)

    return _replaced(TreeDraft, "end_session", lambda _: end)


def never_expire() -> Bug:
    """Nobody's time runs out."""
    return _replaced(SessionClocks, "expired", lambda _: lambda self, now: [])


def hear_nobody() -> Bug:
    """What brokers say of their clients is not taken in."""
    return _replaced(SessionClocks, "heard", lambda _: lambda self, znodes, ages_s, now: None)


def drop_ephemerals_of_who_moves() -> Bug:
    """Whoever takes his session up elsewhere finds that his nodes are gone."""

    def put(original: Any) -> Any:
        def moved(self: TreeDraft, session: Any) -> None:
            if session.session_id in self.sessions:
                self.end_session(session.session_id, session.attached)
            original(self, session)

        return moved

    return _replaced(TreeDraft, "put_session", put)


def count_every_other_change() -> Bug:
    """Two values have one version."""
    return _replaced(operations, "int32", lambda original: lambda number: original(number & ~1))


def say_it_is_done_before_it_is() -> Bug:
    """A change is answered like the one before it, when it is handed over."""

    def carry_out(original: Any) -> Any:
        async def at_once(self: ZooKeeperService, client: Any, operation: Any, reply: Callable[..., None]) -> Any:
            kept = self.__dict__.setdefault("kept", {})
            known = kept.get((type(operation), operation.path)) if hasattr(operation, "path") else None
            if known is not None and not known.__class__.__name__.startswith(("Error", "Create")):
                reply(known)
                return await original(self, client, operation, lambda _: None)

            def remember(answer: Any) -> None:
                if hasattr(operation, "path"):
                    kept[type(operation), operation.path] = answer
                reply(answer)

            return await original(self, client, operation, remember)

        return at_once

    return _replaced(ZooKeeperService, "_carry_out", carry_out)


MUTATIONS: Final[dict[str, Mutation]] = {
    bug.__name__: bug
    for bug in (
        count_zxids_from_the_start_of_the_node,
        tell_events_later,
        tell_the_last_event_first,
        leave_watches_that_have_fired,
        forget_what_was_missed,
        forget_the_watches_of_others,
        leave_ephemerals,
        never_expire,
        hear_nobody,
        drop_ephemerals_of_who_moves,
        count_every_other_change,
        say_it_is_done_before_it_is,
    )
}


def detect(name: str, seeds_max: int = SEEDS_MAX, *, first: int = 1, faults_s: float = FAULTS_S) -> Detection:
    """As `detection.search`."""
    return search(
        name, MUTATIONS[name], lambda seed: simulate(seed, faults_s=faults_s)[2], seeds_max=seeds_max, first=first
    )


if __name__ == "__main__":
    sys.exit(print_table("python -m tests.simulation.zookeeper_mutations", MUTATIONS, detect, seeds_max=SEEDS_MAX))
