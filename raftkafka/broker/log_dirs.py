"""The log directories of this broker: opens and deletes logs in them, checkpoints them, closes them in order.

Floor 3. A directory whose device failed, or that is not there any more, is offline until the process ends, whatever
becomes of it (after a failed sync the data may be gone although a second try succeeds); the partitions in the others go on.
A full disk is no failure: what it has can be read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from raftkafka.broker.flusher import Flusher
from raftkafka.broker.live_settings import LiveSettings
from raftkafka.broker.partition import Partition
from raftkafka.metadata.image import Image, Topic
from raftkafka.model.api.broker_lifecycle import HeldLogs
from raftkafka.model.errors import CorruptionError, DiskFullError, StartupError, StorageError, SyncFailedError
from raftkafka.model.ids import (
    NO_BROKER_EPOCH,
    BrokerEpoch,
    DirectoryId,
    NodeId,
    Offset,
    PartitionIndex,
    TopicId,
    TopicPartition,
)
from raftkafka.model.settings.values import FlushPolicy
from raftkafka.ports.clock import Clock
from raftkafka.ports.disk import Disk
from raftkafka.ports.probe import LogDirectoryStatistics, Probe
from raftkafka.storage import checkpoint
from raftkafka.storage.config import log_config
from raftkafka.storage.directory import LogDirectory, write_identity
from raftkafka.storage.log import Log
from raftkafka.storage.open_segments import OpenSegments

_log = logging.getLogger("raftkafka.log")


_Offsets = dict[tuple[str, int], Offset]


@dataclass(slots=True, eq=False)
class _OpenDirectory:
    directory: LogDirectory
    flusher: Flusher
    found: dict[TopicPartition, str]
    recovery_points: _Offsets
    watermarks: _Offsets
    log_starts: _Offsets
    cleaner_offsets: _Offsets
    deleted: set[tuple[str, int]] = field(default_factory=set)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    partitions: dict[TopicPartition, Partition] = field(default_factory=dict)
    opening: int = 0
    failed: StorageError | None = None


class LogDirs:
    """Implements `reconciler.OpensPartitions`."""

    def __init__(
        self,
        *,
        live: LiveSettings,
        disk: Disk,
        clock: Clock,
        probe: Probe,
        now: Callable[[], float],
        new_id: Callable[[], bytes],
        isr_may_change: Callable[[Partition], None],
        went_offline: Callable[[], None],
        on_all_failed: Callable[[StorageError], None],
    ) -> None:
        """Lock and identify every directory.

        Raises:
            StartupError: one of them is locked, another broker's or cluster's, or damaged.
        """
        self._live = live
        self._settings = settings = live.file
        self._disk = disk
        self._clock = clock
        self._probe = probe
        self._now = now
        self._new_id = new_id
        self._isr_may_change = isr_may_change
        self._went_offline = went_offline
        self._on_all_failed = on_all_failed
        self._dirs: list[_OpenDirectory] = []
        self._open_segments = OpenSegments(settings.log.open_segments_max)
        self._dir_of: dict[TopicPartition, _OpenDirectory] = {}
        self.cluster_id = ""
        try:
            for path in settings.log_dirs:
                self._dirs.append(self._open_directory(str(path.absolute()), settings.node_id))
        except StorageError as error:
            self.release()
            raise StartupError(str(error)) from error
        except StartupError:
            self.release()
            raise

    def _open_directory(self, path: str, node_id: NodeId) -> _OpenDirectory:
        directory = LogDirectory.open(
            self._disk,
            path,
            cluster_id=self.cluster_id,
            broker_id=node_id,
            new_directory_id=DirectoryId(self._new_id()),
            acknowledges_unsynced=self._settings.log.flush_policy is not FlushPolicy.GROUP,
        )
        self.cluster_id = self.cluster_id or directory.identity.cluster_id
        opened = _OpenDirectory(
            directory=directory,
            flusher=Flusher(disk=self._disk, probe=self._probe, on_failure=lambda error: self._failed(opened, error)),
            found={found.topic_partition: found.topic for found in directory.discover()},
            recovery_points=directory.read_offsets(checkpoint.RECOVERY_POINT_FILE),
            watermarks=directory.read_offsets(checkpoint.HIGH_WATERMARK_FILE),
            log_starts=directory.read_offsets(checkpoint.LOG_START_FILE),
            cleaner_offsets=directory.read_offsets(checkpoint.CLEANER_FILE),
        )
        for key, topic in opened.found.items():
            other = self._dir_of.setdefault(key, opened)
            if other is not opened:
                # One of them is stale, and nothing here says which.
                opened.directory.close()
                raise StartupError(
                    f"the log of {topic}-{key.partition} is in two log directories, {other.directory.path} and {path}: "
                    f"remove the one that is out of date"
                )
        return opened

    @property
    def previous_broker_epoch(self) -> BrokerEpoch:
        """The epoch of the last clean stop; -1 when any directory was not closed in order. Of several, an old copy of a
        disk among them, the oldest."""
        epochs = {opened.directory.previous_broker_epoch for opened in self._dirs}
        stops = epochs - {NO_BROKER_EPOCH}
        return min(stops) if stops and (len(stops) > 1 or len(epochs) == 1) else NO_BROKER_EPOCH

    @property
    def were_synced(self) -> bool:
        """True when everything that was acknowledged before this start was synced first, or by an orderly stop."""
        return all(opened.directory.was_synced for opened in self._dirs)

    @property
    def directory_ids(self) -> tuple[DirectoryId, ...]:
        return tuple([opened.directory.identity.directory_id for opened in self._dirs])

    def held(self) -> tuple[HeldLogs, ...]:
        """The logs that were here at the start, topic by topic."""
        topics: dict[TopicId, list[PartitionIndex]] = {}
        for key in sorted(key for opened in self._dirs for key in opened.found):
            topics.setdefault(key.topic_id, []).append(key.partition)
        return tuple(
            [HeldLogs(topic_id=topic_id, partitions=tuple(partitions)) for topic_id, partitions in topics.items()]
        )

    def holds(self, key: TopicPartition) -> bool:
        """True for a partition whose log is here."""
        return key in self._dir_of

    def stamp(self, cluster_id: str) -> None:
        """The cluster has told its id: directories that did not know it carry it from now on.

        Raises:
            StartupError: a directory belongs to another cluster.
        """
        for opened in self._dirs:
            identity = opened.directory.identity
            if identity.cluster_id == cluster_id:
                continue
            if identity.cluster_id:
                raise StartupError(
                    f"the log directory {opened.directory.path} belongs to cluster {identity.cluster_id}, "
                    f"this is cluster {cluster_id}"
                )
            opened.directory.identity = replace(identity, cluster_id=cluster_id)
            write_identity(self._disk, opened.directory.path, opened.directory.identity)
        self.cluster_id = cluster_id

    def flusher_of(self, partition: Partition) -> Flusher:
        return self._dir_of[partition.topic_partition].flusher

    # What the reconciler asks for

    async def open(self, key: TopicPartition, topic: Topic) -> Partition:
        """Open the log of a partition, recovering it after an unclean stop; a new one goes to the emptiest directory."""
        opened = self._dir_of.get(key) or self._emptiest()
        if not self._is_there(opened):
            raise StorageError(f"the log directory {opened.directory.path} is offline: {opened.failed}")
        self._forget_displaced(opened, key, topic.name)
        # From here on something may be there, so another try must not choose another directory.
        self._dir_of[key] = opened
        opened.opening += 1
        try:
            # A sync that failed here must not be taken for done by the next try.
            with self._taking_offline(opened, SyncFailedError):
                return await self._open_in(opened, key, topic)
        finally:
            opened.opening -= 1

    async def _open_in(self, opened: _OpenDirectory, key: TopicPartition, topic: Topic) -> Partition:
        settings = self._settings
        path = await opened.directory.create(topic.name, key)
        name = (topic.name, int(key.partition))
        existed = key in opened.found
        if not existed:
            await self._forget_checkpoints(opened, name)
        log = await Log.open(
            self._disk,
            path,
            topic_partition=key,
            topic=topic.name,
            config=log_config(self._live.log, topic.configs),
            clean=opened.directory.was_clean and existed,
            recovery_point=Offset(opened.recovery_points.get(name, 0) if existed else 0),
            log_start_offset=Offset(opened.log_starts.get(name, 0) if existed else 0),
            now_ms=self._clock.now_ms(),
            cleaned_until=Offset(opened.cleaner_offsets.get(name, 0) if existed else 0),
            open_segments=self._open_segments,
        )
        partition = Partition(
            log=log,
            topic=topic.name,
            node_id=settings.node_id,
            flusher=opened.flusher,
            flush_policy=settings.log.flush_policy,
            high_watermark=Offset(opened.watermarks.get(name, 0) if existed else 0),
            now=self._now,
            lag_time_max_s=settings.replica.lag_time_max_ms / 1000,
            isr_may_change=self._isr_may_change,
            went_offline=self._went_offline,
            device_failed=self.device_failed,
        )
        opened.partitions[key] = partition
        if log.flushed_offset < log.log_end_offset:
            # Recovered bytes may still be in the page cache only.
            opened.flusher.request(partition)
        if log.offline is not None:
            partition.take_offline(log.offline)
        return partition

    def configure(self, partition: Partition, topic: Topic) -> None:
        """Let the log go by the topic's configs, and by this broker's settings, as they are now."""
        config = log_config(self._live.log, topic.configs)
        if partition.log.config != config:
            partition.log.reconfigure(config)

    def _forget_displaced(self, opened: _OpenDirectory, key: TopicPartition, name: str) -> None:
        """The log of an older topic of that name is moved aside by `LogDirectory.create`: its path is the new one's now,
        so it must never be deleted as a stray."""
        for other, topic in list(opened.found.items()):
            if topic == name and other.partition == key.partition and other != key and other not in opened.partitions:
                del opened.found[other]
                self._dir_of.pop(other, None)

    async def _forget_checkpoints(self, opened: _OpenDirectory, name: tuple[str, int]) -> None:
        """What the checkpoints say of an older topic of that name must never be believed of the new one."""
        known = (opened.recovery_points, opened.watermarks, opened.log_starts, opened.cleaner_offsets)
        if name in opened.deleted or any(name in offsets for offsets in known):
            for offsets in known:
                offsets.pop(name, None)
            opened.deleted.discard(name)
            await self._write_watermarks(opened)
            await self._write_recovery_points(opened)
            await self._write_log_starts(opened)
            await self._write_cleaner_offsets(opened)

    def _emptiest(self) -> _OpenDirectory:
        # One that was removed or unmounted would be made anew, on another file system as it may be.
        online = [opened for opened in self._dirs if self._is_there(opened)]
        if not online:
            raise StorageError("every log directory is offline")
        return min(online, key=lambda opened: len(opened.partitions) + opened.opening)

    async def delete(self, partition: Partition) -> None:
        """Remove the log of a partition for good.

        Raises:
            StorageError: the disk refused; the directory is offline, and its next start removes what is left.
        """
        opened = self._let_go(partition)
        await opened.flusher.next_sync()
        path = opened.directory.partition_path(partition.topic, partition.topic_partition.partition)
        partition.log.close(to_be_deleted=True)
        with self._taking_offline(opened, StorageError):
            opened.directory.delete(path, unique=self._new_id())
        del self._dir_of[partition.topic_partition]
        _log.info("%s: deleted", partition)

    def _let_go(self, partition: Partition) -> _OpenDirectory:
        """Forget a partition, except for where it is until its log has gone; the next log of its name takes nothing over."""
        opened = self._dir_of[partition.topic_partition]
        opened.partitions.pop(partition.topic_partition, None)
        opened.found.pop(partition.topic_partition, None)
        opened.deleted.add(_name(partition))
        opened.flusher.forget(partition)
        return opened

    async def set_aside(self, partition: Partition) -> None:
        """Take a damaged log out of use, its bytes kept for whoever wants to look; the next `open` makes an empty one."""
        opened = self._let_go(partition)
        await opened.flusher.next_sync()
        path = opened.directory.partition_path(partition.topic, partition.topic_partition.partition)
        partition.log.close()
        with self._taking_offline(opened, StorageError):
            kept = opened.directory.set_aside(path)
        del self._dir_of[partition.topic_partition]
        _log.warning("%s: the damaged log is kept in %s, a new one is fetched from the leader", partition, kept)

    async def delete_strays(self, image: Image) -> None:
        """Delete the logs that were found at the start and that the image does not give to this broker (any more)."""
        for opened in self._online():
            for key, topic in list(opened.found.items()):
                if _is_wanted(image, key, self._settings.node_id) or key in opened.partitions:
                    continue
                del opened.found[key]
                self._dir_of.pop(key, None)
                path = opened.directory.partition_path(topic, key.partition)
                _log.info(
                    "%s-%d: deleting the log, it belongs to no replica of this broker any more", topic, key.partition
                )
                with suppress(StorageError), self._taking_offline(opened, StorageError):
                    opened.directory.delete(path, unique=self._new_id())
                if opened.failed is not None:
                    break
                await asyncio.sleep(0)  # a deletion syncs its directory: one per turn of the loop

    # Duties

    async def checkpoint_watermarks(self) -> None:
        await self._in_each(self._write_watermarks)

    async def checkpoint_recovery_points(self) -> None:
        """Sync what is dirty, then note how far each log need not be looked at after a crash."""
        await self.flush_all()
        await self._in_each(self._write_recovery_points)

    async def checkpoint_log_starts(self) -> None:
        await self._in_each(self._write_log_starts)

    async def save_log_starts(self, partitions: Iterable[Partition]) -> None:
        """Make the log starts of these durable (DeleteRecords), then remove the segments that lie wholly below.

        Raises:
            StorageError: the disk refused.
        """
        moved: dict[int, list[Partition]] = {}
        for partition in partitions:
            opened = self._dir_of.get(partition.topic_partition)
            if opened is not None:
                moved.setdefault(self._dirs.index(opened), []).append(partition)
        for at, here in moved.items():
            await self._write_log_starts(self._dirs[at])
            for partition in here:
                if self._dirs[at].partitions.get(partition.topic_partition) is partition and partition.offline is None:
                    self._delete_old_segments(partition)

    def contents(self) -> list[tuple[LogDirectoryStatistics, tuple[Partition, ...]]]:
        """Each directory with what lies in it."""
        return [(_statistics(opened), tuple(opened.partitions.values())) for opened in self._dirs]

    def online_partitions(self) -> list[Partition]:
        return [each for opened in self._online() for each in opened.partitions.values() if each.offline is None]

    async def save_cleaner_offset(self, partition: Partition) -> None:
        """Note how far the log has been compacted."""
        opened = self._dir_of.get(partition.topic_partition)
        if opened is not None and opened.failed is None:
            await self._write_cleaner_offsets(opened)

    async def flush_all(self) -> None:
        for opened in self._online():
            for partition in opened.partitions.values():
                if partition.offline is None and partition.log.flushed_offset < partition.log.log_end_offset:
                    opened.flusher.request(partition)
            await opened.flusher.next_sync()

    async def delete_old_segments(self) -> None:
        """Retention, over whole closed segments below the high watermark."""

        async def delete_in(opened: _OpenDirectory) -> None:
            for partition in list(opened.partitions.values()):
                if partition.offline is None:
                    self._delete_old_segments(partition)
            await self._write_log_starts(opened)

        await self._in_each(delete_in)

    def _delete_old_segments(self, partition: Partition) -> None:
        try:
            gone = partition.log.delete_old_segments(
                now_ms=self._clock.now_ms(), high_watermark=partition.high_watermark
            )
        except (CorruptionError, StorageError) as error:
            # It reads the batches whose time it goes by: damage there costs this log, not the broker.
            partition.take_offline(error)
            return
        if gone:
            _log.info("%s: %d old segments deleted, starts at %d", partition, gone, partition.log.log_start_offset)

    async def expire_producers(self) -> None:
        """Forget idempotent producers that have been silent for `producer.id.expiration.ms`."""
        expiration_ms = self._live.log.producer_id_expiration_ms
        for opened in self._online():
            for partition in list(opened.partitions.values()):
                partition.log.expire_producers(now_ms=self._clock.now_ms(), expiration_ms=expiration_ms)
                await asyncio.sleep(0)  # thousands of partitions: let others have the loop

    # The end

    async def close(self, *, broker_epoch: BrokerEpoch) -> None:
        """Sync and close everything; a directory where that worked is marked as cleanly closed."""
        try:
            await self.flush_all()
            await self._in_each(lambda opened: self._close_in_order(opened, broker_epoch))
        except StorageError as error:
            _log.error("not closed in order: %s", error)
        finally:
            self.release()

    async def _close_in_order(self, opened: _OpenDirectory, broker_epoch: BrokerEpoch) -> None:
        if any(each.offline is not None for each in opened.partitions.values()):
            return
        await self._write_watermarks(opened)
        for partition in opened.partitions.values():
            partition.log.close()
        await self._write_recovery_points(opened)
        await self._write_log_starts(opened)
        # What was never opened was never recovered: a mark would make the next start believe it as it is.
        known = opened.directory.was_clean or opened.found.keys() <= opened.partitions.keys()
        if opened.failed is None and known:
            never_registered = broker_epoch == NO_BROKER_EPOCH
            opened.directory.mark_clean(opened.directory.previous_broker_epoch if never_registered else broker_epoch)

    def abandon(self) -> None:
        """The node could not start: leave the directories as they were found, the mark of an orderly stop included."""
        for opened in self._dirs:
            if opened.directory.was_clean:
                opened.directory.mark_clean(opened.directory.previous_broker_epoch)
        self.release()

    def drop(self) -> None:
        """As when the process is killed: close the files as they are; nothing more is written, synced or marked."""
        killed = StorageError("the node was killed")
        for opened in self._dirs:
            for partition in opened.partitions.values():
                partition.log.take_offline(killed)
                partition.log.close()
        self.release()

    def release(self) -> None:
        for opened in self._dirs:
            opened.directory.close()

    # Inside

    def _online(self) -> list[_OpenDirectory]:
        return [opened for opened in self._dirs if opened.failed is None]

    async def _in_each(self, work: Callable[[_OpenDirectory], Awaitable[None]]) -> None:
        """Where one directory refuses, the others still have their turn; then it is told."""
        refusal: StorageError | None = None
        for opened in self._online():
            try:
                await work(opened)
            except StorageError as error:
                refusal = error
        if refusal is not None:
            raise refusal

    async def _write_offsets(self, opened: _OpenDirectory, file: str, offsets: _Offsets) -> None:
        """Replace a checkpoint. It is written every few seconds, so this is also how a directory without records is found
        to be gone.

        Raises:
            StorageError: the disk refused; unless it is full, the directory is offline.
        """
        if not self._is_there(opened):
            raise StorageError(f"the log directory {opened.directory.path} is offline: {opened.failed}")
        with self._taking_offline(opened, StorageError, unless=DiskFullError):
            await opened.directory.write_offsets(file, offsets)

    async def _write_watermarks(self, opened: _OpenDirectory) -> None:
        async with opened.writing:
            offsets = {_name(each): each.high_watermark for each in opened.partitions.values()}
            # What is not open yet keeps the watermark that was known of it.
            await self._write_offsets(opened, checkpoint.HIGH_WATERMARK_FILE, {**opened.watermarks, **offsets})

    async def _write_recovery_points(self, opened: _OpenDirectory) -> None:
        # First: a log that was cut needs its limit until this file says no more than it holds.
        await self._write_cleaner_offsets(opened)
        async with opened.writing:
            points = [(each, each.log.recovery_point) for each in opened.partitions.values()]
            offsets = {_name(each): point for each, point in points}
            await self._write_offsets(opened, checkpoint.RECOVERY_POINT_FILE, {**opened.recovery_points, **offsets})
            for partition, point in points:
                # A log that was cut in between still needs its limit: the file says more than it holds.
                if partition.log.recovery_point >= point:
                    partition.log.recovery_point_saved()

    async def _write_log_starts(self, opened: _OpenDirectory) -> None:
        async with opened.writing:
            offsets = {_name(each): each.log.log_start_offset for each in opened.partitions.values()}
            await self._write_offsets(opened, checkpoint.LOG_START_FILE, {**opened.log_starts, **offsets})

    async def _write_cleaner_offsets(self, opened: _OpenDirectory) -> None:
        async with opened.writing:
            offsets = {
                _name(each): each.log.compactor.cleaned_until
                for each in opened.partitions.values()
                if each.log.compactor.cleaned_until > 0
            }
            known = {name: offset for name, offset in opened.cleaner_offsets.items() if name not in offsets}
            if offsets or known:
                await self._write_offsets(opened, checkpoint.CLEANER_FILE, {**known, **offsets})

    def device_failed(self, partition: Partition, error: StorageError) -> None:
        """A write or a sync failed outside the flusher: what else the device has lost is not known, so the directory goes
        offline as a whole, as for a failed sync of records."""
        opened = self._dir_of.get(partition.topic_partition)
        if opened is None or opened.partitions.get(partition.topic_partition) is not partition:
            return  # deleted meanwhile, and its files with it
        _log.error("%s: %s, the log directory %s goes offline", partition, error, opened.directory.path)
        self._failed(opened, error)

    def _is_there(self, opened: _OpenDirectory) -> bool:
        """False when the directory is offline; one that has disappeared is from now on."""
        if opened.failed is None:
            with suppress(StorageError), self._taking_offline(opened, StorageError):
                opened.directory.check()
        return opened.failed is None

    @contextmanager
    def _taking_offline(
        self, opened: _OpenDirectory, failures: type[StorageError], *, unless: type[StorageError] | tuple[()] = ()
    ) -> Iterator[None]:
        try:
            yield
        except failures as error:
            if opened.failed is None and not isinstance(error, unless):
                _log.error("%s, the log directory %s goes offline", error, opened.directory.path)
                self._failed(opened, error)
            raise

    def _failed(self, opened: _OpenDirectory, error: StorageError) -> None:
        if opened.failed is not None:
            return
        opened.failed = error
        for partition in opened.partitions.values():
            partition.log.take_offline(error)
            partition.take_offline(error)
        if all(each.failed is not None for each in self._dirs):
            self._on_all_failed(error)


def _statistics(opened: _OpenDirectory) -> LogDirectoryStatistics:
    free = capacity = None
    # A device that has failed may not even answer.
    if opened.failed is None:
        with suppress(StorageError):
            free, capacity = opened.directory.free_bytes(), opened.directory.total_bytes()
    return LogDirectoryStatistics(
        path=opened.directory.path,
        # One that was removed, or unmounted, may be noticed here first: open files go on working for a while.
        is_online=capacity is not None,
        size_bytes=sum(partition.log.size_bytes for partition in opened.partitions.values()),
        free_bytes=free,
        capacity_bytes=capacity,
    )


def _is_wanted(image: Image, key: TopicPartition, node_id: NodeId) -> bool:
    state = image.partition(key)
    return state is not None and node_id in state.replicas


def _name(partition: Partition) -> tuple[str, int]:
    return (partition.topic, int(partition.topic_partition.partition))
