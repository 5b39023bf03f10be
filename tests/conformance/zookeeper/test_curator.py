"""Curator's caches and mutex, as kafka-manager uses them, do the same with the port and with a real ZooKeeper."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.clusters import Cluster, _free_port
from tests.conformance.zookeeper.real import MISSING, real_zookeeper

PROGRAM: Final = Path(__file__).with_name("CuratorSession.java")
JARS: Final = [
    Path("/usr/share/java") / f"{name}.jar"
    for name in (
        "curator-recipes",
        "curator-framework",
        "curator-client",
        "zookeeper",
        "zookeeper-jute",
        "guava",
        "slf4j-api",
        "slf4j-nop",
    )
]
OPTIONS: Final = ("-nowarn", "-proc:none", "-source", "11", "-target", "11")
"""ecj takes Java for that of 2003 unless it is told."""
COMPILER: Final = shutil.which("javac") or shutil.which("ecj")
NEEDS: Final = MISSING or (
    None
    if COMPILER and all(each.exists() for each in JARS)
    else "needs Debian's Curator and a Java compiler: apt install libcurator-recipes-java ecj"
)

pytestmark = [pytest.mark.skipif(NEEDS is not None, reason=NEEDS or ""), pytest.mark.timeout(300)]


async def test_curators_recipes(new_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    cluster = new_cluster(1)
    port = _free_port()
    cluster.configure(1, {"zookeeper.listener": f"127.0.0.1:{port}"})
    cluster.start()
    await cluster.ready()
    classes = tmp_path / "classes"
    assert COMPILER is not None
    await asyncio.to_thread(run, COMPILER, *OPTIONS, "-cp", classpath(), "-d", str(classes), str(PROGRAM))
    with real_zookeeper(tmp_path / "real") as address:
        theirs = await asyncio.to_thread(transcript, classes, address)
        ours = await asyncio.to_thread(transcript, classes, f"127.0.0.1:{port}")
    assert "children heard CHILD_REMOVED /app/children/b 'two' version 0" in theirs
    assert "tree heard NODE_UPDATED /app/tree/x/y 'changed' version 1" in theirs
    assert "mutex: second gets it while first has it: false" in theirs
    assert theirs[-1] == "mutex: locks 0"
    assert ours == theirs


def transcript(classes: Path, address: str) -> list[str]:
    return run("java", "-Xmx128m", "-cp", classpath(classes), "CuratorSession", address).splitlines()


def classpath(*more: Path) -> str:
    return ":".join(map(str, [*more, *JARS]))


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout
