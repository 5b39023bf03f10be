"""Real nodes, each a process of its own, in a directory that goes away with them."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

START_TIMEOUT_S: Final = 30
STOP_TIMEOUT_S: Final = 20
_ROOT: Final = Path(__file__).parent.parent
_RK: Final = "from raftkafka.cli.main import run; run()"


class NodeProcess:
    """One `rk broker`; its log goes to `node.log` beside its files."""

    def __init__(self, number: int, properties: Path, port: int, http_port: int) -> None:
        self.number = number
        self.properties = properties
        self.port = port
        self.http_port = http_port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with open(self.properties.parent / "node.log", "ab") as log:
            self._process = subprocess.Popen(
                # However the benchmark ends, its nodes do not outlive it.
                [sys.executable, "-c", _RK, "broker", str(self.properties), "--with-parent", str(os.getpid())],
                cwd=_ROOT,
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> None:
        """Wait until `/health/ready` says so."""
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            if await _http_status(self.http_port, "/health/ready") == 200:
                return
            await asyncio.sleep(0.05)
        log = (self.properties.parent / "node.log").read_text(errors="replace")
        raise RuntimeError(f"a node did not become ready; the end of its log:\n{log[-3000:]}")

    def kill(self) -> None:
        """SIGKILL, as a crash does it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def resident_mb(self) -> float:
        """Memory that is this process's alone or shared, in megabytes of 10^6 bytes (VmRSS)."""
        return _status_kb(self.pid, "VmRSS") * 1024 / 1e6

    def cpu_s(self) -> float:
        """Processor time that it has taken so far, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def cluster(count: int, *, parent: Path | None = None, **settings: object) -> Iterator[list[NodeProcess]]:
    """`count` nodes that form a cluster, started; wait for `ready` of each. Underscores in `settings` stand for dots."""
    with tempfile.TemporaryDirectory(prefix="raftkafka-bench-", dir=parent) as directory:
        ports = free_ports(3 * count)
        voters = ",".join(f"{number}@127.0.0.1:{ports[3 * number - 1]}" for number in range(1, count + 1))
        secret = Path(directory) / "secret"
        secret.write_text(secrets.token_hex(32))
        secret.chmod(0o600)
        nodes = []
        for number in range(1, count + 1):
            broker_port, http_port = ports[3 * number - 3 : 3 * number - 1]
            home = Path(directory) / f"node-{number}"
            home.mkdir(mode=0o700)
            lines = {
                "broker.id": number,
                "listeners": f"PLAINTEXT://127.0.0.1:{broker_port}",
                "http.listener": f"HTTP://127.0.0.1:{http_port}",
                "log.dirs": home / "logs",
            }
            if count > 1:
                lines |= {"controller.quorum.voters": voters, "cluster.secret.file": secret}
            lines |= {key.replace("_", "."): value for key, value in settings.items()}
            properties = home / "server.properties"
            properties.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
            nodes.append(NodeProcess(number, properties, broker_port, http_port))
        try:
            for node in nodes:
                node.start()
            yield nodes
        finally:
            for node in nodes:
                node.stop()


def bootstrap(nodes: list[NodeProcess]) -> str:
    return ",".join(f"127.0.0.1:{node.port}" for node in nodes)


async def all_ready(nodes: list[NodeProcess]) -> None:
    for node in nodes:
        await node.ready()


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago: all are held before any is let go, so that they differ."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


async def _http_status(port: int, path: str) -> int | None:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return None
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        line = await asyncio.wait_for(reader.readline(), 5)
        words = line.split()
        return int(words[1]) if len(words) > 1 else None
    except (OSError, TimeoutError):
        return None
    finally:
        writer.close()


def _status_kb(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise RuntimeError(f"no {name} in the status of process {pid}")
