"""Client quotas at work: rates as Kafka measures them, who is throttled, and for how long."""

from __future__ import annotations

import asyncio

import pytest

from raftkafka.broker.client_quotas import CLIENTS_MAX, THROTTLE_MAX_S, ByteRate, ClientQuotas, with_throttle
from raftkafka.broker.dispatch import Dispatch
from raftkafka.metadata.commands import AlterClientQuotas
from raftkafka.model.api.fetch import Fetch, FetchPartitionResponse, FetchResponse
from raftkafka.model.api.produce import Produce, ProducePartition, ProduceResponse
from raftkafka.model.context import RequestContext
from raftkafka.model.ids import PartitionIndex, TopicId

TOPIC = TopicId(b"t" * 16)


def test_a_client_that_begins_may_use_what_a_quiet_time_has_left():
    rate = ByteRate(num=11, size_s=1.0)
    rate.record(1_000, 100.0)
    assert rate.excess_s(100.0, 100.0) == 0.0
    rate.record(500, 100.0)
    # Kafka: (rate - quota) / quota * window, with a window of ten seconds at first.
    assert rate.excess_s(100.0, 100.0) == pytest.approx(5.0)


def test_after_the_throttle_time_the_rate_is_kept_and_then_forgotten():
    rate = ByteRate(num=11, size_s=1.0)
    rate.record(1_050, 100.0)
    assert rate.excess_s(100.0, 100.5) == pytest.approx(0.0)
    assert rate.excess_s(50.0, 100.0) == pytest.approx(11.0)
    assert rate.excess_s(50.0, 110.9) > 0
    assert rate.excess_s(50.0, 111.0) == 0.0


def test_a_steady_client_keeps_to_its_quota_in_the_long_run():
    rate, now, passed = ByteRate(num=11, size_s=1.0), 0.0, 0
    while now < 200.0:
        rate.record(700, now)
        passed += 700
        now += max(0.01, rate.excess_s(1_000.0, now))
    assert 1_000 * 200 <= passed <= 1_000 * 200 * 1.11


class Counting:
    def __init__(self) -> None:
        self.throttles: list[tuple[str, float]] = []

    def throttled(self, quota: str, seconds: float) -> None:
        self.throttles.append((quota, seconds))


@pytest.fixture
async def office(world):
    world.start_brokers(1)
    world.time = 1_000.0
    world.counting = Counting()
    world.quotas = ClientQuotas(
        store=world.store, probe=world.counting, now=lambda: world.time, window_num=11, window_size_s=1
    )
    return world


def quota(world, *, user=None, client_id=None, **rates):
    world.commit(
        AlterClientQuotas(
            user=user,
            client_id=client_id,
            quotas={f"{kind}_byte_rate": None if rate is None else float(rate) for kind, rate in rates.items()},
        )
    )


def client(client_id="app") -> RequestContext:
    return RequestContext(listener="PLAINTEXT", client_address="test", client_id=client_id)


def produce(size: int) -> Produce:
    one = ProducePartition(topic_id=TOPIC, partition=PartitionIndex(0), records=memoryview(bytearray(size)))
    return Produce(acks=-1, timeout_ms=1_000, partitions=(one,))


def fetched(size: int) -> FetchResponse:
    return FetchResponse(
        partitions=(FetchPartitionResponse(topic_id=TOPIC, partition=PartitionIndex(0), records=bytes(size)),)
    )


async def test_without_quotas_there_is_nothing_to_do(office):
    assert not office.quotas.active
    quota(office, client_id="app", producer=100)
    assert office.quotas.active
    quota(office, client_id="app", producer=None)
    assert not office.quotas.active


async def test_quotas_that_were_there_before_this_node_began_count(office):
    quota(office, client_id="app", producer=100)
    again = ClientQuotas(store=office.store, probe=office.counting, now=lambda: 0.0, window_num=11, window_size_s=1)
    assert again.active


