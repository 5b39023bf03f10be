"""What operations do to the tree, and which error comes first: as ZooKeeper 3.8 answers (`PrepRequestProcessor`)."""

from __future__ import annotations

import pytest

from raftkafka.metadata.znodes import operations
from raftkafka.metadata.znodes.draft import WatchEvent
from raftkafka.model.zookeeper import acl as permission
from raftkafka.model.zookeeper.acl import CREATOR_ALL_ACL, OPEN_ACL, READ_ACL, Acl, Identity
from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.model.zookeeper.events import EventType
from raftkafka.model.zookeeper.modes import CONTAINER_OWNER, CreateMode, ttl_owner
from raftkafka.model.zookeeper.ops import (
    Check,
    CheckResult,
    Create,
    CreateResult,
    Delete,
    DeleteResult,
    Multi,
    MultiResult,
    SetAcl,
    SetAclResult,
    SetData,
    SetDataResult,
)

ANN = Identity(scheme="digest", id="ann:secret")
BOB = Identity(scheme="digest", id="bob:secret")
NOT_DELETE = (Acl(perms=permission.ALL & ~permission.DELETE, scheme="world", id="anyone"),)


def made(path: str, **how) -> Create:
    return Create(path=path, data=b"", acl=how.pop("acl", OPEN_ACL), **how)


def test_a_new_node_and_its_parent(tree):
    tree.create("/a", b"abc")
    at, when = tree.index, tree.time_ms
    stat = tree.stat("/a")
    assert (stat.czxid, stat.mzxid, stat.pzxid) == (at, at, at)
    assert (stat.ctime_ms, stat.mtime_ms) == (when, when)
    assert (stat.version, stat.cversion, stat.aversion, stat.ephemeral_owner) == (0, 0, 0, 0)
    assert (stat.data_length, stat.num_children) == (3, 0)
    assert tree.events == (
        WatchEvent(EventType.NODE_CREATED, "/a"),
        WatchEvent(EventType.NODE_CHILDREN_CHANGED, "/"),
    )
    tree.create("/a/b")
    stat = tree.stat("/a")
    assert (stat.mzxid, stat.pzxid, stat.version, stat.cversion, stat.num_children) == (at, tree.index, 0, 1, 1)
    assert tree.children("/a") == ["b"]


def test_a_stat_is_told_to_those_who_ask_for_it(tree):
    result = tree.ask(Create(path="/a", data=None, acl=OPEN_ACL, with_stat=True))
    assert result == CreateResult(path="/a", stat=tree.stat("/a"))
    assert tree.ask(made("/b")) == CreateResult(path="/b")


def test_data_changes_with_its_version(tree):
    tree.create("/a", b"abc")
    created = tree.index
    assert tree.refusal(SetData(path="/a", data=b"x", version=1)) is ZkErrorCode.BADVERSION
    result = tree.ask(SetData(path="/a", data=None, version=0))
    stat = tree.stat("/a")
    assert result == SetDataResult(stat=stat)
    assert (stat.czxid, stat.mzxid, stat.mtime_ms, stat.version) == (created, tree.index, tree.time_ms, 1)
    assert stat.data_length == 0
    assert tree.image.znodes.get("/a").data is None
    assert tree.events == (WatchEvent(EventType.NODE_DATA_CHANGED, "/a"),)


def test_a_deleted_node_counts_for_its_parents_version(tree):
    tree.create("/a")
    tree.create("/a/b")
    tree.delete("/a/b")
    stat = tree.stat("/a")
    # A Stat counts creations and deletions (`DataNode.copyStat`); the next sequential node counts creations only.
    assert (stat.cversion, stat.pzxid, stat.num_children) == (2, tree.index, 0)
    assert tree.events == (
        WatchEvent(EventType.NODE_DELETED, "/a/b"),
        WatchEvent(EventType.NODE_CHILDREN_CHANGED, "/a"),
    )
    assert tree.create("/a/c-", mode=CreateMode.PERSISTENT_SEQUENTIAL) == "/a/c-0000000001"


