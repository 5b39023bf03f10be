"""A broker without a network: virtual time, a disk whose syncs can be held, consensus and peers that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest

from raftkafka.adapters.disk import OsDisk
from raftkafka.broker.controller import Controller
from raftkafka.broker.controller_channel import ControllerChannel
from raftkafka.broker.controller_queue import ControllerQueue
from raftkafka.broker.fetch_sessions import FetchSessions
from raftkafka.broker.fetcher import Fetchers, LeaderFetcher
from raftkafka.broker.groups.coordinator import GroupCoordinator
from raftkafka.broker.groups.offsets_topic import OffsetsTopic
from raftkafka.broker.handlers.fetch import FetchHandler
from raftkafka.broker.handlers.produce import ProduceHandler
from raftkafka.broker.live_settings import LiveSettings
from raftkafka.broker.log_dirs import LogDirs
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.broker.reconciler import Reconciler
from raftkafka.broker.replicas import ReplicaTable
from raftkafka.metadata.commands import (
    BeginControlledShutdown,
    ChangePartition,
    CreateTopic,
    DeleteTopic,
    FenceBroker,
    InitializeCluster,
    ReassignPartition,
    RegisterBroker,
    TakeOffice,
    UnfenceBroker,
    encode,
)
from raftkafka.model.api.broker_lifecycle import IsrMember, ListenerEndpoint
from raftkafka.model.api.fetch import Fetch, FetchPartition
from raftkafka.model.api.produce import Produce, ProducePartition
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ErrorCode, StorageError
from raftkafka.model.ids import (
    NO_EPOCH,
    NO_NODE,
    BrokerEpoch,
    NodeId,
    PartitionIndex,
    RaftIndex,
    TimestampMs,
    TopicId,
    TopicPartition,
)
from raftkafka.model.settings.values import FlushPolicy, Settings
from raftkafka.ports.consensus import NotLeaderError, VoterState
from raftkafka.ports.disk import Bytes, File
from raftkafka.ports.peer import PeerUnavailableError
from raftkafka.ports.probe import NullProbe
from raftkafka.record.build import encode_values
from tests.sync_then import SyncsThen


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer whenever nothing is left to do. No threads, no sockets."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual_time = 1_000.0
        select = self._selector.select

        def advance(timeout: float | None = None):
            if timeout is None:
                raise RuntimeError("the test waits for something that can never happen")
            self._virtual_time += timeout
            return select(0)

        self._selector.select = advance

    def time(self) -> float:
        return self._virtual_time


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable]:
    """Every test of this directory runs in virtual time."""
    return {"virtual": VirtualLoop}


class HeldDisk(SyncsThen, OsDisk):
    """The system's disk, but durable at once; while `gate` is a cleared event a sync waits, `sync_error` fails the next."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.sync_error: StorageError | None = None
        self.synced: list[tuple[str, ...]] = []

    async def sync(self, files: Sequence[File]) -> None:
        self.synced.append(tuple(file.path for file in files))
        await self.gate.wait()
        await asyncio.sleep(0)
        if self.sync_error is not None:
            raise self.sync_error

    async def replace(self, path: str, data: Bytes) -> None:
        await asyncio.sleep(0)
        self.write_atomic(path, data)

    async def sync_names(self, path: str) -> None:
        await asyncio.sleep(0)
        self.sync_dir(path)

    async def read_cold(self, file: File, position: int, count: int) -> bytes:
        await asyncio.sleep(0)
        return file.read(position, count)


