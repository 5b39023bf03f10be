"""A gate loses, invents and reorders nothing, holds up those who are cut off, and is gone when its node is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from raftkafka.cli.layout import HOST
from raftkafka.testing.callers import STRANGER
from raftkafka.testing.gates import Gate
from raftkafka.testing.ports import Door
from tests.servers import ended

PATIENCE_S = 30


def first_byte(received: bytes) -> int | None:
    """The caller's number, one byte; 0 is a stranger."""
    return received[0] if received else None


class Behind:
    """What stands behind the gate: it echoes, and notes what it has received."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.echoes = True
        self.is_over = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        if self.is_over:
            writer.close()
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                self.received += data
                if self.echoes:
                    writer.write(data)
                    await writer.drain()
        writer.close()


@pytest.fixture
def cuts() -> set[int]:
    return set()


@pytest.fixture
def door():
    made = Door.of(gated=True)
    yield made
    made.outside.release()
    made.inside.release()


@pytest.fixture
async def behind(door: Door) -> AsyncIterator[Behind]:
    made = Behind()
    server = await asyncio.start_server(made.serve, HOST, door.inside.number)
    yield made
    made.is_over = True
    for writer in made.writers:
        writer.close()
    await ended(server)


@pytest.fixture
async def gate(door: Door, cuts: set[int]) -> AsyncIterator[Gate]:
    made = Gate(door=door, identify=first_byte, is_cut=cuts.__contains__)
    await made.open()
    yield made
    made.close()


async def connect(door: Door) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(HOST, door.outside.number)


async def eventually(condition) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


async def test_bytes_pass_both_ways_in_order(gate: Gate, door: Door, behind: Behind) -> None:
    reader, writer = await connect(door)
    sent = bytes([STRANGER]) + bytes(range(256)) * 20_000
    writer.write(sent)
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.readexactly(len(sent)) == sent
    assert behind.received == sent
    writer.close()


async def test_a_close_follows_the_last_byte(gate: Gate, door: Door, behind: Behind) -> None:
    _, writer = await connect(door)
    behind.echoes = False
    writer.write(b"\x01" + b"x" * 500_000)
    writer.close()
    await eventually(lambda: len(behind.received) == 500_001)


@pytest.mark.parametrize("caller", [STRANGER, 2])
async def test_those_who_are_not_cut_off_are_not_held_up(
    gate: Gate, door: Door, behind: Behind, cuts: set[int], caller: int
) -> None:
    cuts.add(1)
    gate.refresh()
    reader, writer = await connect(door)
    writer.write(bytes([caller]))
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.readexactly(1) == bytes([caller])
    writer.close()


async def test_a_cut_holds_up_both_ways_and_healing_lets_all_of_it_arrive(
    gate: Gate, door: Door, behind: Behind, cuts: set[int]
) -> None:
    reader, writer = await connect(door)
    writer.write(b"\x01")
    async with asyncio.timeout(PATIENCE_S):
        await reader.readexactly(1)
    cuts.add(1)
    gate.refresh()
    writer.write(b"there")
    behind.writers[0].write(b"back")
    # Another connection takes the same way after them: what was not held up would have arrived before it.
    other_reader, other = await connect(door)
    other.write(b"\x02")
    async with asyncio.timeout(PATIENCE_S):
        await other_reader.readexactly(1)
    assert behind.received == b"\x01\x02"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await reader.read(1)
    cuts.clear()
    gate.refresh()
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.readexactly(9) == b"backthere"
    writer.close()
    other.close()


async def test_a_new_connection_of_one_who_is_cut_off_is_taken_and_not_answered(
    gate: Gate, door: Door, behind: Behind, cuts: set[int]
) -> None:
    cuts.add(1)
    reader, writer = await connect(door)
    writer.write(b"\x01hello")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await reader.read(1)
    assert behind.connections == 0
    cuts.clear()
    gate.refresh()
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.readexactly(6) == b"\x01hello"
    writer.close()


async def test_a_slow_reader_holds_up_the_sender(gate: Gate, door: Door, behind: Behind) -> None:
    """The gate must not become a buffer without bound."""
    _, writer = await connect(door)
    # Nothing is read from this end beyond the reader's own small buffer.
    behind.echoes = False
    writer.write(b"\x00")
    await eventually(lambda: behind.writers)
    sender = behind.writers[0]

    async def send() -> None:
        for _ in range(200):
            sender.write(b"x" * (1 << 20))
            await sender.drain()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(send(), 1)
    sender.transport.abort()
    writer.transport.abort()


async def test_a_closed_gate_refuses_and_breaks_what_was_open(gate: Gate, door: Door, behind: Behind) -> None:
    reader, writer = await connect(door)
    writer.write(b"\x00")
    async with asyncio.timeout(PATIENCE_S):
        await reader.readexactly(1)
    gate.close()
    async with asyncio.timeout(PATIENCE_S):
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
    with pytest.raises(ConnectionRefusedError):
        await connect(door)
    writer.close()
    await gate.open()
    reader, writer = await connect(door)
    writer.write(b"\x00")
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.readexactly(1) == b"\x00"
    writer.close()


async def test_nobody_behind_the_gate_is_a_broken_connection(gate: Gate, door: Door) -> None:
    reader, writer = await connect(door)
    writer.write(b"\x00")
    async with asyncio.timeout(PATIENCE_S):
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()


async def test_a_caller_who_goes_before_it_said_a_word_leaves_nothing(gate: Gate, door: Door, behind: Behind) -> None:
    _, writer = await connect(door)
    await eventually(lambda: gate.relays == 1)
    writer.close()
    await eventually(lambda: gate.relays == 0)
    assert behind.connections == 0
