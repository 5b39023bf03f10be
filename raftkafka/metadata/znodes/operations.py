"""What a client's operation does to the tree, and why it is refused.

Floor 1, pure. Rules and their precedence are ZooKeeper's (`PrepRequestProcessor.pRequest2Txn`, `DataTree`, 3.8): which of two errors a
client sees is part of what its programs rely on. Total: whatever the operation, the outcome is a result; one that is refused, a whole
Multi included, leaves nothing behind. Limits that ZooKeeper does not have answer QUOTAEXCEEDED.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from raftkafka.metadata.znodes import permissions
from raftkafka.metadata.znodes.draft import TreeDraft
from raftkafka.metadata.znodes.tree import (
    BYTES_MAX,
    CHILDREN_MAX,
    DEPTH_MAX,
    NODES_MAX,
    PATH_CHARS_MAX,
    SPECIAL,
    Znode,
    int32,
    size_of,
)
from raftkafka.model.ids import RaftIndex
from raftkafka.model.zookeeper import acl as permission
from raftkafka.model.zookeeper import paths
from raftkafka.model.zookeeper.acl import Identity
from raftkafka.model.zookeeper.errors import ZkError, ZkErrorCode
from raftkafka.model.zookeeper.modes import CONTAINER_OWNER, TTL_MAX_MS, ttl_owner
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
    Operation,
    OperationResult,
    SetAcl,
    SetAclResult,
    SetData,
    SetDataResult,
    SingleOp,
    SingleResult,
    failed_multi,
)
from raftkafka.model.zookeeper.sessions import NO_SESSION


def _everything(_: SingleOp) -> None:
    """The rule of a tree of which the client may change every node."""


def _nothing(_at: int, _: SingleOp) -> SingleResult | None:
    """Of a tree in which every node is stored."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who wants something, when and in which entry. `rule` raises ZkError for nodes that are not the client's to change.

    `elsewhere` answers, or refuses with ZkError, an operation (and its place in a Multi) that is about a node outside the tree; None for others.
    """

    session_id: int
    identities: tuple[Identity, ...]
    zxid: RaftIndex
    time_ms: int
    rule: Callable[[SingleOp], None] = _everything
    elsewhere: Callable[[int, SingleOp], SingleResult | None] = _nothing


def perform(draft: TreeDraft, caller: Caller, operation: Operation) -> OperationResult:
    """Do it, or leave the draft as it is and say why not."""
    mark = draft.mark()
    done: list[SingleResult] = []
    singles = operation.operations if isinstance(operation, Multi) else (operation,)
    for at, single in enumerate(singles):
        try:
            done.append(_perform(draft, caller, single, at))
        except ZkError as error:
            draft.back_to(mark)
            if isinstance(operation, Multi):
                return failed_multi(len(singles), len(done), error.code)
            return ErrorResult(code=error.code)
    return MultiResult(results=tuple(done)) if isinstance(operation, Multi) else done[0]


def _perform(draft: TreeDraft, caller: Caller, operation: SingleOp, at: int) -> SingleResult:
    if not draft.is_there(caller.session_id):
        raise ZkError(ZkErrorCode.SESSIONEXPIRED, f"session {caller.session_id:#x}")
    elsewhere = caller.elsewhere(at, operation)
    if elsewhere is not None:
        return elsewhere
    caller.rule(operation)
    match operation:
        case Create():
            return _create(draft, caller, operation)
        case Delete():
            return _delete(draft, caller, operation)
        case SetData():
            return _set_data(draft, caller, operation)
        case SetAcl():
            return _set_acl(draft, caller, operation)
        case Check():
            return _check(draft, caller, operation)


def _create(draft: TreeDraft, caller: Caller, wanted: Create) -> CreateResult:
    path = wanted.path
    owner = owner_of(wanted, caller.session_id)
    above = _parent(path)
    acl = permissions.granted(wanted.acl, caller.identities, path)
    directory = _existing(draft, above)
    permissions.check(directory.acl, permission.CREATE, caller.identities, path)
    if wanted.mode.sequential:
        path = paths.sequential_path(path, directory.creations)
    paths.validate_path(path)
    if draft.get(path) is not None:
        raise ZkError(ZkErrorCode.NODEEXISTS, path)
    if directory.ephemeral:
        raise ZkError(ZkErrorCode.NOCHILDRENFOREPHEMERALS, path)
    node = Znode(
        data=wanted.data,
        acl=acl,
        czxid=caller.zxid,
        mzxid=caller.zxid,
        pzxid=caller.zxid,
        ctime_ms=caller.time_ms,
        mtime_ms=caller.time_ms,
        owner=owner,
    )
    _check_room(draft, path, node, directory)
    draft.create(path, node)
    return CreateResult(path=path, stat=node.stat() if wanted.with_stat else None)


def owner_of(wanted: Create, session_id: int) -> int:
    """What stands as owner in the Stat of the new node; raises ZkError for a time to live that does not go with the mode."""
    if wanted.mode.ttl:
        if not 0 < wanted.ttl_ms <= TTL_MAX_MS:
            raise ZkError(ZkErrorCode.BADARGUMENTS, f"{wanted.path}: no time to live is {wanted.ttl_ms} ms")
        return ttl_owner(wanted.ttl_ms)
    if wanted.ttl_ms >= 0:
        raise ZkError(ZkErrorCode.BADARGUMENTS, f"{wanted.path}: a {wanted.mode.name} node has no time to live")
    if wanted.mode.container:
        return CONTAINER_OWNER
    if wanted.mode.ephemeral:
        if session_id == NO_SESSION:
            raise ZkError(ZkErrorCode.BADARGUMENTS, f"{wanted.path}: the cluster has no session")
        return session_id
    return NO_SESSION


def _delete(draft: TreeDraft, caller: Caller, wanted: Delete) -> DeleteResult:
    path = wanted.path
    above = _parent(path)
    if path in SPECIAL:
        raise ZkError(ZkErrorCode.BADARGUMENTS, f"{path} is part of every tree")
    directory = _existing(draft, above)
    permissions.check(directory.acl, permission.DELETE, caller.identities, path)
    node = _existing(draft, path)
    _next_version(path, node.version, wanted.version)
    if node.child_count:
        raise ZkError(ZkErrorCode.NOTEMPTY, path)
    draft.delete(path, node, caller.zxid)
    return DeleteResult()


def _set_data(draft: TreeDraft, caller: Caller, wanted: SetData) -> SetDataResult:
    path = wanted.path
    paths.validate_path(path)
    node = _existing(draft, path)
    permissions.check(node.acl, permission.WRITE, caller.identities, path)
    version = _next_version(path, node.version, wanted.version)
    grown = len(wanted.data or b"") - len(node.data or b"")
    if grown > 0 and draft.bytes + grown > BYTES_MAX:
        raise ZkError(ZkErrorCode.QUOTAEXCEEDED, f"{path}: all nodes take more than {BYTES_MAX} bytes")
    after = replace(node, data=wanted.data, version=version, mzxid=caller.zxid, mtime_ms=caller.time_ms)
    draft.set_data(path, node, after)
    return SetDataResult(stat=after.stat())


def _set_acl(draft: TreeDraft, caller: Caller, wanted: SetAcl) -> SetAclResult:
    path = wanted.path
    paths.validate_path(path)
    acl = permissions.granted(wanted.acl, caller.identities, path)
    node = _existing(draft, path)
    permissions.check(node.acl, permission.ADMIN, caller.identities, path)
    after = replace(node, acl=acl, aversion=_next_version(path, node.aversion, wanted.version))
    draft.set_acl(path, node, after)
    return SetAclResult(stat=after.stat())


def _check(draft: TreeDraft, caller: Caller, wanted: Check) -> CheckResult:
    paths.validate_path(wanted.path)
    node = _existing(draft, wanted.path)
    permissions.check(node.acl, permission.READ, caller.identities, wanted.path)
    _next_version(wanted.path, node.version, wanted.version)
    return CheckResult()


def _parent(path: str) -> str:
    """The part before the last slash, whatever the rest: ZooKeeper looks for the parent before it looks at the name."""
    if "/" not in path or "\0" in path:
        raise ZkError(ZkErrorCode.BADARGUMENTS, f"{path!r} is no path")
    return paths.parent(path)


def _existing(draft: TreeDraft, path: str) -> Znode:
    node = draft.get(path) if path.startswith("/") else None
    if node is None:
        raise ZkError(ZkErrorCode.NONODE, path)
    return node


def _next_version(path: str, version: int, expected: int) -> int:
    if expected not in (ANY_VERSION, version):
        raise ZkError(ZkErrorCode.BADVERSION, f"{path} has version {version}, not {expected}")
    return int32(version + 1)


def _check_room(draft: TreeDraft, path: str, node: Znode, directory: Znode) -> None:
    limits = (
        (len(draft.nodes) >= NODES_MAX, f"there are {NODES_MAX} nodes"),
        (draft.bytes + size_of(path, node.data, node.acl) > BYTES_MAX, f"all nodes take more than {BYTES_MAX} bytes"),
        (directory.child_count >= CHILDREN_MAX, f"its parent has {CHILDREN_MAX} children"),
        (paths.depth(path) > DEPTH_MAX, f"it lies deeper than {DEPTH_MAX}"),
        (len(path) > PATH_CHARS_MAX, f"its path has more than {PATH_CHARS_MAX} characters"),
    )
    for reached, which in limits:
        if reached:
            raise ZkError(ZkErrorCode.QUOTAEXCEEDED, f"{path}: {which}")
