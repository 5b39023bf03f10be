"""Client quotas: who may have one, which one counts for a client, and how they are applied.

Floor 1, pure. The order of precedence is Kafka's (https://kafka.apache.org/documentation/#design_quotas): a user's client id before
the user, the user before the client id, and the named before the default in each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from raftkafka.metadata.commands import AlterClientQuotas
from raftkafka.metadata.draft import Draft
from raftkafka.metadata.image import ANY_NAME, NO_NAME, QuotaEntity
from raftkafka.metadata.znodes import kafka_nodes
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import RaftIndex

PRODUCER_BYTE_RATE: Final = "producer_byte_rate"
CONSUMER_BYTE_RATE: Final = "consumer_byte_rate"
REQUEST_PERCENTAGE: Final = "request_percentage"
"""Kept, so that what was set for Kafka is not lost; nobody acts on it here."""

KEYS: Final = (PRODUCER_BYTE_RATE, CONSUMER_BYTE_RATE, REQUEST_PERCENTAGE)
NAME_CHARS_MAX: Final = 255
ENTITIES_MAX: Final = 10_000
"""With quotas of their own, in the cluster."""


class QuotaOf(NamedTuple):
    """The quota that counts for a client; all clients with the same `shares` share it."""

    rate: float
    shares: QuotaEntity


def why_not_entity(entity: QuotaEntity) -> str | None:
    """Why nobody of that kind may have a quota; None when somebody may."""
    if entity.user is NO_NAME and entity.client_id is NO_NAME:
        return "a quota is for a user, a client id, or both"
    if any(len(name or "") > NAME_CHARS_MAX for name in entity):
        return f"a name of a user or client id has at most {NAME_CHARS_MAX} characters"
    return None


def why_not_value(key: str, value: float) -> str | None:
    """Why the quota `key` may not have this value; None when it may."""
    if key not in KEYS:
        return f"Unknown quota {key}: it is one of {', '.join(KEYS)}"
    if not math.isfinite(value) or value <= 0:
        return f"Quota {key} must be greater than 0, not {value:g}"
    if key != REQUEST_PERCENTAGE and value != int(value):
        return f"Quota {key} must be a whole number of bytes per second, not {value:g}"
    if key != REQUEST_PERCENTAGE and value > (1 << 63) - 1:
        return f"Quota {key} is too large: {value:g}"
    return None


def alter(draft: Draft, _: RaftIndex, command: AlterClientQuotas) -> ErrorCode:
    entity = QuotaEntity(command.user, command.client_id)
    if why_not_entity(entity) is not None:
        return ErrorCode.INVALID_REQUEST
    before = draft.client_quotas.get(entity, {})
    after = dict(before)
    for key, value in command.quotas.items():
        if value is None:
            after.pop(key, None)
        elif why_not_value(key, value) is not None:
            return ErrorCode.INVALID_REQUEST
        else:
            after[key] = value
    if not before and after and len(draft.client_quotas) >= ENTITIES_MAX:
        return ErrorCode.POLICY_VIOLATION
    if after != before:
        draft.set_client_quotas(entity, after)
        kafka_nodes.quotas_set(draft, entity, before, after)
    return ErrorCode.NONE


def quota_of(quotas: Mapping[QuotaEntity, Mapping[str, float]], key: str, user: str, client_id: str) -> QuotaOf | None:
    """What limits this client in `key`; None for nothing."""
    for entity, shares in _candidates(user, client_id):
        rate = quotas.get(entity, {}).get(key)
        if rate is not None:
            return QuotaOf(rate, shares)
    return None


def _candidates(user: str, client_id: str) -> Iterator[tuple[QuotaEntity, QuotaEntity]]:
    """Entities in the order in which they are asked, each with who shares its quota: a default is everybody's own."""
    both = QuotaEntity(user, client_id)
    yield both, both
    yield QuotaEntity(user, ANY_NAME), both
    alone = QuotaEntity(user, NO_NAME)
    yield alone, alone
    yield QuotaEntity(ANY_NAME, client_id), both
    yield QuotaEntity(ANY_NAME, ANY_NAME), both
    yield QuotaEntity(ANY_NAME, NO_NAME), alone
    client = QuotaEntity(NO_NAME, client_id)
    yield client, client
    yield QuotaEntity(NO_NAME, ANY_NAME), client
