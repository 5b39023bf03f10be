"""Watches by path: which fire, which stay, and what many of them cost."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.broker.zookeeper.watches import Watch, WatchTable
from raftkafka.model.zookeeper.events import AddWatchMode, EventType, WatcherType

CREATED, DELETED = EventType.NODE_CREATED, EventType.NODE_DELETED
CHANGED, CHILDREN = EventType.NODE_DATA_CHANGED, EventType.NODE_CHILDREN_CHANGED


@pytest.mark.parametrize(
    ("watch", "fires"),
    [(Watch.DATA, {CREATED, CHANGED, DELETED}), (Watch.CHILDREN, {CHILDREN, DELETED})],
)
def test_one_shot_watches_fire_once(watch, fires):
    for kind in (CREATED, DELETED, CHANGED, CHILDREN):
        table = WatchTable()
        table.add("c", "/a", watch)
        assert table.fire(kind, "/a/b") == []
        assert table.fire(kind, "/") == []
        assert table.fire(kind, "/a") == (["c"] if kind in fires else [])
        assert table.fire(kind, "/a") == []
        assert table.count == (0 if kind in fires else 1)


def test_a_deletion_is_told_once_to_who_watches_data_and_children():
    table = WatchTable()
    table.add("c", "/a", Watch.DATA)
    table.add("c", "/a", Watch.CHILDREN)
    assert table.count == 1
    assert table.fire(DELETED, "/a") == ["c"]
    assert table.count == 0


def test_one_of_two_watches_on_a_path_stays():
    table = WatchTable()
    table.add("c", "/a", Watch.DATA)
    table.add("c", "/a", Watch.CHILDREN)
    assert table.fire(CHANGED, "/a") == ["c"]
    assert table.fire(CHANGED, "/a") == []
    assert table.fire(CHILDREN, "/a") == ["c"]


def test_persistent_watches_fire_again_and_again_on_their_own_path():
    table = WatchTable()
    table.add_mode("c", "/a", AddWatchMode.PERSISTENT)
    for kind in (CREATED, CHANGED, CHILDREN, DELETED) * 2:
        assert table.fire(kind, "/a") == ["c"]
        assert table.fire(kind, "/a/b") == []


def test_recursive_watches_hear_of_everything_below_but_of_no_change_of_children():
    table = WatchTable()
    table.add_mode("c", "/a", AddWatchMode.PERSISTENT_RECURSIVE)
    for path in ("/a", "/a/b", "/a/b/c"):
        for kind in (CREATED, CHANGED, DELETED) * 2:
            assert table.fire(kind, path) == ["c"]
        assert table.fire(CHILDREN, path) == []
    assert table.fire(CREATED, "/ab") == []
    table.add_mode("root", "/", AddWatchMode.PERSISTENT_RECURSIVE)
    assert table.fire(CREATED, "/ab") == ["root"]
    assert table.fire(CREATED, "/a/x") == ["c", "root"]


def test_a_connection_hears_of_an_event_once():
    table = WatchTable()
    table.add("c", "/a/b", Watch.DATA)
    table.add_mode("c", "/a/b", AddWatchMode.PERSISTENT)
    table.add_mode("c", "/a", AddWatchMode.PERSISTENT_RECURSIVE)
    assert table.fire(CHANGED, "/a/b") == ["c"]
    assert table.fire(CHANGED, "/a/b") == ["c"]


def test_watches_fire_in_the_order_in_which_they_were_set():
    table = WatchTable()
    for connection in ("z", "a", "m"):
        table.add(connection, "/a", Watch.DATA)
    assert table.fire(CHANGED, "/a") == ["z", "a", "m"]


@pytest.mark.parametrize("kind", WatcherType)
def test_watches_are_found_and_removed_by_kind(kind):
    table = WatchTable()
    assert not table.remove("c", "/a", kind)
    table.add("c", "/a", Watch.DATA | Watch.CHILDREN | Watch.PERSISTENT | Watch.RECURSIVE)
    table.add("d", "/a", Watch.DATA)
    assert table.has("c", "/a", kind)
    assert table.remove("c", "/a", kind)
    assert not table.has("c", "/a", kind)
    assert table.count == (1 if kind is WatcherType.ANY else 2)
    assert table.has("d", "/a", WatcherType.DATA)


def test_what_a_connection_leaves_behind_is_nothing():
    table = WatchTable()
    for path in ("/a", "/b"):
        table.add("c", path, Watch.DATA | Watch.RECURSIVE)
    table.add("d", "/a", Watch.DATA)
    assert (table.count, table.count_of("c"), table.paths_of("c")) == (3, 2, ("/a", "/b"))
    table.forget("c")
    table.forget("nobody")
    assert (table.count, table.count_of("c"), table.paths_of("c")) == (1, 0, ())
    assert table.fire(CREATED, "/a/x") == []
    assert table.fire(CHANGED, "/a") == ["d"]
    assert (table._by_path, table._by_watcher, table._recursive) == ({}, {}, 0)


_PATHS = st.sampled_from(["/", "/a", "/a/b", "/a/b/c", "/ab", "/d"])
_WATCHERS = st.sampled_from("xyz")
_STEPS = st.lists(
    st.tuples(st.just("add"), _WATCHERS, _PATHS, st.sampled_from(list(Watch)))
    | st.tuples(st.just("fire"), st.sampled_from([CREATED, DELETED, CHANGED, CHILDREN]), _PATHS)
    | st.tuples(st.just("remove"), _WATCHERS, _PATHS, st.sampled_from(WatcherType))
    | st.tuples(st.just("forget"), _WATCHERS),
    max_size=40,
)


@given(steps=_STEPS)
def test_a_table_says_what_a_plain_list_of_watches_says(steps):
    """The list is searched as a whole for each event, by the words of ZooKeeper's documentation."""
    kinds = {
        WatcherType.CHILDREN: [Watch.CHILDREN],
        WatcherType.DATA: [Watch.DATA],
        WatcherType.ANY: list(Watch),
        WatcherType.PERSISTENT: [Watch.PERSISTENT],
        WatcherType.PERSISTENT_RECURSIVE: [Watch.RECURSIVE],
    }
    table, plain = WatchTable(), set()
    for step, *given_ in steps:
        if step == "add":
            watcher, path, watch = given_
            table.add(watcher, path, watch)
            plain.add((watcher, path, watch))
        elif step == "remove":
            watcher, path, kind = given_
            gone = {(watcher, path, watch) for watch in kinds[kind]} & plain
            assert table.remove(watcher, path, kind) == bool(gone)
            plain -= gone
        elif step == "forget":
            table.forget(*given_)
            plain = {each for each in plain if each[0] != given_[0]}
        else:
            kind, path = given_
            once = {Watch.DATA: {CREATED, CHANGED, DELETED}, Watch.CHILDREN: {CHILDREN, DELETED}}
            over = {each for each in plain if each[1] == path and kind in once.get(each[2], ())}
            staying = {
                each
                for each in plain
                if (each[2] is Watch.PERSISTENT and each[1] == path)
                or (
                    each[2] is Watch.RECURSIVE
                    and kind is not CHILDREN
                    and f"{path}/".startswith(f"{each[1]}/".replace("//", "/"))
                )
            }
            assert set(table.fire(kind, path)) == {each[0] for each in over | staying}
            plain -= over
        assert table.count == len({each[:2] for each in plain})


def test_fifty_thousand_watches_of_one_connection_are_cheap():
    paths = [
        f"/brokers/topics/topic-{topic}/partitions/{number}/state" for topic in range(1_000) for number in range(50)
    ]
    tracemalloc.start()
    try:
        table = WatchTable()
        for path in paths:
            table.add("c", path, Watch.DATA)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert table.count == 50_000
    assert taken < 50 << 20
    began = time.process_time()
    fired = [watcher for path in paths[:1_000] for watcher in table.fire(CHANGED, path)]
    assert len(fired) == 1_000
    assert time.process_time() - began < 0.1
