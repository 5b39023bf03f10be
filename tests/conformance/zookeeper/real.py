"""A real ZooKeeper, Debian's, on loopback for the length of a test."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.clusters import _free_port

JAR: Final = Path("/usr/share/java/zookeeper.jar")
START_S: Final = 60
TRIES: Final = 3
MISSING: Final = (
    None
    if JAR.exists() and shutil.which("java")
    else "needs Debian's ZooKeeper and a Java: apt install libzookeeper-java default-jre-headless"
)


class EndedError(Exception):
    """It has stopped by itself: its port was taken meanwhile, or see its log."""


@contextlib.contextmanager
def real_zookeeper(directory: Path) -> Iterator[str]:
    """Its address. It is killed at the end; what it has written goes with the directory."""
    with contextlib.ExitStack() as stack:
        for attempt in range(TRIES):
            try:
                address = stack.enter_context(_started(directory / str(attempt), _free_port()))
                break
            except EndedError:
                if attempt == TRIES - 1:
                    raise
        yield address


@contextlib.contextmanager
def _started(directory: Path, port: int) -> Iterator[str]:
    data = directory / "data"
    data.mkdir(parents=True)
    config = directory / "zoo.cfg"
    config.write_text(
        f"dataDir={data}\nclientPort={port}\nclientPortAddress=127.0.0.1\ntickTime=2000\nmaxClientCnxns=0\n"
        "4lw.commands.whitelist=*\nadmin.enableServer=false\nextendedTypesEnabled=true\n",
        encoding="utf-8",
    )
    command = ["java", "-Xmx256m", "-Dzookeeper.extendedTypesEnabled=true", "-cp", str(JAR)]
    command += ["org.apache.zookeeper.server.ZooKeeperServerMain", str(config)]
    with (
        (directory / "zookeeper.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, cwd=directory) as process,
    ):
        try:
            _wait_for(port, process)
            yield f"127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGKILL)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise EndedError("ZooKeeper has ended, see its log")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"ruok")
            if connection.recv(16) == b"imok":
                return
        time.sleep(0.1)
    raise AssertionError(f"ZooKeeper does not answer on port {port} within {START_S} s")
