"""Sessions live in the image: they move with their clients, and their ephemeral nodes go with them."""

from __future__ import annotations

import math

import pytest

from raftkafka.metadata.changes import Changes
from raftkafka.metadata.znodes import apply as appliers
from raftkafka.metadata.znodes.commands import ChangeZnodes, CreateZkSession, EndZkSession
from raftkafka.metadata.znodes.expiry import SessionClocks, endings, negotiated
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NodeId, RaftIndex
from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.model.zookeeper.events import EventType
from raftkafka.model.zookeeper.modes import CreateMode
from raftkafka.model.zookeeper.ops import Create, Multi, SetData

EPHEMERAL = CreateMode.EPHEMERAL


def test_a_session_ends_with_its_nodes_in_one_step_in_the_order_of_their_creation(tree):
    tree.open(8)
    tree.create("/dir")
    tree.create("/z", mode=EPHEMERAL)
    tree.create("/dir/other", mode=EPHEMERAL, session=8)
    tree.create("/dir/a", mode=EPHEMERAL)
    assert tree.end(77) is ErrorCode.NONE
    deleted = [event.path for event in tree.events if event.kind is EventType.NODE_DELETED]
    assert deleted == ["/z", "/dir/a"]
    assert tree.children("/dir") == ["other"]
    assert tree.stat("/dir").pzxid == tree.index
    assert list(tree.image.znodes.sessions) == [8]


def test_a_session_that_has_ended_does_nothing_any_more(tree):
    tree.end(77)
    assert tree.refusal(SetData(path="/", data=b"")) is ZkErrorCode.SESSIONEXPIRED
    wanted = Multi(operations=(SetData(path="/", data=b""), SetData(path="/", data=b"")))
    assert tree.refusals(wanted) == [ZkErrorCode.SESSIONEXPIRED, ZkErrorCode.RUNTIMEINCONSISTENCY]
    assert tree.move(77, node_id=2) is ErrorCode.RESOURCE_NOT_FOUND
    assert tree.end(77, attached=0) is ErrorCode.RESOURCE_NOT_FOUND


def test_a_session_moves_with_its_client_and_the_old_broker_has_no_say(tree):
    tree.create("/e", mode=EPHEMERAL)
    assert tree.move(77, node_id=2, timeout_ms=9_000) is ErrorCode.NONE
    session = tree.image.znodes.sessions[77]
    assert (session.node_id, session.timeout_ms, session.attached) == (2, 9_000, tree.index)
    assert tree.refusal(SetData(path="/e", data=b"x"), node_id=1) is ZkErrorCode.SESSIONMOVED
    wanted = Multi(operations=(SetData(path="/e", data=b""), SetData(path="/e", data=b"")))
    assert tree.refusals(wanted, node_id=1) == [ZkErrorCode.SESSIONMOVED, ZkErrorCode.RUNTIMEINCONSISTENCY]
    tree.ask(SetData(path="/e", data=b"x"), node_id=2)
    assert tree.stat("/e").version == 1


def test_nobody_takes_a_session_without_its_password(tree):
    assert tree.move(77, node_id=2, password=bytes(16)) is ErrorCode.SASL_AUTHENTICATION_FAILED
    assert tree.move(77, node_id=2, timeout_ms=0) is ErrorCode.INVALID_REQUEST
    assert tree.image.znodes.sessions[77].node_id == 1


def test_who_came_back_in_time_lives_on(tree):
    decided = endings(tree.image.znodes, [77, 5])
    assert [each.session_id for each in decided] == [77]
    tree.move(77, node_id=2)
    assert tree.apply(*decided).error is ErrorCode.INVALID_UPDATE_VERSION
    assert 77 in tree.image.znodes.sessions


