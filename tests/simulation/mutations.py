"""Deliberate bugs, each switched on by a test alone: a simulator that cannot find these finds nothing.

Every one is a mistake that brokers have made, on the line where it would be made here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from raftkafka.adapters.raft.core import RaftCore
from raftkafka.broker.fetcher import LeaderFetcher
from raftkafka.broker.handlers import fetch
from raftkafka.broker.membership import Membership
from raftkafka.broker.partition import Partition
from raftkafka.metadata import election
from raftkafka.replica import follower
from raftkafka.replica.leader import LeaderState
from tests.simulation.disk import ProcessDisk


@contextlib.contextmanager
def _replaced(owner: Any, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    original = owner.__dict__[name] if isinstance(owner, type) else getattr(owner, name)
    setattr(owner, name, make(original))
    try:
        yield
    finally:
        setattr(owner, name, original)


async def _do_not_wait(self: Any, asked: Any) -> None:
    """In place of a wait for the disk."""


def skip_the_fsync() -> contextlib.AbstractContextManager[None]:
    """A sync that only looks like one."""

    async def sync(self: ProcessDisk, files: Any) -> None:
        self.check()

    return _replaced(ProcessDisk, "sync", lambda _: sync)


def acknowledge_before_the_sync() -> contextlib.AbstractContextManager[None]:
    """Count what is written, not what is on the disk, on leaders and followers alike."""

    @contextlib.contextmanager
    def both() -> Iterator[None]:
        def fetched(original: Any) -> Any:
            def on_replica_fetch(self: Partition, node_id: Any, **given: Any) -> None:
                given["flushed_offset"] = given["fetch_offset"]
                original(self, node_id, **given)

            return on_replica_fetch

        with (
            _replaced(Partition, "_counted", lambda _: lambda self: self.log.log_end_offset),
            _replaced(Partition, "on_replica_fetch", fetched),
            _replaced(LeaderFetcher, "_synced", lambda _: _do_not_wait),
        ):
            yield

    return both()


def acknowledge_before_the_isr() -> contextlib.AbstractContextManager[None]:
    """The leader's own copy is enough."""

    def advance(self: LeaderState) -> bool:
        if self._counted <= self.high_watermark:
            return False
        self.high_watermark = self._counted
        return True

    return _replaced(LeaderState, "_advance", lambda _: advance)


def truncate_to_the_watermark() -> contextlib.AbstractContextManager[None]:
    """What brokers did before KIP-101."""

    def make(original: Any) -> Any:
        def follow(self: Partition, state: Any) -> None:
            moved = state.leader_epoch != self.leader_epoch
            original(self, state)
            if moved and self.high_watermark < self.log.log_end_offset:
                self.log.truncate_to(self.high_watermark)
                self.truncated()

        return follow

    return _replaced(Partition, "follow", make)


def ignore_the_leader_epoch() -> contextlib.AbstractContextManager[None]:
    """A leader answers whoever asks, in whatever epoch, and never sees that logs diverge."""

    @contextlib.contextmanager
    def both() -> Iterator[None]:
        def blind(original: Any) -> Any:
            def check_leader(self: Partition, current_leader_epoch: Any) -> Any:
                return original(self, -1)

            return check_leader

        with (
            _replaced(Partition, "check_leader", blind),
            _replaced(fetch, "diverging", lambda _: lambda partition, wanted: None),
        ):
            yield

    return both()


def forget_the_proposed_isr() -> contextlib.AbstractContextManager[None]:
    """Take a proposed ISR for the one in force: a member that is about to leave is not waited for."""

    def choose(self: LeaderState) -> None:
        members = set(self.proposed_isr or self.isr)
        self._in_sync = tuple([each for node_id, each in self._followers.items() if node_id in members])

    return _replaced(LeaderState, "_choose_in_sync", lambda _: choose)


def count_nobody_missing() -> contextlib.AbstractContextManager[None]:
    """Commit although the ISR is smaller than min.insync.replicas."""

    def make(original: Any) -> Any:
        def init(self: LeaderState, **given: Any) -> None:
            given["min_insync_replicas"] = 1
            original(self, **given)

        return init

    return _replaced(LeaderState, "__init__", make)


def elect_anybody() -> contextlib.AbstractContextManager[None]:
    """The first live replica leads, whether it is in sync or not."""

    def choose(partition: Any, active: Any) -> Any:
        return next((each for each in partition.replicas if each in active), -1)

    def elected(partition: Any, active: Any, *, unclean: bool) -> Any:
        leader = choose(partition, active)
        if partition.leader != -1 or leader == -1:
            return partition
        return election.changed(partition, isr=(leader,), leader=leader)

    return _replaced(election, "elected", lambda _: elected)


def join_the_isr_at_once() -> contextlib.AbstractContextManager[None]:
    """Whoever fetches is in sync."""

    def belongs(self: LeaderState, node_id: Any, now: float, is_eligible: Any) -> bool:
        return node_id not in self._followers or is_eligible(node_id)

    return _replaced(LeaderState, "_belongs", lambda _: belongs)


def apply_twice() -> contextlib.AbstractContextManager[None]:
    """Every fortieth command is applied once more."""

    def make(original: Any) -> Any:
        def apply(self: RaftCore, command: bytes) -> object:
            if self.applied_index % 40 == 0:
                original(self, command)
            return original(self, command)

        return apply

    return _replaced(RaftCore, "_SyncObj__doApplyCommand", make)


def serve_beyond_the_watermark() -> contextlib.AbstractContextManager[None]:
    """Consumers read what is not committed."""
    return _replaced(
        LeaderState,
        "hw_serves_consumers",
        lambda _: lambda self: setattr(self, "high_watermark", self.log_end_offset) or True,
    )


def truncate_nothing() -> contextlib.AbstractContextManager[None]:
    """A follower that differs keeps what it has."""

    def cut(*, epochs: Any, log_end_offset: Any, diverging: Any) -> Any:
        return log_end_offset

    return _replaced(follower, "truncation_offset", lambda _: cut)


def lead_for_ever() -> contextlib.AbstractContextManager[None]:
    """A leader without contact to the controller goes on, and so does a follower whose leader has changed."""

    @contextlib.contextmanager
    def both() -> Iterator[None]:
        def stay(original: Any) -> Any:
            def lead(self: Partition, state: Any, **given: Any) -> None:
                original(self, state, **given)
                self.leader_epoch = 0

            return lead

        with _replaced(Partition, "lead", stay), _replaced(Membership, "has_lease", lambda _: lambda self: True):
            yield

    return both()


def forget_what_was_fetched() -> contextlib.AbstractContextManager[None]:
    """A follower says that it has synced what it has only asked for."""

    @contextlib.contextmanager
    def both() -> Iterator[None]:
        def make(original: Any) -> Any:
            def position(self: LeaderFetcher, partition: Partition) -> Any:
                asked = original(self, partition)
                return replace(asked, flushed_offset=asked.fetch_offset)

            return position

        with (
            _replaced(LeaderFetcher, "_position", make),
            _replaced(LeaderFetcher, "_synced", lambda _: _do_not_wait),
        ):
            yield

    return both()


MUTATIONS: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
    each.__name__: each
    for each in (
        skip_the_fsync,
        acknowledge_before_the_sync,
        acknowledge_before_the_isr,
        truncate_to_the_watermark,
        ignore_the_leader_epoch,
        forget_the_proposed_isr,
        count_nobody_missing,
        elect_anybody,
        join_the_isr_at_once,
        apply_twice,
        serve_beyond_the_watermark,
        truncate_nothing,
        lead_for_ever,
        forget_what_was_fetched,
    )
}
