"""Three hosts with a node each and one with clients, in one process; one seed explains everything that happens.

The nodes are the shipped `Node`, unmodified: their disk, their clock and their chance are constructor arguments, their
network is the running loop's. A process dies by having its incarnation declared dead: nothing of it runs any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import zlib
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from raftkafka.broker.partition import Partition
from raftkafka.metadata.image import Image
from raftkafka.model.errors import RaftKafkaError, StorageError
from raftkafka.model.features import SUPPORTED, FeatureRange
from raftkafka.model.ids import NodeId, TimestampMs
from raftkafka.model.settings.values import (
    ControllerSettings,
    FlushPolicy,
    GroupSettings,
    Listener,
    LogSettings,
    NetworkSettings,
    ReplicaSelector,
    ReplicaSettings,
    Settings,
    Voter,
)
from raftkafka.node.lifecycle import Node
from raftkafka.storage.log import Log
from tests.simulation import observers
from tests.simulation.disk import ProcessDisk, SimDisk
from tests.simulation.history import History, NodePartition
from tests.simulation.loop import OWNER, Incarnation, SimLoop
from tests.simulation.network import SimNetwork

EPOCH_MS = 1_700_000_000_000
LOOK_INTERVAL_S = 0.1
LOOKS_PER_LOAD = 7
CLIENTS = "clients"
SECRET = b"a secret of the simulated cluster"


class SimClock:
    """The wall clock of one host: `jumped_ms` is how far somebody has set it wrong."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self.jumped_ms = 0

    def now_ms(self) -> TimestampMs:
        return TimestampMs(EPOCH_MS + int(self._loop.now * 1000) + self.jumped_ms)


@dataclass(eq=False)
class SimNode:
    """One host and the process on it, if there is one."""

    node_id: int
    host: str
    disk: SimDisk
    clock: SimClock
    settings: Settings
    life: int = 0
    process: Incarnation | None = None
    node: Node | None = None
    features: FeatureRange = SUPPORTED
    """What the version of the program on this host knows."""
    has_power: bool = True
    stopping: bool = False
    disk_suspect: bool = False
    """A fault was injected into the disk: the process may stop of its own."""
    last_seen: dict[Any, Any] = field(default_factory=dict)
    openings: dict[Any, tuple[Log, int]] = field(default_factory=dict)
    """The log of each partition that was seen last, and how many others of it came before in this life."""

    @property
    def is_up(self) -> bool:
        return self.process is not None and self.process.alive

    @property
    def is_paused(self) -> bool:
        return self.process is not None and self.process.paused

    def partitions(self) -> Iterable[Partition]:
        if not self.is_up or self.node is None or self.node._parts is None:
            return ()
        return self.node.parts.replicas


