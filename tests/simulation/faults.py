"""What goes wrong: the faults of the table, drawn at random by a seed, with swarm testing.

Each seed draws which faults there are in its run and how often they strike; most bugs need few kinds of faults that
strike often, not all of them at once. Every fault undoes itself, and `heal` undoes what is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from tests.simulation.world import CLIENTS, SimNode

if TYPE_CHECKING:
    from tests.simulation.world import World

Undo = Callable[[], None]
POWER_MODES = ("none", "all", "some", "reordered")
UNSYNCED_WRITES_VANISH = ("power", "power_several", "blackout", "crash_at_step", "failing_sync")
"""Under `log.flush.policy` os and interval nothing is promised about these while other nodes start again, too."""

FAULT_CHANCE = 0.35
"""Of each fault to be in a run."""


class Faults:
    """`names` chooses the faults; None lets the seed choose, from all but those in `without`."""

    def __init__(
        self, world: World, random: Random, *, names: tuple[str, ...] | None = None, without: tuple[str, ...] = ()
    ) -> None:
        self.world = world
        self.random = random
        self._table: dict[str, Callable[[], None]] = {
            "kill": self._kill,
            "kill_several": self._kill_several,
            "stop": self._stop,
            "pause": self._pause,
            "crash_loop": self._crash_loop,
            "crash_at_step": self._crash_at_step,
            "power": self._power,
            "power_several": self._power_several,
            "blackout": self._blackout,
            "cut": self._cut,
            "one_way": self._one_way,
            "isolate": self._isolate,
            "bridge": self._bridge,
            "clients_cut": self._clients_cut,
            "reset": self._reset,
            "slow_link": self._slow_link,
            "lag": self._lag,
            "slow_disk": self._slow_disk,
            "slow_disks": self._slow_disks,
            "failing_sync": self._failing_sync,
            "disk_full": self._disk_full,
            "clock_jump": self._clock_jump,
            "bit_flip": self._bit_flip,
            "new_disk": self._new_disk,
        }
        if names is None:
            names = tuple(name for name in self._table if random.random() < FAULT_CHANCE)
        self.names = tuple(name for name in names if name not in without) or ("kill",)
        self.weights = [random.choice([1, 1, 3, 10]) for _ in self.names]
        self.mean_pause_s = random.choice([0.3, 0.8, 2.0, 4.0])
        self.mean_repair_s = random.choice([0.3, 1.0, 3.0])
        self._down_until: dict[int, float] = {}
        self._undo: dict[int, Undo] = {}
        self._next = 0
        self._running = True

    # Life

    async def run(self) -> None:
        """Strike until cancelled."""
        while True:
            await asyncio.sleep(self.random.expovariate(1 / self.mean_pause_s))
            name = self.random.choices(self.names, self.weights)[0]
            self._table[name]()

    async def supervise(self) -> None:
        """Start nodes again that are down, as systemd does."""
        while True:
            now = self.world.loop.now
            for node in self.world.nodes.values():
                if node.is_up:
                    self._down_until.pop(node.node_id, None)
                elif now >= self._down_until.setdefault(node.node_id, now + self.random.uniform(0.2, 1.5)):
                    del self._down_until[node.node_id]
                    self.world.boot(node.node_id)
            await asyncio.sleep(0.05)

    def heal(self) -> None:
        """Everything works from now on."""
        world = self.world
        self._running = False
        for undo in list(self._undo.values()):
            undo()
        self._undo.clear()
        world.network.heal_all()
        world.network.delay_s, world.network.jitter_s = 0.0003, 0.0007
        for node in world.nodes.values():
            node.disk.sync_failures = 0
            node.disk.steps_left = 0
            node.disk.capacity_bytes = 1 << 40
            node.disk.sync_s = (0.0002, 0.003)
            node.clock.jumped_ms = 0
            world.resume(node.node_id)
            self._down_until.pop(node.node_id, None)
        world.tell("everything is healed")

    def _later(self, undo: Undo) -> None:
        """Undo after a random time, or at `heal`."""
        self._next += 1
        number = self._next
        self._undo[number] = undo

        def run() -> None:
            if self._undo.pop(number, None) is not None:
                undo()

        self.world.loop.call_later(self.random.expovariate(1 / self.mean_repair_s), run)

    def _count(self, name: str) -> None:
        self.world.faults_injected[name] = self.world.faults_injected.get(name, 0) + 1

    def _one(self) -> SimNode:
        """Anybody, but rather one that leads something."""
        nodes = list(self.world.nodes.values())
        if self.random.random() < 0.5:
            leading = [node for node in nodes if any(partition.is_leader for partition in node.partitions())]
            nodes = leading or nodes
        return self.random.choice(nodes)

    def _some(self) -> list[SimNode]:
        nodes = list(self.world.nodes.values())
        return self.random.sample(nodes, self.random.randint(2, len(nodes)))

    def _stay_down(self, node: SimNode) -> None:
        self._down_until[node.node_id] = self.world.loop.now + self.random.expovariate(1 / self.mean_repair_s)

    # Processes

    def _kill(self) -> None:
        self._kill_one(self._one())

    def _kill_one(self, node: SimNode) -> None:
        if node.is_up:
            self._count("kill")
            self.world.kill(node.node_id)
            self._stay_down(node)

    def _kill_several(self) -> None:
        for node in self._some():
            self._kill_one(node)

    def _stop(self) -> None:
        node = self._one()
        if node.is_up and not node.is_paused and not node.stopping:
            self._count("stop")
            self.world.stop(node.node_id)

    def _pause(self) -> None:
        node = self._one()
        if node.is_up and not node.is_paused:
            self._count("pause")
            life = node.life
            self.world.pause(node.node_id)

            def resume() -> None:
                if node.life == life:
                    self.world.resume(node.node_id)

            self._later(resume)

    def _crash_loop(self) -> None:
        """It dies again and again while it starts."""
        node = self._one()
        self._count("crash_loop")
        at = 0.0
        for _ in range(self.random.randint(2, 5)):
            at += self.random.expovariate(10)
            self.world.loop.call_later(at, self._crash_and_boot, node)

    def _crash_and_boot(self, node: SimNode) -> None:
        if node.is_up and self._running:
            self.world.kill(node.node_id)
            self.world.boot(node.node_id)

    def _crash_at_step(self) -> None:
        """It dies between two changes of its disk."""
        node = self._one()
        if not node.is_up or node.disk.steps_left:
            return
        self._count("crash_at_step")
        mode = self.random.choice([None, *POWER_MODES])

        def crash() -> None:
            if mode is None:
                self.world.kill(node.node_id)
            else:
                self.world.cut_power(node.node_id, mode)

        node.disk.on_last_step = crash
        node.disk.steps_left = self.random.choice([1, 2, 5, 20, 50])

    def _power(self) -> None:
        self._power_one(self._one())

    def _power_one(self, node: SimNode) -> None:
        if node.is_up:
            self._count("power")
            self.world.cut_power(node.node_id, self.random.choice(POWER_MODES))
            self._stay_down(node)

    def _power_several(self) -> None:
        for node in self._some():
            self._power_one(node)

    def _blackout(self) -> None:
        """Every node at once, and nothing that was not synced survives anywhere."""
        self._count("blackout")
        for node in self.world.nodes.values():
            if node.is_up:
                self.world.cut_power(node.node_id, "none")
                self._stay_down(node)

    # Network

    def _sever(self, name: str, ways: list[tuple[str, str]]) -> None:
        self._count(name)
        self.world.tell(f"{name}: {', '.join(f'{one}>{two}' for one, two in ways)}")
        self.world.network.sever(ways)

        def heal() -> None:
            self.world.tell(f"{name} heals")
            self.world.network.heal(ways)

        self._later(heal)

    def _pair(self) -> tuple[str, str]:
        one, two = self.random.sample(list(self.world.nodes.values()), 2)
        return one.host, two.host

    def _cut(self) -> None:
        one, two = self._pair()
        self._sever("cut", [(one, two), (two, one)])

    def _one_way(self) -> None:
        self._sever("one_way", [self._pair()])

    def _isolate(self) -> None:
        own = self._one().host
        others = [node.host for node in self.world.nodes.values() if node.host != own]
        if self.random.random() < 0.5:
            others.append(CLIENTS)
        self._sever("isolate", [way for other in others for way in ((own, other), (other, own))])

    def _bridge(self) -> None:
        """Everybody sees one node, and nobody else."""
        middle = self._one().host
        others = [node.host for node in self.world.nodes.values() if node.host != middle]
        self._sever("bridge", [(one, two) for one in others for two in others if one != two])

    def _clients_cut(self) -> None:
        host = self._one().host
        self._sever("clients_cut", self.random.choice([[(host, CLIENTS)], [(CLIENTS, host), (host, CLIENTS)]]))

    def _reset(self) -> None:
        one, two = self._pair()
        if self.random.random() < 0.4:
            two = CLIENTS
        self._count("reset")
        self.world.tell(f"connections between {one} and {two} are reset")
        self.world.network.reset(one, two)

    def _slow_link(self) -> None:
        way = self._pair()
        network = self.world.network
        self._count("slow_link")
        network.extra_delay_s[way] = self.random.choice([0.02, 0.1, 0.5])
        network.bytes_per_s[way] = self.random.choice([20_000, 200_000])

        def undo() -> None:
            network.extra_delay_s.pop(way, None)
            network.bytes_per_s.pop(way, None)

        self._later(undo)

    def _lag(self) -> None:
        network = self.world.network
        self._count("lag")
        network.jitter_s = self.random.choice([0.01, 0.05, 0.2])

        def undo() -> None:
            network.jitter_s = 0.0007

        self._later(undo)

    # Disks and clocks

    def _slow_disk(self) -> None:
        self._count("slow_disk")
        self._slow_down([self._one()])

    def _slow_disks(self) -> None:
        self._count("slow_disks")
        self._slow_down(list(self.world.nodes.values()))

    def _slow_down(self, nodes: list[SimNode]) -> None:
        longest_s = self.random.choice([0.05, 0.3, 2.0])
        for node in nodes:
            node.disk.sync_s = (0.01, longest_s)

        def undo() -> None:
            for node in nodes:
                node.disk.sync_s = (0.0002, 0.003)

        self._later(undo)

    def _failing_sync(self) -> None:
        node = self._one()
        if node.is_up and self._may_lose(node):
            self._count("failing_sync")
            self.world.tell(f"the next sync on {node.host} fails")
            node.disk.sync_failures = 1

    def _may_lose(self, node: SimNode) -> bool:
        """At most one disk in a run loses what was synced, so that I1 says something."""
        lossy = self.world.history.lossy
        if lossy and node.host not in lossy:
            return False
        lossy.add(node.host)
        node.disk_suspect = True
        return True

    def _bit_flip(self) -> None:
        """A byte of a log, or of an index, changes on its own."""
        node = self._one()
        files = [
            (path, inode)
            for path, inode in node.disk.files()
            if path.startswith("/data/") and path.endswith(("log", "index")) and inode.content
        ]
        if files and self._may_lose(node):
            path, inode = self.random.choice(files)
            position = self.random.randrange(len(inode.content))
            self._count("bit_flip")
            self.world.tell(f"byte {position} of {path} on {node.host} flips")
            node.disk.flip(inode, position, 1 << self.random.randrange(8))

    def _new_disk(self) -> None:
        """The data directory comes back empty; Raft's is on another disk."""
        node = self._one()
        if self._may_lose(node):
            self._count("new_disk")
            if node.is_up:
                self.world.kill(node.node_id)
            self._stay_down(node)
            self.world.tell(f"{node.host} gets an empty data disk")
            node.disk.wipe("/data")

    def _disk_full(self) -> None:
        node = self._one()
        self._count("disk_full")
        node.disk_suspect = True
        node.disk.capacity_bytes = node.disk.used_bytes + self.random.choice([0, 500, 5_000])
        self.world.tell(f"the disk of {node.host} is nearly full")

        def undo() -> None:
            node.disk.capacity_bytes = 1 << 40

        self._later(undo)

    def _clock_jump(self) -> None:
        node = self._one()
        self._count("clock_jump")
        node.clock.jumped_ms = self.random.choice([-7_200_000, -1_000, 0, 3_600_000, 86_400_000])
