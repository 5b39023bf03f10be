"""SIGKILL of a leader under load, default settings: how long until produce is acknowledged again.

The clock starts with the kill and stops at the first acknowledgement of a record that was sent after it, on a partition that
the dead node led. After each kill the node is started again, and the next kill waits until every replica is in sync.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from benchmarks.cluster_view import all_in_sync, create_topic, metadata, raft_leader, wait_for
from benchmarks.figures import Figure
from benchmarks.nodes import NodeProcess, all_ready, bootstrap, cluster
from benchmarks.scenarios.plan import Plan
from raftkafka.client.producer import Producer
from raftkafka.client.types import RecordMetadata
from raftkafka.model.errors import RaftKafkaError

TOPIC = "failover"
PARTITIONS = 12
KILLS = 10
SEND_EVERY_S = 0.002
GIVE_UP_S = 30
VALUE = bytes(100)


async def run(plan: Plan) -> list[Figure]:
    figures = []
    for leads_raft in (False, True):
        who = "that leads Raft too" if leads_raft else "of partitions only"
        times_ms = await _kills(plan, leads_raft=leads_raft)
        figures += [
            Figure(
                name=f"fail-over, SIGKILL of a leader {who}, median of {len(times_ms)} kills",
                unit="ms",
                runs=times_ms,
                target=1000 if leads_raft else 500,
                lower_is_better=True,
            ),
            Figure(
                name=f"fail-over, SIGKILL of a leader {who}, worst of {len(times_ms)} kills",
                unit="ms",
                runs=[max(times_ms)],
                target=2000 if leads_raft else 1000,
                lower_is_better=True,
            ),
        ]
    return figures


async def _kills(plan: Plan, *, leads_raft: bool) -> list[float]:
    with cluster(3, parent=plan.directory, min_insync_replicas=2) as nodes:
        await all_ready(nodes)
        await create_topic(nodes[0], TOPIC, partitions=PARTITIONS, replicas=3)
        await wait_for(nodes[0], TOPIC, "all replicas in sync", all_in_sync(3))
        times_ms = []
        async with Producer(bootstrap(nodes)) as producer:
            await producer.send_and_wait(TOPIC, VALUE, partition=0)
            while len(times_ms) < plan.number(KILLS):
                victim, partition = await _choose(nodes, leads_raft=leads_raft)
                times_ms.append(await _kill(producer, victim, partition))
                victim.start()
                await victim.ready()
                await wait_for(nodes[0], TOPIC, "all replicas in sync again", all_in_sync(3), timeout_s=60)
        return times_ms


async def _choose(nodes: list[NodeProcess], *, leads_raft: bool) -> tuple[NodeProcess, int]:
    """A node that leads a partition and leads Raft or does not, as asked, with that partition."""
    controller = await raft_leader(nodes[0])
    seen = await metadata(nodes[0], TOPIC)
    for partition in seen.topics[0].partitions:
        if (partition.leader_id == controller) == leads_raft:
            return nodes[partition.leader_id - 1], partition.partition
    raise RuntimeError(f"no partition has such a leader; Raft is led by {controller}: {seen.topics[0].partitions}")


async def _kill(producer: Producer, victim: NodeProcess, partition: int) -> float:
    """Milliseconds from the kill to the first acknowledgement of a later record."""
    loop = asyncio.get_running_loop()
    acknowledged: asyncio.Future[float] = loop.create_future()
    killed_at = float("inf")

    def on_done(sent_at: float, future: asyncio.Future[RecordMetadata]) -> None:
        if future.cancelled() or future.exception() is not None:
            return
        if sent_at > killed_at and not acknowledged.done():
            acknowledged.set_result(time.perf_counter())

    def send() -> None:
        sent_at = time.perf_counter()
        try:
            future = producer.send(TOPIC, VALUE, partition=partition)
        except RaftKafkaError:
            return  # no room while nobody leads: the load goes on with the next one
        future.add_done_callback(lambda done: on_done(sent_at, done))

    for _ in _paced(0.3):
        send()
        await asyncio.sleep(SEND_EVERY_S)
    killed_at = time.perf_counter()
    victim.kill()
    for _ in _paced(GIVE_UP_S):
        send()
        if acknowledged.done():
            break
        await asyncio.sleep(SEND_EVERY_S)
    if not acknowledged.done():
        raise RuntimeError(f"nothing was acknowledged within {GIVE_UP_S} s")
    await producer.flush()
    return (acknowledged.result() - killed_at) * 1e3


def _paced(seconds: float) -> Iterator[None]:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        yield
