"""One seed, one run: a cluster forms, works while things go wrong, is healed, and everything is checked."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from random import Random

from raftkafka.model.settings.values import (
    ControllerSettings,
    FlushPolicy,
    GroupSettings,
    LogSettings,
    ReplicaSelector,
    ReplicaSettings,
)
from raftkafka.model.topics import OFFSETS_TOPIC
from tests.simulation import observers
from tests.simulation.checkers.catalogue import violations
from tests.simulation.faults import UNSYNCED_WRITES_VANISH, Faults
from tests.simulation.groups import Group
from tests.simulation.moves import Moves
from tests.simulation.workload import CHURNED, PARTITIONS, TOPIC, Workload
from tests.simulation.world import World

FAULTS_S = 30.0
FORM_S = 20.0
HEAL_S = 40.0
"""I17: within this time after the last fault every ISR is full again and every partition takes records."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    seed: int
    violations: list[str]
    hash: int
    story: list[str]
    faults: dict[str, int]
    acknowledged: int
    unacknowledged: int
    read: int
    stranded: bool
    virtual_s: float
    real_s: float


def make_world(seed: int, *, readable: bool = False) -> World:
    """The cluster's settings are drawn by the seed, too."""
    random = Random(seed ^ 0x5EED)
    session_ms = random.choice([1_500, 3_000, 9_000])
    return World(
        seed=seed,
        readable=readable,
        log=LogSettings(
            min_insync_replicas=2,
            segment_bytes=random.choice([8 << 10, 64 << 10, 1 << 20]),
            index_interval_bytes=random.choice([200, 4096]),
            cleaner_backoff_ms=1_000,
            flush_policy=random.choices(list(FlushPolicy), [8, 2, 2])[0],
        ),
        replica=ReplicaSettings(
            lag_time_max_ms=random.choice([1_000, 3_000, 10_000]),
            fetch_wait_max_ms=random.choice([100, 500]),
            fetch_max_bytes=random.choice([4 << 10, 1 << 20]),
            high_watermark_checkpoint_interval_ms=random.choice([500, 5_000]),
        ),
        controller=ControllerSettings(
            broker_session_timeout_ms=session_ms,
            broker_heartbeat_interval_ms=session_ms // 4,
            snapshot_min_entries=random.choice([20, 200, 20_000]),
            leader_imbalance_check_interval_s=random.choice([1, 5, 300]),
        ),
        groups=GroupSettings(
            min_session_timeout_ms=500,
            initial_rebalance_delay_ms=300,
            offsets_topic_num_partitions=1,
            offsets_topic_segment_bytes=4 << 10,
            offsets_commit_timeout_ms=2_000,
        ),
        observers=random.choice([0, 0, 1]),
        replica_selector=random.choice([ReplicaSelector.LEADER, ReplicaSelector.RACK_AWARE]),
    )


