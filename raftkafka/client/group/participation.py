"""One consumer's part in a group: what it holds, and how that changes. Floor 3.

Joining goes on in the background, but what the application can see changes within its polls alone: there it is done with every
record it was given, so positions may be committed, partitions given up, listeners told. `attention` is up when the next poll
has something to do here.

Invariant: no record is handed out of a partition that this consumer does not hold, as far as it has heard. An eager member holds
nothing while it joins; a cooperative one goes on with what it holds (KIP-429).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from random import Random

from raftkafka.client.fetching import Fetcher
from raftkafka.client.group.auto_commit import AutoCommit, Offsets
from raftkafka.client.group.commits import Commits
from raftkafka.client.group.coordinator import Coordinator
from raftkafka.client.group.heartbeats import Heartbeats
from raftkafka.client.group.interest import Interest
from raftkafka.client.group.listener import ConsumerRebalanceListener, tell
from raftkafka.client.group.membership import Joined, Membership
from raftkafka.client.group.settings import GroupSettings
from raftkafka.client.group.starts import Starts
from raftkafka.client.routing import Router
from raftkafka.client.types import OffsetAndMetadata, TopicPartition
from raftkafka.group.consumer_protocol import Subscription, decode_assignment, encode_subscription
from raftkafka.model.api.membership import JoinGroupProtocol
from raftkafka.model.errors import ProtocolError
from raftkafka.model.ids import NO_GENERATION, GenerationId, PartitionIndex

_log = logging.getLogger("raftkafka.client")


class Participation:
    def __init__(
        self, *, router: Router, fetcher: Fetcher, settings: GroupSettings, random: Random, client_rack: str = ""
    ) -> None:
        self.attention = False
        self.last_poll = 0.0
        self.waiting = False
        """The application waits in a poll."""
        self._fetcher = fetcher
        self._settings = settings
        self._rack = client_rack or None
        self._loop = asyncio.get_running_loop()
        self._coordinator = Coordinator(
            router=router,
            group_id=settings.group_id,
            backoff=settings.backoff,
            random=random,
            request_timeout_s=settings.request_timeout_s,
        )
        self._membership = Membership(coordinator=self._coordinator, settings=settings, changed=self._call)
        self._heartbeats = Heartbeats(
            coordinator=self._coordinator, membership=self._membership, settings=settings, idle_s=self._idle_s
        )
        self._interest = Interest(
            router=router,
            fetcher=fetcher,
            settings=settings,
            random=random,
            changed=self._membership.ask_to_rejoin,
        )
        self.commits = Commits(coordinator=self._coordinator, group_id=settings.group_id, membership=self._membership)
        self._auto = AutoCommit(commits=self.commits, settings=settings, on_due=self._call)
        self._starts = Starts(fetcher=fetcher, commits=self.commits, timeout_s=settings.api_timeout_s)
        self._listener = ConsumerRebalanceListener()
        self._subscribed = False
        self._held: list[TopicPartition] = []
        self._held_since: GenerationId = NO_GENERATION
        self._joining: asyncio.Task[Joined | None] | None = None
        self._joined: Joined | None = None
        self._busy = asyncio.Lock()
        self._busy_task: asyncio.Task[object] | None = None
        self._closed = False

    # What the application says

    @property
    def subscribed(self) -> bool:
        return self._subscribed

    @property
    def topics(self) -> tuple[str, ...]:
        """Those that are subscribed to; of a pattern those that match, as far as is known."""
        return self._interest.topics or ()

    def subscribe(self, what: tuple[str, ...] | re.Pattern[str], listener: ConsumerRebalanceListener | None) -> None:
        """To topics, or to all that match."""
        self._listener = listener or ConsumerRebalanceListener()
        self._subscribed = self.commits.members_only = True
        if isinstance(what, re.Pattern):
            self._interest.match(what)
        else:
            self._interest.select(what)

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """By hand, without being a member: only what is committed is the group's."""
        before = set(self._fetcher.states)
        self._fetcher.assign(partitions, positioned=True)
        self._auto.forget()
        self._starts.begin(each for each in self._fetcher.states if each not in before)
        self._auto.arm()

    def rejoin(self, reason: str) -> None:
        self._membership.ask_to_rejoin(reason)

    # Within a poll

    async def attend(self) -> None:
        """What has to be done before records are handed out. Raises what listeners raise, and ApiError where the group refuses."""
        async with self._in_turn():
            try:
                while self.attention and not self._closed:
                    self.attention = False
                    await self._step()
            except BaseException:
                self.attention = True  # the next poll goes on where this one broke off
                raise

    async def _step(self) -> None:
        membership = self._membership
        if membership.lost:
            await self._give_up(self._held, lost=True)
            membership.lost = False
        if membership.fatal is not None:
            raise membership.fatal
        if self._auto.due:
            self._auto.in_background(self.positions() if self._may_commit() else {})
        if self._joining is not None and self._joining.done():
            task, self._joining = self._joining, None
            membership.joining = False
            try:
                self._joined = task.result()  # or what an assignor of the application's own raised
            finally:
                if self._joined is None:
                    membership.ask_to_rejoin("the last try to join came to nothing")
        if self._joined is not None:
            await self._take_share(self._joined)
        if membership.rejoin_reason is not None and self._joining is None and self._interest.topics is not None:
            await self._begin_to_join(membership.rejoin_reason)

    async def _begin_to_join(self, reason: str) -> None:
        topics = self.topics
        await self._give_up([each for each in self._held if each.topic not in topics or not self._settings.cooperative])
        self._membership.rejoin_reason = None
        self._membership.joining = True
        self._interest.leading.resign()
        self._heartbeats.start()
        self._auto.arm()
        join = self._membership.join(self._protocols, self._interest.leading.assign, reason)
        self._joining = self._loop.create_task(join)
        self._joining.add_done_callback(lambda _: self._call())

    def _protocols(self) -> tuple[JoinGroupProtocol, ...]:
        owned = tuple((topic, PartitionIndex(number)) for topic, number in self._held)
        return tuple(
            JoinGroupProtocol(
                name=assignor.name,
                metadata=encode_subscription(
                    Subscription(
                        topics=self.topics,
                        user_data=assignor.user_data(),
                        owned_partitions=owned,
                        generation_id=self._held_since,
                        rack_id=self._rack,
                    )
                ),
            )
            for assignor in self._settings.assignors
        )

    async def _take_share(self, joined: Joined) -> None:
        if joined.generation != self._membership.identity.generation:
            self._joined = None  # lost before it was taken
            return
        share = self._decoded(joined.assignment)
        wanted = [each for each in share if each.topic in self.topics]
        gone = [each for each in self._held if each not in set(wanted)]
        if gone:
            await self._give_up(gone)
            self._membership.ask_to_rejoin(f"gave up {len(gone)} partitions")
        elif len(wanted) < len(share):
            self._membership.ask_to_rejoin("the subscription has changed meanwhile")
        self._joined = None
        new = [each for each in wanted if each not in set(self._held)]
        self._hold(wanted)
        self._held_since = joined.generation
        for assignor in self._settings.assignors:
            if assignor.name == joined.protocol:
                assignor.assigned(wanted, joined.generation)
        self._starts.begin(new)
        _log.info("group %s: generation %d: %d partitions", self._settings.group_id, joined.generation, len(wanted))
        await tell(self._listener.on_partitions_assigned, new)

    def _decoded(self, assignment: bytes) -> list[TopicPartition]:
        """Raises ProtocolError; the next poll joins again then."""
        if not assignment:
            return []  # the leader did not know of this member
        try:
            return [TopicPartition(*each) for each in decode_assignment(assignment).partitions]
        except ProtocolError:
            self._joined = None
            self._membership.ask_to_rejoin("the share cannot be read")
            raise

    async def _give_up(self, partitions: Sequence[TopicPartition], *, lost: bool = False) -> None:
        """They are held until the listener has done with them, so that it can commit what it did."""
        if not partitions:
            return
        if not lost:
            await self._auto.now(self.positions(partitions))
        listener = self._listener
        try:
            await tell(listener.on_partitions_lost if lost else listener.on_partitions_revoked, list(partitions))
        finally:
            self._hold([each for each in self._held if each not in set(partitions)])

    def _hold(self, partitions: list[TopicPartition]) -> None:
        self._held = partitions
        self._auto.forget()
        self._fetcher.assign(partitions, positioned=True)

    def _may_commit(self) -> bool:
        return not self._subscribed or self._membership.identity.generation >= 0

    def positions(self, partitions: Iterable[TopicPartition] | None = None) -> dict[TopicPartition, OffsetAndMetadata]:
        """The offset after the last record handed out, of these partitions or of all; without those that have none yet."""
        states = self._fetcher.states
        chosen = states if partitions is None else [each for each in partitions if each in states]
        return {
            each: OffsetAndMetadata(buffered.position, "", buffered.epoch)
            for each in chosen
            for buffered in (states[each].buffered,)
            if buffered.position >= 0
        }

    # The end

    async def unsubscribe(self) -> None:
        """Commit if that is automatic, tell the listener, leave."""
        async with self._in_turn():
            await self._leave(self.positions(), "unsubscribed")
            self._subscribed = self.commits.members_only = False
            self._fetcher.assign(())

    async def close(self, positions: Offsets) -> None:
        """With auto-commit on, `positions` are committed."""
        async with self._in_turn():
            if self._closed:
                return
            try:
                await self._leave(positions, "the consumer is closed")
            finally:
                self._closed = True
                await self._interest.stop()
                await self._starts.stop()

    async def _leave(self, positions: Offsets, reason: str) -> None:
        await self._interest.drop()
        if self._joining is not None:
            self._joining.cancel()
            await asyncio.gather(self._joining, return_exceptions=True)
        await self._auto.stop()
        self._joining = self._joined = None
        self._membership.joining = False
        lost = self._membership.lost or self._membership.fatal is not None
        if not lost:
            await self._auto.now(positions)
        try:
            if self._held:
                listener, held = self._listener, list(self._held)
                await tell(listener.on_partitions_lost if lost else listener.on_partitions_revoked, held)
        finally:
            await self._heartbeats.stop()
            await self._membership.leave(reason)
            self._membership.lost, self._membership.rejoin_reason = False, None
            self._held, self._held_since = [], NO_GENERATION

    # Wiring

    def _call(self) -> None:
        self.attention = True
        self._fetcher.arrived.set()

    def _idle_s(self) -> float:
        return 0.0 if self.waiting else self._loop.time() - self.last_poll

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        """One task at a time; a listener that comes back here is within its turn already."""
        task: asyncio.Task[object] | None = asyncio.current_task()
        if self._busy_task is task:
            yield
            return
        async with self._busy:
            self._busy_task = task
            waited, self.waiting = self.waiting, True
            try:
                yield
            finally:
                self._busy_task, self.waiting = None, waited
                self.last_poll = self._loop.time()
