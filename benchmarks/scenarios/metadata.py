"""Ten thousand partitions on three nodes: creating them, a snapshot of them, and SIGKILL of a broker that leads a third.

The clock of the fail-over starts with the kill. It stops once when the controller has given every partition a leader that
lives, and once for each partition of a sample that the dead node led, when a record sent after the kill is acknowledged.
The loop's delay is the upper bound of the histogram bucket that the latest timer fell into, of all surviving nodes.
"""

from __future__ import annotations

import asyncio
import re
import time
import urllib.request

from benchmarks.cluster_view import all_in_sync, create_topic, metadata, raft_leader, wait_for
from benchmarks.figures import Figure, percentile
from benchmarks.nodes import NodeProcess, all_ready, bootstrap, cluster
from benchmarks.scenarios.plan import Plan
from raftkafka.client.producer import Producer
from raftkafka.model.api.cluster import MetadataResponse
from raftkafka.model.errors import RaftKafkaError

TOPIC = "metadata"
PARTITIONS = 10_000
SAMPLE = 100
WITHIN_S = 240
GIVE_UP_S = 30
SNAPSHOT_ENTRIES = 20
"""Small, so that the snapshot of the whole image is taken while somebody looks: so many entries follow the creation."""
_BUCKET = re.compile(r'raftkafka_event_loop_delay_seconds_bucket\{le="([^"]+)"\} (\S+)')
_SNAPSHOT = re.compile(r"took a snapshot at entry (\d+), (\d+) bytes of state, ([0-9.]+) ms")


async def run(plan: Plan) -> list[Figure]:
    partitions = plan.number(PARTITIONS)
    settings = {"metadata_log_max_record_entries_between_snapshots": SNAPSHOT_ENTRIES}
    with cluster(3, parent=plan.directory, min_insync_replicas=2, **settings) as nodes:
        await all_ready(nodes)
        began = time.perf_counter()
        await create_topic(nodes[0], TOPIC, partitions=partitions, replicas=3)
        created_s = time.perf_counter() - began
        await wait_for(nodes[0], TOPIC, "all replicas in sync", all_in_sync(3), timeout_s=WITHIN_S, poll_s=1)
        served_s = time.perf_counter() - began + await _serves(nodes, partitions)
        for number in range(SNAPSHOT_ENTRIES):
            await create_topic(nodes[0], f"small-{number}", partitions=1, replicas=3)
        await asyncio.sleep(2)
        before = [await _delays(node) for node in nodes]
        victim = await _follower(nodes)
        survivors = [node for node in nodes if node is not victim]
        led = await _led_by(nodes[0], nodes.index(victim) + 1)
        elected_ms, acknowledged_ms = await _kill(survivors, victim, led)
        await asyncio.sleep(1)
        delay_ms = max([_worst_ms(before[nodes.index(node)], await _delays(node)) for node in survivors])
        creating_ms = max(_worst_ms({}, each) for each in before)
        snapshots_ms = [taken for node in nodes for taken in _snapshots_ms(node)]
        if not snapshots_ms:
            raise RuntimeError("no node has taken a snapshot")
        memory_mb = max(node.resident_mb() for node in survivors)
    of = f"{partitions:,} partitions, RF 3"
    dead = f"SIGKILL of the leader of {len(led):,}"

    def figure(name: str, unit: str, value: float, target: float | None = None) -> Figure:
        return Figure(name=name, unit=unit, runs=[value], target=target, lower_is_better=True)

    return [
        figure(f"{of}: until CreateTopics is answered", "s", created_s),
        figure(f"{of}: until every partition takes a record", "s", served_s),
        figure(f"{of}: snapshot of the metadata, the longest", "ms", max(snapshots_ms), 1000),
        figure(f"{of}: worst delay of the event loop while they are created", "ms", creating_ms),
        figure(f"{of}: resident memory of a node", "MB", memory_mb),
        figure(f"{of}: {dead}, every partition has a leader", "ms", elected_ms, 2000),
        figure(f"{of}: {dead}, first acknowledged produce, median", "ms", percentile(acknowledged_ms, 0.5), 2000),
        figure(f"{of}: {dead}, first acknowledged produce, worst", "ms", acknowledged_ms[-1], 2000),
        figure(f"{of}: {dead}, worst delay of the event loop", "ms", delay_ms),
    ]


