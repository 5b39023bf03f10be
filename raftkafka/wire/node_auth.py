"""How two nodes prove to each other that they know the cluster secret, without sending it.

Floor 2, sans-IO. Three messages, HMAC-SHA-256 over both nonces and both node ids, so that no proof can be replayed,
reflected or moved to another pair:

    client -> server   client id, client nonce
    server -> client   server id, server nonce, server's proof
    client -> server   client's proof

Nonces are arguments: the caller draws 16 random bytes for each connection.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
from typing import Final

from raftkafka.model import cbor
from raftkafka.model.errors import ProtocolError
from raftkafka.model.ids import NodeId

NONCE_BYTES: Final = 16
MESSAGE_MAX_BYTES: Final = 128


def _proof(
    secret: bytes, role: bytes, *, client: NodeId, server: NodeId, client_nonce: bytes, server_nonce: bytes
) -> bytes:
    message = b"raftkafka-node\0" + role + b"\0%d\0%d\0" % (client, server) + client_nonce + server_nonce
    return hmac.new(secret, message, hashlib.sha256).digest()


def _fields(message: bytes, *types: type) -> list[object]:
    value = cbor.decode(message, size_max=MESSAGE_MAX_BYTES)
    if not isinstance(value, list) or [type(field) for field in value] != list(types):
        raise ProtocolError("malformed node authentication message")
    return value


class NodeAuthClient:
    """The side that opened the connection. `expected` pins the server's node id where the caller knows it."""

    def __init__(self, *, secret: bytes, node_id: NodeId, nonce: bytes, expected: NodeId | None = None) -> None:
        self._secret = secret
        self._node_id = node_id
        self._nonce = nonce
        self._expected = expected

    def first(self) -> bytes:
        return cbor.encode([int(self._node_id), self._nonce])

    def on_challenge(self, message: bytes) -> tuple[NodeId, bytes]:
        """The server's node id and the message to send back.

        Raises:
            ProtocolError: the server does not know the secret, or is not the node we meant to reach.
        """
        server, server_nonce, proof = _fields(message, int, bytes, bytes)
        assert isinstance(server, int)
        assert isinstance(server_nonce, bytes)
        assert isinstance(proof, bytes)
        server_id = NodeId(server)
        if len(server_nonce) != NONCE_BYTES:
            raise ProtocolError("malformed node authentication message")
        prove = functools.partial(
            _proof,
            self._secret,
            client=self._node_id,
            server=server_id,
            client_nonce=self._nonce,
            server_nonce=server_nonce,
        )
        expected_proof = prove(b"server")
        if not hmac.compare_digest(proof, expected_proof):
            raise ProtocolError("the other node does not know this cluster's secret")
        if self._expected is not None and server_id != self._expected:
            raise ProtocolError(f"reached node {server_id} where node {self._expected} was expected")
        answer = prove(b"client")
        return server_id, cbor.encode([answer])


class NodeAuthServer:
    """The side that accepted the connection."""

    def __init__(self, *, secret: bytes, node_id: NodeId, nonce: bytes) -> None:
        self._secret = secret
        self._node_id = node_id
        self._nonce = nonce
        self._client: NodeId | None = None
        self._client_nonce = b""

    def on_first(self, message: bytes) -> bytes:
        """The challenge to send back. Raises ProtocolError for anything malformed."""
        client, client_nonce = _fields(message, int, bytes)
        assert isinstance(client, int)
        assert isinstance(client_nonce, bytes)
        if client < 0 or len(client_nonce) != NONCE_BYTES or self._client is not None:
            raise ProtocolError("malformed node authentication message")
        self._client, self._client_nonce = NodeId(client), client_nonce
        proof = self._proof_of(b"server", self._client)
        return cbor.encode([int(self._node_id), self._nonce, proof])

    def on_proof(self, message: bytes) -> NodeId:
        """The node id that the client has proved.

        Raises:
            ProtocolError: the client does not know the secret.
        """
        if self._client is None:
            raise ProtocolError("node authentication out of order")
        (proof,) = _fields(message, bytes)
        assert isinstance(proof, bytes)
        expected = self._proof_of(b"client", self._client)
        if not hmac.compare_digest(proof, expected):
            raise ProtocolError("the other node does not know this cluster's secret")
        return self._client

    def _proof_of(self, role: bytes, client: NodeId) -> bytes:
        return _proof(
            self._secret,
            role,
            client=client,
            server=self._node_id,
            client_nonce=self._client_nonce,
            server_nonce=self._nonce,
        )
