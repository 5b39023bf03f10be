"""Applying what concerns ZooKeeper's clients: their sessions, and what they do to the tree.

Floor 1, pure. As `metadata.apply`, total. An operation is never refused as a command: what came of it, an error included, is an outcome
for its client. A session ends together with its ephemeral nodes, in one step: no image shows one without the other.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from raftkafka.metadata.znodes import ownership
from raftkafka.metadata.znodes.commands import (
    ChangeZnodes,
    CreateZkSession,
    EndZkSession,
    MoveZkSession,
)
from raftkafka.metadata.znodes.draft import Outcome
from raftkafka.metadata.znodes.operations import Caller, perform
from raftkafka.metadata.znodes.permissions import SUPER
from raftkafka.metadata.znodes.tree import SESSIONS_MAX, Session
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import RaftIndex
from raftkafka.model.zookeeper.acl import Identity
from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.model.zookeeper.ops import ErrorResult, Multi, failed_multi
from raftkafka.model.zookeeper.sessions import NO_SESSION, PASSWORD_BYTES

if TYPE_CHECKING:
    from raftkafka.metadata.draft import Draft

_THE_CLUSTER: Final = (Identity(scheme=SUPER, id=""),)


def create_session(draft: Draft, index: RaftIndex, command: CreateZkSession) -> ErrorCode:
    tree = draft.znodes
    if len(command.password) != PASSWORD_BYTES or command.timeout_ms <= 0 or command.session_id <= NO_SESSION:
        return ErrorCode.INVALID_REQUEST
    if command.session_id in tree.sessions:
        return ErrorCode.DUPLICATE_RESOURCE
    if len(tree.sessions) >= SESSIONS_MAX:
        return ErrorCode.POLICY_VIOLATION
    tree.put_session(
        Session(
            session_id=command.session_id,
            password=command.password,
            timeout_ms=command.timeout_ms,
            node_id=command.node_id,
            attached=index,
        )
    )
    return ErrorCode.NONE


def move_session(draft: Draft, index: RaftIndex, command: MoveZkSession) -> ErrorCode:
    tree = draft.znodes
    known = tree.sessions.get(command.session_id)
    if known is None:
        return ErrorCode.RESOURCE_NOT_FOUND
    if not compare_digest(known.password, command.password):
        return ErrorCode.SASL_AUTHENTICATION_FAILED
    if command.timeout_ms <= 0:
        return ErrorCode.INVALID_REQUEST
    tree.put_session(
        Session(
            session_id=known.session_id,
            password=known.password,
            timeout_ms=command.timeout_ms,
            node_id=command.node_id,
            attached=index,
        )
    )
    return ErrorCode.NONE


def end_session(draft: Draft, index: RaftIndex, command: EndZkSession) -> ErrorCode:
    tree = draft.znodes
    known = tree.sessions.get(command.session_id)
    if known is None:
        return ErrorCode.RESOURCE_NOT_FOUND
    if known.attached != command.attached:
        return ErrorCode.INVALID_UPDATE_VERSION
    tree.end_session(command.session_id, index)
    return ErrorCode.NONE


def change_znodes(draft: Draft, index: RaftIndex, command: ChangeZnodes) -> ErrorCode:
    tree = draft.znodes
    operation = command.operation
    own = command.session_id == NO_SESSION
    session = tree.sessions.get(command.session_id)
    if session is not None and session.node_id != command.node_id:
        # The client is connected elsewhere by now: what it has sent before may not overtake what it sends there.
        moved = ZkErrorCode.SESSIONMOVED
        many = isinstance(operation, Multi) and len(operation.operations)
        tree.outcomes.append(
            Outcome(command.session_id, command.cxid, failed_multi(many, 0, moved) if many else ErrorResult(code=moved))
        )
        return ErrorCode.NONE
    caller = Caller(
        session_id=command.session_id,
        identities=_THE_CLUSTER if own else command.identities,
        zxid=index,
        time_ms=draft.time_ms,
        rule=ownership.cluster_rule if own else ownership.rule(draft.topic_ids),
    )
    tree.outcomes.append(Outcome(command.session_id, command.cxid, perform(tree, caller, operation)))
    return ErrorCode.NONE
