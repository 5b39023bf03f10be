"""CreatePartitions, ElectLeaders and reassignments: asked of any broker, decided by the controller.

Floor 3. The answer waits until this broker's own image shows what was begun, so that who asked and looks again sees it.
"""

from __future__ import annotations

from collections.abc import Callable

from raftkafka.broker.controller_channel import ControllerChannel
from raftkafka.broker.handlers.forwarding import forward
from raftkafka.broker.handlers.metadata import APPLY_WAIT_S
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.metadata import reassignment
from raftkafka.metadata.image import Image, Partition
from raftkafka.model.api.elections import ElectionType, ElectLeaders, ElectLeadersResponse
from raftkafka.model.api.partitions import CreatePartitions, CreatePartitionsResponse, GrownTopic
from raftkafka.model.api.reassignments import (
    AlterPartitionReassignments,
    AlterPartitionReassignmentsResponse,
    ListPartitionReassignments,
    ListPartitionReassignmentsResponse,
)
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_NODE, NodeId, PartitionIndex


class PartitionsHandler:
    def __init__(self, *, channel: ControllerChannel, store: MetadataStore) -> None:
        self._channel = channel
        self._store = store

    async def create(self, context: RequestContext, request: CreatePartitions) -> CreatePartitionsResponse:
        answer = await forward(
            self._channel,
            context,
            request,
            CreatePartitionsResponse,
            timeout_ms=request.timeout_ms,
            refused=lambda error: CreatePartitionsResponse(
                topics=tuple(
                    GrownTopic(name=topic.name, error_code=error.code, error_message=error.message)
                    for topic in request.topics
                )
            ),
        )
        if not request.validate_only:
            done = {topic.name for topic in answer.topics if topic.error_code is ErrorCode.NONE}
            counts = {topic.name: topic.count for topic in request.topics if topic.name in done}
            await self._see(lambda image: all(_has_grown(image, name, count) for name, count in counts.items()))
        return answer

    async def alter_reassignments(
        self, context: RequestContext, request: AlterPartitionReassignments
    ) -> AlterPartitionReassignmentsResponse:
        answer = await forward(
            self._channel,
            context,
            request,
            AlterPartitionReassignmentsResponse,
            timeout_ms=request.timeout_ms,
            refused=lambda error: AlterPartitionReassignmentsResponse(
                error_code=error.code, error_message=error.message
            ),
        )
        if answer.error_code is not ErrorCode.NONE:
            return answer
        refused = {
            (topic.name, each.partition)
            for topic in answer.topics
            for each in topic.partitions
            if each.error_code is not ErrorCode.NONE
        }
        targets = [
            (topic.name, each.partition, each.replicas)
            for topic in request.topics
            for each in topic.partitions
            if each.replicas is not None and (topic.name, each.partition) not in refused
        ]
        await self._see(lambda image: all(_is_on_its_way(image, *each) for each in targets))
        return answer

    async def list_reassignments(
        self, context: RequestContext, request: ListPartitionReassignments
    ) -> ListPartitionReassignmentsResponse:
        return await forward(
            self._channel,
            context,
            request,
            ListPartitionReassignmentsResponse,
            timeout_ms=request.timeout_ms,
            refused=lambda error: ListPartitionReassignmentsResponse(
                error_code=error.code, error_message=error.message
            ),
        )

    async def elect_leaders(self, context: RequestContext, request: ElectLeaders) -> ElectLeadersResponse:
        answer = await forward(
            self._channel,
            context,
            request,
            ElectLeadersResponse,
            timeout_ms=request.timeout_ms,
            refused=lambda error: ElectLeadersResponse(error_code=error.code, error_message=error.message),
        )
        done = [
            (topic.name, each.partition)
            for topic in answer.topics
            for each in topic.partitions
            if each.error_code is ErrorCode.NONE
        ]
        preferred = request.election_type == ElectionType.PREFERRED
        await self._see(lambda image: all(_is_led(image, *each, preferred=preferred) for each in done))
        return answer

    async def _see(self, condition: Callable[[Image], bool]) -> None:
        await self._store.wait_for(condition, timeout_s=APPLY_WAIT_S)


def _partition(image: Image, name: str, index: PartitionIndex) -> Partition | None:
    topic = image.topic_by_name(name)
    return None if topic is None else topic.partition(index)


def _has_grown(image: Image, name: str, count: int) -> bool:
    topic = image.topic_by_name(name)
    return topic is None or len(topic.partitions) >= count


def _is_on_its_way(image: Image, name: str, index: PartitionIndex, replicas: tuple[NodeId, ...]) -> bool:
    partition = _partition(image, name, index)
    return partition is None or reassignment.target(partition) == replicas


def _is_led(image: Image, name: str, index: PartitionIndex, *, preferred: bool) -> bool:
    partition = _partition(image, name, index)
    if partition is None:
        return True
    return partition.leader == partition.preferred_leader if preferred else partition.leader != NO_NODE
