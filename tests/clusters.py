"""Clusters of real processes on loopback: started, killed, paused and ended by their ids, whatever happens to the test."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from raftkafka.cli.children import readiness
from raftkafka.cli.layout import HOST, NodePlace, Ports, plan, prepare
from raftkafka.client import Admin, ApiError, Consumer, Producer, RecordMetadata, TopicPartition
from raftkafka.model.api.cluster import TopicMetadata
from raftkafka.model.errors import ErrorCode, RaftKafkaError

ROOT: Final = Path(__file__).parents[1]
PATIENCE_S: Final = 60.0
"""A deadline for what takes a second or two on an idle machine: only a hang may meet it."""
POLL_S: Final = 0.05
LAST_LINES: Final = 40
PROGRAM: Final = ("-m", "raftkafka.cli.main")
_PORTS_FIRST: Final = 12_000
_PORTS_PER_WORKER: Final = 2_000

Entry = tuple[int, bytes | None]


# A shell that runs the tests in the background ignores SIGINT, and every process below would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Ports


def _numbers() -> Iterator[int]:
    """Below the range from which the kernel takes ports for outgoing connections: a port stays ours while its node is down."""
    worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0) % 8
    first = _PORTS_FIRST + worker * _PORTS_PER_WORKER
    start = random.Random(os.getpid()).randrange(_PORTS_PER_WORKER)
    for number in itertools.count(start):
        yield first + number % _PORTS_PER_WORKER


_NUMBERS: Final = _numbers()


def _free_port() -> int:
    for number in itertools.islice(_NUMBERS, _PORTS_PER_WORKER):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, number))
            return number
    raise RuntimeError("no free port")


def _free_ports(nodes: int) -> list[Ports]:
    return [Ports(_free_port(), _free_port(), _free_port()) for _ in range(nodes)]


# Waiting


async def eventually(condition: Callable[[], Awaitable[Any]], what: str, *, timeout_s: float = PATIENCE_S) -> Any:
    """The first true value of `condition`; the test fails when there is none before the deadline."""
    deadline = time.monotonic() + timeout_s
    while not (value := await condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        await asyncio.sleep(POLL_S)
    return value


# Clusters


class Cluster:
    """Nodes 1..n with their settings on disk; nothing runs until `start`."""

    program: Sequence[str] = PROGRAM
    """What the interpreter is to run."""

    def __init__(self, directory: Path, nodes: int, properties: Mapping[str, str]) -> None:
        self.directory = directory
        self.places = plan(directory, _free_ports(nodes))
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._others: list[subprocess.Popen[bytes]] = []
        self.paused: set[int] = set()
        prepare(directory, self.places)
        for place in self.places:
            self.configure(place.node_id, properties)

    eventually = staticmethod(eventually)

    # Looking

    def place(self, node_id: int) -> NodePlace:
        return self.places[node_id - 1]

    @property
    def bootstrap(self) -> str:
        return ",".join(place.address for place in self.places)

    @property
    def node_ids(self) -> list[int]:
        return [place.node_id for place in self.places]

    def node_log(self, node_id: int) -> str:
        path = self.place(node_id).log
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def last_words(self, node_id: int) -> str:
        lines = self.node_log(node_id).splitlines()[-LAST_LINES:]
        return "\n".join([f"the end of the log of node {node_id}:", *lines])

    def partition_dir(self, node_id: int, topic: str, partition: int = 0) -> Path:
        return self.place(node_id).directory / f"{topic}-{partition}"

    def pid(self, node_id: int) -> int:
        return self._processes[node_id].pid

    def is_running(self, node_id: int) -> bool:
        process = self._processes.get(node_id)
        return process is not None and process.poll() is None

    def command_prefix(self, node_id: int) -> Sequence[str]:
        """What goes before the command of a node."""
        return ()

    # Doing

    def configure(self, node_id: int, properties: Mapping[str, str]) -> None:
        """Set keys of a node's `server.properties`; they count from its next start."""
        path = self.place(node_id).properties
        path.write_text(merged(path.read_text(encoding="utf-8"), properties), encoding="utf-8")

    def start(self, *node_ids: int) -> None:
        for node_id in node_ids or self.node_ids:
            place = self.place(node_id)
            assert not self.is_running(node_id), f"node {node_id} runs already"
            self._processes[node_id] = launch(
                place.properties, place.log, prefix=self.command_prefix(node_id), program=self.program
            )

    async def run_other(self, node_id: int, properties: Mapping[str, str], log: Path) -> int:
        """The exit code of a process beside the cluster's, with a node's settings, some of them changed."""
        settings = log.with_suffix(".properties")
        settings.write_text(merged(self.place(node_id).properties.read_text(), properties), encoding="utf-8")
        process = launch(settings, log)
        self._others.append(process)
        return await ended(process)

    @staticmethod
    def more_ports() -> Ports:
        """Ports that no node has."""
        return _free_ports(1)[0]

    def kill(self, *node_ids: int) -> None:
        """SIGKILL, all of them before any is waited for."""
        processes = [self._processes.pop(node_id) for node_id in node_ids]
        self.paused.difference_update(node_ids)
        for process in processes:
            process.kill()
        for process in processes:
            process.wait(PATIENCE_S)

    def pause(self, node_id: int) -> None:
        self.paused.add(node_id)
        self._processes[node_id].send_signal(signal.SIGSTOP)

    def resume(self, node_id: int) -> None:
        self.paused.discard(node_id)
        if node_id in self._processes:
            self._processes[node_id].send_signal(signal.SIGCONT)

    async def stop(self, *node_ids: int, allowed: frozenset[int] = frozenset({0})) -> None:
        """SIGTERM; every node must end by itself, with exit code 0.

        -SIGTERM in `allowed` is for a process that may have started a moment ago: without its handlers it ends at once.
        """
        processes = {node_id: self._processes.pop(node_id) for node_id in node_ids or list(self._processes)}
        # `close` must end them, whatever becomes of who waits here.
        self._others += processes.values()
        for process in processes.values():
            process.terminate()
        codes = {each: await ended(process) for each, process in processes.items()}
        bad = {node_id: code for node_id, code in codes.items() if code not in allowed}
        assert not bad, f"exit codes by node: {bad}\n" + "\n".join(map(self.last_words, bad))

    async def exit_code(self, node_id: int) -> int:
        """Of a node that ends by itself."""
        return await ended(self._processes[node_id])

    async def ready(self, *node_ids: int) -> None:
        """Wait until these nodes (default: all) say that they are."""

        async def all_ready() -> bool:
            for node_id in node_ids or self.node_ids:
                code = self._processes[node_id].poll()
                assert code is None, f"node {node_id} ended with exit code {code}"
                if await asyncio.to_thread(readiness, self.place(node_id)) != "ready":
                    return False
            return True

        await eventually(all_ready, f"nodes {node_ids or self.node_ids} are ready")

    async def logged(self, node_id: int, text: str) -> str:
        """Wait for a line of the node's log that contains `text`; the line."""

        async def line() -> str:
            return next((each for each in self.node_log(node_id).splitlines() if text in each), "")

        return str(await eventually(line, f"node {node_id} logs {text!r}"))

    async def tidy(self) -> None:
        """As it was when it was new, as far as anybody can see: for the next test that takes it."""
        async with Admin(self.bootstrap) as admin:

            async def is_bare() -> bool:
                # Members that were killed keep their group until their sessions end; a coordinator may be loading.
                with contextlib.suppress(RaftKafkaError):
                    groups = [group.group_id for group in await admin.list_consumer_groups()]
                    if groups:
                        await admin.delete_consumer_groups(groups)
                    topics = await admin.list_topics()
                    if topics:
                        await admin.delete_topics(topics)
                    return not groups and not topics
                return False

            await eventually(is_bare, "there are no groups and no topics any more")

        async def are_gone() -> bool:
            places = [place.directory for place in self.places]
            names = [path.name for directory in places for path in directory.glob("*-*/")]
            return all(name.startswith("__") or name.endswith("-stray") for name in names)

        await eventually(are_gone, "the logs of all topics are deleted")

    def close(self) -> None:
        """End every process that is left. SIGCONT goes first: a stopped process would not notice its end."""
        for node_id in list(self.paused):
            self.resume(node_id)
        processes = [*self._processes.values(), *self._others]
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE_S)

    # Topics

    def load(self, topic: str, partitions: int = 1) -> Load:
        return Load(self.bootstrap, topic, partitions)

    async def read_all(self, topic: str, partitions: int = 1) -> dict[int, list[Entry]]:
        """Everything that consumers may read, per partition: (offset, value) in the order of the log."""
        wanted = [TopicPartition(topic, partition) for partition in range(partitions)]
        found: dict[int, list[Entry]] = {partition: [] for partition in range(partitions)}
        async with Consumer(self.bootstrap, auto_offset_reset="none") as consumer, asyncio.timeout(PATIENCE_S):
            ends = await consumer.end_offsets(wanted)
            consumer.assign(wanted)
            consumer.seek_to_beginning()
            while any(len(found[each.partition]) < end for each, end in ends.items()):
                for values in await consumer.poll_values(1_000):
                    found[values.topic_partition.partition] += enumerate(values.values, values.first_offset)
        return found

    async def create_topic(self, name: str, *, partitions: int = 1, replicas: int = -1, **configs: str) -> None:
        asked = 0

        async def made() -> bool:
            nonlocal asked
            asked += 1
            try:
                async with Admin(self.bootstrap) as admin:
                    await admin.create_topic(
                        name,
                        num_partitions=partitions,
                        replication_factor=replicas,
                        configs={key.replace("_", "."): value for key, value in configs.items()},
                    )
            except ApiError as error:
                # A controller that a busy machine holds up for seconds does not know how it ends; who asks again does.
                if error.code is ErrorCode.REQUEST_TIMED_OUT:
                    return False
                if not (asked > 1 and error.code is ErrorCode.TOPIC_ALREADY_EXISTS):
                    raise
            return True

        await eventually(made, f"topic {name} is made")
        await self.has_leaders(name)

    async def topic(self, name: str) -> TopicMetadata:
        async with Admin(self.bootstrap) as admin:
            return (await admin.describe_topics([name]))[0]

    async def has_leaders(self, name: str) -> TopicMetadata:
        async def led() -> TopicMetadata | None:
            with contextlib.suppress(RaftKafkaError):
                topic = await self.topic(name)
                return topic if all(each.leader_id >= 0 for each in topic.partitions) else None
            return None

        found = await eventually(led, f"every partition of {name} has a leader")
        assert isinstance(found, TopicMetadata)
        return found

    async def wait_isr_full(self, name: str) -> TopicMetadata:
        async def full() -> TopicMetadata | None:
            with contextlib.suppress(RaftKafkaError):
                topic = await self.topic(name)
                in_sync = all(set(each.isr_nodes) == set(each.replica_nodes) for each in topic.partitions)
                return topic if in_sync else None
            return None

        found = await eventually(full, f"every replica of {name} is in sync")
        assert isinstance(found, TopicMetadata)
        return found

    async def controller(self) -> int:
        async def leader() -> int:
            with contextlib.suppress(RaftKafkaError):
                async with Admin(self.bootstrap) as admin:
                    return max(0, int((await admin.describe_quorum()).leader_id))
            return 0

        return int(await eventually(leader, "there is a controller"))

    def assert_replicas_equal(self, topic: str, partitions: int) -> None:
        """I3 on the disks of stopped nodes: the same segments with the same bytes everywhere."""
        for partition in range(partitions):
            logs = [
                {path.name: path.read_bytes() for path in self.partition_dir(each, topic, partition).glob("*.log")}
                for each in self.node_ids
            ]
            joined = [b"".join(content for _, content in sorted(log.items())) for log in logs]
            sizes = [len(each) for each in joined]
            assert all(each == joined[0] for each in joined[1:]), (
                f"{topic}-{partition} differs, bytes per node: {sizes}"
            )


