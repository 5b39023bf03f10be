"""Applying what concerns ZooKeeper's clients: their sessions, and what they do to the tree.

Floor 1, pure. As `metadata.apply`, total. An operation is never refused as a command: what came of it, an error included, is an outcome
for its client. A session ends together with its ephemeral nodes, in one step: no image shows one without the other.
"""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from raftkafka.metadata.image import Image
from raftkafka.metadata.znodes import ownership, permissions, view
from raftkafka.metadata.znodes.commands import (
    ChangeZnodes,
    CreateZkSession,
    EndZkSession,
    MoveZkSession,
)
from raftkafka.metadata.znodes.draft import Noted, Outcome
from raftkafka.metadata.znodes.operations import Caller, perform
from raftkafka.metadata.znodes.permissions import SUPER
from raftkafka.metadata.znodes.tree import SESSIONS_MAX, Session
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import RaftIndex
from raftkafka.model.zookeeper import acl as permission
from raftkafka.model.zookeeper.acl import Identity
from raftkafka.model.zookeeper.errors import ZkError, ZkErrorCode
from raftkafka.model.zookeeper.ops import (
    ANY_VERSION,
    Check,
    CheckResult,
    Create,
    CreateResult,
    Delete,
    DeleteResult,
    ErrorResult,
    Multi,
    MultiResult,
    OperationResult,
    SetAcl,
    SetAclResult,
    SetData,
    SetDataResult,
    SingleOp,
    SingleResult,
    failed_multi,
)
from raftkafka.model.zookeeper.sessions import NO_SESSION, PASSWORD_BYTES

if TYPE_CHECKING:
    from raftkafka.metadata.draft import Draft

NOWHERE: Final = -1
Result = OperationResult | SingleOp | tuple[SingleResult | SingleOp, ...]

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
    carried_out(draft, index, command)
    return ErrorCode.NONE


def carried_out(
    draft: Draft,
    index: RaftIndex,
    command: ChangeZnodes,
    *,
    rendered_at: int = NOWHERE,
    effect: Callable[[], ErrorCode] = lambda: ErrorCode.NONE,
) -> bool:
    """Whether the operation has changed the tree; what came of it is an outcome.

    In a Multi the operation at `rendered_at` is about a rendered node: it is carried out by `effect`, last of all, and where that
    refuses nothing is.
    """
    refused = why_not(draft, command)
    if refused:
        answer(draft, command, refused)
        return False
    tree, operation = draft.znodes, command.operation
    own = command.session_id == NO_SESSION

    def elsewhere(at: int, single: SingleOp) -> SingleResult | None:
        if at == rendered_at:
            check_version(draft, single)
            return CheckResult()
        if isinstance(single, Check) and single.path.startswith(view.RENDERED) and tree.get(single.path) is None:
            return _checked(draft, single, command.identities)
        return None

    caller = Caller(
        session_id=command.session_id,
        identities=_THE_CLUSTER if own else command.identities,
        zxid=index,
        time_ms=draft.time_ms,
        rule=ownership.cluster_rule if own else ownership.rule(draft.topic_ids),
        elsewhere=elsewhere,
    )
    mark = tree.mark()
    result: Result = perform(tree, caller, operation)
    failed = isinstance(result, ErrorResult) or (isinstance(result, MultiResult) and result.failed)
    if isinstance(operation, Multi) and 0 <= rendered_at < len(operation.operations) and not failed:
        assert isinstance(result, MultiResult)
        refused = as_zookeepers(effect())
        if refused:
            tree.back_to(mark)
            result, failed = failed_multi(len(operation.operations), rendered_at, _code(refused)), True
        else:
            rendered = operation.operations[rendered_at]
            result = (*result.results[:rendered_at], rendered, *result.results[rendered_at + 1 :])
    tree.outcomes.append(Noted(command.session_id, command.cxid, result))
    return not failed


def _checked(draft: Draft, wanted: Check, identities: tuple[Identity, ...]) -> CheckResult:
    """Raises ZkError for a rendered node that is not there, may not be read, or has another version by now."""
    found = view.find(draft.look(), wanted.path)
    if found is None:
        raise ZkError(ZkErrorCode.NONODE, wanted.path)
    permissions.check(found.acl, permission.READ, identities, wanted.path)
    if wanted.version not in (ANY_VERSION, found.stat.version):
        raise ZkError(ZkErrorCode.BADVERSION, wanted.path)
    return CheckResult()


