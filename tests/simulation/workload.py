"""What applications do meanwhile, with the shipped client: produce unique values, read them, create and delete topics."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

from raftkafka.client import Admin, ApiError, BufferFullError, Consumer, Producer, TopicPartition
from raftkafka.model.errors import ErrorCode, RaftKafkaError
from tests.simulation.history import Acknowledged, Keyed, Read, Unacknowledged, Watermark

if TYPE_CHECKING:
    from tests.simulation.world import World

TOPIC = "orders"
PARTITIONS = 2
IDEMPOTENT_SHARE = 0.65
STATES = "states"
"""A compacted topic of one partition."""
STATES_CONFIGS = {
    "cleanup.policy": "compact",
    "segment.bytes": "2048",
    "min.cleanable.dirty.ratio": "0.1",
    "delete.retention.ms": "5000",
}
CHURNED = ["churn0", "churn1", "churn2"]
"""Topics that come and go."""
_UNKNOWN = frozenset({ErrorCode.REQUEST_TIMED_OUT, ErrorCode.NETWORK_EXCEPTION})
"""What a producer says when it does not know."""


BURST_EVERY_S = 8.0
BURST_S = 1.0
"""A heavy load comes in bursts: what it finds, it finds when queues fill and when they drain, and it costs time."""


class Workload:
    """Over all producers `records_per_s`, and `burst_per_s` for one second in eight.

    `stop` ends the producers and lets what is under way come to its end.
    """

    def __init__(
        self,
        world: World,
        random: Random,
        *,
        producers: int = 2,
        consumers: int = 2,
        records_per_s: float = 20,
        burst_per_s: float = 20,
    ) -> None:
        self.world = world
        self.random = random
        self.producers = producers
        self.consumers = consumers
        self.interval_s = producers / records_per_s
        self.burst_interval_s = producers / burst_per_s
        self.producing = True
        self.consuming = True
        self.churning = False
        self._tasks: list[asyncio.Task[None]] = []
        self._reading: list[asyncio.Task[None]] = []
        self._readers = 0

    def _random(self) -> Random:
        return Random(self.random.getrandbits(64))

    async def create_topic(self) -> None:
        """Until it is there, whatever the answers are."""
        admin = Admin(self.world.bootstrap, random=self._random(), default_api_timeout_ms=5_000)
        await admin.start()
        while True:
            try:
                await admin.create_topic(TOPIC, num_partitions=PARTITIONS)
                break
            except ApiError as error:
                if error.code is ErrorCode.TOPIC_ALREADY_EXISTS:
                    break
                await asyncio.sleep(0.1)
        await admin.stop()

    async def create_compacted_topic(self) -> None:
        """Until it is there."""
        self.world.history.compacted.add(STATES)
        admin = Admin(self.world.bootstrap, random=self._random(), default_api_timeout_ms=5_000)
        await admin.start()
        while True:
            try:
                await admin.create_topic(STATES, num_partitions=1, configs=STATES_CONFIGS)
                break
            except ApiError as error:
                if error.code is ErrorCode.TOPIC_ALREADY_EXISTS:
                    break
                await asyncio.sleep(0.1)
        await admin.stop()

    def start(self, *, churn: bool, replace_voters: bool = False) -> None:
        self.churning = churn
        if STATES in self.world.history.compacted:
            self._tasks.append(self.world.as_client(self._keep_states(self._random())))
            self._reading.append(self.world.as_client(self._follow_states(self._random())))
        for number in range(self.producers):
            idempotent = self.random.random() < IDEMPOTENT_SHARE
            name = f"i{number}" if idempotent else f"p{number}"
            if idempotent:
                self.world.history.idempotent.add(name.encode())
            self._tasks.append(self.world.as_client(self._produce(name, self._random(), idempotent=idempotent)))
        for _ in range(self.consumers):
            self._reading.append(self.world.as_client(self._consume(self._random())))
        if churn:
            self._tasks.append(self.world.as_client(self._churn(self._random())))
        if replace_voters:
            self._tasks.append(self.world.as_client(self._replace_voters(self._random())))

    async def stop(self) -> None:
        self.producing = False
        for task in self._tasks:
            await task
        self.consuming = False
        for task in self._reading:
            await task

    # Producing

    async def _produce(self, name: str, random: Random, *, idempotent: bool) -> None:
        producer = Producer(
            self.world.bootstrap,
            client_id=name,
            acks="all",
            enable_idempotence=idempotent,
            batch_size=random.choice([131_072, 131_072, 300]),
            linger_ms=random.choice([0, 0, 5, 50]),
            max_in_flight_requests_per_connection=random.choice([1, 5]),
            delivery_timeout_ms=random.choice([3_000, 10_000]),
            request_timeout_ms=random.choice([1_000, 2_500]),
            max_block_ms=random.choice([1_000, 5_000]),
            connect_timeout_ms=random.choice([500, 2_000]),
            metadata_max_age_ms=random.choice([2_000, 300_000]),
            allow_auto_create_topics=False,
            busy_poll_us=0,
            random=Random(random.getrandbits(64)),
            clock=self.world.client_clock,
        )
        await producer.start()
        number = 0
        while self.producing:
            value = b"%s-%06d" % (name.encode(), number)
            padded = value + b"." * random.choice([0, 10, 100, 1_000])
            number += 1
            partition = random.randrange(PARTITIONS)
            self.world.history.sent.add(padded)
            try:
                future = producer.send(TOPIC, padded, partition=partition)
            except BufferFullError:
                await producer.ready()
                continue
            future.add_done_callback(self._settled((TOPIC, partition), padded))
            bursting = self.world.loop.now % BURST_EVERY_S < BURST_S
            interval_s = self.burst_interval_s if bursting else self.interval_s
            await asyncio.sleep(random.expovariate(1 / interval_s))
        await producer.stop()

    def _settled(self, partition: tuple[str, int], value: bytes):  # type: ignore[no-untyped-def]
        world = self.world

        def settled(future: asyncio.Future) -> None:  # type: ignore[type-arg]
            error = future.exception()
            if error is None:
                offset = future.result().offset
                world.history.acknowledged.append(Acknowledged(world.loop.now, partition, offset, value))
                world.trace("ack", partition, offset, value)
                return
            unsent = "not sent" in str(error) or (isinstance(error, ApiError) and error.code not in _UNKNOWN)
            world.history.unacknowledged.append(
                Unacknowledged(world.loop.now, partition, value, f"{type(error).__name__} {error}", unsent)
            )
            world.tell(f"{partition} {value[:20]!r} is not acknowledged: {error}")

        return settled

    async def _keep_states(self, random: Random) -> None:
        """Values of a few keys, and now and then a tombstone."""
        world = self.world
        producer = Producer(
            world.bootstrap,
            client_id="states",
            delivery_timeout_ms=5_000,
            request_timeout_ms=1_000,
            max_block_ms=1_000,
            connect_timeout_ms=1_000,
            allow_auto_create_topics=False,
            busy_poll_us=0,
            random=Random(random.getrandbits(64)),
            clock=world.client_clock,
        )
        await producer.start()
        number = 0
        while self.producing:
            key = b"k%d" % random.randrange(8)
            value = b"s%06d" % number + b"." * random.choice([0, 50, 300])
            if key < b"k3" and random.random() < 0.3:
                value = None
                # Sent again after a time-out, it may come to stand behind a later value, and nobody is told.
                world.history.perhaps_deleted.add(key)
            number += 1
            world.history.sent.add(value or b"")
            try:
                future = producer.send(STATES, value, key=key, partition=0)
            except BufferFullError:
                await producer.ready()
                continue
            future.add_done_callback(self._kept(key, value))
            await asyncio.sleep(random.expovariate(20))
        await producer.stop()

    def _kept(self, key: bytes, value: bytes | None):  # type: ignore[no-untyped-def]
        world = self.world

        def kept(future: asyncio.Future) -> None:  # type: ignore[type-arg]
            if future.exception() is None:
                offset = future.result().offset
                world.history.keyed.append(Keyed(world.loop.now, (STATES, 0), offset, key, value))
                world.trace("kept", offset, key)

        return kept

    # Consuming

    async def _follow_states(self, random: Random) -> None:
        """Reads the compacted topic from its beginning, again and again."""
        world, reader = self.world, 0
        where = TopicPartition(STATES, 0)
        while self.consuming:
            reader += 1
            consumer = Consumer(
                world.bootstrap,
                client_id=f"s{reader}",
                auto_offset_reset="none",
                request_timeout_ms=1_000,
                max_partition_fetch_bytes=random.choice([500, 1 << 20]),
                connect_timeout_ms=1_000,
                busy_poll_us=0,
                random=Random(random.getrandbits(64)),
            )
            await consumer.start()
            consumer.assign([where])
            consumer.seek(where, 0)
            until = world.loop.now + random.uniform(1, 10)
            while self.consuming and world.loop.now < until:
                try:
                    polled = await consumer.poll(timeout_ms=200)
                except ApiError as error:
                    if error.code in (ErrorCode.OFFSET_OUT_OF_RANGE, ErrorCode.CORRUPT_MESSAGE):
                        world.history.unexpected.append(f"s{reader} at {world.loop.now:.3f}: {error!r}")
                        break
                    await asyncio.sleep(0.1)
                    continue
                for record in polled.get(where, ()):
                    value = record.value or b""
                    world.history.reads.append(Read(world.loop.now, f"s{reader}", (STATES, 0), record.offset, value))
            await consumer.stop()

    async def _consume(self, random: Random) -> None:
        while self.consuming:
            self._readers += 1
            until = self.world.loop.now + random.choice([3.0, 1_000.0])
            await self._read_as(f"c{self._readers}", random, until=until)

    async def _read_as(self, name: str, random: Random, *, until: float) -> None:
        world = self.world
        consumer = Consumer(
            world.bootstrap,
            client_id=name,
            auto_offset_reset="none",
            fetch_max_wait_ms=random.choice([100, 500]),
            request_timeout_ms=random.choice([1_000, 5_000]),
            max_partition_fetch_bytes=random.choice([2_000, 1 << 20]),
            client_rack=random.choice(["", "rack1", "rack2", "rack3"]),
            metadata_max_age_ms=random.choice([2_000, 300_000]),
            connect_timeout_ms=1_000,
            busy_poll_us=0,
            random=Random(random.getrandbits(64)),
        )
        await consumer.start()
        partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        for partition in partitions:
            consumer.seek(partition, 0)
        while self.consuming and world.loop.now < until:
            try:
                polled = await consumer.poll(timeout_ms=200)
            except ApiError as error:
                if error.code in (ErrorCode.OFFSET_OUT_OF_RANGE, ErrorCode.CORRUPT_MESSAGE):
                    world.history.unexpected.append(f"{name} at {world.loop.now:.3f}: {error!r}")
                    break
                world.tell(f"{name} cannot read: {error}")
                await asyncio.sleep(0.1)
                continue
            for partition, records in polled.items():
                for record in records:
                    world.history.reads.append(
                        Read(world.loop.now, name, (TOPIC, partition.partition), record.offset, record.value or b"")
                    )
                world.trace("read", name, partition.partition, records[0].offset, len(records))
            for partition in partitions:
                watermark = consumer.high_watermark(partition)
                if watermark is not None:
                    world.history.watermarks.append(
                        Watermark(world.loop.now, name, (TOPIC, partition.partition), watermark)
                    )
        await consumer.stop()

    # Topics that come and go

    async def _churn(self, random: Random) -> None:
        admin = Admin(self.world.bootstrap, random=self._random(), default_api_timeout_ms=3_000)
        await admin.start()
        while self.producing:
            name = random.choice(CHURNED)
            self.world.history.deleted.add(name)
            try:
                if random.random() < 0.6:
                    await admin.create_topic(name, num_partitions=random.choice([1, 2]))
                    await self._write_once(name, random)
                else:
                    await admin.delete_topics([name])
            except RaftKafkaError as error:
                self.world.trace("churn", str(error))
            await asyncio.sleep(random.uniform(0.1, 2))
        await admin.stop()

    async def _replace_voters(self, random: Random) -> None:
        """An operator who moves the vote from node to node, one at a time; two voters stay in any case."""
        admin = Admin(self.world.bootstrap, random=self._random(), default_api_timeout_ms=3_000)
        await admin.start()
        while self.producing:
            await asyncio.sleep(random.uniform(0.5, 4))
            try:
                voters = [each.node_id for each in (await admin.describe_quorum()).voters]
                spare = [each for each in self.world.nodes if each not in voters]
                if spare and (len(voters) < 3 or random.random() < 0.6):
                    node_id = random.choice(spare)
                    await admin.add_voter(node_id, self.world.nodes[node_id].host, 9093)
                    self.world.tell(f"node{node_id} is a voter")
                elif len(voters) > 2:
                    node_id = random.choice(voters)
                    await admin.remove_voter(node_id)
                    self.world.tell(f"node{node_id} is no voter")
            except RaftKafkaError as error:
                self.world.trace("voters", str(error))
        await admin.stop()

    async def _write_once(self, topic: str, random: Random) -> None:
        producer = Producer(
            self.world.bootstrap,
            delivery_timeout_ms=1_000,
            request_timeout_ms=500,
            max_block_ms=500,
            allow_auto_create_topics=False,
            busy_poll_us=0,
            random=Random(random.getrandbits(64)),
            clock=self.world.client_clock,
        )
        await producer.start()
        sent = [producer.send(topic, b"churn") for _ in range(random.randrange(1, 20))]
        await asyncio.gather(*sent, return_exceptions=True)
        await producer.stop(flush=False)

    async def prove_progress(self, *, timeout_s: float) -> bool:
        """One more record in every partition, acknowledged in time."""
        producer = Producer(
            self.world.bootstrap,
            client_id="last",
            delivery_timeout_ms=int(timeout_s * 1000),
            request_timeout_ms=2_000,
            connect_timeout_ms=1_000,
            busy_poll_us=0,
            random=self._random(),
            clock=self.world.client_clock,
        )
        await producer.start()
        sent = []
        for number in range(PARTITIONS):
            value = b"last-%d" % number
            self.world.history.sent.add(value)
            future = producer.send(TOPIC, value, partition=number)
            future.add_done_callback(self._settled((TOPIC, number), value))
            sent.append(future)
        results = await asyncio.gather(*sent, return_exceptions=True)
        await producer.stop(flush=False)
        return not any(isinstance(result, BaseException) for result in results)

    async def read_everything(self, ends: dict[int, int], *, timeout_s: float) -> bool:
        """A consumer that begins now reads every partition to its end."""
        world = self.world
        consumer = Consumer(
            world.bootstrap, client_id="last", auto_offset_reset="none", busy_poll_us=0, random=self._random()
        )
        await consumer.start()
        partitions = [TopicPartition(TOPIC, number) for number in ends]
        consumer.assign(partitions)
        for partition in partitions:
            consumer.seek(partition, 0)
        deadline = world.loop.now + timeout_s
        positions = dict.fromkeys(ends, 0)
        while not all(positions[number] >= end for number, end in ends.items()) and world.loop.now < deadline:
            try:
                polled = await consumer.poll(timeout_ms=500)
            except ApiError as error:
                world.tell(f"the last reader: {error}")
                await asyncio.sleep(0.1)
                continue
            for partition, records in polled.items():
                for record in records:
                    where = (TOPIC, partition.partition)
                    world.history.reads.append(Read(world.loop.now, "last", where, record.offset, record.value or b""))
                positions[partition.partition] = records[-1].offset + 1
        await consumer.stop()
        return all(positions[number] >= end for number, end in ends.items())