class FakeConsensus:
    """Raft whose leader, links and failures the test sets; what is proposed is applied at once."""

    def __init__(self, node_id: int, machine: MetadataStore) -> None:
        self.node_id = NodeId(node_id)
        self.machine = machine
        self.leader_id: NodeId | None = None
        self.term = 0
        self.index = RaftIndex(1)
        self.linked: dict[int, bool] = {}
        self.proposed: list[bytes] = []
        self.failures: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.barrier_gate = asyncio.Event()
        self.barrier_gate.set()
        self._leader_callbacks: list[Callable] = []
        self._peer_callbacks: list[Callable] = []

    @property
    def is_leader(self) -> bool:
        return self.leader_id == self.node_id

    commit_index = applied_index = last_index = property(lambda self: self.index)
    leader_silence_s = None

    def observers(self) -> tuple[VoterState, ...]:
        return ()

    def is_connected(self, node_id: NodeId) -> bool:
        return any(each.connected for each in self.voters() if each.node_id == node_id)

    def voters(self) -> tuple[VoterState, ...]:
        return tuple(
            VoterState(node_id=NodeId(node), match_index=RaftIndex(-1), connected=up)
            for node, up in self.linked.items()
        )

    async def propose(self, command: bytes, *, timeout_s: float) -> object:
        if not self.is_leader:
            raise NotLeaderError("somebody else leads")
        self.proposed.append(command)
        await self.gate.wait()
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        return self.commit(command)

    def commit(self, command: bytes) -> object:
        self.index = RaftIndex(self.index + 1)
        return self.machine.apply(self.index, command)

    async def barrier(self, *, timeout_s: float) -> RaftIndex:
        await self.barrier_gate.wait()
        if not self.is_leader:
            raise NotLeaderError("somebody else leads")
        return self.index

    def on_leader_change(self, callback: Callable) -> None:
        self._leader_callbacks.append(callback)

    def on_peer_change(self, callback: Callable) -> None:
        self._peer_callbacks.append(callback)

    def elect(self, leader: int | None) -> None:
        self.term += 1
        self.leader_id = None if leader is None else NodeId(leader)
        for callback in self._leader_callbacks:
            callback(self.leader_id, self.term)

    def link(self, node: int, up: bool) -> None:
        self.linked[node] = up
        for callback in self._peer_callbacks:
            callback(NodeId(node), up)


