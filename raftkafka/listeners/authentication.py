"""Who is at the other end: SaslHandshake and SaslAuthenticate of one connection, answered before dispatch sees anything.

Floor 4. Invariant: `context.node_id` is set only after the other side has proved that it knows the cluster secret, and
then never changes.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from raftkafka.model.api.sasl import (
    CLUSTER_SECRET,
    SaslAuthenticate,
    SaslAuthenticateResponse,
    SaslHandshake,
    SaslHandshakeResponse,
)
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ErrorCode, ProtocolError
from raftkafka.model.ids import NodeId
from raftkafka.wire.node_auth import NONCE_BYTES, NodeAuthServer, NodeIdentity


class ConnectionAuthentication:
    """One per connection. After an answer with `failed` set, the answer is sent and the connection closed."""

    def __init__(
        self,
        *,
        context: RequestContext,
        node_id: NodeId,
        cluster_secret: bytes,
        cluster_id: Callable[[], str] = lambda: "",
    ) -> None:
        self._context = context
        self._node_id = node_id
        self._secret = cluster_secret
        self._cluster_id = cluster_id
        self._server: NodeAuthServer | None = None
        self._challenged = False
        self.failed = False
        self.why = "authentication out of order"

    def handshake(self, request: SaslHandshake) -> SaslHandshakeResponse:
        """Offers CLUSTER-SECRET-SHA-256 where this cluster has a secret; any other mechanism is refused."""
        mechanisms = (CLUSTER_SECRET,) if self._secret else ()
        if self._server is not None or self._context.is_node:
            self.failed = True
            return SaslHandshakeResponse(error_code=ErrorCode.ILLEGAL_SASL_STATE, mechanisms=mechanisms)
        if request.mechanism not in mechanisms:
            return SaslHandshakeResponse(error_code=ErrorCode.UNSUPPORTED_SASL_MECHANISM, mechanisms=mechanisms)
        self._server = NodeAuthServer(
            secret=self._secret,
            node_id=self._node_id,
            nonce=secrets.token_bytes(NONCE_BYTES),
            identity=NodeIdentity(cluster_id=self._cluster_id()),
        )
        return SaslHandshakeResponse(mechanisms=mechanisms)

    def authenticate(self, request: SaslAuthenticate) -> SaslAuthenticateResponse:
        """First message: the challenge goes back. Second: the proof is checked and the connection belongs to a node."""
        if self._server is None:
            self.failed = True
            return SaslAuthenticateResponse(
                error_code=ErrorCode.ILLEGAL_SASL_STATE, error_message="SaslHandshake comes before SaslAuthenticate"
            )
        try:
            if not self._challenged:
                challenge = self._server.on_first(request.auth_bytes)
                self._challenged = True
                return SaslAuthenticateResponse(auth_bytes=challenge)
            self._context.node_id = self._server.on_proof(request.auth_bytes)
        except ProtocolError as error:
            self.failed = True
            self.why = str(error)
            return SaslAuthenticateResponse(
                error_code=ErrorCode.SASL_AUTHENTICATION_FAILED, error_message="authentication failed"
            )
        self._server = None
        return SaslAuthenticateResponse()
