"""How two nodes prove to each other that they know the cluster secret, without sending it.

Floor 2, sans-IO. Three messages, HMAC-SHA-256 over both nonces and all that both say of themselves, so that no proof can be
replayed, reflected or moved to another pair:

    client -> server   client id, client nonce, client's cluster id and directory id
    server -> client   server id, server nonce, server's cluster id and directory id, server's proof
    client -> server   client's proof

The secret alone does not make two nodes of one cluster: where both know their cluster's id, it must be the same. The directory
id names the disk of a voter (KIP-853), empty where nobody needs it. Nonces are arguments: the caller draws 16 random bytes for each connection.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from raftkafka.model import cbor
from raftkafka.model.errors import ProtocolError
from raftkafka.model.ids import NodeId

NONCE_BYTES: Final = 16
MESSAGE_MAX_BYTES: Final = 256
CLUSTER_ID_CHARS_MAX: Final = 64
DIRECTORY_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeIdentity:
    """Beside its id: the cluster and the disk of a node, each empty while it is not known."""

    cluster_id: str = ""
    directory_id: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    node_id: NodeId
    nonce: bytes
    identity: NodeIdentity

    def fields(self) -> list[object]:
        return [int(self.node_id), self.nonce, self.identity.cluster_id, self.identity.directory_id]

    @staticmethod
    def of(node_id: object, nonce: object, cluster_id: object, directory_id: object) -> _Side:
        assert isinstance(node_id, int)
        assert isinstance(nonce, bytes)
        assert isinstance(cluster_id, str)
        assert isinstance(directory_id, bytes)
        if node_id < 0 or len(nonce) != NONCE_BYTES or len(cluster_id) > CLUSTER_ID_CHARS_MAX:
            raise ProtocolError("malformed node authentication message")
        if len(directory_id) not in (0, DIRECTORY_ID_BYTES):
            raise ProtocolError("malformed node authentication message")
        identity = NodeIdentity(cluster_id=cluster_id, directory_id=directory_id)
        return _Side(node_id=NodeId(node_id), nonce=nonce, identity=identity)


_SIDE: Final = (int, bytes, str, bytes)


def _proof(secret: bytes, role: bytes, client: _Side, server: _Side) -> bytes:
    # CBOR separates the fields, so that no two pairs of sides give the same bytes.
    message = b"raftkafka-node\0" + role + b"\0" + cbor.encode([client.fields(), server.fields()])
    return hmac.new(secret, message, hashlib.sha256).digest()


def _check_cluster(own: _Side, peer: _Side) -> None:
    ours, theirs = own.identity.cluster_id, peer.identity.cluster_id
    if ours and theirs and ours != theirs:
        raise ProtocolError(
            f"node {peer.node_id} belongs to cluster {theirs}, node {own.node_id} to cluster {ours}: "
            "they share the cluster secret, but are no nodes of one cluster"
        )


def _fields(message: bytes, *types: type) -> list[object]:
    value = cbor.decode(message, size_max=MESSAGE_MAX_BYTES)
    if not isinstance(value, list) or [type(field) for field in value] != list(types):
        raise ProtocolError("malformed node authentication message")
    return value


class NodeAuthClient:
    """The side that opened the connection. `expected` pins the server's node id where the caller knows it."""

    def __init__(
        self,
        *,
        secret: bytes,
        node_id: NodeId,
        nonce: bytes,
        expected: NodeId | None = None,
        identity: NodeIdentity | None = None,
    ) -> None:
        self._secret = secret
        self._own = _Side(node_id=node_id, nonce=nonce, identity=identity or NodeIdentity())
        self._expected = expected
        self.peer_identity = NodeIdentity()

    def first(self) -> bytes:
        return cbor.encode(self._own.fields())

    def on_challenge(self, message: bytes) -> tuple[NodeId, bytes]:
        """The server's node id and the message to send back.

        Raises:
            ProtocolError: the server does not know the secret, belongs to another cluster, or is not the node we meant to
                reach.
        """
        *fields, proof = _fields(message, *_SIDE, bytes)
        assert isinstance(proof, bytes)
        server = _Side.of(*fields)
        if not hmac.compare_digest(proof, _proof(self._secret, b"server", self._own, server)):
            raise ProtocolError("the other node does not know this cluster's secret")
        _check_cluster(self._own, server)
        if self._expected is not None and server.node_id != self._expected:
            raise ProtocolError(f"reached node {server.node_id} where node {self._expected} was expected")
        self.peer_identity = server.identity
        return server.node_id, cbor.encode([_proof(self._secret, b"client", self._own, server)])


class NodeAuthServer:
    """The side that accepted the connection."""

    def __init__(self, *, secret: bytes, node_id: NodeId, nonce: bytes, identity: NodeIdentity | None = None) -> None:
        self._secret = secret
        self._own = _Side(node_id=node_id, nonce=nonce, identity=identity or NodeIdentity())
        self._client: _Side | None = None
        self.peer_identity = NodeIdentity()

    def on_first(self, message: bytes) -> bytes:
        """The challenge to send back. Raises ProtocolError for anything malformed."""
        client = _Side.of(*_fields(message, *_SIDE))
        if self._client is not None:
            raise ProtocolError("malformed node authentication message")
        self._client = client
        return cbor.encode([*self._own.fields(), _proof(self._secret, b"server", client, self._own)])

    def on_proof(self, message: bytes) -> NodeId:
        """The node id that the client has proved.

        Raises:
            ProtocolError: the client does not know the secret, or belongs to another cluster.
        """
        if self._client is None:
            raise ProtocolError("node authentication out of order")
        (proof,) = _fields(message, bytes)
        assert isinstance(proof, bytes)
        if not hmac.compare_digest(proof, _proof(self._secret, b"client", self._client, self._own)):
            raise ProtocolError("the other node does not know this cluster's secret")
        _check_cluster(self._own, self._client)
        self.peer_identity = self._client.identity
        return self._client.node_id
