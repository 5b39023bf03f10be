"""Makes the partitions of this node what the image says: open, lead, follow, delete.

Floor 3. The image is what should be, the replica table is what is. Roles of logs that are open change in the same loop
turn in which Raft applied the change: fail-over waits for nothing. Of thousands that change at once, some change in each
turn, as if the others had been committed a little later; those that this node leads come first, because others wait for
them. Whatever needs the disk (opening, deleting) is marked dirty and carried out by one worker, so that a burst of changes
costs one look per partition.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import islice
from typing import Protocol

from raftkafka.broker import background
from raftkafka.broker.fetcher import Fetchers
from raftkafka.broker.live_settings import LiveSettings
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.partition import Partition
from raftkafka.broker.replicas import ReplicaTable
from raftkafka.metadata.changes import Changes
from raftkafka.metadata.image import Image, Topic
from raftkafka.metadata.image import Partition as PartitionState
from raftkafka.model.api.broker_lifecycle import OfflineReplica
from raftkafka.model.errors import CorruptionError, ErrorCode, InvariantViolationError, StorageError
from raftkafka.model.ids import NO_NODE, NodeId, TopicPartition

_log = logging.getLogger("raftkafka.reconciler")

LOGS_PER_TURN = 8
"""Logs opened or deleted in one turn of the loop, at some milliseconds each."""

ROLES_PER_TURN = 256
"""Roles taken in one turn of the loop, a few milliseconds' work."""

OFFLINE_MAX = 1_000
"""Replicas of which one heartbeat says that they are offline."""

RETRY_MIN_S = 0.5
RETRY_MAX_S = 30.0
"""Between tries to open what could not be opened, for example on a full disk; the pause doubles from try to try."""


class OpensPartitions(Protocol):
    """Where logs live, as the reconciler sees it."""

    def holds(self, key: TopicPartition) -> bool: ...

    async def open(self, key: TopicPartition, topic: Topic) -> Partition: ...

    def configure(self, partition: Partition, topic: Topic) -> None: ...

    async def delete(self, partition: Partition) -> None: ...

    async def set_aside(self, partition: Partition) -> None: ...

    async def delete_strays(self, image: Image) -> None: ...


