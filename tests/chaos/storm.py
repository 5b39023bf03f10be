"""What goes wrong with real processes, drawn by a seed: the seed replays the faults, not the processes' own timing."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections import Counter
from collections.abc import Callable
from random import Random

from tests.chaos.cluster import ChaosCluster

Undo = Callable[[], None]


class Storm:
    """`names` chooses the faults; None takes all that this cluster allows."""

    def __init__(
        self,
        cluster: ChaosCluster,
        random: Random,
        *,
        tell: Callable[[str], None],
        names: tuple[str, ...] | None = None,
        mean_pause_s: float = 1.0,
    ) -> None:
        self.cluster = cluster
        self.random = random
        self.injected: Counter[str] = Counter()
        self._tell = tell
        self._mean_pause_s = mean_pause_s
        self._table: dict[str, Callable[[], None]] = {
            "kill": self._kill,
            "kill_several": self._kill_several,
            "kill_all": self._kill_all,
            "pause": self._pause,
            "stop": self._stop,
        }
        if cluster.hosts is not None:
            self._table |= {
                "cut": self._cut,
                "one_way": self._one_way,
                "isolate": self._isolate,
                "bridge": self._bridge,
                "clients_cut": self._clients_cut,
            }
        if cluster.disks:
            self._table |= {"power": self._power, "blackout": self._blackout, "dead_disk": self._dead_disk}
        self.names = tuple(names or self._table)
        self._down: dict[int, float] = {}
        self._without_power: set[int] = set()
        self._dead: set[int] = set()
        self._undo: dict[int, tuple[float, Undo]] = {}
        self._numbers = itertools.count()
        self._stopping: dict[int, asyncio.Task[None]] = {}

    # Life

    async def run(self) -> None:
        """Strike, and repair what has been broken for long enough, until cancelled."""
        next_at = 0.0
        while True:
            now = asyncio.get_running_loop().time()
            if now >= next_at:
                next_at = now + self.random.expovariate(1 / self._mean_pause_s)
                name = self.random.choice(self.names)
                self._table[name]()
            self._repair(now)
            await asyncio.sleep(0.05)

    async def heal(self) -> None:
        """Everything works from now on, and every node is started."""
        for _, undo in self._undo.values():
            undo()
        self._undo.clear()
        await asyncio.gather(*self._stopping.values())
        self._look_for_stopped(float("-inf"))
        for node_id in self.cluster.node_ids:
            self._look_for_dead(node_id, float("-inf"))
        for node_id in list(self._down):
            self._boot(node_id)

    def _repair(self, now: float) -> None:
        for number, (at, undo) in list(self._undo.items()):
            if now >= at:
                del self._undo[number]
                undo()
        self._look_for_stopped(now + self.random.uniform(0.1, 1))
        for node_id in self.cluster.node_ids:
            self._look_for_dead(node_id, now + self.random.uniform(0.2, 1.5))
        for node_id, at in list(self._down.items()):
            if now >= at:
                self._boot(node_id)

    def _look_for_stopped(self, boot_at: float) -> None:
        for node_id, task in list(self._stopping.items()):
            if task.done():
                del self._stopping[node_id]
                task.result()
                self._down[node_id] = boot_at

    def _look_for_dead(self, node_id: int, boot_at: float) -> None:
        """A node whose disk has failed may end by itself, or go on without the disk: an operator replaces it then."""
        if node_id in self._down or node_id in self._stopping:
            return
        if not self.cluster.is_running(node_id):
            assert node_id in self._dead, f"node {node_id} ended of its own; {self.cluster.last_words(node_id)}"
            self._tell(f"node {node_id} has ended: its disk is dead")
            self.cluster.reap(node_id)
        elif node_id in self._dead and boot_at == float("-inf"):
            self.cluster.kill(node_id)
        else:
            return
        self.cluster.disks[node_id].unmount()
        self._dead.discard(node_id)
        self._without_power.add(node_id)
        self._down[node_id] = boot_at

    def _boot(self, node_id: int) -> None:
        del self._down[node_id]
        self._tell(f"node {node_id} starts")
        if node_id in self._without_power:
            self._without_power.discard(node_id)
            self.cluster.power_on(node_id)
        else:
            self.cluster.start(node_id)

    # Choosing

    def _up(self) -> list[int]:
        return [
            each
            for each in self.cluster.node_ids
            if each not in self._down and each not in self._stopping and each not in self._dead
        ]

    def _some(self, count: int) -> list[int]:
        """Up to `count` nodes that run."""
        up = [each for each in self._up() if self.cluster.is_running(each)]
        return self.random.sample(up, min(count, len(up)))

    def _note(self, name: str, nodes: object) -> None:
        self.injected[name] += 1
        self._tell(f"{name}: {nodes}")

    def _for_a_while(self, undo: Undo, *, longest_s: float = 4.0) -> None:
        at = asyncio.get_running_loop().time() + self.random.uniform(0.2, longest_s)
        self._undo[next(self._numbers)] = (at, undo)

    # Processes

    def _kill_nodes(self, name: str, nodes: list[int]) -> None:
        if not nodes:
            return
        self._note(name, nodes)
        self.cluster.kill(*nodes)
        now = asyncio.get_running_loop().time()
        for node_id in nodes:
            self._down[node_id] = now + self.random.uniform(0.1, 3)

    def _kill(self) -> None:
        self._kill_nodes("kill", self._some(1))

    def _kill_several(self) -> None:
        self._kill_nodes("kill_several", self._some(2))

    def _kill_all(self) -> None:
        self._kill_nodes("kill_all", self._some(len(self.cluster.node_ids)))

    def _pause(self) -> None:
        for node_id in self._some(1):
            self._note("pause", node_id)
            self.cluster.pause(node_id)

            def resume(node_id: int = node_id) -> None:
                if self.cluster.is_running(node_id):
                    self.cluster.resume(node_id)

            self._for_a_while(resume, longest_s=self.random.choice([1.0, 12.0]))

    def _stop(self) -> None:
        for node_id in self._some(1):
            if node_id in self.cluster.paused:
                return
            self._note("stop", node_id)
            self._stopping[node_id] = asyncio.get_running_loop().create_task(self._stopped(node_id))

    async def _stopped(self, node_id: int) -> None:
        await self.cluster.stop(node_id, allowed=frozenset({0, -signal.SIGTERM}))

    # Network

    def _break(self, name: str, *pairs: tuple[int, int]) -> None:
        hosts = self.cluster.hosts
        assert hosts is not None
        self._note(name, pairs)
        for source, target in pairs:
            hosts.one_way(source, target)
        # Rules have no names: whatever heals first heals the whole network.
        self._for_a_while(hosts.heal)

    def _shuffled(self) -> list[int]:
        return self.random.sample(self.cluster.node_ids, len(self.cluster.node_ids))

    def _cut(self) -> None:
        one, other, *_ = self._shuffled()
        self._break("cut", (one, other), (other, one))

    def _one_way(self) -> None:
        one, other, *_ = self._shuffled()
        self._break("one_way", (one, other))

    def _isolate(self) -> None:
        """From the other nodes, not from the clients: it must notice by itself that it may not lead any more."""
        one, *others = self._shuffled()
        self._break("isolate", *[pair for each in others for pair in ((one, each), (each, one))])

    def _bridge(self) -> None:
        """All see the middle one, nobody else sees each other."""
        _, *ends = self._shuffled()
        self._break("bridge", *itertools.permutations(ends, 2))

    def _clients_cut(self) -> None:
        assert self.cluster.hosts is not None
        node_id = self.random.choice(self.cluster.node_ids)
        self._note("clients_cut", node_id)
        self.cluster.hosts.cut_clients(node_id)
        self._for_a_while(self.cluster.hosts.heal)

    # Disks

    def _lose_power(self, name: str, nodes: list[int]) -> None:
        if not nodes:
            return
        self._note(name, nodes)
        self.cluster.cut_power(*nodes)
        now = asyncio.get_running_loop().time()
        for node_id in nodes:
            self._without_power.add(node_id)
            self._down[node_id] = now + self.random.uniform(0.1, 3)

    def _power(self) -> None:
        self._lose_power("power", self._some(1))

    def _blackout(self) -> None:
        self._lose_power("blackout", self._some(len(self.cluster.node_ids)))

    def _dead_disk(self) -> None:
        """Every write and sync fails from now on, and the unsynced bytes are lost; the process goes on."""
        for node_id in self._some(1):
            self._note("dead_disk", node_id)
            self._dead.add(node_id)
            self.cluster.disks[node_id].cut_power()

            def replace(node_id: int = node_id) -> None:
                if node_id in self._dead:
                    if self.cluster.is_running(node_id):
                        self.cluster.kill(node_id)
                    else:
                        self.cluster.reap(node_id)
                    self.cluster.disks[node_id].unmount()
                    self._dead.discard(node_id)
                    self._without_power.add(node_id)
                    self._down[node_id] = asyncio.get_running_loop().time()

            self._for_a_while(replace)