async def _serves(nodes: list[NodeProcess], partitions: int) -> float:
    """Seconds until a sample over all partitions has acknowledged a record."""
    began = time.perf_counter()
    step = max(1, partitions // SAMPLE)
    async with Producer(bootstrap(nodes), delivery_timeout_ms=WITHIN_S * 1000) as producer:
        await asyncio.gather(*[producer.send(TOPIC, b"x", partition=each) for each in range(0, partitions, step)])
    return time.perf_counter() - began


async def _follower(nodes: list[NodeProcess]) -> NodeProcess:
    """A node that does not lead Raft: an election would only be measured along with it."""
    controller = await raft_leader(nodes[0])
    return next(node for number, node in enumerate(nodes, 1) if number != controller and number != 1)


async def _led_by(node: NodeProcess, broker: int) -> list[int]:
    seen = await metadata(node, TOPIC)
    return [each.partition for each in seen.topics[0].partitions if each.leader_id == broker]


async def _kill(survivors: list[NodeProcess], victim: NodeProcess, led: list[int]) -> tuple[float, list[float]]:
    """Milliseconds until every partition has a living leader, and those until the first acknowledgements, sorted."""
    sample = led[:: max(1, len(led) // SAMPLE)][:SAMPLE]
    async with Producer(bootstrap(survivors)) as producer:
        await asyncio.gather(*[producer.send(TOPIC, b"before", partition=each) for each in sample])
        dead = victim.number
        victim.kill()
        killed_at = time.perf_counter()
        looking = asyncio.create_task(_elected(survivors[0], dead, killed_at))
        acknowledged = await asyncio.gather(*[_acknowledged(producer, each, killed_at) for each in sample])
        return await looking, sorted(acknowledged)


async def _elected(node: NodeProcess, dead: int, killed_at: float) -> float:
    def check(seen: MetadataResponse) -> bool:
        return all(each.leader_id not in (-1, dead) for each in seen.topics[0].partitions)

    await wait_for(node, TOPIC, "every partition has a leader", check, timeout_s=GIVE_UP_S, poll_s=0.1)
    return (time.perf_counter() - killed_at) * 1e3


async def _acknowledged(producer: Producer, partition: int, killed_at: float) -> float:
    while time.perf_counter() - killed_at < GIVE_UP_S:
        try:
            await producer.send(TOPIC, b"after", partition=partition)
        except RaftKafkaError:
            await asyncio.sleep(0.02)
            continue
        return (time.perf_counter() - killed_at) * 1e3
    raise RuntimeError(f"nothing was acknowledged on partition {partition} within {GIVE_UP_S} s")


async def _delays(node: NodeProcess) -> dict[float, float]:
    """Cumulative counts by the upper bounds of the buckets, in seconds."""
    url = f"http://127.0.0.1:{node.http_port}/metrics"
    text = (await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=10).read())).decode()
    return {float(bound): float(count) for bound, count in _BUCKET.findall(text)}


def _worst_ms(before: dict[float, float], after: dict[float, float]) -> float:
    """The upper bound of the highest bucket that has grown."""
    grown = {bound: count - before.get(bound, 0.0) for bound, count in after.items()}
    total = max(grown.values(), default=0.0)
    return 1e3 * min((bound for bound, count in grown.items() if count == total), default=0.0)


def _snapshots_ms(node: NodeProcess) -> list[float]:
    """What the node's log says of its snapshots: from the copy of the state to the file on the disk."""
    log = (node.properties.parent / "node.log").read_text(errors="replace")
    return [float(found[2]) for found in _SNAPSHOT.findall(log)]