class FakePeers:
    """Requests go to `answer(node, request)`, which answers, raises, or gives an awaitable; probes to `alive`."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, object, str]] = []
        self.probed: list[int] = []
        self.alive: Callable[[int], bool] = lambda node: False
        self.answer: Callable[[int, object], object] | None = None

    async def request(self, node_id: int, request: object, *, timeout_s: float, lane: str = "control") -> object:
        self.asked.append((node_id, request, lane))
        if self.answer is None:
            raise PeerUnavailableError("nobody is there")
        answer = self.answer(node_id, request)
        return await answer if asyncio.isfuture(answer) or asyncio.iscoroutine(answer) else answer

    async def probe(self, node_id: int, *, timeout_s: float) -> bool:
        self.probed.append(node_id)
        await asyncio.sleep(timeout_s / 10)
        return self.alive(node_id)

    async def close(self) -> None: ...


class CountingProbe(NullProbe):
    def __init__(self) -> None:
        self.syncs: list[int] = []
        self.elections = 0
        self.expired = 0
        self.isr: list[bool] = []

    def log_sync(self, seconds: float, files: int) -> None:
        self.syncs.append(files)

    def leader_election(self) -> None:
        self.elections += 1

    def isr_change(self, *, shrink: bool) -> None:
        self.isr.append(shrink)

    def zookeeper_sessions_expired(self, count: int) -> None:
        self.expired += count


class World:
    """One node (id 1) with real parts over fake ports; the image is built command by command."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self.path = path
        self.settings = settings
        self.disk = HeldDisk()
        self.probe = CountingProbe()
        self.store = MetadataStore()
        self.live = LiveSettings(settings, self.store)
        self.consensus = FakeConsensus(1, self.store)
        self.peers = FakePeers()
        self.clock = SimpleNamespace(now_ms=lambda: TimestampMs(1_000))
        self.replicas = ReplicaTable()
        self.isr_news: list = []
        self.offline_news = asyncio.Event()
        self.all_failed: list[StorageError] = []
        self.lease = True
        self.queue = ControllerQueue(consensus=self.consensus, store=self.store, probe=self.probe, timeout_s=2.0)
        self.controller = Controller(
            settings=settings,
            consensus=self.consensus,
            queue=self.queue,
            store=self.store,
            peers=self.peers,
            probe=self.probe,
            random=Random(1),
            new_cluster_id=lambda: "cluster",
            new_topic_id=lambda: TopicId(Random(self.consensus.index).randbytes(16)),
            now_ms=lambda: TimestampMs(0),
        )
        self.channel = ControllerChannel(consensus=self.consensus, controller=self.controller, peers=self.peers)
        self.logs = self.open_log_dirs()
        self.fetchers = Fetchers(self.make_fetcher)
        uuids = iter(range(1, 1 << 30))
        self.groups = GroupCoordinator(
            store=self.store,
            topic=OffsetsTopic(
                store=self.store,
                channel=self.channel,
                settings=settings.groups,
                replication_factor=settings.groups.replication_factor(len(settings.voters)),
                timeout_s=2.0,
            ),
            settings=settings.groups,
            clock=SimpleNamespace(now_ms=lambda: self.clock.now_ms()),
            has_lease=lambda: self.lease,
            new_uuid=lambda: f"uuid{next(uuids)}",
        )
        self.reconciler = self.make_reconciler()
        self.produce = ProduceHandler(
            replicas=self.replicas, store=self.store, clock=self.clock, has_lease=lambda: self.lease
        )
        self.sessions = FetchSessions(slots=settings.fetch_session_slots, random=Random(2))
        self.fetch = FetchHandler(replicas=self.replicas, store=self.store, sessions=self.sessions)

    def open_log_dirs(self) -> LogDirs:
        if self.live.file is not self.settings:
            self.live = LiveSettings(self.settings, self.store)
        ids = iter(range(1, 1 << 30))
        return LogDirs(
            live=self.live,
            disk=self.disk,
            clock=self.clock,
            probe=self.probe,
            now=asyncio.get_running_loop().time,
            new_id=lambda: next(ids).to_bytes(16, "big"),
            isr_may_change=self.isr_news.append,
            went_offline=self.offline_news.set,
            on_all_failed=self.all_failed.append,
        )

    def make_reconciler(self) -> Reconciler:
        return Reconciler(
            node_id=NodeId(1),
            store=self.store,
            replicas=self.replicas,
            logs=self.logs,
            fetchers=self.fetchers,
            live=self.live,
            role_changed=self.groups.role_changed,
        )

    def make_fetcher(self, leader_id: NodeId) -> LeaderFetcher:
        return LeaderFetcher(
            node_id=NodeId(1),
            leader_id=leader_id,
            broker_epoch=lambda: self.epoch(1),
            peers=self.peers,
            settings=self.settings.replica,
            flush_policy=self.settings.log.flush_policy,
            flusher_of=self.logs.flusher_of,
            now_ms=self.clock.now_ms,
        )

    # The image

    def commit(self, *commands: object) -> None:
        assert self.consensus.commit(encode(commands)) is ErrorCode.NONE

    def epoch(self, node: int) -> BrokerEpoch:
        return self.store.image.brokers[NodeId(node)].epoch

    def registration(self, node: int, incarnation: int = 0, rack: str | None = None) -> RegisterBroker:
        known = self.store.image.brokers.get(NodeId(node))
        return RegisterBroker(
            node_id=NodeId(node),
            incarnation_id=bytes([incarnation]) * 16,
            listeners=(ListenerEndpoint(name="PLAINTEXT", host="127.0.0.1", port=9_000 + node),),
            rack=rack or f"rack{node}",
            replaces=BrokerEpoch(-1) if known is None else known.epoch,
        )

    def start_brokers(self, *nodes: int) -> None:
        if not self.store.image.cluster_id:
            self.commit(InitializeCluster(cluster_id="cluster", feature_level=1))
            # As of a node that has been the controller for a while: it has nothing more to say about that.
            self.commit(TakeOffice(node_id=NodeId(1), epoch=100))
        for node in nodes:
            self.commit(self.registration(node))
            self.commit(UnfenceBroker(node_id=NodeId(node), epoch=self.epoch(node)))

    def restart(self, node: int, incarnation: int = 1) -> None:
        self.commit(self.registration(node, incarnation))
        self.commit(UnfenceBroker(node_id=NodeId(node), epoch=self.epoch(node)))

    def fence(self, node: int) -> None:
        self.commit(FenceBroker(node_id=NodeId(node), epoch=self.epoch(node)))

    def shut_down(self, node: int) -> None:
        self.commit(BeginControlledShutdown(node_id=NodeId(node), epoch=self.epoch(node)))

    def create(self, name: str, *replicas: int, mark: int = 1, **configs: str) -> TopicPartition:
        topic_id = TopicId(name.encode().ljust(16, bytes([mark]))[:16])
        nodes = tuple(NodeId(each) for each in replicas)
        settings = {key.replace("_", "."): value for key, value in configs.items()}
        self.commit(CreateTopic(name=name, topic_id=topic_id, partitions=(nodes,), configs=settings))
        return TopicPartition(topic_id, PartitionIndex(0))

    def delete(self, key: TopicPartition) -> None:
        self.commit(DeleteTopic(topic_id=key.topic_id))

    def set_isr(self, key: TopicPartition, *nodes: int) -> None:
        state = self.store.image.partition(key)
        members = tuple(IsrMember(node_id=NodeId(each), broker_epoch=self.epoch(each)) for each in nodes)
        self.commit(
            ChangePartition(
                topic_id=key.topic_id, partition=key.partition, partition_epoch=state.partition_epoch, isr=members
            )
        )

    def set_leader(self, key: TopicPartition, node: int) -> None:
        state = self.store.image.partition(key)
        self.commit(
            ChangePartition(
                topic_id=key.topic_id,
                partition=key.partition,
                partition_epoch=state.partition_epoch,
                leader=NodeId(node),
            )
        )

    def reassign(self, key: TopicPartition, *nodes: int) -> None:
        """To these replicas; none cancels."""
        self.commit(
            ReassignPartition(
                topic_id=key.topic_id,
                partition=key.partition,
                partition_epoch=self.store.image.partition(key).partition_epoch,
                replicas=tuple(NodeId(each) for each in nodes) or None,
            )
        )

    # Requests

    def run(self) -> None:
        """Let the reconciler work, as a registered broker's does."""
        self.reconciler.start()
        self.reconciler.image_is_current()

    async def until(self, condition: Callable[[], object], *, timeout_s: float = 60.0) -> None:
        """Let virtual time pass until `condition` holds."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.001)

    async def leading(self, name: str = "orders", *replicas: int, **configs: str):
        """A topic of one partition that this node leads."""
        key = self.create(name, *(replicas or (1,)), **configs)
        await self.until(lambda: (p := self.replicas.get(key)) is not None and p.is_leader)
        return self.replicas.get(key)

    def batch(self, *values: bytes) -> memoryview:
        return memoryview(encode_values(values or (b"value",), timestamp_ms=1_000))

    def send(self, *partitions: object, acks: int = -1, timeout_ms: int = 1_000, epoch: int = NO_EPOCH, records=None):
        return self.produce(
            RequestContext(listener="PLAINTEXT", client_address="test"),
            Produce(
                acks=acks,
                timeout_ms=timeout_ms,
                partitions=tuple(
                    ProducePartition(
                        topic_id=key.topic_id,
                        partition=key.partition,
                        leader_epoch=epoch,
                        records=self.batch() if records is None else records,
                    )
                    for key in (getattr(each, "topic_partition", each) for each in partitions)
                ),
            ),
        )

    def ask(
        self, partition: object, offset: int, *, follower: int = NO_NODE, node: int | None = None, **fields: object
    ):
        """A fetch of one partition, by a consumer or by the node `follower`."""
        key = getattr(partition, "topic_partition", partition)
        row = {
            name: fields.pop(name)
            for name in (
                "current_leader_epoch",
                "last_fetched_epoch",
                "flushed_offset",
                "max_bytes",
                "log_start_offset",
            )
            if name in fields
        }
        if follower != NO_NODE:
            row = {"current_leader_epoch": partition.leader_epoch, "flushed_offset": offset, **row}
            fields = {"replica_epoch": self.epoch(follower), **fields}
        request = Fetch(
            replica_id=NodeId(follower),
            partitions=(FetchPartition(topic_id=key.topic_id, partition=key.partition, fetch_offset=offset, **row),),
            **{"max_wait_ms": 0, **fields},
        )
        context = RequestContext(listener="PLAINTEXT", client_address="test")
        context.node_id = NodeId(follower if node is None else node)
        return self.fetch(context, request)

    async def close(self) -> None:
        self.groups.stop()
        self.fetchers.stop()
        await self.reconciler.stop()
        await self.controller.stop()
        self.disk.gate.set()
        await self.logs.close(broker_epoch=BrokerEpoch(-1))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(log_dirs=(tmp_path,))


@pytest.fixture
async def make_world(settings: Settings, tmp_path: Path):
    """Makes the world of a test, with settings replaced by group: `make_world(log={...}, replica={...})`."""
    made: list[World] = []

    def make(**groups: dict) -> World:
        chosen = replace(
            settings, **{name: replace(getattr(settings, name), **values) for name, values in groups.items()}
        )
        made.append(World(tmp_path, chosen))
        return made[-1]

    yield make
    for world in made:
        await world.close()
        world.disk.close()


@pytest.fixture
async def world(make_world) -> World:
    """Flush policy `group`, as shipped."""
    return make_world()


@pytest.fixture
async def os_world(make_world) -> World:
    return make_world(log={"flush_policy": FlushPolicy.OS})
