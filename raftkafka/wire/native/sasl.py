"""SaslHandshake (17) and SaslAuthenticate (36). Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.sasl import SaslAuthenticate, SaslAuthenticateResponse, SaslHandshake, SaslHandshakeResponse
from raftkafka.wire.native.fields import BYTES, COUNT, ERROR, STRING, Shape, array, nullable
from raftkafka.wire.native.rows import without_records

SASL_HANDSHAKE: Final = without_records(
    Shape(SaslHandshake, mechanism=STRING),
    Shape(SaslHandshakeResponse, error_code=ERROR, mechanisms=array(STRING)),
)
SASL_AUTHENTICATE: Final = without_records(
    Shape(SaslAuthenticate, auth_bytes=BYTES),
    Shape(
        SaslAuthenticateResponse,
        error_code=ERROR,
        error_message=nullable(STRING),
        auth_bytes=BYTES,
        session_lifetime_ms=COUNT,
    ),
)
