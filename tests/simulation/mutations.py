"""Deliberate bugs, each switched on by a test alone: a simulator that cannot find these finds nothing.

Every one is a mistake that brokers have made, on the line where it would be made here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from raftkafka.adapters.raft.core import RaftCore
from raftkafka.broker.fetcher import LeaderFetcher
from raftkafka.broker.groups.log import GroupLog
from raftkafka.broker.groups.shard import GroupShard
from raftkafka.broker.handlers import fetch
from raftkafka.broker.handlers.produce import PendingProduce
from raftkafka.broker.membership import Membership
from raftkafka.broker.partition import Partition
from raftkafka.broker.purgatory import FetchWaiters
from raftkafka.client.lanes import Lane
from raftkafka.client.sender import Sender
from raftkafka.group.membership import Membership as GroupMembership
from raftkafka.metadata import apply, election
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_NODE
from raftkafka.replica import follower
from raftkafka.replica.leader import LeaderState
from raftkafka.replica.producers import ProducerTable
from raftkafka.storage import batches, scan
from tests.simulation.disk import ProcessDisk


@contextlib.contextmanager
def _replaced(owner: Any, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    original = owner.__dict__[name] if isinstance(owner, type) else getattr(owner, name)
    setattr(owner, name, make(original))
    try:
        yield
    finally:
        setattr(owner, name, original)


async def _do_not_wait(self: Any) -> None:
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

    return _replaced(LeaderState, "can_commit", lambda _: property(lambda self: True))


def elect_anybody() -> contextlib.AbstractContextManager[None]:
    """The first live replica leads, whether it is in sync or not."""

    def make(original: Any) -> Any:
        def settled(partition: Any, rules: Any, active: Any, *, leader: Any, **given: Any) -> Any:
            choices = [each for each in partition.replicas if each in active]
            if leader != NO_NODE or not choices:
                return original(partition, rules, active, leader=leader, **given)
            return election._made(partition, isr=(choices[0],), elr=(), leader=choices[0])

        return settled

    return _replaced(election, "_settled", make)


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


def believe_that_everything_is_committed() -> contextlib.AbstractContextManager[None]:
    """A follower takes its log end for the high watermark, and consumers that read from it see what may go again."""

    def believe(self: Partition, leader_watermark: Any) -> None:
        self._high_watermark = self.log.log_end_offset
        self.waiting_fetches.watermark_moved()

    return _replaced(Partition, "set_follower_watermark", lambda _: believe)


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


def forget_the_vote() -> contextlib.AbstractContextManager[None]:
    """Raft without votedFor: whoever asks in a term gets the vote, one after the other."""

    def make(original: Any) -> Any:
        def receive(self: RaftCore, node_id: Any, message: Any) -> None:
            self._SyncObj__votedForNodeId = None
            original(self, node_id, message)

        return receive

    return _replaced(RaftCore, "receive", make)


def believe_a_failed_sync() -> contextlib.AbstractContextManager[None]:
    """After a failed sync the page cache shows what no disk has; read it again from there, and count it."""
    return _replaced(ProcessDisk, "drop_cached", lambda _: lambda self, path: None)


def count_a_stale_member() -> contextlib.AbstractContextManager[None]:
    """What KIP-903 forbids: the ISR takes a replica by what its former life had, whatever its disk lost since."""

    def make(original: Any) -> Any:
        def why_not(draft: Any, partition: Any, command: Any) -> Any:
            members = [replace(each, broker_epoch=draft.brokers[each.node_id].epoch) for each in command.isr or ()]
            return original(draft, partition, replace(command, isr=tuple(members)))

        return why_not

    @contextlib.contextmanager
    def both() -> Iterator[None]:
        def fetched(original: Any) -> Any:
            def on_fetch(self: LeaderState, node_id: Any, **given: Any) -> bool:
                follower = self.follower(node_id)
                if follower is not None:
                    follower.broker_epoch = given["broker_epoch"]
                return original(self, node_id, **given)

            return on_fetch

        with (
            _replaced(apply, "_why_not_isr", make),
            _replaced(apply, "_what_is_left", lambda _: lambda known, command: lambda key: election.Log.INTACT),
            _replaced(LeaderState, "on_fetch", fetched),
        ):
            yield

    return both()


def serve_damaged_bytes() -> contextlib.AbstractContextManager[None]:
    """No checksum is looked at, on the way out nor on the way in."""

    class Anything(int):
        __hash__ = int.__hash__

        def __eq__(self, other: object) -> bool:
            return True

        def __ne__(self, other: object) -> bool:
            return False

    return _replaced(batches, "crc32c", lambda _: lambda content: Anything())


def call_the_unknown_refused() -> contextlib.AbstractContextManager[None]:
    """A producer believes the refusal of what it repeats, although the first request was carried out."""
    return _replaced(Sender, "_verdict", lambda _: staticmethod(lambda batch, error: error))


def let_waits_pile_up() -> contextlib.AbstractContextManager[None]:
    """Who has heard of a partition stays on its list, and joins it again for the next news."""

    class Again:
        def __init__(self, watcher: Any) -> None:
            self.watcher = watcher

        def news(self, *, urgent: bool) -> None:
            self.watcher.news(urgent=urgent)

    def join(self: FetchWaiters, watcher: Any, *, follower: bool) -> None:
        (self._followers if follower else self._consumers)[Again(watcher)] = None

    def tell_all(self: FetchWaiters) -> None:
        for watcher in [*self._followers, *self._consumers]:
            watcher.news(urgent=True)

    @contextlib.contextmanager
    def all_four() -> Iterator[None]:
        with (
            _replaced(FetchWaiters, "join", lambda _: join),
            _replaced(FetchWaiters, "leave", lambda _: lambda self, watcher: None),
            _replaced(FetchWaiters, "log_end_moved", lambda _: tell_all),
            _replaced(FetchWaiters, "watermark_moved", lambda _: tell_all),
        ):
            yield

    return all_four()


def accept_duplicates() -> contextlib.AbstractContextManager[None]:
    """Nobody looks at the numbers of a producer."""
    return _replaced(ProducerTable, "check", lambda _: lambda self, headers: None)


def forget_producers_at_fail_over() -> contextlib.AbstractContextManager[None]:
    """A new leader knows no producers: it takes everything for new."""

    def make(original: Any) -> Any:
        def lead(self: Partition, state: Any, **given: Any) -> None:
            if self.leader is None:
                self.log.producers.clear(self.log.log_end_offset)
            original(self, state, **given)

        return lead

    return _replaced(Partition, "lead", make)


def forget_producers_at_a_restart() -> contextlib.AbstractContextManager[None]:
    """What a restarted node reads from its log is not noted; only a snapshot tells."""

    def note(table: ProducerTable, batch: Any) -> None:
        table.end = max(table.end, batch.last_offset + 1)

    return _replaced(scan, "note_batch", lambda _: note)


def answer_repetitions_at_once() -> contextlib.AbstractContextManager[None]:
    """What stands in the leader's log already is taken for committed."""

    @contextlib.contextmanager
    def both() -> Iterator[None]:
        def noting(original: Any) -> Any:
            def append(self: Any, *given: Any, **named: Any) -> Any:
                appended = original(self, *given, **named)
                self.repeats = appended.bytes == 0
                return appended

            return append

        def hasty(original: Any) -> Any:
            def await_commit(self: PendingProduce, partition: Any, position: int) -> None:
                original(self, partition, position)
                if partition.repeats:
                    partition.waiting_commits.discard(self._open[position][1])
                    asyncio.get_running_loop().call_soon(self._done, position, ErrorCode.NONE)

            return await_commit

        with _replaced(Partition, "append", noting), _replaced(PendingProduce, "await_commit", hasty):
            yield

    return both()