def test_sequential_nodes_are_numbered_per_parent_by_all_its_creations(tree):
    tree.create("/a")
    tree.create("/b")
    assert tree.create("/a/n", mode=CreateMode.PERSISTENT_SEQUENTIAL) == "/a/n0000000000"
    tree.create("/a/plain")
    assert tree.create("/a/n", mode=CreateMode.EPHEMERAL_SEQUENTIAL) == "/a/n0000000002"
    assert tree.create("/b/", mode=CreateMode.PERSISTENT_SEQUENTIAL) == "/b/0000000000"
    tree.delete("/a/n0000000002")
    assert tree.create("/a/m", mode=CreateMode.PERSISTENT_SEQUENTIAL) == "/a/m0000000003"
    ttl = CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL
    assert tree.create("/a/t", mode=ttl, ttl_ms=9) == "/a/t0000000004"
    assert tree.image.znodes.get("/a/t0000000004").owner == ttl_owner(9)


def test_the_root_counts_its_first_child_as_zookeeper_does(tree):
    # ZooKeeper's own node was never created, so a tree of nothing else has a root with cversion -1.
    before = tree.stat("/")
    assert before.cversion == before.num_children - 2
    tree.create("/a")
    assert tree.stat("/").cversion == before.cversion + 1


def test_ephemeral_nodes_have_an_owner_and_no_children(tree):
    tree.create("/e", mode=CreateMode.EPHEMERAL)
    assert tree.stat("/e").ephemeral_owner == 77
    assert list(tree.image.znodes.ephemerals_of(77)) == ["/e"]
    assert tree.refusal(made("/e/a")) is ZkErrorCode.NOCHILDRENFOREPHEMERALS
    tree.delete("/e")
    assert list(tree.image.znodes.ephemerals_of(77)) == []


def test_containers_and_times_to_live_have_no_owner_that_clients_see(tree):
    tree.create("/c", mode=CreateMode.CONTAINER)
    tree.create("/t", mode=CreateMode.PERSISTENT_WITH_TTL, ttl_ms=1_000)
    assert tree.image.znodes.get("/c").owner == CONTAINER_OWNER
    assert tree.image.znodes.get("/t").owner == ttl_owner(1_000)
    assert tree.stat("/c").ephemeral_owner == tree.stat("/t").ephemeral_owner == 0
    assert list(tree.image.znodes.reapable) == ["/c", "/t"]
    tree.create("/c/x")
    tree.create("/t/x")


