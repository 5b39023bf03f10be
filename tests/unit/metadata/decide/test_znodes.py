from random import Random

import pytest

from raftkafka.metadata.apply import apply_all
from raftkafka.metadata.decide.kafka_nodes import Rules
from raftkafka.metadata.decide.znodes import decide_alter_session, decide_change_znodes
from raftkafka.metadata.image import Image
from raftkafka.model.api.znodes import AlterZkSession, ChangeZnodes, SessionStep
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NodeId, RaftIndex, TopicId
from raftkafka.model.zookeeper.acl import OPEN_ACL
from raftkafka.model.zookeeper.ops import Create

PASSWORD = bytes(range(16))


def asked(
    step: SessionStep, *, broker: int = 1, session_id: int = 7, password: bytes = PASSWORD, timeout_ms: int = 9_000
):
    return AlterZkSession(
        broker_id=NodeId(broker), session_id=session_id, password=password, timeout_ms=timeout_ms, step=step
    )


def carried_out(image: Image, index: int, decision):
    applied = apply_all(image, RaftIndex(index), decision.commands)
    return applied.image, decision.respond(applied.image)


def test_a_session_comes_moves_and_ends():
    image, answer = carried_out(Image.empty(), 5, decide_alter_session(Image.empty(), asked(SessionStep.CREATE)))
    assert (answer.error_code, answer.attached) == (ErrorCode.NONE, 5)
    image, answer = carried_out(image, 6, decide_alter_session(image, asked(SessionStep.MOVE, broker=2)))
    assert (answer.error_code, answer.attached) == (ErrorCode.NONE, 6)
    assert image.znodes.sessions.get(7).node_id == 2
    image, answer = carried_out(image, 7, decide_alter_session(image, asked(SessionStep.END)))
    assert answer.error_code is ErrorCode.NONE
    assert image.znodes.sessions.get(7) is None


def test_what_is_refused_and_why():
    image, _ = carried_out(Image.empty(), 5, decide_alter_session(Image.empty(), asked(SessionStep.CREATE)))
    for request, code in (
        (asked(SessionStep.CREATE), ErrorCode.DUPLICATE_RESOURCE),
        (asked(SessionStep.CREATE, session_id=0), ErrorCode.INVALID_REQUEST),
        (asked(SessionStep.CREATE, session_id=-5), ErrorCode.INVALID_REQUEST),
        (asked(SessionStep.CREATE, session_id=8, timeout_ms=0), ErrorCode.INVALID_REQUEST),
        (asked(SessionStep.CREATE, session_id=8, password=b"short"), ErrorCode.INVALID_REQUEST),
        (asked(SessionStep.MOVE, session_id=8), ErrorCode.RESOURCE_NOT_FOUND),
        (asked(SessionStep.MOVE, password=bytes(16)), ErrorCode.SASL_AUTHENTICATION_FAILED),
        (asked(SessionStep.MOVE, timeout_ms=0), ErrorCode.INVALID_REQUEST),
        (asked(SessionStep.END, session_id=8), ErrorCode.RESOURCE_NOT_FOUND),
        (asked(SessionStep.END, password=bytes(16)), ErrorCode.SASL_AUTHENTICATION_FAILED),
    ):
        decision = decide_alter_session(image, request)
        assert decision.commands == ()
        assert decision.respond(image).error_code is code


def test_there_are_not_too_many_sessions(monkeypatch):
    monkeypatch.setattr("raftkafka.metadata.decide.znodes.SESSIONS_MAX", 1)
    image, _ = carried_out(Image.empty(), 5, decide_alter_session(Image.empty(), asked(SessionStep.CREATE)))
    refused = decide_alter_session(image, asked(SessionStep.CREATE, session_id=8))
    assert refused.respond(image).error_code is ErrorCode.POLICY_VIOLATION


def test_a_move_that_was_overtaken_by_an_end_says_so():
    image, _ = carried_out(Image.empty(), 5, decide_alter_session(Image.empty(), asked(SessionStep.CREATE)))
    move, end = (
        decide_alter_session(image, asked(SessionStep.MOVE)),
        decide_alter_session(image, asked(SessionStep.END)),
    )
    image, _ = carried_out(image, 6, end)
    _, answer = carried_out(image, 7, move)
    assert answer.error_code is ErrorCode.RESOURCE_NOT_FOUND


def test_an_end_that_was_overtaken_by_a_move_says_so():
    image, _ = carried_out(Image.empty(), 5, decide_alter_session(Image.empty(), asked(SessionStep.CREATE)))
    move, end = (
        decide_alter_session(image, asked(SessionStep.MOVE)),
        decide_alter_session(image, asked(SessionStep.END)),
    )
    image, _ = carried_out(image, 6, move)
    _, answer = carried_out(image, 7, end)
    assert answer.error_code is ErrorCode.INVALID_UPDATE_VERSION


@pytest.mark.parametrize(("size", "code"), [(1_000, ErrorCode.NONE), (1 << 20, ErrorCode.MESSAGE_TOO_LARGE)])
def test_a_change_has_to_fit_into_an_entry(size, code):
    request = ChangeZnodes(
        broker_id=NodeId(1),
        session_id=7,
        cxid=3,
        identities=(),
        change=Create(path="/a", data=bytes(size), acl=OPEN_ACL),
    )
    rules = Rules(delete_topic_enable=True, new_topic_id=lambda: TopicId(bytes(16)), random=Random(0))
    decision = decide_change_znodes(Image.empty(), request, rules)
    assert len(decision.commands) == (code is ErrorCode.NONE)
    assert decision.respond(Image.empty()).error_code is code
