"""What a client may change in the tree, and what comes of it.

Floor 0. Versions are compared with those of the node, ANY_VERSION matches all. Data may be None, which ZooKeeper tells from
empty. Results are of the same order as operations; a Multi is carried out whole or not at all.
"""

from __future__ import annotations

from typing import Final

from raftkafka.model.passing import passing_value
from raftkafka.model.zookeeper.acl import Acl
from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.model.zookeeper.modes import CreateMode
from raftkafka.model.zookeeper.stat import Stat

ANY_VERSION: Final = -1
NO_TTL: Final = -1


@passing_value
class Create:
    """create, create2, createContainer and createTTL. The path comes before a sequential node's number."""

    path: str
    data: bytes | None
    acl: tuple[Acl, ...]
    mode: CreateMode = CreateMode.PERSISTENT
    ttl_ms: int = NO_TTL
    with_stat: bool = False
    """All but the oldest form are answered with the new node's Stat."""


@passing_value
class Delete:
    path: str
    version: int = ANY_VERSION


@passing_value
class SetData:
    path: str
    data: bytes | None
    version: int = ANY_VERSION


@passing_value
class SetAcl:
    """`version` is compared with the Stat's aversion."""

    path: str
    acl: tuple[Acl, ...]
    version: int = ANY_VERSION


@passing_value
class Check:
    """Changes nothing and fails unless the node is there with this version; of use within a Multi."""

    path: str
    version: int = ANY_VERSION


SingleOp = Create | Delete | SetData | SetAcl | Check
"""A Multi holds all of them but SetAcl, which ZooKeeper's form of it has no place for."""


@passing_value
class Multi:
    operations: tuple[SingleOp, ...]


Operation = SingleOp | Multi


@passing_value
class CreateResult:
    """`path` with the number of a sequential node; `stat` where the operation asked for it."""

    path: str
    stat: Stat | None = None


@passing_value
class DeleteResult:
    pass


@passing_value
class SetDataResult:
    stat: Stat


@passing_value
class SetAclResult:
    stat: Stat


@passing_value
class CheckResult:
    pass


@passing_value
class ErrorResult:
    """Of a failed Multi, OK stands before the operation that failed and RUNTIMEINCONSISTENCY behind it."""

    code: ZkErrorCode


SingleResult = CreateResult | DeleteResult | SetDataResult | SetAclResult | CheckResult | ErrorResult


@passing_value
class MultiResult:
    results: tuple[SingleResult, ...]

    @property
    def failed(self) -> bool:
        return any(isinstance(result, ErrorResult) for result in self.results)


OperationResult = SingleResult | MultiResult


def failed_multi(count: int, at: int, code: ZkErrorCode) -> MultiResult:
    """The answer to a Multi of `count` operations of which number `at` was refused."""
    before, behind = ZkErrorCode.OK, ZkErrorCode.RUNTIMEINCONSISTENCY
    codes = (*(before for _ in range(at)), code, *(behind for _ in range(at + 1, count)))
    return MultiResult(results=tuple(ErrorResult(code=each) for each in codes))