async def scenario(
    world: World,
    *,
    faults_s: float = FAULTS_S,
    faults: tuple[str, ...] | None = None,
    without: tuple[str, ...] = (),
) -> None:
    random = Random(world.random.getrandbits(64))
    history = world.history
    workload = Workload(
        world, Random(random.getrandbits(64)), burst_per_s=random.choices([20, 100, 400], [12, 5, 3])[0]
    )
    if world.nodes[1].settings.log.flush_policy is not FlushPolicy.GROUP:
        without = (*without, *UNSYNCED_WRITES_VANISH)
    storm = Faults(world, Random(random.getrandbits(64)), names=faults, without=without)
    world.network.delay_s = random.choice([0.0001, 0.0005, 0.005])
    world.network.piece_chance = random.choice([0.0, 0.05, 0.5])
    for node_id in world.nodes:
        world.boot(node_id)
    if not await world.until(world.ready, timeout_s=FORM_S):
        history.not_healed = "the cluster did not form"
        return
    await world.as_client(workload.create_topic())
    if Random(world.seed ^ 0xC0DE).random() < 0.4:
        await world.as_client(workload.create_compacted_topic())
    group = Group(world, Random(world.seed ^ 0x6209), topic=TOPIC, partitions=PARTITIONS)
    if not world.seed % 3:
        history.compacted.add(OFFSETS_TOPIC)
        group.start()
    churn, replacing = random.random() < 0.5, random.random() < 0.6
    workload.start(churn=churn, replace_voters=replacing and len(world.nodes) > 3)
    moves = Moves(
        world,
        Random(random.getrandbits(64)),
        topic=TOPIC,
        partitions=PARTITIONS,
        growing=CHURNED if churn else [],
    )
    if random.random() < 0.6:
        moves.start()
    await asyncio.sleep(1)
    world.tell(f"faults from here on: {', '.join(storm.names)}, every {storm.mean_pause_s:g} s")
    striking = world.loop.create_task(storm.run())
    supervising = world.loop.create_task(storm.supervise())
    await asyncio.sleep(faults_s)
    striking.cancel()
    storm.heal()
    await moves.stop()
    await _heal(world, workload, group)
    supervising.cancel()
    if history.stranded:
        world.tell("a partition is stranded on a damaged disk")
        return
    for node in world.nodes.values():
        for partition in node.partitions():
            if partition.offline is None and (replica := await observers.read_replica(node, partition)) is not None:
                history.replicas.append(replica)


async def _heal(world: World, workload: Workload, group: Group) -> None:
    """I17, and the last look of the clients."""
    history = world.history
    deadline = world.loop.now + HEAL_S
    if not await world.until(world.ready, timeout_s=HEAL_S):
        waiting = {node.host: node.node.ready()[1] for node in world.nodes.values() if node.node and node.node._parts}
        history.not_healed = f"not every node takes part after {HEAL_S} s: {waiting}"
        return
    if not await world.until(lambda: not _incomplete(world), timeout_s=deadline - world.loop.now):
        history.not_healed = f"an ISR is not full after {HEAL_S} s: {_incomplete(world)}"
        history.stranded = _is_stranded(world)
        return
    if not await world.as_client(workload.prove_progress(timeout_s=15)):
        history.not_healed = "records are not acknowledged"
        return
    world.tell("healed; the producers end")
    await world.as_client(workload.stop())
    if OFFSETS_TOPIC in history.compacted and not await world.as_client(group.stop(timeout_s=20)):
        history.not_healed = "the group does not come together again"
        return
    if not await world.until(lambda: not _unsettled(world), timeout_s=10):
        history.not_healed = f"replicas do not come to rest: {_unsettled(world)}"
        return
    if not await world.until(lambda: not _left_over(world), timeout_s=10):
        history.not_healed = f"logs are left where no replica is any more: {_left_over(world)}"
        return
    ends = {
        int(partition.topic_partition.partition): int(partition.high_watermark)
        for node in world.nodes.values()
        for partition in node.partitions()
        if partition.topic == TOPIC and partition.is_leader
    }
    if len(ends) != PARTITIONS or not await world.as_client(workload.read_everything(ends, timeout_s=15)):
        history.not_healed = f"the last reader did not get to the end of {ends}"
        return
    # Connections that clients have closed are gone, and so are the answers they waited for.
    await asyncio.sleep(2)
    observers.look_at_loads(world, idle=True)
    history.healed = True


def _is_stranded(world: World) -> bool:
    """Every partition that does not heal has nobody eligible but the one whose disk was damaged.

    That has to be put up with only where a kill leaves a log in doubt, because nothing is synced before it is acknowledged.
    """
    if world.nodes[1].settings.log.flush_policy is FlushPolicy.GROUP:
        return False
    damaged = {node.node_id for node in world.nodes.values() if node.host in world.history.lossy}
    states = [state for node in world.nodes.values() if node.node for _, state in node.node.image.partitions()]
    return bool(damaged) and all(
        len(state.isr) == len(state.replicas) or {int(each) for each in (*state.isr, *state.elr)} <= damaged
        for state in states
    )