def number_anew_at_every_try() -> contextlib.AbstractContextManager[None]:
    """A producer that takes a retry for something new."""

    def make(original: Any) -> Any:
        def put_back(self: Lane) -> Any:
            for flight in self.flights:
                for batch in flight.batches:
                    batch.numbers = None
            return original(self)

        return put_back

    return _replaced(Lane, "put_back", make)


def serve_groups_before_they_are_read() -> contextlib.AbstractContextManager[None]:
    """A new coordinator reads what it knows to be committed, and does not wait for the rest of its log."""
    return _replaced(GroupLog, "when_committed", lambda _: lambda self, settle: settle(ErrorCode.NONE))


def acknowledge_commits_before_they_are_replicated() -> contextlib.AbstractContextManager[None]:
    """The coordinator's own copy of an offset is enough."""

    def make(original: Any) -> Any:
        def append(self: GroupLog, records: Any, settle: Any) -> None:
            refused: list[ErrorCode] = []
            original(self, records, refused.append)
            settle(refused[0] if refused else ErrorCode.NONE)

        return append

    return _replaced(GroupLog, "append", make)


def take_commits_of_any_generation() -> contextlib.AbstractContextManager[None]:
    """Whoever knows a group's name commits."""
    return _replaced(GroupMembership, "may_commit", lambda _: lambda self, *given, **named: ErrorCode.NONE)


def assign_before_it_is_stored() -> contextlib.AbstractContextManager[None]:
    """Members are told of an assignment that the next coordinator may never hear of."""

    def make(original: Any) -> Any:
        def store(self: GroupShard, group: Any, store: Any) -> None:
            self._perform(group, group.membership.stored(store.purpose, ErrorCode.NONE, now=self._now()))
            original(self, group, store)

        return store

    return _replaced(GroupShard, "_store", make)


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
        believe_that_everything_is_committed,
        lead_for_ever,
        forget_what_was_fetched,
        forget_the_vote,
        believe_a_failed_sync,
        count_a_stale_member,
        serve_damaged_bytes,
        call_the_unknown_refused,
        let_waits_pile_up,
        accept_duplicates,
        forget_producers_at_fail_over,
        forget_producers_at_a_restart,
        number_anew_at_every_try,
        answer_repetitions_at_once,
        serve_groups_before_they_are_read,
        acknowledge_commits_before_they_are_replicated,
        take_commits_of_any_generation,
        assign_before_it_is_stored,
    )
}
