"""ZooKeeper's clients of this node: implements `ports.zookeeper.ZooKeeperService`.

Floor 3. Reads are answered from the image of this node, changes and sessions go to the controller. Invariants: what a client sees never
goes back in time (who has seen more than is applied here is not let in); an event is delivered before the answer that shows the
change; of one session one change is under way at a time, and one whose outcome is not known ends the connection, so that none behind
it takes effect. A node without contact to the controller serves nobody: its sessions are running out.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from raftkafka.broker import background
from raftkafka.broker.controller_channel import ControllerChannel
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.zookeeper import digest
from raftkafka.broker.zookeeper.reading import Reader
from raftkafka.broker.zookeeper.watches import WatchTable
from raftkafka.metadata.changes import Changes
from raftkafka.metadata.image import Image
from raftkafka.metadata.znodes import permissions
from raftkafka.metadata.znodes.draft import Outcome, WatchEvent
from raftkafka.metadata.znodes.expiry import negotiated
from raftkafka.metadata.znodes.rendered_events import rendered_events
from raftkafka.model.api.znodes import (
    AlterZkSession,
    AlterZkSessionResponse,
    ChangeZnodes,
    ChangeZnodesResponse,
    HeardSession,
    SessionStep,
    TouchZkSessions,
)
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NodeId, RaftIndex
from raftkafka.model.settings.values import ZooKeeperSettings
from raftkafka.model.zookeeper.acl import OPEN_ACL, READ, Identity
from raftkafka.model.zookeeper.errors import ZkError, ZkErrorCode
from raftkafka.model.zookeeper.events import WatchedEvent
from raftkafka.model.zookeeper.ops import (
    Check,
    Create,
    Delete,
    ErrorResult,
    Multi,
    MultiResult,
    Operation,
    SetAcl,
    SetData,
)
from raftkafka.model.zookeeper.requests import (
    AddWatch,
    Answer,
    Auth,
    CheckWatches,
    CloseSession,
    Done,
    Ping,
    Reconfig,
    RemoveWatches,
    Reply,
    Request,
    Sasl,
    SetWatches,
    Sync,
    SyncResult,
    Unknown,
    WhoAmI,
    WhoAmIResult,
)
from raftkafka.model.zookeeper.sessions import EXPIRED, NO_SESSION, ConnectRequest, ConnectResponse
from raftkafka.model.zookeeper.status import SessionStatus, TreeStatus
from raftkafka.ports.zookeeper import ZooKeeperLink

_log = logging.getLogger("raftkafka.zookeeper")

LANE: Final = "zookeeper"
"""Of its own, so that it holds up nobody's heartbeat."""
TOUCH_INTERVAL_S: Final = 1.0
COMPLAIN_INTERVAL_S: Final = 10.0

_GONE: Final = frozenset({ErrorCode.RESOURCE_NOT_FOUND, ErrorCode.SASL_AUTHENTICATION_FAILED})
_NOTHING: Final = Multi(operations=())
"""A change that changes nothing: once it is applied here, so is all that was committed before it."""


class _Client:
    """One connection with a session."""

    __slots__ = ("attached", "heard_s", "identities", "link", "pending", "queue", "session", "told_s", "working")

    def __init__(self, link: ZooKeeperLink, session: ConnectResponse, attached: RaftIndex, now: float) -> None:
        self.link = link
        self.session = session
        self.attached = attached
        self.identities: tuple[Identity, ...] = (digest.by_address(link.host),)
        self.heard_s = now
        self.told_s = now  # what the controller knows of it
        self.queue: deque[tuple[Operation, Callable[[Answer], None]]] = deque()
        self.pending: tuple[int, Callable[[Answer], None], asyncio.Future[None]] | None = None
        self.working = False


