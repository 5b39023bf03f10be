"""CreateTopics and DeleteTopics: asked of any broker, decided by the controller.

Floor 3. The answer waits until this broker's own image shows the change, so that who asked and looks again sees it.
"""

from __future__ import annotations

from dataclasses import replace

from raftkafka.broker.controller_channel import ControllerChannel
from raftkafka.broker.handlers.forwarding import forward
from raftkafka.broker.handlers.metadata import APPLY_WAIT_S
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.model.api.topics import (
    CreatedTopic,
    CreateTopics,
    CreateTopicsResponse,
    DeletedTopic,
    DeleteTopics,
    DeleteTopicsResponse,
)
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_TOPIC_ID
from raftkafka.model.topics import INTERNAL_TOPICS


class TopicsHandler:
    def __init__(self, *, channel: ControllerChannel, store: MetadataStore) -> None:
        self._channel = channel
        self._store = store

    async def create(self, context: RequestContext, request: CreateTopics) -> CreateTopicsResponse:
        if not context.is_node and any(topic.name in INTERNAL_TOPICS for topic in request.topics):
            return await self._create_without_internal(context, request)
        answer = await forward(
            self._channel,
            context,
            request,
            CreateTopicsResponse,
            timeout_ms=request.timeout_ms,
            refused=lambda error: CreateTopicsResponse(
                topics=tuple(
                    CreatedTopic(name=topic.name, error_code=error.code, error_message=error.message)
                    for topic in request.topics
                )
            ),
        )
        if not request.validate_only:
            made = [topic.topic_id for topic in answer.topics if topic.error_code is ErrorCode.NONE]
            await self._store.wait_for(lambda image: all(each in image.topics for each in made), timeout_s=APPLY_WAIT_S)
        return answer

    async def _create_without_internal(self, context: RequestContext, request: CreateTopics) -> CreateTopicsResponse:
        """Only a broker creates internal topics; the others of the request are not concerned."""
        allowed = tuple([topic for topic in request.topics if topic.name not in INTERNAL_TOPICS])
        answer = CreateTopicsResponse(topics=())
        if allowed:
            answer = await self.create(context, replace(request, topics=allowed))
        rest = iter(answer.topics)
        refused = (ErrorCode.INVALID_TOPIC_EXCEPTION, "the name of an internal topic is reserved")
        return replace(
            answer,
            topics=tuple(
                [
                    CreatedTopic(name=topic.name, error_code=refused[0], error_message=refused[1])
                    if topic.name in INTERNAL_TOPICS
                    else next(rest)
                    for topic in request.topics
                ]
            ),
        )

    async def delete(self, context: RequestContext, request: DeleteTopics) -> DeleteTopicsResponse:
        answer = await forward(
            self._channel,
            context,
            request,
            DeleteTopicsResponse,
            timeout_ms=request.timeout_ms,
            refused=lambda error: DeleteTopicsResponse(
                topics=tuple(
                    DeletedTopic(
                        name=topic.name,
                        topic_id=topic.topic_id or NO_TOPIC_ID,
                        error_code=error.code,
                        error_message=error.message,
                    )
                    for topic in request.topics
                )
            ),
        )
        gone = [topic.topic_id for topic in answer.topics if topic.error_code is ErrorCode.NONE]
        await self._store.wait_for(lambda image: not any(each in image.topics for each in gone), timeout_s=APPLY_WAIT_S)
        return answer
