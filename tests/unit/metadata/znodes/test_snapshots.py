"""The tree in snapshots, and what its watches hear when one is restored."""

from __future__ import annotations

import pytest

from raftkafka.metadata import snapshot
from raftkafka.metadata.changes import Changes
from raftkafka.metadata.commands import ENTRY_BYTES_MAX, NoteTime, decode, encode_entries
from raftkafka.metadata.znodes.commands import OPERATION_BYTES_MAX, ChangeZnodes, bytes_of
from raftkafka.metadata.znodes.draft import WatchEvent
from raftkafka.metadata.znodes.snapshot import BYTES_PER_PIECE
from raftkafka.model import cbor
from raftkafka.model.errors import CorruptionError
from raftkafka.model.ids import NodeId, TimestampMs
from raftkafka.model.zookeeper.acl import OPEN_ACL, READ_ACL, Acl
from raftkafka.model.zookeeper.events import EventType
from raftkafka.model.zookeeper.modes import CreateMode
from raftkafka.model.zookeeper.ops import SetAcl, SetData


def test_the_round_trip_is_exact(tree):
    tree.open(8, node_id=2)
    tree.create("/a", None, acl=(*READ_ACL, Acl(perms=3, scheme="ip", id="10.0.0.0/8")))
    tree.create("/b", b"\xff" * 9)
    tree.create("/b/e", mode=CreateMode.EPHEMERAL)
    tree.create("/b/c", mode=CreateMode.CONTAINER)
    tree.create("/b/t", mode=CreateMode.PERSISTENT_WITH_TTL, ttl_ms=7)
    tree.set("/b", b"")
    tree.ask(SetAcl(path="/b/t", acl=OPEN_ACL))
    assert tree.restored() == tree.image
    assert tree.restored().znodes.bytes == tree.image.znodes.bytes
    assert list(tree.restored().znodes.ephemerals) == [(77, "/b/e")]


def test_a_large_tree_comes_in_pieces(tree):
    for at in range(40):
        tree.create(f"/n{at:02}", bytes(10_000))
    pieces = list(snapshot.pieces(tree.image))
    assert max(map(len, pieces)) < BYTES_PER_PIECE + 11_000
    assert len(pieces) > 6
    assert snapshot.decode(b"".join(pieces)) == tree.image


@pytest.mark.parametrize("damaged", [[], [[], [["/a"]]], [[], [["/", b"", 5, *[0] * 10]]], [[[1]], []], 7])
def test_damage_is_named(damaged):
    whole = [1, "", 0, [1, False], [1, False], [], [], 0, [], 0, 0, damaged, []]
    with pytest.raises(CorruptionError):
        snapshot.decode(cbor.encode(whole))


def test_watches_hear_once_of_each_node_that_a_snapshot_has_changed(tree):
    for path in ("/gone", "/stays", "/changed", "/again", "/dir"):
        tree.create(path)
    before = tree.image
    tree.delete("/gone")
    tree.set("/changed", b"1")
    tree.set("/changed", b"2")
    tree.delete("/again")
    tree.create("/again")
    tree.create("/dir/new")
    assert set(Changes.between(before, tree.restored()).znode_events) == {
        WatchEvent(EventType.NODE_DELETED, "/gone"),
        WatchEvent(EventType.NODE_DATA_CHANGED, "/changed"),
        WatchEvent(EventType.NODE_DELETED, "/again"),
        WatchEvent(EventType.NODE_CREATED, "/again"),
        WatchEvent(EventType.NODE_CREATED, "/dir/new"),
        WatchEvent(EventType.NODE_CHILDREN_CHANGED, "/dir"),
        WatchEvent(EventType.NODE_CHILDREN_CHANGED, "/"),
    }
    same = Changes.between(tree.image, tree.restored())
    assert not same
    assert same.znode_events == ()


def test_steps_that_are_merged_say_only_that_the_tree_differs(tree):
    change = ChangeZnodes(operation=SetData(path="/", data=b"x"))
    first, second = tree.apply(change).changes, tree.apply(change).changes
    assert first.znode_events == second.znode_events != ()
    assert first.merged(second).znodes
    assert first.merged(second).znode_events == ()


def test_an_operation_that_is_as_large_as_may_be_fits_into_an_entry():
    change = ChangeZnodes(
        session_id=(1 << 63) - 1, cxid=(1 << 31) - 1, node_id=NodeId(1), operation=SetData(path="/", data=b"")
    )
    room = OPERATION_BYTES_MAX - bytes_of(change) - 8
    large = ChangeZnodes(
        session_id=(1 << 63) - 1,
        cxid=(1 << 31) - 1,
        node_id=NodeId(1),
        operation=SetData(path="/", data=bytes(room)),
    )
    assert OPERATION_BYTES_MAX - 8 <= bytes_of(large) <= OPERATION_BYTES_MAX
    (entry,) = encode_entries([large], time_ms=TimestampMs(1 << 60))
    assert len(entry) <= ENTRY_BYTES_MAX
    assert decode(entry) == (NoteTime(time_ms=TimestampMs(1 << 60)), large)


@pytest.mark.parametrize(
    "fields",
    [
        [-1, 0, 1, [], False, [1, "/a", 0]],
        [1 << 63, 0, 1, [], False, [1, "/a", 0]],
        [1, 0, 1, [], False, [9, "/a", 0]],
        [1, 0, 1, [], False, [1, b"/a", 0]],
        [1, 0, 1, [], True, [1, "/a", 0]],
        [1, 0, 1, [], False, [0, "/a", b"", [], 9, -1, False]],
        [1, 0, 1, [["digest"]], False, [1, "/a", 0]],
        [1, 0, 1, [], False, [2, "/a", "text", 0]],
    ],
)
def test_bytes_that_no_version_writes_are_refused(fields):
    with pytest.raises(CorruptionError):
        decode(cbor.encode([[43, 1, *fields]]))


def test_a_password_is_not_shown(tree):
    assert "password" not in repr(tree.image.znodes.sessions[77])
