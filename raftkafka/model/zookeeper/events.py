"""What a client waits for: kinds of watches, and the events that they end in. Numbers are ZooKeeper's. Floor 0."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from raftkafka.model.passing import passing_value

NO_ZXID: Final = -1


class EventType(IntEnum):
    NONE = -1
    NODE_CREATED = 1
    NODE_DELETED = 2
    NODE_DATA_CHANGED = 3
    NODE_CHILDREN_CHANGED = 4
    DATA_WATCH_REMOVED = 5
    CHILD_WATCH_REMOVED = 6
    PERSISTENT_WATCH_REMOVED = 7


class KeeperState(IntEnum):
    DISCONNECTED = 0
    SYNC_CONNECTED = 3
    AUTH_FAILED = 4
    CONNECTED_READ_ONLY = 5
    SASL_AUTHENTICATED = 6
    CLOSED = 7
    EXPIRED = -112


class WatcherType(IntEnum):
    """Which watches checkWatches and removeWatches mean."""

    CHILDREN = 1
    DATA = 2
    ANY = 3
    PERSISTENT = 4
    PERSISTENT_RECURSIVE = 5


class AddWatchMode(IntEnum):
    PERSISTENT = 0
    PERSISTENT_RECURSIVE = 1


@passing_value
class WatchedEvent:
    """`path` is the node that changed. `zxid` is that of the change; clients before 3.9 do not look at it."""

    kind: EventType
    path: str
    state: KeeperState = KeeperState.SYNC_CONNECTED
    zxid: int = NO_ZXID
