"""The compiled step of a producer against the Python one: the same records, counters and refusals."""

from __future__ import annotations

import gc
import sys
import time
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.client import appending, compiled
from raftkafka.client.delivery import Delivery
from raftkafka.record.build import RECORD_OVERHEAD_MAX, estimated_size

needs_compiler = pytest.mark.skipif(not compiled.IS_COMPILED, reason="no compiler was there")
KINDS = [pytest.param(compiled, marks=needs_compiler), appending]
BATCH_BYTES = 600


class NoFuture:
    outcome = 1


class Producer:
    """What an Appender works on, of either kind."""

    def __init__(self, kind, *, named=False, now_ms=lambda: 7) -> None:
        self.kind = kind
        self.room = kind.Room()
        self.room.waiters, self.room.used_bytes, self.room.max_bytes = deque(), 0, 2_000
        self.sticky = kind.Sticky()
        self.sticky.current, self.sticky.given_bytes, self.sticky.switch_bytes = 3, 0, 900
        self.waiting = deque()
        self.gone = []
        sticky = None if named else self.sticky
        self.appender = kind.Appender(self.waiting, self.room, sticky, 3, BATCH_BYTES, Delivery, now_ms)

    def open(self):
        batch = self.kind.Filling()
        batch.records, batch.encoded, batch.outcome, batch.size_bytes = [], None, len(self.waiting), 61
        self.waiting.append(batch)

    def act(self, action, argument):
        """What came of it, in a form that both kinds share."""
        if action == "append":
            delivery = self.appender(argument)
            return None if delivery is None else (type(delivery), delivery.index, delivery.outcome)
        if action == "open":
            self.open()
        elif action == "close" and self.waiting:
            self.waiting[-1].encoded = bytearray()
        elif action == "take" and self.waiting:
            self.gone.append(self.waiting.popleft())
        elif action == "free":
            self.room.used_bytes = argument
        elif action == "wait":
            self.room.waiters.append(argument)
        elif action == "grant" and self.room.waiters:
            self.room.waiters.popleft()
        elif action == "switch":
            self.sticky.current, self.sticky.given_bytes = argument % 5, 0
        return None

    def state(self):
        batches = [(each.records, each.size_bytes) for each in [*self.gone, *self.waiting]]
        return batches, self.room.used_bytes, self.sticky.given_bytes


values = st.binary(max_size=40) | st.sampled_from([None, bytearray(b"x"), "x", 5, bytes(600), bytes(200), b""])
actions = st.one_of(
    st.tuples(st.just("append"), values),
    st.tuples(st.just("append"), values),
    st.tuples(st.just("append"), values),
    st.tuples(st.just("free"), st.integers(0, 2_100)),
    st.tuples(st.sampled_from(["open", "open", "close", "take", "wait", "grant"]), st.none()),
    st.tuples(st.just("switch"), st.integers(2, 4)),
)


@needs_compiler
@given(st.lists(actions, max_size=60), st.booleans())
def test_both_take_and_refuse_the_same(steps, named):
    ours, theirs = Producer(compiled, named=named), Producer(appending, named=named)
    for step in [("open", None), *steps]:
        assert ours.act(*step) == theirs.act(*step)
        assert ours.state() == theirs.state()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 1, 40])
def test_what_is_counted_is_the_estimate_of_the_longer_way(kind, size):
    producer = Producer(kind)
    producer.open()
    assert producer.act("append", bytes(size)) == (Delivery, 0, 0)
    assert producer.room.used_bytes == estimated_size(None, bytes(size)) == RECORD_OVERHEAD_MAX + size
    assert producer.state()[0] == [([(None, bytes(size), 7, ())], 61 + RECORD_OVERHEAD_MAX + size)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_clock_may_change_everything(kind):
    producer = Producer(kind, now_ms=lambda: producer.waiting.clear() or 8)
    producer.open()
    (batch,) = producer.waiting
    producer.appender(b"x")  # kept by one kind, refused by the other; neither may count what it has not taken
    taken = len(batch.records)
    assert producer.room.used_bytes == taken * (RECORD_OVERHEAD_MAX + 1)
    assert batch.size_bytes == 61 + producer.room.used_bytes


@pytest.mark.parametrize("kind", KINDS)
def test_a_clock_that_fails_has_taken_nothing(kind):
    def broken():
        raise ZeroDivisionError

    producer = Producer(kind, now_ms=broken)
    producer.open()
    before = producer.state()
    with pytest.raises(ZeroDivisionError):
        producer.appender(b"x")
    assert producer.state() == before


@needs_compiler
def test_whatever_is_put_into_the_attributes_is_refused_or_taken_by_the_longer_way():
    producer = Producer(compiled)
    producer.open()
    (batch,) = producer.waiting
    for holder, name, odd in [
        (batch, "records", ()),
        (batch, "encoded", 5),
        (batch, "size_bytes", -1),
        (batch, "size_bytes", sys.maxsize),
        (producer.room, "waiters", [1]),
        (producer.room, "used_bytes", -1),
        (producer.room, "used_bytes", sys.maxsize),
        (producer.room, "max_bytes", -1),
        (producer.sticky, "given_bytes", sys.maxsize),
    ]:
        before = getattr(holder, name)
        setattr(holder, name, odd)
        assert producer.appender(b"x") is None
        setattr(holder, name, before)
    for name in ("records", "encoded", "outcome"):
        bare = compiled.Filling()
        for other in {"records", "encoded", "outcome"} - {name}:
            setattr(bare, other, {"records": [], "encoded": None, "outcome": 1}[other])
        producer.waiting.append(bare)
        assert producer.appender(b"x") is None
        producer.waiting.pop()
    producer.waiting.append("no batch")
    assert producer.appender(b"x") is None
    with pytest.raises(TypeError, match="one value"):
        producer.appender()
    with pytest.raises(TypeError, match="one value"):
        producer.appender(value=b"x")
    with pytest.raises(TypeError, match="no slot outcome"):
        compiled.Appender(deque(), producer.room, None, 0, 9, NoFuture, None)
    with pytest.raises(TypeError, match="deque"):
        compiled.Appender([], producer.room, None, 0, 9, Delivery, None)
    with pytest.raises(TypeError, match="Sticky"):
        compiled.Appender(deque(), producer.room, 1, 0, 9, Delivery, None)


@needs_compiler
def test_references_are_given_back():
    value = bytes(50)
    producer = Producer(compiled, now_ms=None)
    producer.room.max_bytes = 1 << 40
    producer.sticky.switch_bytes = 1 << 40
    counted = [value, Delivery, producer.room, producer.waiting, producer.sticky]
    before = [sys.getrefcount(each) for each in counted]
    for _ in range(200):
        producer.open()
        while (delivery := producer.appender(value)) is not None:
            del delivery
        producer.waiting.clear()
    gc.collect()
    after = [sys.getrefcount(each) for each in counted]
    assert all(abs(now - then) < 50 for now, then in zip(after, before, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_clock_of_its_own_it_reads_that_of_the_machine(kind):
    producer = Producer(kind, now_ms=None)
    producer.open()
    before = time.time_ns() // 1_000_000
    assert producer.act("append", b"x") == (Delivery, 0, 0)
    assert before <= producer.waiting[-1].records[0][2] <= time.time_ns() // 1_000_000
