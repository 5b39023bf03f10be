"""What goes by itself: containers, times to live, old notifications."""

from __future__ import annotations

from raftkafka.metadata.znodes.reaping import NOTIFICATION_LIFE_MS, reapings
from raftkafka.model.zookeeper.modes import CreateMode


def reaped(tree, *, later_ms: int = 0) -> list[str]:
    return [command.operation.path for command in reapings(tree.image.znodes, tree.time_ms + later_ms)]


def test_a_container_goes_when_its_last_child_has_gone_and_not_before_it_had_one(tree):
    tree.create("/c", mode=CreateMode.CONTAINER)
    assert reaped(tree, later_ms=1 << 40) == []
    tree.create("/c/x")
    assert reaped(tree) == []
    tree.delete("/c/x")
    assert reaped(tree) == ["/c"]
    tree.apply(*reapings(tree.image.znodes, tree.time_ms))
    assert tree.image.znodes.get("/c") is None
    assert list(tree.image.znodes.reapable) == []


def test_a_container_that_got_a_child_meanwhile_stays(tree):
    tree.create("/c", mode=CreateMode.CONTAINER)
    tree.create("/c/x")
    tree.delete("/c/x")
    decided = list(reapings(tree.image.znodes, tree.time_ms))
    tree.create("/c/y")
    tree.apply(*decided)
    assert tree.children("/c") == ["y"]


def test_a_time_to_live_counts_from_the_last_change_of_data_and_not_while_there_are_children(tree):
    tree.create("/t", mode=CreateMode.PERSISTENT_WITH_TTL, ttl_ms=500)
    assert reaped(tree, later_ms=500) == []
    assert reaped(tree, later_ms=501) == ["/t"]
    decided = list(reapings(tree.image.znodes, tree.time_ms + 501))
    tree.set("/t", b"x")
    tree.apply(*decided)
    assert tree.image.znodes.get("/t") is not None
    tree.create("/t/x")
    assert reaped(tree, later_ms=1_000) == []


def test_notifications_go_after_a_quarter_of_an_hour(tree):
    path = tree.create("/config/changes/config_change_", b"{}", mode=CreateMode.PERSISTENT_SEQUENTIAL)
    assert path == "/config/changes/config_change_0000000000"
    assert reaped(tree, later_ms=NOTIFICATION_LIFE_MS) == []
    assert reaped(tree, later_ms=NOTIFICATION_LIFE_MS + 1) == [path]
