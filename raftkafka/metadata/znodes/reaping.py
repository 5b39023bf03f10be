"""Nodes that go by themselves: empty containers, nodes whose time to live is over, old notifications.

Floor 1, pure. Only the controller reaps, by its own clock, and through commands. ZooKeeper's counterpart is `ContainerManager`; of
notifications, Kafka's `ZkNodeChangeNotificationListener`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from raftkafka.metadata.znodes.commands import ChangeZnodes
from raftkafka.metadata.znodes.tree import Znode, Znodes, is_container
from raftkafka.model.ids import TimestampMs
from raftkafka.model.zookeeper import paths
from raftkafka.model.zookeeper.modes import TTL_MAX_MS
from raftkafka.model.zookeeper.ops import Delete

REAPED_MAX: Final = 1_000
"""Nodes that one look names; `ContainerManager` takes 10,000 a minute."""

NOTIFICATION_LIFE_MS: Final = 15 * 60 * 1000
"""`ZkNodeChangeNotificationListener.changeExpirationMs`"""

NOTIFICATIONS: Final = (
    "/config/changes",
    "/isr_change_notification",
    "/kafka-acl-changes",
    "/kafka-acl-extended-changes",
    "/log_dir_event_notification",
)
"""The parents of sequential nodes that brokers of the ZooKeeper era read, and purge later."""


def reapings(znodes: Znodes, now_ms: TimestampMs) -> Iterator[ChangeZnodes]:
    """The commands that remove what is to go now; each is refused if the node got a child or another version meanwhile."""
    for path, node in islice(_due(znodes, now_ms), REAPED_MAX):
        yield ChangeZnodes(operation=Delete(path=path, version=node.version))


def _due(znodes: Znodes, now_ms: TimestampMs) -> Iterator[tuple[str, Znode]]:
    for path in znodes.reapable:
        node = znodes.get(path)
        if node is None or node.child_count:
            continue
        if is_container(node.owner):
            # One that never had a child is new: its maker is about to create the first.
            if node.creations > 0:
                yield path, node
        elif now_ms - node.mtime_ms > node.owner & TTL_MAX_MS:
            yield path, node
    for above in NOTIFICATIONS:
        for name in znodes.children(above):
            path = paths.join(above, name)
            node = znodes.get(path)
            if node is not None and not node.child_count and now_ms - node.ctime_ms > NOTIFICATION_LIFE_MS:
                yield path, node