def check_version(draft: Draft, wanted: SingleOp) -> None:
    """Of a write to a rendered node: it was decided upon when those before it had not been applied.

    Raises:
        ZkError: NONODE, BADVERSION: it is gone, or another one, by now.
    """
    if isinstance(wanted, SetData | Delete) and wanted.version != ANY_VERSION:
        found = view.find(draft.look(), wanted.path)
        if found is None:
            raise ZkError(ZkErrorCode.NONODE, wanted.path)
        if wanted.version != found.stat.version:
            raise ZkError(ZkErrorCode.BADVERSION, wanted.path)


def why_not(draft: Draft, command: ChangeZnodes) -> int:
    """The `ZkErrorCode` of a session that may not do anything (any more), or not through this broker; 0 for one that may."""
    if command.session_id == NO_SESSION:
        return 0
    session = draft.znodes.sessions.get(command.session_id)
    if session is None:
        return ZkErrorCode.SESSIONEXPIRED
    # What a client has sent to the broker before may not overtake what it sends where it is connected by now.
    return 0 if session.node_id == command.node_id else ZkErrorCode.SESSIONMOVED


def as_zookeepers(error: ErrorCode) -> int:
    """What a ZooKeeper client is told of a command that was refused; 0 for one that was not."""
    return 0 if error is ErrorCode.NONE else _ERRORS.get(error, ZkErrorCode.BADARGUMENTS)


def answer(draft: Draft, command: ChangeZnodes, refused: int, at: int = 0) -> None:
    """Note that the operation was refused, or else that what it asks for is so once this entry has been applied."""
    operation = command.operation
    result: OperationResult | SingleOp
    if isinstance(operation, Multi):
        result = failed_multi(len(operation.operations), at, _code(refused)) if operation.operations else _NOTHING
    else:
        result = ErrorResult(code=_code(refused)) if refused else operation
    draft.znodes.outcomes.append(Noted(command.session_id, command.cxid, result))


def told(image: Image, outcome: Noted) -> Outcome:
    """The outcome with a result: of what was asked of rendered nodes, `image` after the entry tells it."""
    noted = outcome.result
    result: OperationResult
    if isinstance(noted, tuple):
        result = MultiResult(results=tuple([_told(image, each) for each in noted]))
    elif isinstance(noted, MultiResult):
        result = noted
    else:
        result = _told(image, noted)
    return Outcome(outcome.session_id, outcome.cxid, result)


def _told(image: Image, noted: SingleResult | SingleOp) -> SingleResult:
    match noted:
        case Create(path=path, with_stat=with_stat):
            found = view.find(image, path)
            return CreateResult(path=path, stat=found.stat if found and with_stat else None)
        case SetData(path=path):
            found = view.find(image, path)
            return ErrorResult(code=ZkErrorCode.NONODE) if found is None else SetDataResult(stat=found.stat)
        case SetAcl(path=path):
            found = view.find(image, path)
            return ErrorResult(code=ZkErrorCode.NONODE) if found is None else SetAclResult(stat=found.stat)
        case Delete():
            return DeleteResult()
        case Check():
            return CheckResult()
        case known:
            return known


def _code(refused: int) -> ZkErrorCode:
    return ZkErrorCode(refused) if refused in _CODES else ZkErrorCode.SYSTEMERROR


_NOTHING: Final = MultiResult(results=())
_CODES: Final = frozenset(code.value for code in ZkErrorCode)
_ERRORS: Final = {
    ErrorCode.TOPIC_ALREADY_EXISTS: ZkErrorCode.NODEEXISTS,
    ErrorCode.UNKNOWN_TOPIC_ID: ZkErrorCode.NONODE,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: ZkErrorCode.NONODE,
    ErrorCode.INVALID_UPDATE_VERSION: ZkErrorCode.BADVERSION,
    ErrorCode.POLICY_VIOLATION: ZkErrorCode.QUOTAEXCEEDED,
}
