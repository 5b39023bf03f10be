"""The group coordinator of this broker: a shard for every partition of `__consumer_offsets` that it leads.

Floor 3. The reconciler tells of every role that a partition takes; a shard lives from one leadership to its end. From one epoch
to the next under the same leader nobody else can have written, so the shard and all that waits in it go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

from raftkafka.broker.groups.log import GroupLog
from raftkafka.broker.groups.offsets_topic import OffsetsTopic
from raftkafka.broker.groups.shard import GroupShard
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.partition import Partition
from raftkafka.group.effects import GroupState
from raftkafka.metadata.changes import Changes
from raftkafka.metadata.image import Image
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import GroupId, Offset, PartitionIndex, TopicPartition
from raftkafka.model.settings.values import GroupSettings
from raftkafka.model.topics import OFFSETS_TOPIC
from raftkafka.ports.clock import Clock
from raftkafka.ports.probe import GROUP_ID_MAX_CHARS, GROUP_OFFSETS_MAX, GroupOffsetStatistics, GroupStatistics

LagOf = Callable[[str, PartitionIndex, Offset], int | None]


class GroupCoordinator:
    def __init__(
        self,
        *,
        store: MetadataStore,
        topic: OffsetsTopic,
        settings: GroupSettings,
        clock: Clock,
        has_lease: Callable[[], bool],
        new_uuid: Callable[[], str],
    ) -> None:
        self.topic = topic
        self._settings = settings
        self._clock = clock
        self._has_lease = has_lease
        self._new_uuid = new_uuid
        self._shards: dict[TopicPartition, GroupShard] = {}
        self._image = store.image
        self._commits_before = 0
        self._rebalances_before = 0
        store.subscribe(self._on_change)

    def __iter__(self) -> Iterator[GroupShard]:
        return iter(list(self._shards.values()))

    def role_changed(self, partition: Partition) -> None:
        """`partition` may lead now, or not any more."""
        if partition.topic != OFFSETS_TOPIC:
            return
        key = partition.topic_partition
        leads = partition.leader is not None and partition.offline is None
        shard = self._shards.get(key)
        if shard is not None:
            log = shard.log
            if leads and log.partition is partition and partition.leader_epoch in (log.epoch, log.epoch + 1):
                log.epoch = partition.leader_epoch
                return
            self._drop(key, shard)
        if leads:
            log = GroupLog(
                partition=partition, epoch=partition.leader_epoch, clock=self._clock, has_lease=self._has_lease
            )
            shard = GroupShard(
                log=log,
                settings=self._settings,
                clock=self._clock,
                new_uuid=self._new_uuid,
                topic_exists=lambda name: name in self._image.topic_ids,
            )
            self._shards[key] = shard
            shard.start()

    def shard_of(self, group_id: GroupId) -> GroupShard:
        """Who coordinates the group.

        Raises:
            ApiError: NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS.
        """
        key = self.topic.partition_of(group_id)
        shard = None if key is None else self._shards.get(key)
        if shard is None or not shard.log.is_led:
            raise ApiError(ErrorCode.NOT_COORDINATOR, f"this broker does not coordinate the group {group_id!r}")
        if not shard.is_loaded:
            raise ApiError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, f"the group {group_id!r} is being read")
        return shard

    async def expire_offsets(self) -> None:
        for shard in self:
            await shard.expire_offsets()

    def stop(self) -> None:
        for key, shard in list(self._shards.items()):
            self._drop(key, shard)

    def statistics(self, lag_of: LagOf) -> GroupStatistics:
        """`lag_of` says how many records of a partition lie from an offset on, where that is known here."""
        states: Counter[str] = Counter()
        members = offsets = 0
        for shard in self:
            for group in shard:
                states[group.membership.state.value] += 1
                members += len(group.membership.members)
                offsets += len(group.offsets)
        return GroupStatistics(
            states=tuple([(state.value, states[state.value]) for state in GroupState]),
            members=members,
            offsets=tuple(self._offsets(lag_of)),
            committed_offsets=offsets,
            commits=self._commits_before + sum(shard.commits for shard in self),
            rebalances=self._rebalances_before + sum(shard.rebalances for shard in self),
            loading=sum(not shard.is_loaded for shard in self),
        )

    def _offsets(self, lag_of: LagOf) -> Iterator[GroupOffsetStatistics]:
        """Groups that consume go before those that nobody is in; else those that came first, so that a scrape shows the
        same ones as the one before."""
        left = GROUP_OFFSETS_MAX
        for wants_members in (True, False):
            for shard in self._shards.values():
                for group in shard:
                    if bool(group.membership.members) is not wants_members or len(group.group_id) > GROUP_ID_MAX_CHARS:
                        continue
                    for (topic, partition), committed in islice(group.offsets, left):
                        left -= 1
                        yield GroupOffsetStatistics(
                            group=group.group_id,
                            topic=topic,
                            partition=partition,
                            committed_offset=committed.offset,
                            lag=lag_of(topic, partition, committed.offset),
                        )
                    if not left:
                        return

    def _drop(self, key: TopicPartition, shard: GroupShard) -> None:
        del self._shards[key]
        self._commits_before += shard.commits
        self._rebalances_before += shard.rebalances
        shard.close()

    def _on_change(self, image: Image, changes: Changes) -> None:
        before, self._image = self._image, image
        gone = frozenset(
            before.topics[topic_id].name for topic_id in changes.topics_deleted if topic_id in before.topics
        )
        if gone:
            for shard in self:
                if shard.is_loaded and shard.log.is_led:
                    shard.topics_deleted(gone)
