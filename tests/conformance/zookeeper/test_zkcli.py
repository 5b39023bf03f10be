"""ZooKeeper's own command line says the same, line by line, whether it talks to the port or to a real ZooKeeper."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clusters import Cluster, _free_port
from tests.conformance.zookeeper.real import JAR, MISSING, real_zookeeper

ZKCLI = Path("/usr/share/zookeeper/bin/zkCli.sh")
"""Of Debian's package zookeeper, which also needs a Java with a display; without it, what it runs is run directly."""

pytestmark = [pytest.mark.skipif(MISSING is not None, reason=MISSING or ""), pytest.mark.timeout(300)]

SESSION = """\
create /app one
create /app again
create /app/none/deeper x
create -e /app/eph two
create /app/eph/child x
create -s /app/seq- x
create -s -e /app/es- y
create -c /app/box
create -t 60000 /app/ttl z
ls /app
ls -s /app
ls -R /app
get /app
get -s /app/seq-0000000001
get /app/missing
stat /app
stat /app/missing
stat /app/ttl
stat /app/box
set /app three
set -v 7 /app four
set -v 1 /app five
delete /app
delete -v 3 /app/ttl
getAcl /app
setAcl /app/box world:anyone:cr
setAcl /app/box nonsense:x:cr
getAcl -s /app/box
create /app/box/inside x
get /app/box
addauth digest user:password
create /app/mine secret auth::cdrwa
getAcl /app/mine
setAcl /app/seq-0000000001 auth::r
set /app/seq-0000000001 refused
whoami
getEphemerals
getEphemerals /app
getAllChildrenNumber /app
get -w /app
set /app watched
removewatches /app
ls -w /app
create /app/seen x
addWatch -m PERSISTENT_RECURSIVE /app
create /app/box2 x
set /app/box2 y
removewatches /app
sync /app
delete /app/seen
setAcl /app/box world:anyone:cdrwa
delete /app/box/inside
delete /app/box
ls /app
quit
"""


async def test_a_session_of_zkcli(new_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    cluster = new_cluster(1)
    port = _free_port()
    cluster.configure(1, {"zookeeper.listener": f"127.0.0.1:{port}"})
    cluster.start()
    await cluster.ready()
    with real_zookeeper(tmp_path / "real") as address:
        theirs, ours = await asyncio.to_thread(lambda: [transcript(each) for each in (address, f"127.0.0.1:{port}")])
    assert "Node already exists" in theirs
    assert "type:NodeChildrenChanged path:/app" in theirs
    assert "Insufficient permission" in theirs
    assert ours.splitlines() == theirs.splitlines()


def transcript(address: str) -> str:
    command = ["bash", str(ZKCLI)]
    if not ZKCLI.exists():
        command = ["java", "-Xmx128m", "-cp", str(JAR), "org.apache.zookeeper.ZooKeeperMain"]
    done = subprocess.run(
        [*command, "-waitforconnection", "-server", address],
        input=SESSION,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": "/usr/bin:/bin", "CLIENT_JVMFLAGS": "-Xmx128m"},
    )
    return comparable(done.stdout.replace(address, "SERVER"))


def comparable(text: str) -> str:
    """Times say nothing; of zxids counts which are equal and which are later; of sessions, that there is one.

    Lists come in the order of a hash table. Events are shown by another thread than answers: they are compared on their own, but for
    the last, which zkCli may no longer show.
    """
    text = re.sub(r"^([cm]time) = .*$", r"\1 = TIME", text, flags=re.MULTILINE)
    text = re.sub(r"^ephemeralOwner = 0x[1-9a-f].*$", "ephemeralOwner = SESSION", text, flags=re.MULTILINE)
    text = re.sub(r"^SLF4J:.*\n|^log4j:.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^.*(?:INFO|DEBUG|WARN|ERROR) .*\n", "", text, flags=re.MULTILINE)
    events = [each for each in re.findall(r"^WatchedEvent (.*)$", text, re.MULTILINE) if "state:Closed" not in each]
    # Line by line: an answer may come between the two lines of an event.
    text = re.sub(r"^(?:WATCHER::|WatchedEvent .*)$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\[(.*)\]$", lambda found: str(sorted(found[1].split(", "))), text, flags=re.MULTILINE)
    text = re.sub(r"^(?:ip|digest): .*\n(?:ip|digest): .*$", "IDENTITIES", text, flags=re.MULTILINE)
    text = re.sub(r"zxid: -?\d+", "zxid: ZXID", text)
    zxids = sorted({int(each, 16) for each in re.findall(r"Zxid = 0x([0-9a-f]+)", text)})
    ranks: dict[int, Any] = {zxid: rank for rank, zxid in enumerate(zxids)}
    text = re.sub(r"Zxid = 0x([0-9a-f]+)", lambda found: f"Zxid = {ranks[int(found[1], 16)]}", text)
    return "\n".join([each for each in text.splitlines() if each] + events)