@pytest.mark.parametrize(
    ("mode", "ttl_ms"),
    [
        (CreateMode.PERSISTENT, 5),
        (CreateMode.CONTAINER, 0),
        (CreateMode.PERSISTENT_WITH_TTL, 0),
        (CreateMode.PERSISTENT_WITH_TTL, -1),
        (CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, 1 << 40),
    ],
)
def test_a_time_to_live_goes_with_its_modes(tree, mode, ttl_ms):
    assert tree.refusal(made("/a", mode=mode, ttl_ms=ttl_ms)) is ZkErrorCode.BADARGUMENTS


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (made("a"), ZkErrorCode.BADARGUMENTS),
        (made("/x\0y"), ZkErrorCode.BADARGUMENTS),
        (made("/a/../b"), ZkErrorCode.NONODE),
        (made("/a/."), ZkErrorCode.BADARGUMENTS),
        (made("/a/"), ZkErrorCode.BADARGUMENTS),
        (made("/"), ZkErrorCode.NODEEXISTS),
        (made("/a"), ZkErrorCode.NODEEXISTS),
        (made("/no/a"), ZkErrorCode.NONODE),
        (made("/no/a", acl=()), ZkErrorCode.INVALIDACL),
        (made("x", acl=()), ZkErrorCode.BADARGUMENTS),
        (made("x", ttl_ms=5), ZkErrorCode.BADARGUMENTS),
        (made("/read", acl=()), ZkErrorCode.INVALIDACL),
        (made("/read/a"), ZkErrorCode.NOAUTH),
        (made("/read/."), ZkErrorCode.NOAUTH),
        (made("/e/a"), ZkErrorCode.NOCHILDRENFOREPHEMERALS),
        (made("/e/.."), ZkErrorCode.BADARGUMENTS),
        (Delete(path="/"), ZkErrorCode.BADARGUMENTS),
        (Delete(path="/zookeeper"), ZkErrorCode.BADARGUMENTS),
        (Delete(path="/zookeeper/quota"), ZkErrorCode.BADARGUMENTS),
        (Delete(path="x"), ZkErrorCode.BADARGUMENTS),
        (Delete(path="/no/a"), ZkErrorCode.NONODE),
        (Delete(path="/no"), ZkErrorCode.NONODE),
        (Delete(path="/a/"), ZkErrorCode.NONODE),
        (Delete(path="/a", version=3), ZkErrorCode.BADVERSION),
        (Delete(path="/a"), ZkErrorCode.NOTEMPTY),
        (Delete(path="/read/none"), ZkErrorCode.NOAUTH),
        (Delete(path="/fast/x", version=3), ZkErrorCode.NOAUTH),
        (SetData(path="x", data=b""), ZkErrorCode.BADARGUMENTS),
        (SetData(path="/no", data=b""), ZkErrorCode.NONODE),
        (SetData(path="/read", data=b"", version=3), ZkErrorCode.NOAUTH),
        (SetData(path="/zookeeper/config", data=b""), ZkErrorCode.NOAUTH),
        (SetAcl(path="/no", acl=()), ZkErrorCode.INVALIDACL),
        (SetAcl(path="/no", acl=OPEN_ACL), ZkErrorCode.NONODE),
        (SetAcl(path="/read", acl=OPEN_ACL, version=3), ZkErrorCode.NOAUTH),
        (SetAcl(path="/a", acl=OPEN_ACL, version=3), ZkErrorCode.BADVERSION),
        (SetAcl(path="x", acl=()), ZkErrorCode.BADARGUMENTS),
        (Check(path="/no"), ZkErrorCode.NONODE),
        (Check(path="/a", version=3), ZkErrorCode.BADVERSION),
        (Check(path="/hidden", version=3), ZkErrorCode.NOAUTH),
    ],
)
def test_the_first_error_counts(tree, operation, code):
    tree.create("/a")
    tree.create("/a/b")
    tree.create("/e", mode=CreateMode.EPHEMERAL)
    tree.create("/fast", acl=NOT_DELETE)
    tree.create("/fast/x")
    tree.create("/read", acl=READ_ACL)
    tree.create("/hidden", acl=(Acl(perms=permission.WRITE, scheme="world", id="anyone"),))
    assert tree.refusal(operation) is code


def test_what_its_creator_alone_may_touch(tree):
    tree.create("/mine", b"1", acl=CREATOR_ALL_ACL, identities=(ANN,))
    assert tree.image.znodes.get("/mine").acl == (Acl(perms=31, scheme="digest", id="ann:secret"),)
    change = SetData(path="/mine", data=b"2")
    assert tree.refusal(change) is ZkErrorCode.NOAUTH
    assert tree.refusal(change, identities=(BOB,)) is ZkErrorCode.NOAUTH
    assert isinstance(tree.ask(change, identities=(BOB, ANN)), SetDataResult)
    assert tree.refusal(made("/b", acl=CREATOR_ALL_ACL)) is ZkErrorCode.INVALIDACL
    result = tree.ask(SetAcl(path="/mine", acl=OPEN_ACL, version=0), identities=(ANN,))
    assert result == SetAclResult(stat=tree.stat("/mine"))
    assert (tree.stat("/mine").aversion, tree.stat("/mine").version) == (1, 1)
    assert tree.events == ()
    assert isinstance(tree.ask(change), SetDataResult)


