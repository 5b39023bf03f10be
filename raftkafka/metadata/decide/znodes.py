"""Decisions for ZooKeeper's clients: sessions come, move and end; changes of the tree are taken as they are.

Floor 1, pure. What a change does is worked out when it is applied (`metadata.znodes.operations`), so there is nothing to decide about
it here but whether an entry holds it.
"""

from __future__ import annotations

from dataclasses import replace
from hmac import compare_digest

from raftkafka.metadata.commands import ChangeKafkaNodes, Command, encode
from raftkafka.metadata.decide import Decision
from raftkafka.metadata.decide.kafka_nodes import Rules, meant
from raftkafka.metadata.image import Image
from raftkafka.metadata.znodes import commands
from raftkafka.metadata.znodes.tree import SESSIONS_MAX
from raftkafka.model.api.znodes import (
    AlterZkSession,
    AlterZkSessionResponse,
    ChangeZnodes,
    ChangeZnodesResponse,
    SessionStep,
)
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import RaftIndex
from raftkafka.model.zookeeper.ops import Create, Operation, SetData
from raftkafka.model.zookeeper.sessions import PASSWORD_BYTES


def decide_alter_session(image: Image, request: AlterZkSession) -> Decision:
    """Answers with RESOURCE_NOT_FOUND, SASL_AUTHENTICATION_FAILED, DUPLICATE_RESOURCE, POLICY_VIOLATION and INVALID_REQUEST."""
    sessions = image.znodes.sessions
    known = sessions.get(request.session_id)
    if request.step is SessionStep.CREATE:
        if known is not None:
            return _refused(ErrorCode.DUPLICATE_RESOURCE)
        if len(sessions) >= SESSIONS_MAX:
            return _refused(ErrorCode.POLICY_VIOLATION)
        if request.session_id <= 0 or request.timeout_ms <= 0 or len(request.password) != PASSWORD_BYTES:
            return _refused(ErrorCode.INVALID_REQUEST)
    elif known is None:
        return _refused(ErrorCode.RESOURCE_NOT_FOUND)
    elif not compare_digest(known.password, request.password):
        return _refused(ErrorCode.SASL_AUTHENTICATION_FAILED)
    elif request.step is SessionStep.END:
        end = commands.EndZkSession(session_id=known.session_id, attached=known.attached)
        return Decision(commands=(end,), respond=lambda after: _after_end(after, request))
    elif request.timeout_ms <= 0:
        return _refused(ErrorCode.INVALID_REQUEST)
    return Decision(commands=(_attach(request),), respond=lambda after: _after_attach(after, request))


def _attach(request: AlterZkSession) -> Command:
    kind = commands.CreateZkSession if request.step is SessionStep.CREATE else commands.MoveZkSession
    return kind(
        session_id=request.session_id,
        password=request.password,
        timeout_ms=request.timeout_ms,
        node_id=request.broker_id,
    )


def _after_attach(after: Image, request: AlterZkSession) -> AlterZkSessionResponse:
    session = after.znodes.sessions.get(request.session_id)
    if session is None or session.node_id != request.broker_id:
        # It has ended, or its client has already gone elsewhere.
        return AlterZkSessionResponse(error_code=ErrorCode.RESOURCE_NOT_FOUND)
    return AlterZkSessionResponse(attached=session.attached)


def _after_end(after: Image, request: AlterZkSession) -> AlterZkSessionResponse:
    if request.session_id in after.znodes.sessions:
        return AlterZkSessionResponse(error_code=ErrorCode.INVALID_UPDATE_VERSION)
    return AlterZkSessionResponse(attached=RaftIndex(-1))


def _refused(code: ErrorCode) -> Decision:
    return Decision(respond=lambda _: AlterZkSessionResponse(error_code=code))


def decide_change_znodes(image: Image, request: ChangeZnodes, rules: Rules) -> Decision:
    """Answers with MESSAGE_TOO_LARGE."""
    change = commands.ChangeZnodes(
        session_id=request.session_id,
        cxid=request.cxid,
        node_id=request.broker_id,
        identities=request.identities,
        operation=request.change,
    )
    command = meant(image, change, rules)
    if isinstance(command, ChangeKafkaNodes) and not command.stored:
        command = replace(command, change=replace(change, operation=_without_data(change.operation)))
    if len(encode((command,))) > commands.OPERATION_BYTES_MAX:
        return Decision(respond=lambda _: ChangeZnodesResponse(error_code=ErrorCode.MESSAGE_TOO_LARGE))
    return Decision(commands=(command,), respond=lambda _: ChangeZnodesResponse())


def _without_data(operation: Operation) -> Operation:
    """What the effects say, or nobody wants to know, need not be in the entry twice."""
    match operation:
        case Create():
            return replace(operation, data=None, acl=())
        case SetData():
            return replace(operation, data=None)
    return operation