class World:
    """`readable` keeps the story of the run, line by line, besides its hash. `observers` are brokers without a Raft vote."""

    def __init__(
        self,
        *,
        seed: int,
        nodes: int = 3,
        observers: int = 0,
        readable: bool = False,
        log: LogSettings | None = None,
        replica: ReplicaSettings | None = None,
        controller: ControllerSettings | None = None,
        replica_selector: ReplicaSelector = ReplicaSelector.LEADER,
        groups: GroupSettings | None = None,
    ) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.loop = SimLoop(Random(self.random.getrandbits(64)))
        self.network = SimNetwork(self.loop, Random(self.random.getrandbits(64)))
        self.loop.network = self.network
        self.network.trace, self.network.count = self.trace, self.count
        self.history = History()
        self.hash = 0
        self.readable = readable
        self.story: list[str] = []
        log = log or LogSettings(min_insync_replicas=2, segment_bytes=32 << 10, flush_policy=FlushPolicy.GROUP)
        self.history.min_insync_replicas = log.min_insync_replicas
        voters = tuple(Voter(node_id=NodeId(i), host=f"node{i}", port=9093) for i in range(1, nodes + 1))
        extra = tuple(
            Voter(node_id=NodeId(nodes + i), host=f"node{nodes + i}", port=9093) for i in range(1, observers + 1)
        )
        self.nodes: dict[int, SimNode] = {}
        for voter in (*voters, *extra):
            settings = Settings(
                node_id=voter.node_id,
                rack=f"rack{voter.node_id}",
                replica_selector=replica_selector,
                groups=groups or GroupSettings(),
                log_dirs=(Path("/data"),),
                metadata_log_dir=Path("/metadata"),
                listeners=(Listener(name="PLAINTEXT", host=voter.host, port=9092),),
                controller_listener=Listener(name="CONTROLLER", host=voter.host, port=9093),
                allow_insecure_listeners=True,
                voters=voters,
                cluster_secret=SECRET,
                http_listener=None,
                num_partitions=2,
                default_replication_factor=nodes,
                log=log,
                replica=replica or ReplicaSettings(lag_time_max_ms=3_000),
                controller=controller
                or ControllerSettings(
                    broker_session_timeout_ms=3_000, broker_heartbeat_interval_ms=700, snapshot_min_entries=200
                ),
                network=NetworkSettings(receive_ring_bytes=128 << 10, busy_poll_us=0),
            )
            disk = SimDisk(Random(self.random.getrandbits(64)))
            self.nodes[voter.node_id] = SimNode(voter.node_id, voter.host, disk, SimClock(self.loop), settings)
        self.clients = Incarnation(CLIENTS)
        self.client_clock = SimClock(self.loop)
        self.bootstrap = ",".join(f"{voter.host}:9092" for voter in voters)
        self.faults_injected: dict[str, int] = {}
        self.newest_index = 0
        self.newest_image = Image.empty()
        """What the controllers have committed, as far as any node has ever applied it."""
        self.committed: dict[NodePartition, int] = {}
        """The highest high watermark that any leader has had."""

    # What is told of the run

    def trace(self, *event: object) -> None:
        """Everything that may differ between two runs goes into one number."""
        self.hash = zlib.crc32(repr((self.loop.now, event)).encode(), self.hash)

    def count(self, *numbers: int) -> None:
        """As `trace`, for what happens thousands of times: the hash of a tuple of numbers is the same everywhere."""
        self.hash = hash((self.hash, self.loop.now, numbers)) & 0xFFFF_FFFF

    def tell(self, text: str) -> None:
        """A line of the story, for people."""
        self.trace(text)
        if self.readable:
            self.story.append(f"{self.loop.now - 1_000:10.4f}  {text}")

    # Lives of processes

    def life_of(self, process: Incarnation) -> int:
        return next((node.life for node in self.nodes.values() if node.process is process), -1)

    def boot(self, node_id: int) -> None:
        """Start the process of a node, and the machine first when it has no power."""
        node = self.nodes[node_id]
        assert not node.is_up
        if not node.has_power:
            node.has_power = True
            self.network.power_on(node.host)
        node.life += 1
        node.last_seen.clear()
        node.openings.clear()
        node.stopping = False
        node.process = process = Incarnation(node.host)
        node.node = None
        self.tell(f"{node.host} starts (life {node.life})")
        self.loop.create_task(self._main(node, process, Random(self.random.getrandbits(64))), context=process.context)

    async def _main(self, node: SimNode, process: Incarnation, random: Random) -> None:
        """What `node.main` does, without signals."""
        running = node.node = Node(
            node.settings,
            disk=ProcessDisk(node.disk, process),
            clock=node.clock,
            random=random,
            features=node.features,
        )
        try:
            await running.start()
            await running.failure()
        except RaftKafkaError as error:
            self.tell(f"{node.host} cannot go on: {error}")
            if not (node.disk_suspect and isinstance(error, RaftKafkaError)):
                self.history.unexpected.append(f"{node.host} stopped of its own at {self.loop.now:.3f}: {error!r}")
            with contextlib.suppress(RaftKafkaError):
                await running.stop()
        self._end(node, power=False)

    def stop(self, node_id: int) -> None:
        """SIGTERM: an orderly stop."""
        node = self.nodes[node_id]
        process, running = node.process, node.node
        assert process is not None
        self.tell(f"{node.host} is told to stop")
        node.stopping = True

        async def stop() -> None:
            if running is not None:
                try:
                    await running.stop()
                except StorageError as error:
                    self.tell(f"{node.host} did not stop in order: {error}")
            self._end(node, power=False)

        self.loop.create_task(stop(), context=process.context)

    def kill(self, node_id: int) -> None:
        """SIGKILL: the process is gone, its host tells whoever is connected."""
        node = self.nodes[node_id]
        self.tell(f"{node.host} is killed")
        self._end(node, power=False)

    def cut_power(self, node_id: int, mode: str) -> None:
        """The host vanishes without a word; `mode` says what becomes of unsynced writes (see `SimDisk.lose_power`)."""
        node = self.nodes[node_id]
        self.tell(f"{node.host} loses power, of its unsynced writes {mode} survive")
        self._end(node, power=True)
        node.has_power = False
        node.disk.lose_power(mode)

    def _end(self, node: SimNode, *, power: bool) -> None:
        if node.process is not None:
            node.process.alive = False
            node.process.backlog.clear()
        self.network.died(node.host, power=power)
        node.disk.locks.clear()
        node.disk.steps_left = 0

    def pause(self, node_id: int) -> None:
        node = self.nodes[node_id]
        if node.is_up and node.process is not None:
            self.tell(f"{node.host} is paused")
            node.process.paused = True

    def resume(self, node_id: int) -> None:
        node = self.nodes[node_id]
        if node.is_up and node.process is not None and node.process.paused:
            self.tell(f"{node.host} goes on")
            self.loop.resume(node.process)

    # Scenarios

    def as_client(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run `work` on the host of the clients."""
        return self.loop.create_task(work, context=self.clients.context.copy())

    async def until(self, condition: Callable[[], bool], *, timeout_s: float) -> bool:
        """Wait, in simulated time; False when it did not come true."""
        deadline = self.loop.now + timeout_s
        while not condition():
            if self.loop.now >= deadline:
                return False
            await asyncio.sleep(0.1)
        return True

    def ready(self) -> bool:
        """Every node is up and takes part."""
        return all(
            node.is_up and node.node is not None and node.node._parts is not None and node.node.ready()[0]
            for node in self.nodes.values()
        )

    async def _look(self) -> None:
        looks = 0
        while True:
            observers.look(self)
            if looks % LOOKS_PER_LOAD == 0:
                observers.look_at_loads(self)
            looks += 1
            await asyncio.sleep(LOOK_INTERVAL_S)

    def run(self, scenario: Coroutine[Any, Any, None]) -> History:
        """Run the scenario to its end and return what happened."""

        async def everything() -> None:
            looking = self.loop.create_task(self._look())
            try:
                await scenario
            finally:
                looking.cancel()

        with observers.observing(self), _logging_to(self):
            self.loop.run(everything())
        for where, message, error in self.loop.errors:
            self.history.unexpected.append(f"nobody caught on {where}: {message}: {error!r}")
        return self.history


class _StoryHandler(logging.Handler):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def emit(self, record: logging.LogRecord) -> None:
        owner = OWNER.get()
        host = owner.host if owner is not None else "world"
        self.world.story.append(
            f"{self.world.loop.now - 1_000:10.4f}  {host}  {record.levelname} {record.name} {record.getMessage()}"
        )


@contextlib.contextmanager
def _logging_to(world: World) -> Any:
    """Log lines join the story of a readable world, and cost nothing in any other."""
    logger = logging.getLogger("raftkafka")
    level, propagate = logger.level, logger.propagate
    asyncio_level = logging.getLogger("asyncio").level
    handler = _StoryHandler(world)
    logger.propagate = False
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    if world.readable:
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
    else:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
        logging.getLogger("asyncio").setLevel(asyncio_level)
