"""What reads of the tree answer, and the watches they leave behind: from the image of this node, without asking anybody.

Floor 3. Rules and precedence are ZooKeeper's (`FinalRequestProcessor`, `DataTree.setWatches`, 3.8). Whatever is asked is answered at
once and from one image, so that no event can come between what is seen and the watch on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, Generic, TypeVar

from raftkafka.broker.zookeeper.watches import Watch, WatchTable
from raftkafka.metadata.image import Image
from raftkafka.metadata.znodes import permissions, view
from raftkafka.model.zookeeper import acl as permission
from raftkafka.model.zookeeper.acl import Acl, Identity
from raftkafka.model.zookeeper.errors import ZkError, ZkErrorCode
from raftkafka.model.zookeeper.events import EventType
from raftkafka.model.zookeeper.ops import ErrorResult
from raftkafka.model.zookeeper.requests import (
    Exists,
    ExistsResult,
    GetAcl,
    GetAclResult,
    GetAllChildrenNumber,
    GetAllChildrenNumberResult,
    GetChildren,
    GetChildrenResult,
    GetData,
    GetDataResult,
    GetEphemerals,
    GetEphemeralsResult,
    MultiRead,
    MultiReadResult,
    SetWatches,
)

_W = TypeVar("_W")

MULTI_READ_BYTES_MAX: Final = 4 << 20
"""Of the answer to a multiRead; clients take no more by their own `jute.maxbuffer`."""
READ_BYTES: Final = 16
"""What a result, or a name in one, counts for beside its own bytes."""

Read = Exists | GetData | GetChildren | GetAcl | GetAllChildrenNumber | GetEphemerals | MultiRead


class Reader(Generic[_W]):
    """Of one request: `image` is what is applied, `watcher` the connection that asks, `identities` what it has proved."""

    def __init__(
        self,
        *,
        image: Image,
        watches: WatchTable[_W],
        watcher: _W,
        identities: tuple[Identity, ...],
        session_id: int,
        watches_max: int,
    ) -> None:
        self._image = image
        self._watches = watches
        self._watcher = watcher
        self._identities = identities
        self._session_id = session_id
        self._watches_max = watches_max

    def answer(
        self, request: Read
    ) -> (
        ExistsResult
        | GetDataResult
        | GetChildrenResult
        | GetAclResult
        | GetAllChildrenNumberResult
        | GetEphemeralsResult
        | MultiReadResult
    ):
        """
        Raises:
            ZkError: it is refused.
        """
        match request:
            case Exists():
                return self._exists(request)
            case GetData():
                return self._get_data(request)
            case GetChildren():
                return self._get_children(request)
            case GetAcl():
                return self._get_acl(request)
            case GetAllChildrenNumber():
                self._readable(request.path)
                return GetAllChildrenNumberResult(count=view.below(self._image, request.path) or 0)
            case GetEphemerals():
                return GetEphemeralsResult(paths=tuple(self._ephemerals(request.prefix)))
            case MultiRead():
                return MultiReadResult(results=tuple(self._many(request)))

    def _many(self, request: MultiRead) -> Iterator[GetDataResult | GetChildrenResult | ErrorResult]:
        """Raises ZkError: QUOTAEXCEEDED. Some bytes of a request would ask for all of our memory else."""
        left = MULTI_READ_BYTES_MAX
        for each in request.reads:
            left -= READ_BYTES
            try:
                if isinstance(each, GetData):
                    data = self._get_data(each)
                    left -= len(data.data or b"")
                    yield data
                else:
                    names = self._get_children(each)
                    left -= sum(map(len, names.children)) + READ_BYTES * len(names.children)
                    yield names
            except ZkError as error:
                yield ErrorResult(code=error.code)
            if left < 0:
                raise ZkError(ZkErrorCode.QUOTAEXCEEDED, f"more than {MULTI_READ_BYTES_MAX} bytes in one answer")

    def _exists(self, request: Exists) -> ExistsResult:
        """Without READ: that a node is there may be seen by all, as in ZooKeeper."""
        if "\0" in request.path:
            raise ZkError(ZkErrorCode.BADARGUMENTS, "a path with a null character")
        found = self._find(request.path)
        if request.watch:
            self._watch(request.path, Watch.DATA)
        if found is None:
            raise ZkError(ZkErrorCode.NONODE, request.path)
        return ExistsResult(stat=found.stat)

    def _get_data(self, request: GetData) -> GetDataResult:
        found = self._readable(request.path)
        if request.watch:
            self._watch(request.path, Watch.DATA)
        return GetDataResult(data=found.data, stat=found.stat)

    def _get_children(self, request: GetChildren) -> GetChildrenResult:
        found = self._readable(request.path)
        if request.watch:
            self._watch(request.path, Watch.CHILDREN)
        names = tuple(view.children(self._image, request.path) or ())
        return GetChildrenResult(children=names, stat=found.stat if request.with_stat else None)

    def _get_acl(self, request: GetAcl) -> GetAclResult:
        found = self._find(request.path)
        if found is None:
            raise ZkError(ZkErrorCode.NONODE, request.path)
        permissions.check(found.acl, permission.READ | permission.ADMIN, self._identities, request.path)
        acl = found.acl
        if not permissions.allowed(acl, permission.ADMIN, self._identities):
            acl = tuple([_without_hash(each) for each in acl])
        return GetAclResult(acl=acl, stat=found.stat)

    def _ephemerals(self, prefix: str) -> Iterator[str]:
        every = self._image.znodes.ephemerals_of(self._session_id)
        return every if prefix.strip() in {"", "/"} else (path for path in every if path.startswith(prefix))

    def _find(self, path: str) -> view.Found | None:
        return view.find(self._image, path) if path.startswith("/") else None

    def _readable(self, path: str) -> view.Found:
        found = self._find(path)
        if found is None:
            raise ZkError(ZkErrorCode.NONODE, path)
        permissions.check(found.acl, permission.READ, self._identities, path)
        return found

    def _watch(self, path: str, watch: Watch) -> None:
        self.check_room(1)
        self._watches.add(self._watcher, path, watch)

    def check_room(self, more: int) -> None:
        """
        Raises:
            ZkError: QUOTAEXCEEDED, there are as many watches as there may be.
        """
        if self._watches.count + more > self._watches_max:
            raise ZkError(ZkErrorCode.QUOTAEXCEEDED, f"more than {self._watches_max} watches")

    def set_watches(self, request: SetWatches) -> list[tuple[EventType, str]]:
        """Take up the watches of a client that was away; what has happened meanwhile is told instead of watched.

        Raises:
            ZkError: QUOTAEXCEEDED, none was taken up.
        """
        kinds = (request.data, request.exist, request.child, request.persistent, request.persistent_recursive)
        self.check_room(sum(map(len, kinds)))
        missed: list[tuple[EventType, str]] = []
        since = request.relative_zxid
        for path in request.data:
            found = self._find(path)
            if found is None:
                missed.append((EventType.NODE_DELETED, path))
            elif found.stat.mzxid > since:
                missed.append((EventType.NODE_DATA_CHANGED, path))
            else:
                self._watches.add(self._watcher, path, Watch.DATA)
        for path in request.exist:
            if self._find(path) is not None:
                missed.append((EventType.NODE_CREATED, path))
            else:
                self._watches.add(self._watcher, path, Watch.DATA)
        for path in request.child:
            found = self._find(path)
            if found is None:
                missed.append((EventType.NODE_DELETED, path))
            elif found.stat.pzxid > since:
                missed.append((EventType.NODE_CHILDREN_CHANGED, path))
            else:
                self._watches.add(self._watcher, path, Watch.CHILDREN)
        for path in request.persistent:
            self._watches.add(self._watcher, path, Watch.PERSISTENT)
        for path in request.persistent_recursive:
            self._watches.add(self._watcher, path, Watch.RECURSIVE)
        return missed


def _without_hash(acl: Acl) -> Acl:
    """Who may not administer a node sees who has rights, not the hash that would prove it."""
    if acl.scheme != "digest":
        return acl
    return replace(acl, id=f"{acl.id.partition(':')[0]}:x")