class Reconciler:
    """Subscribes to the metadata store; idle until `start`."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        store: MetadataStore,
        replicas: ReplicaTable,
        logs: OpensPartitions,
        fetchers: Fetchers,
        live: LiveSettings,
        role_changed: Callable[[Partition], None] = lambda _: None,
    ) -> None:
        self._node_id = node_id
        self._store = store
        self._replicas = replicas
        self._logs = logs
        self._fetchers = fetchers
        self._live = live
        self._log_settings = live.log
        self._role_changed = role_changed
        self._changed: dict[TopicPartition, None] = {}
        """Partitions whose role has yet to be looked at, in order."""
        self._turn: asyncio.Handle | None = None
        self._dirty: dict[TopicPartition, None] = {}
        """Partitions whose log is to be opened or deleted, in order."""
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._strays_wanted = False
        self._told = 0
        """Where the next report of offline replicas goes on, when they are too many for one."""
        self._may_lead = False
        self.failed: dict[TopicPartition, CorruptionError | StorageError] = {}
        """Partitions that cannot be opened, and why; they are tried again at the next change, and after a pause."""
        store.subscribe(self._on_change)

    def start(self) -> None:
        """Begin with everything the image gives to this node."""
        self._task = background.start(self._run(), name="reconciler")
        for key, state in self._store.image.partitions():
            if self._node_id in state.replicas:
                self._dirty[key] = None
        self._work.set()

    def image_is_current(self) -> None:
        """The registration of this start is applied here, so the image is current: leaderships in it are of this
        incarnation, and logs that it does not name are of topics that are gone, or of replicas that were taken from this
        broker."""
        self._strays_wanted = True
        if not self._may_lead:
            self._may_lead = True
            image = self._store.image
            for key, state in image.partitions():
                held = self._replicas.get(key)
                if self._node_id in state.replicas:
                    waits = held is None or state.leader == self._node_id or held.offline is not None
                else:
                    waits = held is not None
                if waits:
                    self._changed[key] = None
            self._begin_turns()
        self._work.set()

    def offline(self) -> tuple[OfflineReplica, ...]:
        """What this broker cannot serve, for the controller; at most OFFLINE_MAX at a time. Of more than that the controller
        hears in turns, and only of those that it still counts on."""
        unopened = [
            OfflineReplica(topic_id=key.topic_id, partition=key.partition, damaged=isinstance(error, CorruptionError))
            for key, error in self.failed.items()
        ]
        lost = (*self._replicas.offline(), *unopened)
        if len(lost) <= OFFLINE_MAX:
            return lost
        counted = tuple([each for each in lost if self._is_counted_on(each)])
        start = self._told % max(1, len(counted))
        self._told = start + OFFLINE_MAX
        return (*counted[start:], *counted[:start])[:OFFLINE_MAX]

    def _is_counted_on(self, lost: OfflineReplica) -> bool:
        state = self._store.image.partition(TopicPartition(lost.topic_id, lost.partition))
        return state is not None and (self._node_id in state.isr or (lost.damaged and self._node_id in state.elr))

    @property
    def is_current(self) -> bool:
        """True once this start's registration has been applied here."""
        return self._may_lead

    async def stop(self) -> None:
        self._changed.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _on_change(self, image: Image, changes: Changes) -> None:
        if self._task is None:
            return
        # Before the roles: a leader that takes over a smaller ISR has to know what it may do with it.
        if changes.configs or self._log_settings is not self._live.log:
            self._configure(image, changes)
        keys = sorted(changes.partitions)
        if keys:
            _log.info("%d partitions changed", len(keys))
        if len(keys) > ROLES_PER_TURN or changes.topics_deleted:
            keys.sort(key=lambda each: self._rank(image, each))
        self._changed.update(dict.fromkeys(keys))
        self._begin_turns()

    def _rank(self, image: Image, key: TopicPartition) -> int:
        """Deletions first: a topic that was created again under its name wants the directory of the old one."""
        state = image.partition(key)
        if state is None:
            return 0
        return 1 if state.leader == self._node_id else 2

    def _begin_turns(self) -> None:
        if self._turn is None:
            self._take_roles()

    def _take_roles(self) -> None:
        """Look at the next of those that changed, each as the image shows it by now."""
        image = self._store.image
        try:
            for key in list(islice(self._changed, ROLES_PER_TURN)):
                del self._changed[key]
                if not self._reconcile_open(image, key):
                    self._dirty[key] = None
        finally:
            self._turn = asyncio.get_running_loop().call_soon(self._take_roles) if self._changed else None
            if self._dirty:
                self._work.set()

    def _configure(self, image: Image, changes: Changes) -> None:
        """Let the logs that are open go by the configs as they are now."""
        all_of_them = self._log_settings is not self._live.log
        self._log_settings = self._live.log
        for partition in list(self._replicas):
            topic = image.topics.get(partition.topic_partition.topic_id)
            if topic is not None and (all_of_them or topic.topic_id in changes.configs):
                self._logs.configure(partition, topic)
                partition.set_min_insync_replicas(self._min_insync(topic))

    def _reconcile_open(self, image: Image, key: TopicPartition) -> bool:
        """True when nothing is left to do; False when the worker has to open or delete a log."""
        state = image.partition(key)
        partition = self._replicas.get(key)
        if state is None:
            return partition is None
        if self._node_id not in state.replicas:
            if partition is not None:
                self._fetchers.forget(key)
                partition.leave()
                self._role_changed(partition)
            # An image of before the start may say so of a replica that this broker has been given again since, and whose
            # records are acknowledged: until the image is current, the log stays.
            return partition is None or not self._may_lead
        if partition is None or key in self._dirty or self._is_to_be_rebuilt(partition, state):
            return False
        self._take_role(image, partition, state)
        self._role_changed(partition)
        return True

    def _take_role(self, image: Image, partition: Partition, state: PartitionState) -> None:
        key = partition.topic_partition
        if partition.offline is not None:
            self._fetchers.forget(key)
            return
        try:
            if state.leader == self._node_id:
                self._fetchers.forget(key)
                if not self._may_lead:
                    # An image of before the start may name this broker in an epoch in which it led with records that
                    # its disk has lost since: followers of that epoch would truncate to it (I1).
                    return
                partition.lead(state, min_insync_replicas=self._min_insync(image.topics[key.topic_id]))
                return
            moved = (partition.leader_id, partition.leader_epoch) != (state.leader, state.leader_epoch)
            partition.follow(state)
        except (StorageError, InvariantViolationError) as error:
            self._fetchers.forget(key)
            partition.take_offline(error if isinstance(error, StorageError) else StorageError(str(error)))
            return
        if state.leader == NO_NODE:
            self._fetchers.forget(key)
        elif moved:
            self._fetchers.follow(partition, state.leader)

    def _min_insync(self, topic: Topic) -> int:
        configured = topic.configs.get("min.insync.replicas")
        return int(configured) if configured is not None else self._live.log.min_insync_replicas

    # What needs the disk

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        pause_s = RETRY_MIN_S
        retry_at: float | None = None
        while True:
            if not self.failed:
                pause_s, retry_at = RETRY_MIN_S, None
            elif retry_at is None:
                retry_at = loop.time() + pause_s
            try:
                async with asyncio.timeout_at(retry_at):
                    await self._work.wait()
            except TimeoutError:
                # A full disk has space again some day, and nothing else would tell.
                self._dirty.update(dict.fromkeys(self.failed))
                pause_s, retry_at = min(2 * pause_s, RETRY_MAX_S), None
            self._work.clear()
            done = 0
            while self._dirty:
                keys = self._next_to_do()
                # Logs that are opened at the same time share the device's commits, which take most of the time.
                await asyncio.gather(*map(self._reconcile, keys))
                done += len(keys)
                # Opening and deleting often wait for nothing: a thousand of them in one turn would cost an election.
                if done >= LOGS_PER_TURN:
                    done = 0
                    await asyncio.sleep(0)
            if self._strays_wanted:
                self._strays_wanted = False
                await self._logs.delete_strays(self._store.image)

    def _next_to_do(self) -> list[TopicPartition]:
        """The first dirty partition, and with it those behind it as far as all of them only want their log opened."""
        keys: list[TopicPartition] = []
        for key in self._dirty:
            state = self._store.image.partition(key)
            opens = state is not None and self._node_id in state.replicas and self._replicas.get(key) is None
            if keys and not opens:
                break
            keys.append(key)
            if not opens or len(keys) == LOGS_PER_TURN:
                break
        return keys

    async def _reconcile(self, key: TopicPartition) -> None:
        image = self._store.image
        state = image.partition(key)
        partition = self._replicas.get(key)
        try:
            if state is None or self._node_id not in state.replicas:
                if partition is not None and (state is None or self._may_lead):
                    await self._delete(partition)
            else:
                if partition is not None and self._is_to_be_rebuilt(partition, state):
                    await self._set_aside(partition)
                    partition = None
                if partition is None and (self._may_lead or self._logs.holds(key)):
                    # An empty log in place of one that went with its disk is made only when the controller has heard of
                    # the loss, because at the next start it would pass for the lost one.
                    opened = await self._logs.open(key, image.topics[key.topic_id])
                    topic = self._store.image.topics.get(key.topic_id)
                    if topic is not None:
                        # What has changed while the disk worked.
                        self._logs.configure(opened, topic)
                    self._replicas.add(opened)
            self.failed.pop(key, None)
        except (CorruptionError, StorageError) as error:
            if str(self.failed.get(key)) != str(error):
                _log.error("partition %s cannot be served: %s", key, error)
            self.failed[key] = error
        # The image may have moved on while the disk worked; what is open now takes the newest role. A log that has to go
        # again stays first in line: the next topic of its name takes over its directory.
        del self._dirty[key]
        waits = not self._may_lead and self._replicas.get(key) is None
        if key not in self.failed and not waits and not self._reconcile_open(self._store.image, key):
            self._dirty = {key: None, **self._dirty}

    def _is_to_be_rebuilt(self, partition: Partition, state: PartitionState) -> bool:
        """A damaged log is fetched again from the leader (I15), once it counts for nothing any more: as long as this
        replica is eligible, an empty log in its place could be elected (I4). An image of before the start is no witness:
        this replica may have become the last one that is since."""
        return (
            self._may_lead
            and isinstance(partition.offline, CorruptionError)
            and self._node_id not in (*state.isr, *state.elr)
            and state.leader not in (NO_NODE, self._node_id)
        )

    async def _set_aside(self, partition: Partition) -> None:
        self._fetchers.forget(partition.topic_partition)
        self._replicas.remove(partition.topic_partition)
        self._role_changed(partition)
        await self._logs.set_aside(partition)

    async def _delete(self, partition: Partition) -> None:
        self._fetchers.forget(partition.topic_partition)
        self._replicas.remove(partition.topic_partition)
        gone = self._store.image.partition(partition.topic_partition) is None
        partition.close(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if gone else ErrorCode.NOT_LEADER_OR_FOLLOWER)
        self._role_changed(partition)
        await self._logs.delete(partition)
