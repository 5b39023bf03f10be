"""Consumers in groups, with real brokers: they share, take over, go on where somebody stopped, and read again."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from raftkafka.client import Admin, Consumer, Producer, TopicPartition
from tests.consumer_lives import ROOT, Line, Nursery, lines_of

if TYPE_CHECKING:
    from tests.cluster_fixtures import ClusterFactory
    from tests.clusters import Cluster

pytestmark = pytest.mark.integration


@pytest.fixture
def single(shared_single: Cluster) -> Cluster:
    """No test here harms it."""
    return shared_single


KILLS: Final = int(os.environ.get("CONSUMER_KILLS", "200"))
PROPERTIES: Final = {
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "offsets.topic.num.partitions": "3",
}
TAKEOVER_TRIES: Final = 4


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


async def started(new_cluster: ClusterFactory, nodes: int, partitions: int) -> Cluster:
    cluster = new_cluster(nodes, PROPERTIES)
    cluster.start()
    await cluster.ready()
    await cluster.create_topic("t", partitions=partitions)
    return cluster


async def produce(producer: Producer, partitions: int, count: int) -> None:
    """So many more records into each partition."""
    await asyncio.gather(
        *(producer.send_batch("t", [b"x"] * count, partition=partition) for partition in range(partitions))
    )


class Member:
    """A consumer of the test's own process, which polls until it is stopped. `read`: per partition, the offset after what it read."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.read: dict[int, int] = {}
        self.first: dict[int, int] = {}
        self.free = asyncio.Event()
        self.free.set()
        self.working = False
        self._task = asyncio.create_task(self._poll())

    async def _poll(self) -> None:
        while True:
            for partition, records in (await self.consumer.poll(50)).items():
                expected = self.read.get(partition.partition, records[0].offset)
                assert records[0].offset <= expected, f"{partition}: {records[0].offset} after {expected}"
                self.first.setdefault(partition.partition, records[0].offset)
                self.read[partition.partition] = records[-1].offset + 1
            self.working = not self.free.is_set()
            await self.free.wait()

    def held(self) -> set[int]:
        return {each.partition for each in self.consumer.assignment()}

    def check(self) -> None:
        if self._task.done():
            self._task.result()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@asynccontextmanager
async def member(cluster: Cluster, group: str = "g", **settings: Any) -> AsyncIterator[Member]:
    settings = {"auto_offset_reset": "earliest", "heartbeat_interval_ms": 100} | settings
    async with Consumer(cluster.bootstrap, group_id=group, **settings) as consumer:
        consumer.subscribe(["t"])
        made = Member(consumer)
        try:
            yield made
        finally:
            await made.stop()


async def until(cluster: Cluster, condition: Any, what: str, *members: Member) -> None:
    async def holds() -> bool:
        for each in members:
            each.check()
        return bool(condition())

    await cluster.eventually(holds, what)


async def test_D9_a_member_that_is_killed_is_replaced_within_its_session_and_a_second(
    new_cluster: ClusterFactory, nursery: Nursery, tmp_path: Path
) -> None:
    """Of several tries one must be in time: a busy machine may be late. tests/simulation/test_takeover.py excuses nothing."""
    session_ms = 2_000
    cluster = await started(new_cluster, 3, 4)
    settings = {"session_timeout_ms": session_ms, "heartbeat_interval_ms": 200}
    taken_s: list[float] = []
    async with member(cluster, **settings) as survivor:
        for attempt in range(TAKEOVER_TRIES):
            notes = tmp_path / f"{attempt}"
            pid = nursery.begin(notes, bootstrap_servers=cluster.bootstrap, topic="t", group_id="g", **settings)

            def both_read(notes: Path = notes) -> bool:
                # On a busy machine the two may share them out more than once.
                theirs = {line.partition for line in lines_of(notes)}
                return len(survivor.held()) == 2 and theirs >= {0, 1, 2, 3} - survivor.held()

            await until(cluster, both_read, "the two share the partitions and read", survivor)
            nursery.kill(pid)
            killed_at = time.monotonic()
            await until(cluster, lambda: len(survivor.held()) == 4, "it has taken over", survivor)
            taken_s.append(time.monotonic() - killed_at)
            if taken_s[-1] <= session_ms / 1000 + 1:
                break
    assert min(taken_s) <= session_ms / 1000 + 1, taken_s
    assert min(taken_s) >= 1, "before its session could have ended"