def _incomplete(world: World) -> list[str]:
    """Partitions whose leader or ISR is not as it should be, in the image of any node."""
    found = []
    for node in world.nodes.values():
        if not node.is_up or node.node is None or node.node._parts is None:
            return [f"{node.host} is down"]
        image = node.node.image
        for key, state in image.partitions():
            moving = state.adding or state.removing
            if state.leader < 0 or len(state.isr) < len(state.replicas) or moving:
                name = image.topics[key.topic_id].name
                found.append(
                    f"{name}-{key.partition} on {node.host}: leader {state.leader}, ISR {state.isr} of {state.replicas}, "
                    f"adding {state.adding}, removing {state.removing}"
                )
    return found


def _unsettled(world: World) -> list[str]:
    """Replicas that have not all of the leader's records, or do not know that they are committed."""
    ends: dict[object, int] = {}
    for node in world.nodes.values():
        for partition in node.partitions():
            if partition.is_leader:
                ends[partition.topic_partition] = partition.log.log_end_offset
    found = []
    for node in world.nodes.values():
        for partition in node.partitions():
            state = (partition.log.log_end_offset, partition.high_watermark)
            end = ends.get(partition.topic_partition)
            if end is None or state != (end, end):
                found.append(f"{partition} on {node.host}: end and HW {state}, leader's end {end}, {partition.offline}")
    return found


def _left_over(world: World) -> list[str]:
    """Logs, in use or lying about, of partitions that the image gives to other nodes or to nobody."""
    found = []
    for node in world.nodes.values():
        if not node.is_up or node.node is None or node.node._parts is None:
            return [f"{node.host} is down"]
        image = node.node.image
        given = {
            f"{image.topics[key.topic_id].name}-{key.partition}"
            for key, state in image.partitions()
            if node.node_id in state.replicas
        }
        found += [f"{partition} on {node.host}" for partition in node.partitions() if str(partition) not in given]
        directories = (
            path.split("/")[2] for path, _ in node.disk.files() if path.startswith("/data/") and path.count("/") > 2
        )
        # A damaged log that was set aside is kept for whoever wants to look.
        found += [
            f"{name} on the disk of {node.host}"
            for name in dict.fromkeys(directories)
            if "-" in name and not name.endswith("-stray") and name not in given
        ]
    return found


def simulate(
    seed: int,
    *,
    readable: bool = False,
    faults_s: float = FAULTS_S,
    faults: tuple[str, ...] | None = None,
    without: tuple[str, ...] = (),
) -> Outcome:
    """Run one seed and check everything."""
    began = time.perf_counter()
    world = make_world(seed, readable=readable)
    history = world.run(scenario(world, faults_s=faults_s, faults=faults, without=without))
    return Outcome(
        seed=seed,
        violations=violations(history),
        hash=world.hash,
        story=world.story,
        faults=world.faults_injected,
        acknowledged=len(history.acknowledged),
        unacknowledged=len(history.unacknowledged),
        read=len(history.reads),
        stranded=history.stranded,
        virtual_s=world.loop.now - 1_000,
        real_s=time.perf_counter() - began,
    )


def replay_command(
    seed: int,
    *,
    faults_s: float = FAULTS_S,
    faults: tuple[str, ...] | None = None,
    without: tuple[str, ...] = (),
) -> str:
    words = ["make", "sim", f"SEED={seed}"]
    if faults_s != FAULTS_S:
        words.append(f"SECONDS_OF_FAULTS={faults_s:g}")
    if faults is not None:
        words.append(f"FAULTS={','.join(faults)}")
    if any(without):
        words.append(f"WITHOUT={','.join(without)}")
    return " ".join(words)


def report(outcome: Outcome, replay: str) -> None:
    print(
        f"seed {outcome.seed}: {len(outcome.violations)} violations, {outcome.acknowledged} acknowledged, "
        f"{outcome.unacknowledged} not, {outcome.read} read, trace {outcome.hash:08x}, "
        f"{outcome.virtual_s:.0f} s in {outcome.real_s:.1f} s"
    )
    for violation in outcome.violations:
        print(f"  {violation[:400]}")
    if outcome.violations:
        print(f"  replay: {replay}")
    sys.stdout.flush()
