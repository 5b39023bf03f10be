"""A cluster for one test, on the test's own event loop: made in a moment, broken on purpose, gone without a trace.

Floor 6. `async with Cluster(nodes=3) as cluster:` gives nodes that are ready; leaving it ends them and removes their files. For code
that does not run on an event loop there is `blocking.BlockingCluster`, which is the same with plain calls.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from raftkafka.cli.layout import HOST
from raftkafka.client import Admin, ApiError, NewTopic
from raftkafka.model.api.cluster import TopicMetadata
from raftkafka.testing.errors import ClusterError
from raftkafka.testing.making import make_nodes
from raftkafka.testing.network import Network
from raftkafka.testing.nodes import Nodes
from raftkafka.testing.ports import NodePorts

NODES_MAX: Final = 9
PATIENCE_S: Final = 60.0
"""For what takes a fraction of a second: only a hang may meet it."""
_POLL_S: Final = 0.005
_ANSWER_TIMEOUT_MS: Final = 5_000


class Cluster:
    """`nodes` are numbered from 1. They run on the loop that starts them, with `processes` as a process each.

    `topics` are created before the cluster is handed out: names, or names with their number of partitions. `properties` are keys of
    `server.properties`, the same for all nodes; those that say where a node lives are the cluster's own. `directory` is
    an empty or new directory for their files, which are then kept; without one they are temporary.
    """

    def __init__(
        self,
        *,
        nodes: int = 1,
        processes: bool = False,
        topics: Iterable[str] | Mapping[str, int] = (),
        properties: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        if not 1 <= nodes <= NODES_MAX:
            raise ClusterError(f"a cluster has 1 to {NODES_MAX} nodes, not {nodes}")
        self.node_ids: Final = tuple(range(1, nodes + 1))
        self._processes = processes
        self._topics = dict(topics) if isinstance(topics, Mapping) else dict.fromkeys(topics, -1)
        self._properties = dict(properties or {})
        self._directory = directory
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._ports: dict[int, NodePorts] = {}
        self._up: set[int] = set()
        self._turn = asyncio.Lock()
        self._network = Network({})
        self._nodes: Nodes | None = None

    async def __aenter__(self) -> Self:
        if self._nodes is not None:
            raise ClusterError("this cluster has been started before; make another")
        try:
            self._prepare()
            for node_id in self.node_ids:
                await self._launch(node_id)
            await self._ready(*self.node_ids)
            if self._topics:
                await self._create_topics()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failures = dict(self._of_nodes.failures())
        await self._end()
        if failures and error is None:
            raise ClusterError("; ".join(f"node {node_id} ended: {why}" for node_id, why in failures.items()))

    # What a test asks

    @property
    def bootstrap(self) -> str:
        """For `bootstrap_servers`: every node, also one that is down. The addresses stay through restarts."""
        return ",".join(f"{HOST}:{ports.client.outside.number}" for ports in self._ports.values())

    async def leader(self, topic: str, partition: int = 0) -> int:
        """The node that leads a partition; waits until there is one that is up.

        Raises:
            ApiError: there is no such topic.
            ClusterError: it has no such partition, or got no leader in time.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    leader = await self._newest_leader(topic, partition)
                    if leader in self._up:
                        return leader
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise ClusterError(f"{topic}-{partition} got no leader within {PATIENCE_S:g} s") from None

    async def _newest_leader(self, topic: str, partition: int) -> int:
        """As the node says that knows most: one that is cut off, or behind, goes on telling what it knew."""
        asked = [self._described_by(node_id, topic) for node_id in sorted(self._up)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        topics = [each for each in answers if isinstance(each, TopicMetadata)]
        if not topics:
            raise next((each for each in answers if isinstance(each, ApiError)), ClusterError("no node answers"))
        known = [each for found in topics for each in found.partitions if each.partition == partition]
        if not known:
            raise ClusterError(f"{topic} has {max(len(each.partitions) for each in topics)} partitions, no {partition}")
        return int(max(known, key=lambda each: each.leader_epoch).leader_id)

    async def _described_by(self, node_id: int, topic: str) -> TopicMetadata:
        address = f"{HOST}:{self._ports[node_id].client.outside.number}"
        async with Admin(address, default_api_timeout_ms=_ANSWER_TIMEOUT_MS) as admin:
            return (await admin.describe_topics([topic]))[0]

    def logs(self) -> Mapping[int, str]:
        """What each process has said; empty in this process, where nodes say it to the logger `raftkafka`."""
        return self._of_nodes.logs()

    # What a test does

    async def kill(self, node_id: int) -> None:
        """End a node as a crash does: it tells nobody and leaves its files as they are; who is connected notices at once."""
        async with self._turn:
            self._check_up(node_id)
            self._up.discard(node_id)
            self._network.disconnect(node_id)
            await self._of_nodes.kill(node_id)

    async def stop(self, node_id: int) -> None:
        """End a node in order: its leaderships move to others first."""
        async with self._turn:
            self._check_up(node_id)
            await self._stop(node_id)

    async def restart(self, node_id: int) -> None:
        """Start a node again and wait until it takes part; one that is up is stopped in order first."""
        async with self._turn:
            self._check_known(node_id)
            if node_id in self._up:
                await self._stop(node_id)
            await self._launch(node_id)
            await self._ready(node_id)

    async def partition(self, one: int, other: int) -> None:
        """Cut the network between two nodes, both ways: nothing arrives, nothing is refused. Clients reach both."""
        async with self._turn:
            self._check_known(one)
            self._check_known(other)
            if one == other:
                raise ClusterError(f"node {one} cannot be cut off from itself")
            self._network.partition(one, other)

    async def heal(self) -> None:
        """Mend every cut; what was under way arrives."""
        async with self._turn:
            self._network.heal()

    async def advance(self, seconds: float) -> None:
        """Move the wall clock of all nodes, and do what became due: retention, compaction, expiry. In this process only.

        Time-outs, heartbeats and elections go on in real time. Records carry the time of their producer, which does not move.
        """
        async with self._turn:
            await self._of_nodes.advance(seconds)

    # Inside

    @property
    def _of_nodes(self) -> Nodes:
        if self._nodes is None:
            raise ClusterError("the cluster does not run; use it in `with` or `async with`")
        return self._nodes

    def _check_known(self, node_id: int) -> None:
        if node_id not in self.node_ids:
            raise ClusterError(f"there is no node {node_id}: nodes are 1 to {len(self.node_ids)}")

    def _check_up(self, node_id: int) -> None:
        self._check_known(node_id)
        if node_id not in self._up:
            raise ClusterError(f"node {node_id} is down already")

    def _prepare(self) -> None:
        if self._directory is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="raftkafka-")
            self._directory = Path(self._temporary.name)
        several = len(self.node_ids) > 1
        for node_id in self.node_ids:
            self._ports[node_id] = NodePorts.of(gated=several)
        self._network = Network(self._ports)
        self._nodes = make_nodes(
            self._directory.absolute(), self._ports, processes=self._processes, given=self._properties
        )

    async def _launch(self, node_id: int) -> None:
        await self._network.connect(node_id)
        self._up.add(node_id)
        try:
            await self._of_nodes.launch(node_id)
        except BaseException:
            self._up.discard(node_id)
            raise

    async def _ready(self, *node_ids: int) -> None:
        for node_id in node_ids:
            await self._of_nodes.ready(node_id, timeout_s=PATIENCE_S)

    async def _stop(self, node_id: int) -> None:
        await self._of_nodes.stop(node_id)
        self._up.discard(node_id)
        self._network.disconnect(node_id)

    async def _create_topics(self) -> None:
        wanted = [NewTopic(name=name, num_partitions=partitions) for name, partitions in self._topics.items()]
        try:
            async with asyncio.timeout(PATIENCE_S), Admin(self.bootstrap) as admin:
                await admin.create_topics(wanted)
                for name in self._topics:
                    await _is_led(admin, name)
        except TimeoutError:
            raise ClusterError(f"the topics were not there within {PATIENCE_S:g} s") from None

    async def _end(self) -> None:
        """Nodes are killed rather than stopped: nobody will miss what they would put in order."""
        async with self._turn:
            try:
                for node_id in self.node_ids:
                    self._network.disconnect(node_id)
                if self._nodes is not None:
                    await asyncio.gather(*[self._nodes.kill(node_id) for node_id in sorted(self._up)])
                    self._up.clear()
                    await self._nodes.close()
            finally:
                for ports in self._ports.values():
                    ports.release()
                if self._temporary is not None:
                    self._temporary.cleanup()


async def _is_led(admin: Admin, topic: str) -> None:
    while True:
        # The node that is asked may not have heard of it yet.
        with suppress(ApiError):
            (described,) = await admin.describe_topics([topic])
            if all(each.leader_id >= 0 for each in described.partitions):
                return
        await asyncio.sleep(_POLL_S)