async def test_cooperative_members_read_on_while_the_group_rebalances(new_cluster: ClusterFactory) -> None:
    """One member keeps the rebalance waiting; the others hand out what comes into their partitions all the while."""
    cluster = await started(new_cluster, 1, 4)
    settings = {"partition_assignment_strategy": ["cooperative-sticky"]}
    async with (
        Producer(cluster.bootstrap) as producer,
        Admin(cluster.bootstrap) as admin,
        member(cluster, **settings) as one,
        member(cluster, **settings) as slow,
    ):
        await until(cluster, lambda: len(one.held()) == len(slow.held()) == 2, "two share", one, slow)
        slow.free.clear()
        await until(cluster, lambda: slow.working, "it works and does not poll", slow)
        async with member(cluster, **settings) as three:

            async def rebalances() -> bool:
                (group,) = await admin.describe_consumer_groups(["g"])
                return group.state == "PreparingRebalance"

            await cluster.eventually(rebalances, "the group waits for the slow member")
            mine = one.held()
            for _ in range(3):
                goals = {each: one.read.get(each, 0) + 10 for each in mine}
                await produce(producer, 4, 10)
                reached = lambda goals=goals: all(one.read.get(each, 0) >= at for each, at in goals.items())  # noqa: E731
                await until(cluster, reached, "records come while the group rebalances", one, three)
                assert await rebalances()
                assert one.held() == mine
            slow.free.set()
            shared = lambda: sorted([*one.held(), *slow.held(), *three.held()]) == [0, 1, 2, 3] and three.held()  # noqa: E731
            await until(cluster, shared, "all share", one, slow, three)
            assert len(one.held() & mine) >= 1


async def test_D7_200_kills_lose_nothing_and_repeat_only_what_was_not_committed(
    new_cluster: ClusterFactory, nursery: Nursery, tmp_path: Path
) -> None:
    """Commit after processing, killed at random points. CONSUMER_KILLS=n asks for more or fewer.

    A static member (KIP-345): its next life takes its place at once, where a dynamic one would wait for the session of the dead one.
    """
    partitions, seed = 3, random.randrange(1 << 32)
    chance = random.Random(seed)
    cluster = await started(new_cluster, 1, partitions)
    settings = {
        "group_id": "g",
        "group_instance_id": "only",
        "max_poll_records": 7,
        "bootstrap_servers": cluster.bootstrap,
    }
    lives: list[list[Line]] = []
    async with Producer(cluster.bootstrap) as producer:
        produced = 0
        for number in range(KILLS + 1):
            await produce(producer, partitions, 40)
            produced += 40
            notes = tmp_path / f"{number}"
            pid = nursery.begin(notes, topic="t", **settings)
            if number < KILLS:
                if number % 2:  # else it may die before it has joined
                    await until(cluster, lambda notes=notes: lines_of(notes), "it is in the group")
                await asyncio.sleep(chance.uniform(0, 0.1))
            else:
                await until(
                    cluster,
                    lambda notes=notes, end=produced: done(lives, lines_of(notes), end, partitions),
                    "all is read",
                )
            nursery.kill(pid)
            lives.append(lines_of(notes))
    for partition in range(partitions):
        check_lives(lives, partition, produced, seed)
    working = sum(any(line.what == "read" for line in life) for life in lives)
    print(f"{working} of {len(lives)} lives read something")
    assert working >= KILLS // 4, f"only {working} of {len(lives)} lives read anything: the kills hit nothing"


def done(lives: list[list[Line]], last: list[Line], produced: int, partitions: int) -> bool:
    ends = {line.partition: line.following for life in [*lives, last] for line in life if line.what == "committed"}
    return ends == dict.fromkeys(range(partitions), produced)


def check_lives(lives: list[list[Line]], partition: int, produced: int, seed: int) -> None:
    """Each life begins between what was surely committed and what was read, and goes on without a gap."""
    read = committed = 0
    for number, life in enumerate(lives):
        position: int | None = None
        for line in (line for line in life if line.partition == partition):
            where = f"life {number}, partition {partition}, seed {seed}: {line}"
            if line.what == "held":
                position = None  # it begins anew at what is committed
            elif line.what == "read":
                if position is None:
                    assert line.first <= read, f"records are missing from {read}: {where}"
                    assert line.first >= committed, f"committed up to {committed} and read again: {where}"
                else:
                    assert line.first == position, where
                position = line.following
                read = max(read, position)
            else:
                assert line.following >= committed, where
                committed = line.following
    assert read == committed == produced


async def test_B3_two_groups_read_everything_each_in_the_order_of_the_partitions(cluster: Cluster) -> None:
    await cluster.create_topic("t", partitions=3)
    async with Producer(cluster.bootstrap) as producer:
        await produce(producer, 3, 500)
    ends = dict.fromkeys(range(3), 500)
    async with member(cluster, "one") as one, member(cluster, "two") as two, member(cluster, "two") as other:
        together = lambda: {p: max(two.read.get(p, 0), other.read.get(p, 0)) for p in range(3)}  # noqa: E731
        await until(cluster, lambda: one.read == ends and together() == ends, "both have read all", one, two, other)
        assert set(one.first.values()) == {0}
        assert {min(two.first.get(p, 500), other.first.get(p, 500)) for p in range(3)} == {0}


