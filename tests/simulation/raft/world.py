"""A cluster of voters in one process, and what must hold in it; one seed explains everything that happens.

The nodes run unmodified: connections come from the running loop, files from the disk they are given.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from raftkafka.adapters.raft.consensus import RaftConsensus
from raftkafka.adapters.raft.mends import Mends
from raftkafka.model.ids import NodeId, RaftIndex, Term
from raftkafka.model.settings.values import ControllerSettings, Listener, Voter
from raftkafka.ports.probe import NullProbe
from tests.simulation.raft.clock import OWNER, Incarnation, SimLoop
from tests.simulation.raft.disk import SimDisk
from tests.simulation.raft.network import SimNetwork

SECRET = b"a secret of the simulated cluster"


class Violation(AssertionError):
    """An invariant of Raft does not hold."""


class Machine:
    """A state machine that is its own log, and compares it with everybody's."""

    def __init__(self, world: World, node_id: int) -> None:
        self.world = world
        self.node_id = node_id
        self.log: list[tuple[int, bytes]] = []
        self.restores = 0

    def apply(self, index: RaftIndex, command: bytes) -> object:
        if self.log and index <= self.log[-1][0]:
            raise Violation(f"node {self.node_id} applies {index} after {self.log[-1][0]}")
        self.world.check_applied(self.node_id, index, command)
        self.log.append((index, command))
        return index

    def snapshot(self) -> Iterator[bytes]:
        # As a whole before the first piece is taken: what is applied meanwhile must not be in it.
        return iter([b"%d %s\n" % each for each in self.log])

    def restore(self, index: RaftIndex, snapshot: bytes) -> None:
        self.restores += 1
        lines = [line.split(b" ", 1) for line in snapshot.splitlines()]
        self.log = [(int(number), command) for number, command in lines]
        for number, command in self.log:
            self.world.check_applied(self.node_id, number, command)


@dataclass
class Node:
    node_id: int
    disk: SimDisk
    incarnation: Incarnation | None = None
    context: contextvars.Context | None = None
    consensus: RaftConsensus | None = None
    machine: Machine | None = None
    fatal: list[BaseException] = field(default_factory=list)

    @property
    def is_up(self) -> bool:
        return self.incarnation is not None and self.incarnation.alive


