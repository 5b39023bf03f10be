"""DescribeClientQuotas (key 48) and AlterClientQuotas (key 49), KIP-546."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode

USER: Final = "user"
CLIENT_ID: Final = "client-id"


class QuotaMatch(IntEnum):
    """What a component of a question asks for: this name, the default, or whatever is set for its type."""

    EXACT = 0
    DEFAULT = 1
    ANY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaEntityPart:
    """`entity_type` is `user` or `client-id`; `entity_name` None stands for all that have no own quota."""

    entity_type: str
    entity_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaOperation:
    """Set `key` to `value`, or take it away. Bytes per second for the byte rates."""

    key: str
    value: float = 0.0
    remove: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaAlteration:
    """A user, a client id, or both: a client id of that user."""

    entity: tuple[QuotaEntityPart, ...]
    operations: tuple[QuotaOperation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterClientQuotas:
    api_key: ClassVar[ApiKey] = ApiKey.ALTER_CLIENT_QUOTAS

    entries: tuple[QuotaAlteration, ...]
    validate_only: bool = False
    timeout_ms: int = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AlteredQuota:
    entity: tuple[QuotaEntityPart, ...]
    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterClientQuotasResponse:
    entries: tuple[AlteredQuota, ...]
    throttle_time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaFilter:
    """`match_type` is a `QuotaMatch`; `match` is the name where that is EXACT."""

    entity_type: str
    match_type: int
    match: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeClientQuotas:
    """All quotas whose entity meets every filter; with `strict`, of entities that have no other component."""

    api_key: ClassVar[ApiKey] = ApiKey.DESCRIBE_CLIENT_QUOTAS

    components: tuple[QuotaFilter, ...] = ()
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaValue:
    key: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedQuota:
    entity: tuple[QuotaEntityPart, ...]
    values: tuple[QuotaValue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeClientQuotasResponse:
    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None
    entries: tuple[DescribedQuota, ...] = ()
    throttle_time_ms: int = 0
