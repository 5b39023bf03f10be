"""A tree that is built operation by operation, each in an entry of its own."""

from __future__ import annotations

import pytest

from raftkafka.metadata import snapshot
from raftkafka.metadata.apply import Applied, apply_all
from raftkafka.metadata.commands import NoteTime, decode, encode
from raftkafka.metadata.image import Image
from raftkafka.metadata.znodes.commands import ChangeZnodes, CreateZkSession, EndZkSession, MoveZkSession
from raftkafka.metadata.znodes.draft import WatchEvent
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NodeId, RaftIndex, TimestampMs
from raftkafka.model.zookeeper.acl import OPEN_ACL, Acl, Identity
from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.model.zookeeper.modes import CreateMode
from raftkafka.model.zookeeper.ops import (
    NO_TTL,
    Create,
    CreateResult,
    Delete,
    ErrorResult,
    MultiResult,
    Operation,
    OperationResult,
    SetData,
)
from tests.unit.metadata.soundness import check

SESSION = 77
PASSWORD = bytes(range(16))


class Tree:
    """`image` after the last entry, `index` and `time_ms` of it; entries go through their bytes."""

    def __init__(self) -> None:
        self.image = Image.empty()
        self.index = RaftIndex(100)
        self.time_ms = 1_000
        self.events: tuple[WatchEvent, ...] = ()
        self.open(SESSION)

    def apply(self, *commands) -> Applied:
        self.index = RaftIndex(self.index + 1)
        self.time_ms += 10
        entry = encode([NoteTime(time_ms=TimestampMs(self.time_ms)), *commands])
        applied = apply_all(self.image, self.index, decode(entry))
        self.image = applied.image
        self.events = applied.changes.znode_events
        check(self.image)
        return applied

    def open(self, session_id: int, *, node_id: int = 1, timeout_ms: int = 6_000) -> ErrorCode:
        return self.apply(
            CreateZkSession(session_id=session_id, password=PASSWORD, timeout_ms=timeout_ms, node_id=NodeId(node_id))
        ).error

    def move(self, session_id: int, *, node_id: int, password: bytes = PASSWORD, timeout_ms: int = 6_000) -> ErrorCode:
        return self.apply(
            MoveZkSession(session_id=session_id, password=password, timeout_ms=timeout_ms, node_id=NodeId(node_id))
        ).error

    def end(self, session_id: int, *, attached: int | None = None) -> ErrorCode:
        if attached is None:
            attached = self.image.znodes.sessions[session_id].attached
        return self.apply(EndZkSession(session_id=session_id, attached=RaftIndex(attached))).error

    def ask(
        self,
        operation: Operation,
        *,
        session: int = SESSION,
        node_id: int = 1,
        identities: tuple[Identity, ...] = (),
    ) -> OperationResult:
        command = ChangeZnodes(
            session_id=session, cxid=5, node_id=NodeId(node_id), identities=identities, operation=operation
        )
        (outcome,) = self.apply(command).outcomes
        assert (outcome.session_id, outcome.cxid) == (session, 5)
        return outcome.result

    def create(
        self,
        path: str,
        data: bytes | None = b"",
        *,
        mode: CreateMode = CreateMode.PERSISTENT,
        acl: tuple[Acl, ...] = OPEN_ACL,
        ttl_ms: int = NO_TTL,
        session: int = SESSION,
        identities: tuple[Identity, ...] = (),
    ) -> str:
        """The path that the node got."""
        wanted = Create(path=path, data=data, acl=acl, mode=mode, ttl_ms=ttl_ms)
        result = self.ask(wanted, session=session, identities=identities)
        assert isinstance(result, CreateResult), result
        return result.path

    def delete(self, path: str, version: int = -1, *, session: int = SESSION) -> None:
        result = self.ask(Delete(path=path, version=version), session=session)
        assert not isinstance(result, ErrorResult), result

    def set(self, path: str, data: bytes | None, version: int = -1) -> None:
        result = self.ask(SetData(path=path, data=data, version=version))
        assert not isinstance(result, ErrorResult), result

    def refusal(self, operation: Operation, **how) -> ZkErrorCode:
        """The code of an operation that changes nothing."""
        before = self.image
        result = self.ask(operation, **how)
        assert isinstance(result, ErrorResult), result
        assert self.image is before
        assert self.events == ()
        return result.code

    def refusals(self, operation: Operation, **how) -> list[ZkErrorCode]:
        """The codes of a Multi that changes nothing."""
        before = self.image
        result = self.ask(operation, **how)
        assert isinstance(result, MultiResult)
        assert self.image is before
        codes = [each.code for each in result.results if isinstance(each, ErrorResult)]
        assert len(codes) == len(result.results)
        return codes

    def stat(self, path: str):
        node = self.image.znodes.get(path)
        assert node is not None, path
        return node.stat()

    def children(self, path: str) -> list[str]:
        return list(self.image.znodes.children(path))

    def restored(self) -> Image:
        return snapshot.decode(snapshot.encode(self.image))


@pytest.fixture
def tree() -> Tree:
    """One session is open, on node 1."""
    return Tree()