async def test_D8_the_coordinator_is_killed_and_the_members_go_on(cluster: Cluster) -> None:
    await cluster.create_topic("t", partitions=2)
    async with (
        Producer(cluster.bootstrap) as producer,
        Admin(cluster.bootstrap) as admin,
        member(cluster, auto_commit_interval_ms=200) as one,
        member(cluster, auto_commit_interval_ms=200) as two,
    ):
        await until(cluster, lambda: len(one.held()) == len(two.held()) == 1, "two share", one, two)
        await produce(producer, 2, 50)
        read = lambda count: {**one.read, **two.read} == dict.fromkeys(range(2), count)  # noqa: E731
        await until(cluster, lambda: read(50), "they read", one, two)
        held = one.held(), two.held()
        (group,) = await admin.describe_consumer_groups(["g"])
        cluster.kill(group.coordinator)
        await produce(producer, 2, 50)
        await until(cluster, lambda: read(100), "they read on", one, two)
        partitions = [TopicPartition("t", 0), TopicPartition("t", 1)]

        async def committed() -> bool:
            found = await admin.list_consumer_group_offsets("g", partitions)
            return {each.offset for each in found.values()} == {100} and len(found) == 2

        await cluster.eventually(committed, "all is committed with the next coordinator")
        assert (one.held(), two.held()) == held
        (again,) = await admin.describe_consumer_groups(["g"])
        assert again.coordinator != group.coordinator
        assert again.generation_id == group.generation_id


async def test_a_stopped_coordinator_does_not_stop_a_group(cluster: Cluster) -> None:
    await cluster.create_topic("t", partitions=2)
    async with Admin(cluster.bootstrap) as admin, member(cluster) as one:
        await until(cluster, lambda: len(one.held()) == 2, "it has joined", one)
        (group,) = await admin.describe_consumer_groups(["g"])
        cluster.pause(int(group.coordinator))
        async with member(cluster) as two:
            await until(cluster, lambda: len(one.held()) == len(two.held()) == 1, "another one joins", one, two)
        cluster.resume(int(group.coordinator))


# The command line