def merged(text: str, properties: Mapping[str, str]) -> str:
    """The lines of a properties file with some keys replaced, and new ones added."""
    pairs = dict(line.split("=", 1) for line in text.splitlines())
    pairs.update(properties)
    return "".join(f"{key}={value}\n" for key, value in pairs.items())


def launch(
    properties: Path, log: Path, *, prefix: Sequence[str] = (), program: Sequence[str] = PROGRAM
) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            [*prefix, sys.executable, *program, "broker", str(properties)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
        )


async def ended(process: subprocess.Popen[bytes]) -> int:
    return await asyncio.to_thread(process.wait, PATIENCE_S)


# Producing and reading


class Load:
    """A producer with acks=all that writes numbered records to every partition, without a pause, until it is stopped.

    `acked` holds per partition what was acknowledged, in the order in which it was sent: (offset, value).
    """

    IN_FLIGHT: Final = 64

    def __init__(self, bootstrap: str, topic: str, partitions: int = 1) -> None:
        self.topic = topic
        self.partitions = partitions
        self.failures: list[ApiError] = []
        self.changed = asyncio.Event()
        self._acked: dict[int, dict[int, Entry]] = {partition: {} for partition in range(partitions)}
        self._producer = Producer(bootstrap, acks="all")
        self._tasks: list[asyncio.Task[None]] = []
        self._ending = False

    async def __aenter__(self) -> Load:
        await self._producer.start()
        self._tasks = [asyncio.create_task(self._write(partition)) for partition in range(self.partitions)]
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._producer.stop(flush=False)

    @property
    def acked(self) -> dict[int, list[Entry]]:
        return {partition: [acks[key] for key in sorted(acks)] for partition, acks in self._acked.items()}

    @property
    def count(self) -> int:
        return sum(map(len, self._acked.values()))

    async def more(self, records: int = 300) -> None:
        """Wait until so many more have been acknowledged in every partition."""
        goals = {partition: len(acks) + records for partition, acks in self._acked.items()}

        async def reached() -> bool:
            self._check()
            return all(len(self._acked[partition]) >= goal for partition, goal in goals.items())

        await eventually(reached, f"{records} more records are acknowledged")

    async def end(self) -> None:
        """Send nothing more, and wait for what is under way."""
        self._ending = True
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*self._tasks)

    async def assert_nothing_lost(self, cluster: Cluster) -> None:
        """I1: each acknowledged record lies at its acknowledged offset, byte for byte. I8: once, in the order of sending."""
        acked = self.acked  # before the log is read: the load may be going on
        found = await cluster.read_all(self.topic, self.partitions)
        for partition, acks in acked.items():
            assert [offset for offset, _ in found[partition]] == list(range(len(found[partition])))
            log = dict(found[partition])
            missing = [offset for offset, value in acks if log.get(offset) != value]
            assert not missing, (
                f"partition {partition}: {len(missing)} of {len(acks)} acknowledged records are lost, "
                f"the first at offset {missing[0]}; the log ends at {len(log)}"
            )
            offsets = [offset for offset, _ in acks]
            assert offsets == sorted(set(offsets)), f"partition {partition} was reordered"
            # I8: the producer is idempotent, so no retry has written a second copy, and nothing was left out.
            order = [int((value or b"").split(b":", 2)[1]) for value in log.values()]
            assert order == sorted(set(order)), f"partition {partition} was reordered, or has copies"
            if not self.failures:
                assert order == list(range(len(order))), f"partition {partition} has gaps"

    def _check(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()

    async def _write(self, partition: int) -> None:
        room = asyncio.Semaphore(self.IN_FLIGHT)
        noise = random.Random(partition)
        for number in itertools.count():
            if self._ending:
                break
            await room.acquire()
            value = b"%d:%d:" % (partition, number) + noise.randbytes(noise.randrange(400))
            future = self._producer.send(self.topic, value, partition=partition)
            future.add_done_callback(self._note(partition, number, value, room))
        for _ in range(self.IN_FLIGHT):
            await room.acquire()

    def _note(
        self, partition: int, number: int, value: bytes, room: asyncio.Semaphore
    ) -> Callable[[asyncio.Future[RecordMetadata]], None]:
        def note(done: asyncio.Future[RecordMetadata]) -> None:
            room.release()
            if done.cancelled():
                return
            error = done.exception()
            if error is None:
                self._acked[partition][number] = (done.result().offset, value)
            elif isinstance(error, ApiError):
                self.failures.append(error)

        return note
