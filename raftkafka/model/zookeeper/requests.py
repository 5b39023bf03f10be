"""What a client asks besides changes of the tree (`ops`), and the answers.

Floor 0. A read with `watch` leaves a one-shot watch of the session behind. Every answer may be an ErrorResult instead.
"""

from __future__ import annotations

from raftkafka.model.passing import passing_value
from raftkafka.model.zookeeper.acl import Acl, Identity
from raftkafka.model.zookeeper.events import AddWatchMode, WatcherType
from raftkafka.model.zookeeper.ops import ErrorResult, Operation, OperationResult
from raftkafka.model.zookeeper.stat import Stat


@passing_value
class Exists:
    """Its watch waits for the creation of a node that is not there."""

    path: str
    watch: bool = False


@passing_value
class GetData:
    path: str
    watch: bool = False


@passing_value
class GetChildren:
    """getChildren, or getChildren2 where the answer is `with_stat`."""

    path: str
    watch: bool = False
    with_stat: bool = False


@passing_value
class GetAcl:
    path: str


@passing_value
class GetEphemerals:
    """Those of the own session whose paths begin with `prefix`; "" and "/" are all."""

    prefix: str


@passing_value
class GetAllChildrenNumber:
    """Counts all descendants."""

    path: str


@passing_value
class MultiRead:
    """Each read has an answer or an error of its own."""

    reads: tuple[GetData | GetChildren, ...]


@passing_value
class Sync:
    """Its answer comes when this node has applied what was committed when it was asked."""

    path: str


@passing_value
class SetWatches:
    """What a client watches when it comes back: what happened since `relative_zxid` fires at once (setWatches, setWatches2)."""

    relative_zxid: int
    data: tuple[str, ...] = ()
    exist: tuple[str, ...] = ()
    child: tuple[str, ...] = ()
    persistent: tuple[str, ...] = ()
    persistent_recursive: tuple[str, ...] = ()


@passing_value
class AddWatch:
    path: str
    mode: AddWatchMode


@passing_value
class CheckWatches:
    path: str
    kind: WatcherType


@passing_value
class RemoveWatches:
    path: str
    kind: WatcherType


@passing_value
class Auth:
    """`auth` is `user:password` under `digest`. A refusal ends the connection."""

    scheme: str
    auth: bytes


@passing_value
class WhoAmI:
    pass


@passing_value
class Sasl:
    token: bytes | None


@passing_value
class Reconfig:
    joining: str
    leaving: str
    new_members: str
    config_id: int


@passing_value
class Ping:
    pass


@passing_value
class CloseSession:
    pass


@passing_value
class Unknown:
    """Of an operation that has no code here; answered UNIMPLEMENTED."""

    op_code: int


Request = (
    Operation
    | Exists
    | GetData
    | GetChildren
    | GetAcl
    | GetEphemerals
    | GetAllChildrenNumber
    | MultiRead
    | Sync
    | SetWatches
    | AddWatch
    | CheckWatches
    | RemoveWatches
    | Auth
    | WhoAmI
    | Sasl
    | Reconfig
    | Ping
    | CloseSession
    | Unknown
)


@passing_value
class ExistsResult:
    stat: Stat


@passing_value
class GetDataResult:
    data: bytes | None
    stat: Stat


@passing_value
class GetChildrenResult:
    """Names, not paths, in any order; `stat` where it was asked for."""

    children: tuple[str, ...]
    stat: Stat | None = None


@passing_value
class GetAclResult:
    acl: tuple[Acl, ...]
    stat: Stat


@passing_value
class GetEphemeralsResult:
    paths: tuple[str, ...]


@passing_value
class GetAllChildrenNumberResult:
    count: int


@passing_value
class MultiReadResult:
    results: tuple[GetDataResult | GetChildrenResult | ErrorResult, ...]


@passing_value
class SyncResult:
    path: str


@passing_value
class WhoAmIResult:
    identities: tuple[Identity, ...]


@passing_value
class ReconfigResult:
    data: bytes | None
    stat: Stat


@passing_value
class SaslResult:
    token: bytes | None


@passing_value
class Done:
    """Of what has nothing to tell but that it was done: pings, watches, auth, the end of a session."""


Answer = (
    OperationResult
    | ExistsResult
    | GetDataResult
    | GetChildrenResult
    | GetAclResult
    | GetEphemeralsResult
    | GetAllChildrenNumberResult
    | MultiReadResult
    | SyncResult
    | WhoAmIResult
    | ReconfigResult
    | SaslResult
    | Done
)


@passing_value
class Reply:
    """`zxid`: for a change its own, else the last one that this node had applied; 0 where no tree was asked."""

    answer: Answer
    zxid: int = 0
