"""A scripted cluster behind the `connect` argument: deterministic, no sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from raftkafka.client.connection import ConnectionClosedError, ConnectionFailedError, RequestTimedOutError
from raftkafka.model.api.cluster import BrokerEndpoint, Metadata, MetadataResponse, PartitionMetadata, TopicMetadata
from raftkafka.model.api.fetch import Fetch, FetchPartitionResponse, FetchResponse
from raftkafka.model.api.offsets import ListOffsets, ListOffsetsPartitionResponse, ListOffsetsResponse
from raftkafka.model.api.produce import Produce, ProducePartitionResponse, ProduceResponse
from raftkafka.model.api.producers import InitProducerId, InitProducerIdResponse
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.record.header import crc_ok, iter_headers, stamp
from raftkafka.record.iterate import decode_records
from raftkafka.replica.producers import ProducerTable


@dataclass
class FakePartition:
    leader: int
    epoch: int = 1
    batches: list[tuple[int, bytes]] = field(default_factory=list)
    end: int = 0
    start: int = 0
    producers: ProducerTable = field(default_factory=lambda: ProducerTable(0))

    def append(self, records) -> int:
        """As a broker does: what an idempotent producer repeats is recognized, wrong numbers raise ApiError."""
        base = self.end
        buffer = bytearray(records)
        headers = list(iter_headers(buffer))
        duplicate = self.producers.check([header for _, header in headers])
        if duplicate is not None:
            return duplicate.first_offset
        for at, header in headers:
            assert crc_ok(buffer, at, header.batch_size)
            last = self.end + header.last_offset_delta
            if header.producer_id >= 0:
                self.producers.note(
                    header.producer_id,
                    header.producer_epoch,
                    header.base_sequence,
                    self.end,
                    last,
                    header.max_timestamp,
                )
            stamp(buffer, at, self.end, self.epoch)
            self.batches.append((self.end, bytes(buffer[at : at + header.batch_size])))
            self.end += header.records_count
        return base

    def values(self) -> list[bytes]:
        return [record.value for _, batch in self.batches for record in decode_records(batch)]


class FakeChannel:
    def __init__(self, cluster, node_id) -> None:
        self.cluster, self.node_id = cluster, node_id
        self.closed = False
        self.on_close = []
        self._turn = None  # the answer before: answers keep order
        self.pending = []
        self.unsent_bytes = 0
        cluster.channels.append(self)

    def ask(self, request, *, timeout_s, on_answer):
        self.request(request, timeout_s=timeout_s).add_done_callback(
            lambda done: on_answer(done.exception() or done.result())
        )

    def request(self, request, *, timeout_s=30):
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        if self.closed:
            future.set_exception(ConnectionClosedError("closed"))
            return future
        self.pending.append(future)
        self.cluster.requests.append((self.node_id, request))
        self.cluster.note_numbers(request)
        task = loop.create_task(self._answer(request, future, self._turn))
        self._turn = future
        self.cluster.tasks.add(task)
        task.add_done_callback(self.cluster.tasks.discard)
        timer = loop.call_later(timeout_s, self._time_out, future)
        future.add_done_callback(lambda _: timer.cancel())
        return future

    def _time_out(self, future) -> None:
        if not future.done():
            future.set_exception(RequestTimedOutError("no answer in time"))

    async def _answer(self, request, future, before) -> None:
        response = self.cluster.answer(self.node_id, request)
        if asyncio.iscoroutine(response):
            response = await response
        if before is not None and not before.done():
            await asyncio.wait([before])
        await asyncio.sleep(self.cluster.delay_s)
        if self.closed or future.done() or response is None:
            return
        self.pending.remove(future)
        if isinstance(response, Exception):
            future.set_exception(response)
        else:
            future.set_result(response)

    def send(self, request) -> None:
        if self.closed:
            raise ConnectionClosedError("closed")
        self.cluster.requests.append((self.node_id, request))
        self.cluster.note_numbers(request)
        self.cluster.answer(self.node_id, request)

    async def drain(self) -> None:
        await self.cluster.drained.wait()
        self.unsent_bytes = 0

    async def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if self.closed:
            return
        self.closed = True
        for future in self.pending:
            if not future.done():
                future.set_exception(ConnectionClosedError("closed"))
                future.exception()
        for callback in self.on_close:
            callback(self)


class FakeCluster:
    """Nodes 1..n at hosts b1..bn; `script(node, request)` may answer first, returning NotImplemented to decline."""

    def __init__(self, nodes: int = 3) -> None:
        self.nodes = set(range(1, nodes + 1))
        self.dead: set[int] = set()
        self.deaf: set[int] = set()
        self.topics: dict[str, list[FakePartition]] = {}
        self.requests: list[tuple[int, object]] = []
        self.channels: list[FakeChannel] = []
        self.tasks: set[asyncio.Task] = set()
        self.delay_s = 0.0
        self.producer_ids = 40
        self.numbers: list[list[tuple[int, int, int]]] = []
        """(producer id, epoch, sequence) of each batch that came, a list per partition of a request."""
        self.script: Callable = lambda node, request: NotImplemented
        self.auto_create: int | None = None
        self.drained = asyncio.Event()
        self.sessions: dict[int, dict] | None = None
        """With a dict, the fetch sessions of each node: rows by partition."""
        self.followers: dict[int, int] = {}
        """Nodes that serve consumers of rack r<node> without leading, and how far they know to be committed."""

    def add_topic(self, name: str, *leaders: int) -> list[FakePartition]:
        self.topics[name] = [FakePartition(leader) for leader in leaders]
        return self.topics[name]

    def topic_id(self, name: str) -> bytes:
        return name.encode().ljust(16, b"\0")

    def partition(self, topic_id: bytes, index: int) -> FakePartition | None:
        partitions = self.topics.get(topic_id.rstrip(b"\0").decode())
        return partitions[index] if partitions is not None and index < len(partitions) else None

    async def connect(self, host: str, port: int) -> FakeChannel:
        node_id = int(host[1:])
        await asyncio.sleep(0)
        if node_id in self.dead:
            raise ConnectionFailedError(f"cannot connect to {host}:{port}: refused")
        return FakeChannel(self, node_id)

    def kill(self, node_id: int) -> None:
        self.dead.add(node_id)
        for channel in self.channels:
            if channel.node_id == node_id:
                channel.abort()

    def answer(self, node_id, request):
        scripted = self.script(node_id, request)
        if scripted is not NotImplemented:
            return scripted
        if node_id in self.deaf:
            return None
        if isinstance(request, Metadata):
            return self.metadata(request)
        if isinstance(request, Produce):
            return ProduceResponse(partitions=tuple(self.produce(node_id, part) for part in request.partitions))
        if isinstance(request, Fetch):
            return self.fetch(node_id, request)
        if isinstance(request, ListOffsets):
            return ListOffsetsResponse(partitions=tuple(self.list_offset(node_id, p) for p in request.partitions))
        if isinstance(request, InitProducerId):
            self.producer_ids += 1
            return InitProducerIdResponse(producer_id=self.producer_ids, producer_epoch=0)
        return ApiError(ErrorCode.UNSUPPORTED_VERSION, type(request).__name__)

    def note_numbers(self, request) -> None:
        """As they are when they arrive: a producer may write others into the same buffer later."""
        if isinstance(request, Produce):
            self.numbers += [
                [(each.producer_id, each.producer_epoch, each.base_sequence) for _, each in iter_headers(part.records)]
                for part in request.partitions
            ]

    def metadata(self, request) -> MetadataResponse:
        topics = []
        for name in self.topics if request.topics is None else request.topics:
            if name not in self.topics and self.auto_create and request.allow_auto_topic_creation:
                self.add_topic(name, *[1] * self.auto_create)
                topics.append(TopicMetadata(name=name, error_code=ErrorCode.LEADER_NOT_AVAILABLE))
                continue
            if name not in self.topics:
                topics.append(TopicMetadata(name=name, error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
                continue
            topics.append(
                TopicMetadata(
                    name=name,
                    topic_id=self.topic_id(name),
                    partitions=tuple(
                        PartitionMetadata(partition=index, leader_id=part.leader, leader_epoch=part.epoch)
                        for index, part in enumerate(self.topics[name])
                    ),
                )
            )
        brokers = tuple(BrokerEndpoint(node_id=node, host=f"b{node}", port=9092) for node in sorted(self.nodes))
        return MetadataResponse(brokers=brokers, cluster_id="fake", controller_id=1, topics=tuple(topics))

    def leadership_error(self, node_id, asked_epoch, part: FakePartition | None):
        if part is None:
            return ErrorCode.UNKNOWN_TOPIC_ID
        if part.leader != node_id:
            return ErrorCode.NOT_LEADER_OR_FOLLOWER
        if asked_epoch != part.epoch:
            return ErrorCode.FENCED_LEADER_EPOCH if asked_epoch < part.epoch else ErrorCode.UNKNOWN_LEADER_EPOCH
        return ErrorCode.NONE

    def refuse(self, asked, code, **more) -> ProducePartitionResponse:
        return ProducePartitionResponse(topic_id=asked.topic_id, partition=asked.partition, error_code=code, **more)

    def produce(self, node_id, asked) -> ProducePartitionResponse:
        part = self.partition(asked.topic_id, asked.partition)
        code = self.leadership_error(node_id, asked.leader_epoch, part)
        if code is not ErrorCode.NONE:
            return self.refuse(asked, code)
        try:
            base_offset = part.append(asked.records)
        except ApiError as error:
            return self.refuse(asked, error.code, error_message=error.message)
        return ProducePartitionResponse(topic_id=asked.topic_id, partition=asked.partition, base_offset=base_offset)

    async def fetch(self, node_id, request) -> FetchResponse:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + request.max_wait_ms / 1000
        rows, session_id = request.partitions, 0
        if self.sessions is not None:
            known = self.sessions.setdefault(node_id, {})
            if request.session_epoch == 0:
                known.clear()
                known["epoch"] = 0
            elif request.session_epoch != known.get("epoch"):
                return FetchResponse(partitions=(), error_code=ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
            known["epoch"] += 1
            for gone in request.forgotten:
                del known[gone.topic_id, gone.partition]
            known.update({(row.topic_id, row.partition): row for row in request.partitions})
            rows, session_id = [row for key, row in known.items() if key != "epoch"], 100 + node_id
        while True:
            answers = [self.read(node_id, part, request.rack_id) for part in rows]
            news = [
                a for a in answers if a.records or a.error_code is not ErrorCode.NONE or a.preferred_read_replica >= 0
            ]
            if news or loop.time() >= deadline:
                answers = news if request.session_epoch > 0 else answers
                return FetchResponse(partitions=tuple(answers), session_id=session_id)
            await asyncio.sleep(0.001)

    def read(self, node_id, asked, rack_id: str = "") -> FetchPartitionResponse:
        part = self.partition(asked.topic_id, asked.partition)
        code = self.leadership_error(node_id, asked.current_leader_epoch, part)
        records = b""
        near = int(rack_id[1:]) if rack_id else -1
        if near in self.followers and code is ErrorCode.NONE and near != node_id:
            return FetchPartitionResponse(
                topic_id=asked.topic_id, partition=asked.partition, high_watermark=part.end, preferred_read_replica=near
            )
        end = part.end if part else -1
        if code is ErrorCode.NOT_LEADER_OR_FOLLOWER and rack_id and node_id in self.followers:
            code, end = ErrorCode.NONE, self.followers[node_id]
            if asked.fetch_offset > end:
                code = (
                    ErrorCode.OFFSET_NOT_AVAILABLE if asked.fetch_offset <= part.end else ErrorCode.OFFSET_OUT_OF_RANGE
                )
        if code is ErrorCode.NONE and not part.start <= asked.fetch_offset <= part.end:
            code = ErrorCode.OFFSET_OUT_OF_RANGE
        if code is ErrorCode.NONE:
            following = [base for base, _ in part.batches[1:]] + [part.end]
            for (_, batch), after in zip(part.batches, following, strict=False):
                if after > end:
                    break
                if after > asked.fetch_offset and (not records or len(records) + len(batch) <= asked.max_bytes):
                    records += batch
                elif records:
                    break
        return FetchPartitionResponse(
            topic_id=asked.topic_id,
            partition=asked.partition,
            error_code=code,
            high_watermark=end,
            records=records,
        )

    def list_offset(self, node_id, asked) -> ListOffsetsPartitionResponse:
        part = self.partition(asked.topic_id, asked.partition)
        code = self.leadership_error(node_id, asked.current_leader_epoch, part)
        offset, timestamp = -1, -1
        if code is ErrorCode.NONE:
            if asked.timestamp in (-1, -2):
                offset = part.end if asked.timestamp == -1 else part.start
            else:
                for _, batch in part.batches:
                    for record in decode_records(batch):
                        if record.timestamp_ms >= asked.timestamp and offset < 0:
                            offset, timestamp = record.offset, record.timestamp_ms
        return ListOffsetsPartitionResponse(
            topic_id=asked.topic_id, partition=asked.partition, error_code=code, offset=offset, timestamp=timestamp
        )


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def fakes() -> SimpleNamespace:
    return SimpleNamespace(FakeCluster=FakeCluster, FakeChannel=FakeChannel)
