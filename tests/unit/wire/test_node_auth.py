"""Nodes prove the secret to each other; nobody else can, and no proof works twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.model import cbor
from raftkafka.model.errors import ProtocolError
from raftkafka.model.ids import NodeId
from raftkafka.wire.node_auth import NodeAuthClient, NodeAuthServer, NodeIdentity

SECRET = b"s" * 32


def client(secret: bytes = SECRET, nonce: bytes = b"c" * 16, expected: NodeId | None = None) -> NodeAuthClient:
    return NodeAuthClient(secret=secret, node_id=NodeId(1), nonce=nonce, expected=expected)


def server(secret: bytes = SECRET, nonce: bytes = b"n" * 16) -> NodeAuthServer:
    return NodeAuthServer(secret=secret, node_id=NodeId(2), nonce=nonce)


def test_both_learn_whom_they_speak_to():
    ours, theirs = client(expected=NodeId(2)), server()
    node_id, proof = ours.on_challenge(theirs.on_first(ours.first()))
    assert (node_id, theirs.on_proof(proof)) == (2, 1)


def test_the_client_refuses_a_server_without_the_secret():
    ours = client()
    with pytest.raises(ProtocolError, match="secret"):
        ours.on_challenge(server(b"other").on_first(ours.first()))


def test_the_client_refuses_another_node_than_it_meant():
    ours = client(expected=NodeId(3))
    with pytest.raises(ProtocolError, match="expected"):
        ours.on_challenge(server().on_first(ours.first()))


def test_a_proof_does_not_work_on_another_connection():
    ours, theirs, again = client(), server(), server(nonce=b"m" * 16)
    _, proof = ours.on_challenge(theirs.on_first(ours.first()))
    again.on_first(ours.first())
    with pytest.raises(ProtocolError):
        again.on_proof(proof)


def test_a_proof_before_the_challenge_is_refused():
    with pytest.raises(ProtocolError, match="order"):
        server().on_proof(b"\x81\x40")


@given(message=st.binary(max_size=150))
def test_arbitrary_messages_are_refused(message):
    theirs = server()
    theirs.on_first(client().first())
    with pytest.raises(ProtocolError):
        theirs.on_proof(message)
    with pytest.raises(ProtocolError):
        client().on_challenge(message)


def test_a_node_of_another_cluster_is_refused_by_both_sides_although_it_knows_the_secret():
    def shake_hands(ours: str, theirs: str) -> tuple[NodeAuthClient, NodeAuthServer]:
        dialling = NodeAuthClient(
            secret=SECRET, node_id=NodeId(1), nonce=b"c" * 16, identity=NodeIdentity(cluster_id=ours)
        )
        listening = NodeAuthServer(
            secret=SECRET, node_id=NodeId(2), nonce=b"n" * 16, identity=NodeIdentity(cluster_id=theirs)
        )
        _, proof = dialling.on_challenge(listening.on_first(dialling.first()))
        listening.on_proof(proof)
        return dialling, listening

    for ours, theirs in (("a", "a"), ("", "a"), ("a", "")):
        dialling, listening = shake_hands(ours, theirs)
        assert (dialling.peer_identity.cluster_id, listening.peer_identity.cluster_id) == (theirs, ours)
    with pytest.raises(ProtocolError, match="node 2 belongs to cluster b, node 1 to cluster a"):
        shake_hands("a", "b")


def test_what_a_node_says_of_itself_is_part_of_the_proof():
    dialling = NodeAuthClient(secret=SECRET, node_id=NodeId(1), nonce=b"c" * 16)
    listening = server()
    challenge = listening.on_first(dialling.first())
    *fields, directory_id, proof = cbor.decode(challenge, size_max=256)
    assert directory_id == b""
    with pytest.raises(ProtocolError, match="secret"):
        dialling.on_challenge(cbor.encode([*fields, b"d" * 16, proof]))
