"""Real processes under faults, judged by the checkers of the simulator.

`python -m tests.chaos.run --seconds 60 --rounds 10` is the long form of what the tests here do once; `make chaos` runs it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from raftkafka.adapters.clock import SystemClock
from raftkafka.client import Consumer, TopicPartition
from raftkafka.model.errors import RaftKafkaError
from raftkafka.record.header import iter_headers
from raftkafka.record.iterate import decode_records
from tests.chaos.cluster import ChaosCluster
from tests.chaos.disks import why_no_disks
from tests.chaos.hosts import Hosts, why_no_hosts
from tests.chaos.storm import Storm
from tests.simulation.checkers.catalogue import violations
from tests.simulation.history import History, Led, Record, Replica
from tests.simulation.workload import PARTITIONS, TOPIC, Workload

HEAL_S = 120.0
"""Only a hang may meet it: a machine may be slow, and run other tests beside this one."""
KINDS = ("processes", "network", "disks")
_LEADING = re.compile(rf"{TOPIC}-(\d+): leading in epoch (\d+) ")


class _Clock:
    @property
    def now(self) -> float:
        """What the simulator's loop has: seconds since the beginning."""
        return time.monotonic() - self._began

    def __init__(self) -> None:
        self._began = time.monotonic()


@dataclass(kw_only=True)
class RealWorld:
    """What the simulator's workload needs of its world, in real time."""

    bootstrap: str
    history: History = field(default_factory=History)
    loop: _Clock = field(default_factory=_Clock)
    client_clock: SystemClock = field(default_factory=SystemClock)
    story: list[str] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)
    """The high watermarks at the end."""

    def tell(self, event: str) -> None:
        self.story.append(f"{self.loop.now:8.3f} {event}")

    def trace(self, *event: object) -> None:
        """The simulator's hash of a run: real time has none."""

    def as_client(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(work)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    seed: int
    violations: list[str]
    story: list[str]
    faults: Counter[str]
    acknowledged: int
    read: int


async def storm_over(
    cluster: ChaosCluster,
    seed: int,
    *,
    seconds: float,
    names: tuple[str, ...] | None = None,
    records_per_s: float = 200,
    before_judgement: Callable[[], Awaitable[None]] | None = None,
) -> Outcome:
    """One round: work, faults for `seconds`, everything healed, everything checked. The cluster is stopped at the end.

    `before_judgement` may do to the files what no test should survive.
    """
    random = Random(seed)
    world = RealWorld(bootstrap=cluster.bootstrap)
    storm = Storm(cluster, Random(random.getrandbits(64)), tell=world.tell, names=names)
    try:
        await _storm(cluster, world, storm, random, seconds=seconds, records_per_s=records_per_s)
    except Exception as error:
        for note in (*world.story, *map(cluster.last_words, cluster.node_ids)):
            error.add_note(note)
        raise
    if before_judgement is not None:
        await before_judgement()
    return _judged(cluster, seed, world, storm)


async def _storm(
    cluster: ChaosCluster, world: RealWorld, storm: Storm, random: Random, *, seconds: float, records_per_s: float
) -> None:
    cluster.start()
    await _until(cluster, _all_ready, "the cluster forms")
    workload = Workload(world, Random(random.getrandbits(64)), records_per_s=records_per_s)  # type: ignore[arg-type]
    await workload.create_topic()
    workload.start(churn=random.random() < 0.5)
    striking = asyncio.create_task(storm.run())
    done, _ = await asyncio.wait({striking}, timeout=seconds)
    if done:
        striking.result()  # a node that ended of its own
    striking.cancel()
    await asyncio.wait({striking})
    await storm.heal()
    world.tell("healed")
    await _until(cluster, _all_ready, "every node is ready again")
    await cluster.wait_isr_full(TOPIC)
    assert await workload.prove_progress(timeout_s=HEAL_S), "no progress after the faults"
    await workload.stop()
    ends = world.ends = await _ends(cluster)
    assert await workload.read_everything(ends, timeout_s=HEAL_S), f"the last reader did not get to the end of {ends}"
    world.history.healed = True
    await cluster.stop()


def _judged(cluster: ChaosCluster, seed: int, world: RealWorld, storm: Storm) -> Outcome:
    history = world.history
    for node_id in cluster.node_ids:
        history.led += _leaderships(cluster, node_id)
        history.replicas += [_replica(cluster, node_id, each, end) for each, end in world.ends.items()]
    assert {int(each.partition[1]) for each in history.led} == set(world.ends), "the nodes do not tell what they lead"
    return Outcome(
        seed=seed,
        violations=violations(history),
        story=world.story,
        faults=storm.injected,
        acknowledged=len(history.acknowledged),
        read=len(history.reads),
    )


async def _all_ready(cluster: ChaosCluster) -> bool:
    return all([await cluster.is_ready(each) for each in cluster.node_ids])


async def _until(cluster: ChaosCluster, condition: Any, what: str) -> None:
    await cluster.eventually(lambda: condition(cluster), what, timeout_s=HEAL_S)


async def _ends(cluster: ChaosCluster) -> dict[int, int]:
    """The high watermarks, once everything that leaders have is committed."""
    partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]

    async def settled() -> dict[int, int] | None:
        async with Consumer(cluster.bootstrap) as consumer:
            with contextlib.suppress(RaftKafkaError):
                ends = await consumer.end_offsets(partitions)
                await asyncio.sleep(0.5)
                if await consumer.end_offsets(partitions) == ends:
                    return {each.partition: int(end) for each, end in ends.items()}
        return None

    found = await cluster.eventually(settled, "the high watermarks come to rest")
    assert isinstance(found, dict)
    return found