async def test_who_goes_beyond_is_told_for_how_long_and_the_connection_too(office):
    quota(office, client_id="app", producer=100)
    context, other = client(), client("other")
    assert office.quotas.on_produce(context, produce(1_000)) == 0
    assert context.throttled_s == 0.0
    assert office.quotas.on_produce(context, produce(500)) == 5_000
    assert context.throttled_s == pytest.approx(5.0)
    assert office.quotas.on_produce(other, produce(100_000)) == 0
    assert office.counting.throttles == [("producer_byte_rate", pytest.approx(5.0))]


async def test_connections_of_one_client_share_its_quota(office):
    quota(office, client_id="app", producer=100)
    one, two = client(), client()
    office.quotas.on_produce(one, produce(1_000))
    assert office.quotas.on_produce(two, produce(100)) == 1_000
    assert one.throttled_s == 0.0


async def test_a_quota_that_changes_counts_from_the_next_request_on(office):
    quota(office, client_id="app", producer=100)
    context = client()
    assert office.quotas.on_produce(context, produce(2_000)) == 10_000
    quota(office, client_id="app", producer=1_000)
    assert office.quotas.on_produce(context, produce(1)) == 0


async def test_a_quota_of_a_typing_error_holds_nobody_for_days(office):
    quota(office, client_id="app", producer=1)
    assert office.quotas.on_produce(client(), produce(1 << 20)) == THROTTLE_MAX_S * 1_000


async def test_a_fetch_asks_for_no_more_than_the_windows_may_have_and_is_counted(office):
    quota(office, client_id="app", consumer=100)
    context = client()
    asked = Fetch(partitions=(), max_bytes=1 << 20)
    assert office.quotas.bounded(context, asked).max_bytes == 1_000
    assert office.quotas.bounded(client("other"), asked) is asked
    assert office.quotas.on_fetched(context, fetched(900)).throttle_time_ms == 0
    assert office.quotas.on_fetched(context, fetched(900)).throttle_time_ms == 8_000
    assert context.throttled_s == pytest.approx(8.0)
    empty = fetched(0)
    assert office.quotas.on_fetched(context, empty) is empty


async def test_what_is_remembered_of_clients_is_bounded(office):
    quota(office, client_id="", producer=100)
    for each in range(CLIENTS_MAX + 5):
        office.quotas.on_produce(client(str(each)), produce(1))
    assert len(office.quotas._rates) == CLIENTS_MAX
    assert len(office.quotas._limits) <= CLIENTS_MAX


async def test_the_answer_carries_the_throttle_time_whenever_it_comes():
    assert with_throttle(ProduceResponse(partitions=()), 7).throttle_time_ms == 7
    later = asyncio.get_running_loop().create_future()
    answer = with_throttle(later, 9)
    later.set_result(ProduceResponse(partitions=()))
    assert (await answer).throttle_time_ms == 9


async def test_dispatch_throttles_clients_and_never_nodes(office):
    seen = []

    def handler(context, request):
        seen.append(request)
        return ProduceResponse(partitions=()) if isinstance(request, Produce) else fetched(900)

    everything = {
        name: _Anything()
        for name in (
            [
                "offsets",
                "delete_records",
                "metadata",
                "topics",
                "partitions",
                "controller",
                "producers",
                "quorum",
                "configs",
                "log_dirs",
                "quotas",
                "groups",
                "membership",
                "committed_offsets",
            ]
        )
    }
    dispatch = Dispatch(
        produce=handler, fetch=handler, client_quotas=office.quotas, probe=office.probe, now=lambda: 0.0, **everything
    )
    quota(office, client_id="app", producer=100, consumer=100)
    assert dispatch(client(), produce(1_500)).throttle_time_ms == 5_000
    assert dispatch(client(), Fetch(partitions=(), max_bytes=1 << 20)).throttle_time_ms == 0
    assert seen[-1].max_bytes == 1_000
    assert dispatch(client(), Fetch(partitions=())).throttle_time_ms == 8_000
    node = client()
    node.node_id = 2
    assert dispatch(node, produce(1 << 20)).throttle_time_ms == 0
    assert node.throttled_s == 0.0


class _Anything:
    """Stands for a handler that is not asked."""

    def __getattr__(self, name):
        return self

    def __call__(self, *_):
        raise AssertionError("nobody asks this")
