"""Errors of the API: Kafka's code names, and the HTTP status that tells a program what kind of error it is. Floor 4."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from raftkafka.model.errors import ErrorCode


class HttpError(Exception):
    """The answer to a request that cannot be served. `code` is Kafka's name where Kafka has one."""

    def __init__(self, status: HTTPStatus, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


def error_answer(error: HttpError) -> Response:
    body = json.dumps({"error": {"code": error.code, "message": error.message}}, ensure_ascii=False)
    return Response(
        body.encode("utf-8", "backslashreplace"),
        error.status,
        media_type="application/json",
        headers={"cache-control": "no-store", **error.headers},
    )


def bad_request(message: str, code: str = "INVALID_REQUEST") -> HttpError:
    return HttpError(HTTPStatus.BAD_REQUEST, code, message)


def refused_by(code: ErrorCode, message: str) -> HttpError:
    """What a broker refused."""
    return HttpError(STATUS.get(code, HTTPStatus.INTERNAL_SERVER_ERROR), code.name, message)


def unknown_topic(topic: str) -> HttpError:
    return refused_by(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {topic!r}")


def unknown_partition(topic: str, partition: int) -> HttpError:
    return refused_by(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no partition {topic}-{partition}")


_BAD: Final = HTTPStatus.BAD_REQUEST
_GONE: Final = HTTPStatus.NOT_FOUND
_CONFLICT: Final = HTTPStatus.CONFLICT
_AWAY: Final = HTTPStatus.SERVICE_UNAVAILABLE

STATUS: Final[Mapping[ErrorCode, HTTPStatus]] = {
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: _GONE,
    ErrorCode.UNKNOWN_TOPIC_ID: _GONE,
    ErrorCode.GROUP_ID_NOT_FOUND: _GONE,
    ErrorCode.BROKER_ID_NOT_REGISTERED: _GONE,
    ErrorCode.RESOURCE_NOT_FOUND: _GONE,
    ErrorCode.TOPIC_ALREADY_EXISTS: _CONFLICT,
    ErrorCode.NON_EMPTY_GROUP: _CONFLICT,
    ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC: _CONFLICT,
    ErrorCode.UNKNOWN_MEMBER_ID: _CONFLICT,
    ErrorCode.REASSIGNMENT_IN_PROGRESS: _CONFLICT,
    ErrorCode.NO_REASSIGNMENT_IN_PROGRESS: _CONFLICT,
    ErrorCode.REBALANCE_IN_PROGRESS: _CONFLICT,
    ErrorCode.OFFSET_OUT_OF_RANGE: _BAD,
    ErrorCode.INVALID_TOPIC_EXCEPTION: _BAD,
    ErrorCode.INVALID_PARTITIONS: _BAD,
    ErrorCode.INVALID_REPLICATION_FACTOR: _BAD,
    ErrorCode.INVALID_REPLICA_ASSIGNMENT: _BAD,
    ErrorCode.INVALID_CONFIG: _BAD,
    ErrorCode.INVALID_REQUEST: _BAD,
    ErrorCode.INVALID_GROUP_ID: _BAD,
    ErrorCode.INVALID_RECORD: _BAD,
    ErrorCode.INVALID_TIMESTAMP: _BAD,
    ErrorCode.CORRUPT_MESSAGE: _BAD,
    ErrorCode.POLICY_VIOLATION: _BAD,
    ErrorCode.TOPIC_DELETION_DISABLED: HTTPStatus.FORBIDDEN,
    ErrorCode.TOPIC_AUTHORIZATION_FAILED: HTTPStatus.FORBIDDEN,
    ErrorCode.GROUP_AUTHORIZATION_FAILED: HTTPStatus.FORBIDDEN,
    ErrorCode.CLUSTER_AUTHORIZATION_FAILED: HTTPStatus.FORBIDDEN,
    ErrorCode.MESSAGE_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorCode.RECORD_LIST_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorCode.THROTTLING_QUOTA_EXCEEDED: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.REQUEST_TIMED_OUT: HTTPStatus.GATEWAY_TIMEOUT,
    ErrorCode.BROKER_NOT_AVAILABLE: _AWAY,
    ErrorCode.LEADER_NOT_AVAILABLE: _AWAY,
    ErrorCode.NOT_LEADER_OR_FOLLOWER: _AWAY,
    ErrorCode.REPLICA_NOT_AVAILABLE: _AWAY,
    ErrorCode.NETWORK_EXCEPTION: _AWAY,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS: _AWAY,
    ErrorCode.COORDINATOR_NOT_AVAILABLE: _AWAY,
    ErrorCode.NOT_COORDINATOR: _AWAY,
    ErrorCode.NOT_CONTROLLER: _AWAY,
    ErrorCode.NOT_ENOUGH_REPLICAS: _AWAY,
    ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND: _AWAY,
    ErrorCode.KAFKA_STORAGE_ERROR: _AWAY,
    ErrorCode.OFFSET_NOT_AVAILABLE: _AWAY,
    ErrorCode.FENCED_LEADER_EPOCH: _AWAY,
    ErrorCode.UNKNOWN_LEADER_EPOCH: _AWAY,
}
"""Of what a broker may answer; everything else is our own fault."""