class World:
    def __init__(
        self,
        *,
        seed: int,
        nodes: int = 3,
        observers: int = 0,
        settings: ControllerSettings | None = None,
        mends: Mends | None = None,
    ) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.loop = SimLoop()
        self.loop.set_exception_handler(self._loop_exception)
        self.network = SimNetwork(self.loop, Random(self.random.random()))
        self.loop.network = self.network
        self.settings = settings or ControllerSettings(snapshot_min_entries=40)
        self.mends = mends
        # Above the largest command of the tests, and small enough that everything comes in several messages.
        self.batch_bytes = self.random.choice([600, 5_000, 4 << 20])
        self.chunk_bytes = self.random.choice([500, 10_000])
        self.voters = tuple(Voter(node_id=NodeId(i), host=f"node{i}", port=9093) for i in range(1, nodes + 1))
        self.nodes = {i: Node(i, SimDisk(Random(self.random.random()))) for i in range(1, nodes + observers + 1)}
        self.applied: dict[int, bytes] = {}
        self.leaders: dict[int, int] = {}
        self.acknowledged: dict[bytes, int] = {}
        self.refused: set[bytes] = set()
        self.errors: list[str] = []
        self.voters_added = self.voters_removed = 0
        self.replaced: set[int] = set()
        """Nodes with a new disk that have not been removed from the voters since."""

    def _loop_exception(self, loop: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.errors.append(f"{self.loop.now:.3f} {context.get('message')}: {error!r}")

    # Lives of nodes

    async def boot(self, node_id: int) -> None:
        node = self.nodes[node_id]
        node.incarnation = Incarnation(node_id)
        node.machine = Machine(self, node_id)
        node.context = contextvars.copy_context()
        node.context.run(OWNER.set, node.incarnation)
        consensus = node.context.run(
            lambda: RaftConsensus(
                node_id=NodeId(node_id),
                cluster_secret=SECRET,
                voters=self.voters,
                listen=Listener(name="CONTROLLER", host=f"node{node_id}", port=9093),
                settings=self.settings,
                directory=f"/raft{node_id}",
                disk=node.disk,  # type: ignore[arg-type]
                machine=node.machine,
                probe=NullProbe(),
                random=Random(self.random.random()),
                on_fatal=node.fatal.append,
                mends=self.mends,
                append_batch_bytes=self.batch_bytes,
                snapshot_chunk_bytes=self.chunk_bytes,
            )
        )
        node.consensus = consensus
        consensus.on_leader_change(lambda leader, term: self.check_leader(leader, term))
        await self.inside(node_id, consensus.start())

    async def inside(self, node_id: int, coroutine: Coroutine[Any, Any, Any], *, timeout_s: float = 10) -> Any:
        """Run it as a task of the node; TimeoutError when the node died, or was too slow."""
        task = self.loop.create_task(coroutine, context=self.nodes[node_id].context)
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
        if not done:
            raise TimeoutError
        return task.result()

    def kill(self, node_id: int, *, power_loss: bool = False, silently: bool = False) -> None:
        node = self.nodes[node_id]
        assert node.incarnation is not None
        node.incarnation.alive = False
        self.network.died(node_id, silently=silently)
        node.disk.locked.clear()
        if power_loss:
            node.disk.power_loss()

    def replace_disk(self, node_id: int) -> None:
        """A node that is down gets an empty disk."""
        self.nodes[node_id].disk = SimDisk(Random(self.random.random()))
        self.replaced.add(node_id)

    # What must hold

    def check_applied(self, node_id: int, index: int, command: bytes) -> None:
        if self.applied.setdefault(index, command) != command:
            raise Violation(f"index {index}: node {node_id} applies {command!r}, another {self.applied[index]!r}")

    def check_leader(self, leader: NodeId | None, term: Term) -> None:
        if leader is not None and self.leaders.setdefault(term, leader) != leader:
            raise Violation(f"term {term} has the leaders {self.leaders[term]} and {leader}")

    def check_all(self) -> None:
        """At the end, after a quiet time with all nodes up."""
        fatal = {i: node.fatal for i, node in self.nodes.items() if node.fatal}
        assert not fatal, f"seed {self.seed}: {fatal}"
        assert not self.errors, f"seed {self.seed}: {self.errors[:3]}"
        logs = [node.machine.log for node in self.nodes.values() if node.machine]
        assert all(log == logs[0] for log in logs), (
            f"seed {self.seed}: not converged: {[(len(log), log[-1:]) for log in logs]} "
            f"{[node.consensus.waiting_for for node in self.nodes.values() if node.consensus]}"
        )
        final = {command: index for index, command in logs[0]}
        assert len(final) == len(logs[0]), f"seed {self.seed}: a command was applied twice"
        lost = [c for c, index in self.acknowledged.items() if final.get(c) != index]
        assert not lost, f"seed {self.seed}: acknowledged and lost: {lost[:5]}"
        false_refusals = [c for c in self.refused if c in final]
        assert not false_refusals, f"seed {self.seed}: refused, but applied: {false_refusals[:5]}"

    # Looking

    def up(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.is_up and node.consensus is not None]

    def leader(self) -> Node | None:
        leading = [node for node in self.up() if node.consensus and node.consensus.is_leader]
        for node in leading:
            assert node.consensus
            self.check_leader(node.consensus.node_id, node.consensus.term)
        return max(leading, key=lambda node: node.consensus.term if node.consensus else 0, default=None)

    async def until(self, condition: Callable[[], Any], *, timeout_s: float = 10, what: str = "") -> float:
        """Wait in virtual time; returns how long it took, in seconds."""
        started = self.loop.now
        while not condition():
            if self.loop.now - started > timeout_s:
                raise AssertionError(f"seed {self.seed}: {what or 'it'} did not happen within {timeout_s} s")
            await asyncio.sleep(0.001)
        return self.loop.now - started

    def run(self, scenario: Coroutine[Any, Any, Any]) -> Any:
        try:
            return self.loop.run_until_complete(scenario)
        finally:
            self.loop.finish()
