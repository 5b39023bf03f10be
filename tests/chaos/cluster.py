"""Three nodes that can be treated badly: on hosts whose cables can be cut, or on disks whose power can."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from raftkafka.cli.children import readiness_at
from raftkafka.cli.layout import HOST
from tests.chaos.disks import LoopDisk
from tests.chaos.hosts import Hosts
from tests.clusters import Cluster

_CLIENT_PORT: Final = 9092
_RAFT_PORT: Final = 9093
_HTTP_PORT: Final = 9644
_TALKATIVE: Final = """
import logging, sys
logging.basicConfig(
    level=logging.INFO, stream=sys.stderr, format="%(asctime)s.%(msecs)03d %(levelname)s %(name)s %(message)s", datefmt="%H:%M:%S"
)
logging.getLogger("raftkafka.partition").setLevel(logging.DEBUG)
from raftkafka.cli.main import run
run()
"""
"""A node that tells its leaderships, for the checker of I2."""


class ChaosCluster(Cluster):
    """`hosts` None: all on loopback; `with_disks`: each node has a file system of its own. `close` undoes everything."""

    program = ("-c", _TALKATIVE)

    def __init__(
        self,
        directory: Path,
        properties: Mapping[str, str],
        *,
        nodes: int = 3,
        hosts: Hosts | None = None,
        with_disks: bool = False,
    ) -> None:
        self.hosts = hosts
        self.disks: dict[int, LoopDisk] = {}
        super().__init__(directory, nodes, properties)
        if with_disks:
            try:
                for node_id in self.node_ids:
                    self.disks[node_id] = LoopDisk(directory, f"node-{node_id}")
            except BaseException:
                self.close()
                raise
        if hosts is not None:
            voters = ",".join(f"{each}@{hosts.address(each)}:{_RAFT_PORT}" for each in self.node_ids)
            for node_id in self.node_ids:
                address = hosts.address(node_id)
                changes = {
                    "listeners": f"PLAINTEXT://{address}:{_CLIENT_PORT}",
                    "http.listener": f"HTTP://{address}:{_HTTP_PORT}",
                    "controller.quorum.voters": voters,
                    "allow.insecure.listeners": "true",
                }
                self.configure(node_id, changes)

    @property
    def bootstrap(self) -> str:
        if self.hosts is None:
            return super().bootstrap
        return ",".join(f"{self.hosts.address(each)}:{_CLIENT_PORT}" for each in self.node_ids)

    def command_prefix(self, node_id: int) -> Sequence[str]:
        return () if self.hosts is None else self.hosts.prefix(node_id)

    async def is_ready(self, node_id: int) -> bool:
        host, port = HOST, self.place(node_id).ports.http
        if self.hosts is not None:
            host, port = self.hosts.address(node_id), _HTTP_PORT
        return self.is_running(node_id) and await asyncio.to_thread(readiness_at, host, port) == "ready"

    def cut_power(self, *node_ids: int) -> None:
        """Of all of them at the same moment: what no disk has is gone. They stay without power until `mount`."""
        for node_id in node_ids:
            self.pause(node_id)
        for node_id in node_ids:
            self.disks[node_id].cut_power()
        self.kill(*node_ids)
        for node_id in node_ids:
            self.disks[node_id].unmount()

    def power_on(self, node_id: int) -> None:
        self.disks[node_id].mount()
        self.start(node_id)

    def reap(self, node_id: int) -> None:
        """Forget a node that has ended by itself."""
        self._processes.pop(node_id).wait()
        self.paused.discard(node_id)

    def close(self) -> None:
        super().close()
        for disk in self.disks.values():
            disk.close()