def test_an_operation_is_carried_out_whole_or_not_at_all(tree):
    tree.create("/a")
    every = Multi(
        operations=(
            made("/a/b"),
            Check(path="/a/b", version=0),
            SetData(path="/a/b", data=b"x", version=0),
            made("/a/n", mode=CreateMode.PERSISTENT_SEQUENTIAL),
            Delete(path="/a/b", version=1),
        )
    )
    result = tree.ask(every)
    assert isinstance(result, MultiResult)
    kinds = [type(each) for each in result.results]
    assert kinds == [CreateResult, CheckResult, SetDataResult, CreateResult, DeleteResult]
    assert tree.children("/a") == ["n0000000001"]
    assert [event.kind.name for event in tree.events] == [
        "NODE_CREATED",
        "NODE_CHILDREN_CHANGED",
        "NODE_DATA_CHANGED",
        "NODE_CREATED",
        "NODE_CHILDREN_CHANGED",
        "NODE_DELETED",
        "NODE_CHILDREN_CHANGED",
    ]
    codes = tree.refusals(
        Multi(operations=(made("/a/c"), SetData(path="/a", data=b"x"), Delete(path="/a"), Delete(path="/a/c")))
    )
    assert codes == [0, 0, ZkErrorCode.NOTEMPTY, ZkErrorCode.RUNTIMEINCONSISTENCY]
    assert tree.ask(Multi(operations=())) == MultiResult(results=())


def test_limits_are_answers(tree, monkeypatch):
    tree.create("/a", b"x" * 100)
    monkeypatch.setattr(operations, "CHILDREN_MAX", tree.stat("/").num_children)
    assert tree.refusal(made("/b")) is ZkErrorCode.QUOTAEXCEEDED
    tree.create("/a/b")
    monkeypatch.setattr(operations, "NODES_MAX", len(tree.image.znodes.nodes))
    assert tree.refusal(made("/a/c")) is ZkErrorCode.QUOTAEXCEEDED
    monkeypatch.setattr(operations, "NODES_MAX", 1_000)
    monkeypatch.setattr(operations, "BYTES_MAX", tree.image.znodes.bytes)
    assert tree.refusal(made("/a/c")) is ZkErrorCode.QUOTAEXCEEDED
    assert tree.refusal(SetData(path="/a", data=b"x" * 101)) is ZkErrorCode.QUOTAEXCEEDED
    tree.set("/a", b"y" * 100)
    monkeypatch.setattr(operations, "BYTES_MAX", 1 << 20)
    monkeypatch.setattr(operations, "DEPTH_MAX", 2)
    assert tree.refusal(made("/a/b/c")) is ZkErrorCode.QUOTAEXCEEDED
    assert tree.refusal(made(f"/a/{'x' * 5_000}")) is ZkErrorCode.QUOTAEXCEEDED


def test_the_cluster_itself_may_do_everything_but_own_a_node(tree):
    tree.create("/mine", acl=CREATOR_ALL_ACL, identities=(ANN,))
    assert isinstance(tree.ask(SetData(path="/mine", data=b"2"), session=0), SetDataResult)
    assert tree.refusal(made("/e", mode=CreateMode.EPHEMERAL), session=0) is ZkErrorCode.BADARGUMENTS


def test_versions_go_on_behind_the_largest(tree):
    tree.create("/a")
    node = tree.image.znodes.get("/a")
    assert operations.int32(node.version + (1 << 31)) == -(1 << 31)
    assert operations.int32(-1) == -1
    assert operations.int32((1 << 31) - 1) == (1 << 31) - 1


def test_the_nodes_below_are_counted(tree):
    for path in ("/a", "/a/b", "/a/b/c", "/a0", "/a-", "/a/b/c/d"):
        tree.create(path)
    assert tree.image.znodes.below("/a") == 3
    assert tree.image.znodes.below("/a/b") == 2
    assert tree.image.znodes.below("/a0") == 0
    assert tree.image.znodes.below("/") == len(tree.image.znodes.nodes) - 1