@pytest.mark.parametrize(
    ("session_id", "password", "timeout_ms", "error"),
    [
        (77, bytes(16), 5, ErrorCode.DUPLICATE_RESOURCE),
        (8, bytes(15), 5, ErrorCode.INVALID_REQUEST),
        (8, bytes(16), 0, ErrorCode.INVALID_REQUEST),
    ],
)
def test_what_is_no_session(tree, session_id, password, timeout_ms, error):
    command = CreateZkSession(session_id=session_id, password=password, timeout_ms=timeout_ms, node_id=NodeId(1))
    assert tree.apply(command).error is error
    assert list(tree.image.znodes.sessions) == [77]


def test_there_are_so_many_sessions_and_no_more(tree, monkeypatch):
    monkeypatch.setattr(appliers, "SESSIONS_MAX", 2)
    assert tree.open(8) is ErrorCode.NONE
    assert tree.open(9) is ErrorCode.POLICY_VIOLATION


def test_changes_name_the_sessions(tree):
    before = tree.image
    command = CreateZkSession(session_id=8, password=bytes(16), timeout_ms=5, node_id=NodeId(1))
    assert tree.apply(command).changes.zk_sessions == {8}
    gone = EndZkSession(session_id=77, attached=before.znodes.sessions[77].attached)
    assert tree.apply(gone).changes.zk_sessions == {77}
    assert Changes.between(before, tree.image).zk_sessions == {8, 77}
    assert tree.apply(gone).changes.zk_sessions == frozenset()


def test_an_operation_that_changes_nothing_is_answered_all_the_same(tree):
    wanted = ChangeZnodes(session_id=77, cxid=3, node_id=NodeId(1), operation=Create(path="x", data=b"", acl=()))
    applied = tree.apply(wanted, wanted)
    assert applied.error is ErrorCode.NONE
    assert not applied.changes
    assert [outcome.result.code for outcome in applied.outcomes] == [ZkErrorCode.BADARGUMENTS] * 2


# Expiry


@pytest.fixture
def clocks(tree) -> SessionClocks:
    """Session 77 (6 s) and 8 (10 s), at time 100."""
    tree.open(8, timeout_ms=10_000)
    clocks = SessionClocks()
    clocks.begin(tree.image.znodes.sessions.values(), 100.0)
    return clocks


def test_a_new_controller_gives_every_session_its_full_time(clocks):
    assert clocks.expired(106.0) == []
    assert clocks.expired(106.1) == [77]
    assert clocks.expired(110.1) == [77, 8]


def test_what_is_heard_prolongs_a_session_from_when_it_was_heard(tree, clocks):
    clocks.heard(tree.image.znodes, {77: 2.0, 5: 0.0}, 105.0)
    assert clocks.expired(108.9) == []
    assert clocks.expired(109.1) == [77]
    clocks.heard(tree.image.znodes, {77: 20.0}, 105.0)
    assert clocks.expired(108.9) == []
    clocks.heard(tree.image.znodes, {77: -50.0, 8: math.nan}, 105.0)
    assert clocks.expired(111.1) == [8, 77]


def test_clocks_follow_sessions_that_come_move_and_go(tree, clocks):
    tree.open(9, timeout_ms=1_000)
    clocks.follow(tree.image.znodes, {9}, 105.0)
    assert clocks.expired(106.05) == [9, 77] or clocks.expired(106.05) == [77, 9]
    tree.move(9, node_id=2, timeout_ms=20_000)
    clocks.follow(tree.image.znodes, {9}, 106.0)
    tree.end(77)
    clocks.follow(tree.image.znodes, {77}, 106.0)
    assert clocks.expired(125.9) == [8]
    assert clocks.expired(126.1) == [8, 9]


def test_time_outs_are_negotiated():
    assert [negotiated(each, least_ms=4_000, most_ms=40_000) for each in (0, 5_000, 1 << 31)] == [4_000, 5_000, 40_000]


def test_an_ended_session_is_ended_by_the_entry_that_has_attached_it(tree):
    assert endings(tree.image.znodes, [77]) == [EndZkSession(session_id=77, attached=RaftIndex(101))]
