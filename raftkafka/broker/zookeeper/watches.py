"""Who waits for what, by path: the watches of all connections of this node.

Floor 3, no I/O. The rules are those of ZooKeeper's `DataTree` and its two `WatchManager`s (3.8). An event costs the watches that it
fires and the depth of its path, however many watches there are. Order is that of setting, so that one seed is one history.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntFlag
from typing import Final, Generic, TypeVar

from raftkafka.model.zookeeper import paths
from raftkafka.model.zookeeper.events import AddWatchMode, EventType, WatcherType

_W = TypeVar("_W")


class Watch(IntFlag):
    """What one connection has set on one path."""

    DATA = 1
    """Once, by getData, or by exists also on a node that is not there."""
    CHILDREN = 2
    """Once, by getChildren."""
    PERSISTENT = 4
    RECURSIVE = 8


_OF_ADD: Final = {
    AddWatchMode.PERSISTENT: Watch.PERSISTENT,
    AddWatchMode.PERSISTENT_RECURSIVE: Watch.RECURSIVE,
}
_OF_TYPE: Final = {
    WatcherType.CHILDREN: Watch.CHILDREN,
    WatcherType.DATA: Watch.DATA,
    WatcherType.ANY: Watch.DATA | Watch.CHILDREN | Watch.PERSISTENT | Watch.RECURSIVE,
    WatcherType.PERSISTENT: Watch.PERSISTENT,
    WatcherType.PERSISTENT_RECURSIVE: Watch.RECURSIVE,
}
_FIRED_BY: Final = {
    EventType.NODE_CREATED: Watch.DATA,
    EventType.NODE_DATA_CHANGED: Watch.DATA,
    EventType.NODE_CHILDREN_CHANGED: Watch.CHILDREN,
    EventType.NODE_DELETED: Watch.DATA | Watch.CHILDREN,
}
# Plain numbers where it is done for every watch: an operation of two members of an enumeration makes a third one.
_RECURSIVE: Final = int(Watch.RECURSIVE)


class WatchTable(Generic[_W]):
    """`_W` is a connection: hashable by identity. A connection counts once per path, whatever it has set there."""

    def __init__(self) -> None:
        self._by_path: dict[str, dict[_W, int]] = {}
        self._by_watcher: dict[_W, dict[str, None]] = {}
        self._recursive = 0
        self.count = 0

    @property
    def watchers(self) -> int:
        return len(self._by_watcher)

    @property
    def watched(self) -> int:
        """Paths."""
        return len(self._by_path)

    def count_of(self, watcher: _W) -> int:
        return len(self._by_watcher.get(watcher, ()))

    def paths_of(self, watcher: _W) -> tuple[str, ...]:
        return tuple(self._by_watcher.get(watcher, ()))

    def add(self, watcher: _W, path: str, watch: Watch) -> None:
        on_path = self._by_path.setdefault(path, {})
        had = on_path.get(watcher, 0)
        on_path[watcher] = had | int(watch)
        if not had:
            self._by_watcher.setdefault(watcher, {})[path] = None
            self.count += 1
        if watch & ~had & _RECURSIVE:
            self._recursive += 1

    def add_mode(self, watcher: _W, path: str, mode: AddWatchMode) -> None:
        self.add(watcher, path, _OF_ADD[mode])

    def has(self, watcher: _W, path: str, kind: WatcherType) -> bool:
        return bool(self._by_path.get(path, {}).get(watcher, 0) & _OF_TYPE[kind])

    def remove(self, watcher: _W, path: str, kind: WatcherType) -> bool:
        """False when there was none of that kind."""
        if not self.has(watcher, path, kind):
            return False
        self._drop(watcher, path, int(_OF_TYPE[kind]))
        return True

    def forget(self, watcher: _W) -> None:
        """The connection is gone."""
        for path in tuple(self._by_watcher.get(watcher, ())):
            self._drop(watcher, path, int(_OF_TYPE[WatcherType.ANY]))

    def fire(self, kind: EventType, path: str) -> list[_W]:
        """Who has to hear of this; one-shot watches are over with it. Each is named once."""
        fired: dict[_W, None] = {}
        wanted = int(_FIRED_BY[kind])
        for watcher, had in tuple(self._by_path.get(path, {}).items()):
            # Whoever watches recursively hears of the children themselves, not that they have changed.
            recursive = had & _RECURSIVE and kind is not EventType.NODE_CHILDREN_CHANGED
            if had & wanted or had & int(Watch.PERSISTENT) or recursive:
                fired[watcher] = None
            if had & wanted:
                self._drop(watcher, path, wanted)
        if self._recursive and kind is not EventType.NODE_CHILDREN_CHANGED:
            for above in _above(path):
                for watcher, had in self._by_path.get(above, {}).items():
                    if had & _RECURSIVE:
                        fired[watcher] = None
        return list(fired)

    def _drop(self, watcher: _W, path: str, watch: int) -> None:
        on_path = self._by_path[path]
        had = on_path[watcher]
        left = had & ~watch
        if had & ~left & _RECURSIVE:
            self._recursive -= 1
        if left:
            on_path[watcher] = left
            return
        del on_path[watcher]
        if not on_path:
            del self._by_path[path]
        own = self._by_watcher[watcher]
        del own[path]
        if not own:
            del self._by_watcher[watcher]
        self.count -= 1


def _above(path: str) -> Iterator[str]:
    while path != paths.ROOT:
        path = paths.parent(path)
        yield path
