"""What the watches have to hear when a tree was replaced as a whole, by a snapshot.

Floor 1, pure. What lies between is not known, so each node is told of once, by what differs: as ZooKeeper does for the watches that a
client sets again after it has reconnected (`DataTree.setWatches`).
"""

from __future__ import annotations

from collections.abc import Iterator

from raftkafka.metadata.znodes.draft import WatchEvent
from raftkafka.metadata.znodes.tree import Znodes, path_of
from raftkafka.model.zookeeper.events import EventType


def events_between(old: Znodes, new: Znodes) -> Iterator[WatchEvent]:
    """O(nodes), nothing for the same tree."""
    if old.nodes is new.nodes:
        return
    for key, gone in old.nodes.items():
        if key not in new.nodes:
            yield WatchEvent(EventType.NODE_DELETED, path_of(key), gone.acl)
    for key, node in new.nodes.items():
        before = old.nodes.get(key)
        if before is node:
            continue
        path = path_of(key)
        if before is None or before.czxid != node.czxid:
            if before is not None:
                yield WatchEvent(EventType.NODE_DELETED, path, before.acl)
            yield WatchEvent(EventType.NODE_CREATED, path, node.acl)
            continue
        if before.mzxid != node.mzxid:
            yield WatchEvent(EventType.NODE_DATA_CHANGED, path, node.acl)
        if before.pzxid != node.pzxid:
            yield WatchEvent(EventType.NODE_CHILDREN_CHANGED, path, node.acl)


def sessions_between(old: Znodes, new: Znodes) -> frozenset[int]:
    """Those that came, moved or went."""
    if old.sessions is new.sessions:
        return frozenset()
    every = {*old.sessions, *new.sessions}
    return frozenset(each for each in every if old.sessions.get(each) != new.sessions.get(each))
