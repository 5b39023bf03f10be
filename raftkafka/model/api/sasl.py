"""SaslHandshake (17) and SaslAuthenticate (36): a connection says who it is before it asks for anything else.

Nodes use the mechanism `CLUSTER-SECRET-SHA-256`: a challenge-response over the cluster secret, in both directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode

CLUSTER_SECRET: Final = "CLUSTER-SECRET-SHA-256"  # noqa: S105 - the name of a mechanism


@dataclass(frozen=True, slots=True, kw_only=True)
class SaslHandshake:
    api_key: ClassVar[ApiKey] = ApiKey.SASL_HANDSHAKE

    mechanism: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SaslHandshakeResponse:
    error_code: ErrorCode = ErrorCode.NONE
    mechanisms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SaslAuthenticate:
    api_key: ClassVar[ApiKey] = ApiKey.SASL_AUTHENTICATE

    auth_bytes: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SaslAuthenticateResponse:
    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None
    auth_bytes: bytes = b""
    session_lifetime_ms: int = 0