class ZooKeeperService:
    """`new_session` gives a positive number of 63 bits and a password, from the node's own randomness."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        store: MetadataStore,
        channel: ControllerChannel,
        settings: ZooKeeperSettings,
        mode: Callable[[], str],
        has_lease: Callable[[], bool],
        new_session: Callable[[], tuple[int, bytes]],
        timeout_s: float,
    ) -> None:
        self._node_id = node_id
        self._store = store
        self._channel = channel
        self._settings = settings
        self._mode = mode
        self._has_lease = has_lease
        self._new_session = new_session
        self._timeout_s = timeout_s
        self._clients: dict[ZooKeeperLink, _Client] = {}
        self._by_session: dict[int, _Client] = {}
        self._connecting: dict[ZooKeeperLink, None] = {}
        self._watches: WatchTable[ZooKeeperLink] = WatchTable()
        self._image = store.image
        self._cxid = 0
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._touching = False
        self._refused = 0
        self._complained_s = float("-inf")
        store.subscribe(self._changed)
        store.subscribe_outcomes(self._came_of)

    async def stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # ZooKeeperService

    def connect(
        self, link: ZooKeeperLink, request: ConnectRequest, answer: Callable[[ConnectResponse | None], None]
    ) -> None:
        sessions = self._store.image.znodes.sessions
        if not self._has_lease() or request.last_zxid_seen > self._zxid:
            answer(None)
        elif request.session_id == NO_SESSION and len(sessions) >= self._settings.sessions_max:
            self._full(link, len(sessions))
            answer(None)
        elif request.session_id < NO_SESSION:
            answer(EXPIRED)
        else:
            self._connecting[link] = None
            self._spawn(self._connect(link, request, answer))

    def heard(self, link: ZooKeeperLink) -> None:
        client = self._clients.get(link)
        if client is not None:
            client.heard_s = _now()

    def handle(self, link: ZooKeeperLink, request: Request, answer: Callable[[Reply], None]) -> None:
        client = self._clients.get(link)
        if client is None:
            return  # its session has ended in this turn of the loop; the link is about to close

        def reply(result: Answer) -> None:
            answer(Reply(answer=result, zxid=self._zxid))

        match request:
            case Create() | Delete() | SetData() | SetAcl() | Multi() | Check():
                self._change(client, request, reply)
            case Sync():
                path = request.path
                self._change(client, _NOTHING, lambda result: reply(_synced(path, result)))
            case CloseSession():
                self._spawn(self._close(client, reply))
            case _:
                try:
                    result = self._at_once(client, request)
                except ZkError as error:
                    result = ErrorResult(code=error.code)
                reply(result)

    def gone(self, link: ZooKeeperLink) -> None:
        self._connecting.pop(link, None)
        client = self._clients.pop(link, None)
        self._watches.forget(link)
        if client is not None:
            client.queue.clear()
            if self._by_session.get(client.session.session_id) is client:
                del self._by_session[client.session.session_id]

    def status(self) -> TreeStatus:
        tree = self._store.image.znodes
        return TreeStatus(
            serving=self._has_lease(),
            mode=self._mode(),
            zxid=self._zxid,
            znodes=len(tree.nodes),
            ephemerals=len(tree.ephemerals),
            data_bytes=tree.bytes,
            watches=self._watches.count,
            watching=self._watches.watchers,
            watched=self._watches.watched,
            sessions=len(tree.sessions),
            server_id=self._node_id,
        )

    def sessions(self) -> tuple[SessionStatus, ...]:
        tree = self._store.image.znodes
        return tuple(
            [
                SessionStatus(
                    session_id=session_id,
                    timeout_ms=session.timeout_ms,
                    ephemerals=tuple(tree.ephemerals_of(session_id)),
                    watches=self._watches.paths_of(client.link)
                    if (client := self._by_session.get(session_id)) is not None
                    else (),
                )
                for session_id, session in tree.sessions.items()
            ]
        )

    # Sessions

    def _full(self, link: ZooKeeperLink, sessions: int) -> None:
        """Said now and then: clients come again at once."""
        self._refused += 1
        now = _now()
        if now >= self._complained_s + COMPLAIN_INTERVAL_S:
            self._complained_s = now
            many = f", and {self._refused - 1} more since this was said last" if self._refused > 1 else ""
            _log.warning("refusing a session of %s%s: there are %d", link.host, many, sessions)
            self._refused = 0

    @property
    def _zxid(self) -> int:
        return self._store.applied_index

    async def _connect(
        self, link: ZooKeeperLink, request: ConnectRequest, answer: Callable[[ConnectResponse | None], None]
    ) -> None:
        fresh = request.session_id == NO_SESSION
        session_id, password = self._new_session() if fresh else (request.session_id, request.password)
        settings = self._settings
        timeout_ms = negotiated(
            request.timeout_ms, least_ms=settings.min_session_timeout_ms, most_ms=settings.max_session_timeout_ms
        )
        step = SessionStep.CREATE if fresh else SessionStep.MOVE
        response = await self._alter(session_id, password, timeout_ms, step)
        if link not in self._connecting:
            return  # gone meanwhile; a new session that nobody knows runs out
        del self._connecting[link]
        if response.error_code is not ErrorCode.NONE:
            answer(EXPIRED if response.error_code in _GONE and not fresh else None)
            return
        session = self._store.image.znodes.sessions.get(session_id)
        if session is None or session.attached != response.attached:
            answer(EXPIRED if session is None else None)  # ended or moved on already
            return
        accepted = ConnectResponse(timeout_ms=timeout_ms, session_id=session_id, password=password)
        client = _Client(link, accepted, session.attached, _now())
        earlier = self._by_session.get(session_id)
        self._clients[link] = self._by_session[session_id] = client
        if earlier is not None:
            self._end(earlier, "its client has connected again")
        answer(accepted)
        if not self._touching:
            self._touching = True
            self._spawn(self._touch())

    async def _alter(
        self, session_id: int, password: bytes, timeout_ms: int, step: SessionStep
    ) -> AlterZkSessionResponse:
        """The controller's answer, once what it has done is applied here."""
        request = AlterZkSession(
            broker_id=self._node_id, session_id=session_id, password=password, timeout_ms=timeout_ms, step=step
        )
        try:
            response = await self._channel.ask(request, timeout_s=self._timeout_s, lane=LANE)
        except ApiError as error:
            return AlterZkSessionResponse(error_code=error.code)
        assert isinstance(response, AlterZkSessionResponse)
        if response.error_code is not ErrorCode.NONE:
            return response

        def applied(image: Image) -> bool:
            session = image.znodes.sessions.get(session_id)
            return session is None if step is SessionStep.END else self._store.applied_index >= response.attached

        if not await self._store.wait_for(applied, timeout_s=self._timeout_s):
            return AlterZkSessionResponse(error_code=ErrorCode.REQUEST_TIMED_OUT)
        return response

    async def _close(self, client: _Client, reply: Callable[[Answer], None]) -> None:
        session = client.session
        client.attached = RaftIndex(-1)  # its end is wanted, and told by the reply
        response = await self._alter(session.session_id, session.password, session.timeout_ms, SessionStep.END)
        if response.error_code in {ErrorCode.NONE, ErrorCode.RESOURCE_NOT_FOUND}:
            reply(Done())
        else:
            client.link.end("its session could not be closed: it will run out")

    def _end(self, client: _Client, reason: str) -> None:
        """The connection closes, and may do nothing more meanwhile."""
        self._clients.pop(client.link, None)
        self._watches.forget(client.link)
        client.queue.clear()
        if self._by_session.get(client.session.session_id) is client:
            del self._by_session[client.session.session_id]
        client.link.end(reason)

    async def _touch(self) -> None:
        """While there are clients, tell the controller of those that were heard, and see that it hears us."""
        try:
            while self._clients:
                await asyncio.sleep(TOUCH_INTERVAL_S)
                if not self._has_lease():
                    for client in list(self._clients.values()):
                        self._end(client, "this node has no contact to the controller")
                    return
                await self._tell_heard()
        finally:
            self._touching = False

    async def _tell_heard(self) -> None:
        now = _now()
        news = [client for client in self._clients.values() if client.heard_s > client.told_s]
        if not news:
            return
        heard = tuple(
            [
                HeardSession(session_id=client.session.session_id, age_ms=max(0, round((now - client.heard_s) * 1000)))
                for client in news
            ]
        )
        try:
            request = TouchZkSessions(broker_id=self._node_id, heard=heard)
            await self._channel.ask(request, timeout_s=self._timeout_s, lane=LANE)
        except ApiError as error:
            _log.debug("the controller was not told of %d sessions: %s", len(news), error)
            return
        for client in news:
            client.told_s = now

    # Changes

    def _change(self, client: _Client, operation: Operation, reply: Callable[[Answer], None]) -> None:
        client.queue.append((operation, reply))
        if not client.working:
            client.working = True
            self._spawn(self._work(client))

    async def _work(self, client: _Client) -> None:
        try:
            while client.queue:
                operation, reply = client.queue.popleft()
                problem = await self._carry_out(client, operation, reply)
                if problem is not None:
                    self._end(client, problem)
        finally:
            client.working = False

    async def _carry_out(self, client: _Client, operation: Operation, reply: Callable[[Answer], None]) -> str | None:
        """None once it is answered; else why nobody knows what came of it."""
        self._cxid += 1
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        client.pending = (self._cxid, reply, answered)
        request = ChangeZnodes(
            broker_id=self._node_id,
            session_id=client.session.session_id,
            cxid=self._cxid,
            identities=client.identities,
            change=operation,
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._channel.ask(request, timeout_s=self._timeout_s, lane=LANE)
                assert isinstance(response, ChangeZnodesResponse)
                if response.error_code is ErrorCode.MESSAGE_TOO_LARGE:
                    reply(ErrorResult(code=ZkErrorCode.BADARGUMENTS))
                elif response.error_code is not ErrorCode.NONE:
                    return f"the controller answered {response.error_code.name}"
                else:
                    await answered
        except ApiError as error:
            return str(error)
        except TimeoutError:
            return "a change was not applied here in time"
        finally:
            client.pending = None
        return None

    def _came_of(self, index: RaftIndex, outcomes: tuple[Outcome, ...]) -> None:
        """Of changes that were applied here just now, after the events that they fire."""
        for outcome in outcomes:
            client = self._by_session.get(outcome.session_id)
            if client is None or client.pending is None or client.pending[0] != outcome.cxid:
                continue  # of another node, or of a connection that is gone
            _, reply, answered = client.pending
            if not answered.done():
                reply(outcome.result)
                answered.set_result(None)

    # What happens to the tree

    def _changed(self, image: Image, changes: Changes) -> None:
        before, self._image = self._image, image
        if self._watches.count:
            for stored in changes.znode_events:
                self._fire(stored)
            for rendered in rendered_events(before, image, changes):
                self._fire(rendered)
        for session_id in sorted(changes.zk_sessions):
            client = self._by_session.get(session_id)
            if client is None or client.attached < 0:
                continue
            session = image.znodes.sessions.get(session_id)
            if session is None:
                self._end(client, "its session has expired")
            elif session.attached != client.attached and session.node_id != self._node_id:
                self._end(client, f"its client has connected to node {session.node_id}")

    def _fire(self, happened: WatchEvent) -> None:
        fired = self._watches.fire(happened.kind, happened.path)
        if fired:
            event = WatchedEvent(kind=happened.kind, path=happened.path)
            everybody = happened.acl == OPEN_ACL
            for link in fired:
                if everybody or permissions.allowed(happened.acl, READ, self._clients[link].identities):
                    link.deliver(event)

    # What is answered at once

    def _at_once(self, client: _Client, request: Request) -> Answer:
        link = client.link
        reader = Reader(
            image=self._store.image,
            watches=self._watches,
            watcher=link,
            identities=client.identities,
            session_id=client.session.session_id,
            watches_max=self._settings.watches_max,
        )
        match request:
            case Ping():
                return Done()
            case SetWatches():
                for kind, path in reader.set_watches(request):
                    link.deliver(WatchedEvent(kind=kind, path=path))
                return Done()
            case AddWatch():
                reader.check_room(1)
                self._watches.add_mode(link, request.path, request.mode)
                return Done()
            case CheckWatches():
                found = self._watches.has(link, request.path, request.kind)
                return Done() if found else ErrorResult(code=ZkErrorCode.NOWATCHER)
            case RemoveWatches():
                removed = self._watches.remove(link, request.path, request.kind)
                return Done() if removed else ErrorResult(code=ZkErrorCode.NOWATCHER)
            case Auth():
                return self._prove(client, request)
            case WhoAmI():
                return WhoAmIResult(identities=tuple([digest.shown(each) for each in client.identities]))
            case Sasl():
                # As a ZooKeeper without JAAS: a client takes UNIMPLEMENTED for a lost connection, and comes back for ever.
                return ErrorResult(code=ZkErrorCode.AUTHFAILED)
            case Reconfig():
                return ErrorResult(code=ZkErrorCode.RECONFIGDISABLED)  # as a ZooKeeper without reconfigEnabled
            case Unknown():
                return ErrorResult(code=ZkErrorCode.UNIMPLEMENTED)
            case Create() | Delete() | SetData() | SetAcl() | Check() | Multi() | Sync() | CloseSession():
                raise AssertionError("asks the controller")
            case _:
                return reader.answer(request)

    @staticmethod
    def _prove(client: _Client, request: Auth) -> Answer:
        identity = digest.proved(request)
        if identity is None or len(client.identities) >= digest.IDENTITIES_MAX:
            return ErrorResult(code=ZkErrorCode.AUTHFAILED)
        if identity not in client.identities:
            client.identities = (*client.identities, identity)
        return Done()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = background.start(work, name="zookeeper clients")
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))


def _synced(path: str, result: Answer) -> Answer:
    return SyncResult(path=path) if isinstance(result, MultiResult) else result


def _now() -> float:
    return asyncio.get_running_loop().time()
