"""What clients want of the controller: asked on a lane of its own, within their patience, and refused in their terms."""

from __future__ import annotations

from typing import Any

import pytest

from raftkafka.broker.handlers.forwarding import FORWARD_TIMEOUT_MAX_S, patience_s
from raftkafka.broker.handlers.topics import TopicsHandler
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.model.api.topics import CreateTopics, CreateTopicsResponse, DeleteTopics, DeleteTopicsResponse, NewTopic
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, ErrorCode


class Channel:
    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    async def ask(self, request: object, **how: Any) -> object:
        self.asked.append(how)
        if isinstance(self.answer, ApiError):
            raise self.answer
        return self.answer


@pytest.fixture
def context() -> RequestContext:
    return RequestContext(listener="PLAINTEXT", client_address="192.0.2.1:1")


@pytest.mark.parametrize(
    ("call", "request_", "answer"),
    [
        ("create", CreateTopics(topics=(NewTopic(name="t"),), timeout_ms=2_000), CreateTopicsResponse(topics=())),
        ("delete", DeleteTopics(topics=(), timeout_ms=2_000), DeleteTopicsResponse(topics=())),
    ],
)
async def test_topics_come_and_go_without_holding_up_heartbeats(context, call, request_, answer):
    """On the lane of the heartbeats a creation of thousands of partitions would cost the broker its session."""
    channel = Channel(answer)
    handler = TopicsHandler(channel=channel, store=MetadataStore())
    assert await getattr(handler, call)(context, request_) == answer
    assert channel.asked == [{"timeout_s": 2.0, "forward": True, "lane": "forward"}]


async def test_a_controller_that_cannot_be_asked_refuses_each_topic(context):
    handler = TopicsHandler(channel=Channel(ApiError(ErrorCode.NOT_CONTROLLER, "nobody leads")), store=MetadataStore())
    answer = await handler.create(context, CreateTopics(topics=(NewTopic(name="a"), NewTopic(name="b"))))
    assert [(each.name, each.error_code, each.error_message) for each in answer.topics] == [
        ("a", ErrorCode.NOT_CONTROLLER, "nobody leads"),
        ("b", ErrorCode.NOT_CONTROLLER, "nobody leads"),
    ]


def test_patience_has_limits():
    assert patience_s(-1) == 0.1
    assert patience_s(2_000) == 2.0
    assert patience_s(10**9) == FORWARD_TIMEOUT_MAX_S
