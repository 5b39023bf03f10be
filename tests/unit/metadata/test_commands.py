"""Bytes of commands: exact, strict, and a stop at what is not known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.metadata.commands import (
    ENTRY_BYTES_MAX,
    ENTRY_COMMANDS_MAX,
    CreateTopic,
    DeleteTopic,
    UnknownCommandError,
    decode,
    encode,
    encode_entries,
)
from raftkafka.model import cbor
from raftkafka.model.errors import CorruptionError
from raftkafka.model.ids import NodeId, TopicId


@given(data=st.data())
def test_commands_come_back_as_they_were(any_command, data):
    commands = tuple(data.draw(st.lists(any_command, max_size=5)))
    assert decode(encode(commands)) == commands


@given(data=st.data())
def test_a_list_in_entries_is_the_list(any_command, data):
    commands = data.draw(st.lists(any_command, max_size=30))
    entries = list(encode_entries(commands))
    assert len(entries) == min(1, len(commands))
    assert [command for entry in entries for command in decode(entry)] == commands


def test_no_entry_is_too_large():
    large = CreateTopic(
        name="a", topic_id=TopicId(b"x" * 16), partitions=((NodeId(1 << 30),) * 10,) * 10_000, configs={}
    )
    commands = [large, large, *[DeleteTopic(topic_id=TopicId(bytes(16)))] * (2 * ENTRY_COMMANDS_MAX), large]
    entries = list(encode_entries(commands))
    assert max(map(len, entries)) <= ENTRY_BYTES_MAX
    assert max(len(decode(entry)) for entry in entries) <= ENTRY_COMMANDS_MAX
    assert [command for entry in entries for command in decode(entry)] == commands


@pytest.mark.parametrize("item", [[99, 1], [7, 2, bytes(16)], [0, 1]])
def test_an_unknown_type_or_version_stops_the_node(item):
    with pytest.raises(UnknownCommandError, match="upgrade"):
        decode(cbor.encode([item]))


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"\xff",
        cbor.encode(7),
        cbor.encode([7]),
        cbor.encode([[]]),
        cbor.encode([[7]]),
        cbor.encode([["7", 1, bytes(16)]]),
        cbor.encode([[7, 1]]),
        cbor.encode([[7, 1, bytes(15)]]),
        cbor.encode([[7, 1, "x" * 16]]),
        cbor.encode([[7, 1, bytes(16), 0]]),
        cbor.encode([[3, 1, True, 1, False]]),
        cbor.encode([[6, 1, "a", bytes(16), [[1]], [["k", "v"]]]]),
        cbor.encode([[6, 1, "a", bytes(16), [["1"]], {}]]),
        cbor.encode([[8, 1, bytes(16), 0, 0, [1], None]]),
        cbor.encode([[8, 1, bytes(16), 0, 0, {1: 2}, None]]),
        cbor.encode({}) + b"x" * (16 << 20),
    ],
)
def test_malformed_entries_are_damage(entry):
    with pytest.raises(CorruptionError):
        decode(entry)


@given(noise=st.binary(max_size=40), position=st.integers(0, 60), data=st.data())
def test_damage_is_an_error_of_ours_or_another_entry(any_command, noise, position, data):
    entry = encode([data.draw(any_command)])
    damaged = entry[:position] + noise + entry[position + len(noise) :]
    try:
        decode(damaged)
    except (CorruptionError, UnknownCommandError):
        return


def test_the_bytes_stay_what_they_are():
    # Written entries live in the journals of running clusters.
    assert encode([DeleteTopic(topic_id=TopicId(bytes(16)))]).hex() == "8183070150" + "00" * 16