def _leaderships(cluster: ChaosCluster, node_id: int) -> Iterator[Led]:
    """From what the node has logged. The topic is made once, so that its name is enough."""
    for partition, epoch in _LEADING.findall(cluster.node_log(node_id)):
        yield Led(0.0, f"node {node_id}", (TOPIC.encode(), int(partition)), int(epoch))


def _replica(cluster: ChaosCluster, node_id: int, partition: int, high_watermark: int) -> Replica:
    """Every record in the files of a stopped node."""
    records: list[Record] = []
    for path in sorted(cluster.partition_dir(node_id, TOPIC, partition).glob("*.log")):
        content = path.read_bytes()
        for position, header in iter_headers(content):
            records += [
                Record(record.offset, header.partition_leader_epoch, record.value or b"")
                for record in decode_records(content, position)
            ]
    return Replica(
        node=f"node {node_id}",
        partition=(TOPIC, partition),
        log_start=records[0].offset if records else 0,
        high_watermark=high_watermark,
        log_end=records[-1].offset + 1 if records else 0,
        records=tuple(records),
    )


@contextlib.contextmanager
def chaos_cluster(kind: str, directory: Path) -> Iterator[ChaosCluster]:
    """A cluster on which faults of this kind can be had; everything of it is gone afterwards."""
    with contextlib.ExitStack() as stack:
        hosts = None
        if kind == "network":
            hosts = Hosts(3)
            stack.callback(hosts.close)
            stack.enter_context(hosts.entered())
        cluster = ChaosCluster(directory, {}, hosts=hosts, with_disks=kind == "disks")
        stack.callback(cluster.close)
        yield cluster


def why_not(kind: str, directory: Path) -> str | None:
    """Why faults of this kind cannot be had on this machine; None when they can."""
    if kind == "network":
        return why_no_hosts()
    return why_no_disks(directory) if kind == "disks" else None


def main() -> int:
    logging.getLogger("raftkafka").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of each kind")
    parser.add_argument("--seconds", type=float, default=30.0, help="of faults in each round")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"of faults: {', '.join(KINDS)}")
    options = parser.parse_args()
    failed = 0
    injected: Counter[str] = Counter()
    acknowledged = 0
    for kind in options.kinds.split(","):
        for seed in range(options.first, options.first + options.rounds):
            with tempfile.TemporaryDirectory(prefix="raftkafka-chaos-") as directory:
                if (reason := why_not(kind, Path(directory))) is not None:
                    print(f"{kind}: skipped, {reason}")
                    break
                with chaos_cluster(kind, Path(directory) / "cluster") as cluster:
                    outcome = asyncio.run(storm_over(cluster, seed, seconds=options.seconds))
            failed += bool(outcome.violations)
            injected.update(outcome.faults)
            acknowledged += outcome.acknowledged
            print(
                f"{kind}, seed {seed}: {outcome.acknowledged} acknowledged, {outcome.read} read, "
                f"faults {dict(sorted(outcome.faults.items()))}, {len(outcome.violations)} violations"
            )
            for line in outcome.violations:
                print(f"  {line[:400]}")
            if outcome.violations:
                print("\n".join(outcome.story))
            sys.stdout.flush()
    print(f"{acknowledged} records acknowledged, faults {dict(sorted(injected.items()))}, {failed} rounds failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
