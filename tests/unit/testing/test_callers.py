"""Nodes are known by their first bytes, whatever pieces those come in; everybody else is a stranger, and soon."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.model import cbor
from raftkafka.model.api.cluster import ApiVersions, Metadata
from raftkafka.model.api.sasl import CLUSTER_SECRET, SaslHandshake
from raftkafka.model.ids import NodeId
from raftkafka.testing.callers import STRANGER, client_caller, raft_caller
from raftkafka.wire.node_auth import NodeAuthClient, NodeIdentity
from raftkafka.wire.session import PREFACE, ClientSession


def raft_first(node_id: int) -> bytes:
    identity = NodeIdentity(cluster_id="c" * 32, directory_id=bytes(16))
    auth = NodeAuthClient(secret=b"s" * 16, node_id=NodeId(node_id), nonce=bytes(16), identity=identity)
    message = auth.first()
    return len(message).to_bytes(4, "little") + message


def client_first(client_id: str, request: object = SaslHandshake(mechanism=CLUSTER_SECRET)) -> bytes:
    frame = ClientSession(response_max_bytes=1_000).encode_request(0, client_id, request)
    return PREFACE + b"".join(frame)


@pytest.mark.parametrize("node_id", [1, 7, 300])
def test_a_voter_names_itself_in_its_first_message(node_id: int) -> None:
    first = raft_first(node_id)
    assert raft_caller(first) == raft_caller(first + b"more") == node_id
    assert [raft_caller(first[:end]) for end in range(len(first))] == [None] * len(first)


@pytest.mark.parametrize("request_", [SaslHandshake(mechanism=CLUSTER_SECRET), ApiVersions()])
def test_a_broker_names_itself_in_its_first_request(request_: object) -> None:
    first = client_first("node-12", request_)
    assert client_caller(first) == client_caller(first + b"more") == 12
    assert [client_caller(first[:end]) for end in range(len(first))] == [None] * len(first)


@pytest.mark.parametrize("client_id", ["", "producer-1", "node-", "node-x", "my-node-1", "node-1-admin"])
def test_a_client_is_a_stranger(client_id: str) -> None:
    assert client_caller(client_first(client_id)) == STRANGER


def test_a_long_first_request_is_no_nodes_and_is_not_waited_for() -> None:
    first = client_first("node-1", Metadata(topics=tuple(f"topic-{number:0100}" for number in range(100))))
    assert client_caller(first[:12]) == STRANGER


@pytest.mark.parametrize(
    "message",
    [b"", cbor.encode("no array"), cbor.encode([]), cbor.encode(["1"]), cbor.encode([0]), cbor.encode([-3]), b"\xff"],
)
def test_bytes_that_are_no_proof_are_a_strangers(message: bytes) -> None:
    assert raft_caller(len(message).to_bytes(4, "little") + message) == STRANGER


def test_other_protocols_are_strangers_at_their_first_byte() -> None:
    assert client_caller(b"G") == STRANGER
    assert raft_caller(b"GET / HTTP/1.1\r\n") == STRANGER


@given(st.binary(max_size=400))
def test_no_bytes_are_too_odd(received: bytes) -> None:
    for identify in (client_caller, raft_caller):
        found = identify(received)
        assert found is None or found >= STRANGER