def rk(cluster: Cluster, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "raftkafka.cli.main", *arguments, "--bootstrap-server", cluster.bootstrap],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def watch(cluster: Cluster) -> list[str]:
    """What `rk group describe g --watch` shows in two rounds, before Ctrl-C ends it without a complaint."""
    arguments = ["group", "describe", "g", "--watch", "0.2", "--bootstrap-server", cluster.bootstrap]
    with subprocess.Popen(
        [sys.executable, "-m", "raftkafka.cli.main", *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().rstrip("\n") for _ in range(6)]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    return lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_consumer_that_is_asked_to_end_leaves_its_group(single: Cluster, number: signal.Signals) -> None:
    await single.create_topic("t", partitions=1)
    async with Producer(single.bootstrap) as producer:
        await produce(producer, 1, 1)
    # A job in the background of a script has Ctrl-C ignored.
    begun = ("sh", "-c", "trap '' INT; exec \"$@\"", "sh") if number is signal.SIGTERM else ()
    process = await asyncio.create_subprocess_exec(
        *(*begun, sys.executable, "-m", "raftkafka.cli.main", "consume", "t", "--group", "g", "--from-beginning"),
        *("--bootstrap-server", single.bootstrap),
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 60)  # it is a member now
    process.send_signal(number)
    assert await asyncio.wait_for(process.wait(), 60) == 0
    described = await asyncio.to_thread(rk, single, "group", "describe", "g", "--json")
    # Not "Stable" until its session has expired: it has left.
    assert json.loads(described.stdout)["groups"][0]["state"] == "Empty"


async def test_C10_rk_group_rewinds_a_group_that_is_empty_and_no_other(single: Cluster, tmp_path: Path) -> None:
    await single.create_topic("t", partitions=2)
    async with Producer(single.bootstrap) as producer:
        await produce(producer, 2, 10)

    async def call(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(rk, single, *arguments, code=code)

    async def offsets() -> dict[int, int]:
        (group,) = json.loads((await call("group", "describe", "g", "--json")).stdout)["groups"]
        return {each["partition"]: each["current_offset"] for each in group["offsets"]}

    async with member(single) as one:
        await until(single, lambda: one.read == {0: 10, 1: 10}, "it has read all", one)
        refused = await call("group", "reset-offsets", "g", "--topic", "t", "--to-earliest", "--execute", code=1)
        assert "group 'g' is Stable with 1 members" in refused.stderr
        assert (await call("group", "delete", "g", code=1)).stderr.startswith(
            "rk: NON_EMPTY_GROUP: group 'g' has members"
        )
        refused = await call("group", "delete-offsets", "g", "--topic", "t:0,1", code=1)
        assert refused.stderr.startswith("rk: GROUP_SUBSCRIBED_TO_TOPIC")
        members = (await call("group", "describe", "g", "--members")).stdout.splitlines()
        assert members[1].split()[-2:] == ["2", "t-0,t-1"]
        why = (await call("why", "group", "g")).stdout.splitlines()
        assert why[0].startswith("g is Stable in generation 1 since ")
        assert ": assigned by " in why[0]
        assert why[2].endswith("has t-0, t-1.")
        assert why[3].startswith("Its coordinator is broker 1: __consumer_offsets-")
        assert [each for each in why[4:] if "a new member" in each or "joined" in each]
        told = json.loads((await call("why", "group", "g", "--json")).stdout)
        assert told["state"] == told["events"][-1]["state"] == "Stable"
        assert told["coordinator"]["leader"] == told["coordinator"]["broker"] == 1
    assert await offsets() == {0: 10, 1: 10}
    shown = await call("group", "reset-offsets", "g", "--topic", "t", "--to-earliest")
    assert [row.split() for row in shown.stdout.splitlines()[1:]] == [["g", "t", "0", "0"], ["g", "t", "1", "0"]]
    assert "nothing was changed" in shown.stderr
    assert await offsets() == {0: 10, 1: 10}
    await call("group", "reset-offsets", "g", "--topic", "t:1", "--shift-by", "-4", "--execute")
    assert await offsets() == {0: 10, 1: 6}
    exported = await call("group", "reset-offsets", "g", "--all-topics", "--to-current", "--export")
    (tmp_path / "offsets.csv").write_text(exported.stdout)
    await call("group", "reset-offsets", "g", "--topic", "t", "--by-duration", "PT1H", "--execute")
    assert await offsets() == {0: 0, 1: 0}
    await call("group", "reset-offsets", "g", "--topic", "t", "--to-datetime", "2100-01-01T00:00:00", "--execute")
    assert await offsets() == {0: 10, 1: 10}
    await call("group", "reset-offsets", "g", "--from-file", str(tmp_path / "offsets.csv"), "--execute")
    assert await offsets() == {0: 10, 1: 6}
    async with member(single) as again:
        await until(single, lambda: again.read == {1: 10}, "it reads again from where it was moved to", again)
        assert again.first == {1: 6}
    head, row, _ = (await call("group", "describe", "g")).stdout.splitlines()
    assert head.split()[:6] == ["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG"]
    assert row.split()[:6] == ["g", "t", "0", "10", "10", "0"]
    watched = await asyncio.to_thread(watch, single)
    assert watched[0] == watched[3] == head
    assert watched[1] == row
    assert (await call("group", "list")).stdout.splitlines()[1].split() == ["g", "Empty", "consumer"]
    await call("group", "delete-offsets", "g", "--topic", "t:0")
    assert await offsets() == {1: 10}
    await call("group", "delete", "g")
    assert (await call("group", "describe", "g", code=1)).stderr == "rk: GROUP_ID_NOT_FOUND: there is no group 'g'\n"
    assert (await call("why", "group", "g", code=1)).stderr == "rk: GROUP_ID_NOT_FOUND: there is no group 'g'\n"
    missing = await call("group", "reset-offsets", "g", "--topic", "missing", "--to-latest", code=1)
    assert missing.stderr.startswith("rk: UNKNOWN_TOPIC_OR_PARTITION")


async def test_rk_consume_with_a_group_goes_on_where_an_interrupted_one_stopped(single: Cluster) -> None:
    await single.create_topic("t")
    async with Producer(single.bootstrap) as producer:
        await producer.send_batch("t", [b"%d" % number for number in range(5)])
        arguments = ["consume", "t", "--group", "g", "--from-beginning"]
        first = await asyncio.to_thread(rk, single, *arguments, "--max-messages", "2")
        assert first.stdout == "0\n1\n"
        process = subprocess.Popen(
            [sys.executable, "-m", "raftkafka.cli.main", *arguments, "--bootstrap-server", single.bootstrap],
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert process.stdout is not None
        with process:
            lines = [await asyncio.to_thread(process.stdout.readline) for _ in range(3)]
            process.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(process.wait, 60) == 0
        assert lines == [b"2\n", b"3\n", b"4\n"]
        await producer.send("t", b"new")
        last = await asyncio.to_thread(rk, single, *arguments, "--max-messages", "1", "--json")
        assert json.loads(last.stdout)["value"] == "new"
