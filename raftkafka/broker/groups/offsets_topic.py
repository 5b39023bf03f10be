"""`__consumer_offsets`: which partition a group belongs to, and the creation of the topic when the first group is asked for.

Floor 3.
"""

from __future__ import annotations

import asyncio
import logging

from raftkafka.broker import background
from raftkafka.broker.controller_channel import ControllerChannel
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.group.partition_of import partition_of
from raftkafka.metadata.image import Partition as PartitionState
from raftkafka.model.api.topics import CreateTopics, CreateTopicsResponse, NewTopic
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import GroupId, TopicPartition
from raftkafka.model.settings.values import GroupSettings
from raftkafka.model.topics import OFFSETS_TOPIC

_log = logging.getLogger("raftkafka.groups")


class OffsetsTopic:
    """One creation at a time, however many clients ask."""

    def __init__(
        self,
        *,
        store: MetadataStore,
        channel: ControllerChannel,
        settings: GroupSettings,
        replication_factor: int,
        timeout_s: float,
    ) -> None:
        self._store = store
        self._channel = channel
        self._settings = settings
        self._replication_factor = replication_factor
        self._timeout_s = timeout_s
        self._creating: asyncio.Task[None] | None = None
        self._failure = ""

    def partition_of(self, group_id: GroupId) -> TopicPartition | None:
        """Where the group's records belong; None while there is no such topic."""
        topic = self._store.image.topic_by_name(OFFSETS_TOPIC)
        if topic is None:
            return None
        return TopicPartition(topic.topic_id, partition_of(group_id, len(topic.partitions)))

    async def require(self, group_id: GroupId) -> PartitionState:
        """The group's partition as the image has it; the topic is created first where there is none.

        Raises:
            ApiError: COORDINATOR_NOT_AVAILABLE, it cannot be created now (too few brokers, no controller).
        """
        key = self.partition_of(group_id)
        if key is None:
            if self._creating is None:
                self._creating = background.start(self._create(), name="creation of the offsets topic")
            await asyncio.shield(self._creating)
            key = self.partition_of(group_id)
        state = None if key is None else self._store.image.partition(key)
        if state is None:
            raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE, f"{OFFSETS_TOPIC} is not there yet: {self._failure}")
        return state

    async def _create(self) -> None:
        try:
            self._failure = await self._ask()
            if self._failure:
                _log.warning("%s cannot be created: %s", OFFSETS_TOPIC, self._failure)
        except ApiError as error:
            self._failure = str(error)
        finally:
            self._creating = None

    async def _ask(self) -> str:
        """Nothing, or why there is still no such topic."""
        topic = NewTopic(
            name=OFFSETS_TOPIC,
            num_partitions=self._settings.offsets_topic_num_partitions,
            replication_factor=self._replication_factor,
            configs=(
                ("cleanup.policy", "compact"),
                # What groups commit is a few bytes; a producer's codec stays as it is, and nobody else writes here.
                ("compression.type", "producer"),
                ("segment.bytes", str(self._settings.offsets_topic_segment_bytes)),
            ),
        )
        answer = await self._channel.ask(CreateTopics(topics=(topic,)), timeout_s=self._timeout_s, lane="forward")
        assert isinstance(answer, CreateTopicsResponse)
        (created,) = answer.topics
        if created.error_code not in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
            return created.error_message or created.error_code.name
        known = await self._store.wait_for(lambda image: OFFSETS_TOPIC in image.topic_ids, timeout_s=self._timeout_s)
        return "" if known else "it was created, and this broker has not heard of it yet"
