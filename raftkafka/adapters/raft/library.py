"""pysyncobj as this package takes it: its globals replaced, its version and private names checked.

Floor 4. The one place that imports the library. Invariant: no path of it can unpickle a byte, read a clock other than the
running loop's, or draw a random number that no seed explains.
"""

from __future__ import annotations

import asyncio
from typing import Final, NoReturn

from pysyncobj import syncobj
from pysyncobj.config import FAIL_REASON, SERIALIZER_STATE, SyncObjConf
from pysyncobj.node import Node
from pysyncobj.syncobj import SyncObj
from pysyncobj.transport import Transport
from pysyncobj.version import VERSION

from raftkafka.model.errors import InvariantViolationError, StartupError

__all__ = ["FAIL_REASON", "SERIALIZER_STATE", "Entry", "Node", "SyncObj", "SyncObjConf", "Transport"]

PINNED_VERSION: Final = "0.3.17"

Entry = tuple[bytes, int, int]
"""What the library keeps in its log: command (first byte: its type), index, term."""

ENTRIES_MAX: Final = 4_096
"""In one message."""

COMMAND_REGULAR: Final = 0
COMMAND_NO_OP: Final = 1
COMMAND_VOTERS: Final = 16
"""Ours, above the library's own kinds: the set of voters from this entry on."""

FOLLOWER: Final = 0

_METHODS: Final = (
    "_applyCommand",
    "_isLeader",
    "_getLeader",
    "_onTick",
    "_SyncObj__applyLogEntries",
    "_SyncObj__doApplyCommand",
    "_SyncObj__generateRaftTimeout",
    "_SyncObj__getEntries",
    "_SyncObj__loadDumpFile",
    "_SyncObj__onMessageReceived",
    "_SyncObj__parseChangeClusterRequest",
    "_SyncObj__sendAppendEntries",
    "_SyncObj__setCurrentTerm",
    "_SyncObj__setState",
)
_ATTRIBUTES: Final = (
    "_SyncObj__commandsWaitingCommit",
    "_SyncObj__commandsWaitingReply",
    "_SyncObj__connectedNodes",
    "_SyncObj__forceLogCompaction",
    "_SyncObj__lastResponseTime",
    "_SyncObj__needLoadDumpFile",
    "_SyncObj__newAppendEntriesTime",
    "_SyncObj__noopIDx",
    "_SyncObj__otherNodes",
    "_SyncObj__raftCommitIndex",
    "_SyncObj__raftCurrentTerm",
    "_SyncObj__raftElectionDeadline",
    "_SyncObj__raftLastApplied",
    "_SyncObj__raftLeader",
    "_SyncObj__raftLog",
    "_SyncObj__raftMatchIndex",
    "_SyncObj__raftNextIndex",
    "_SyncObj__readonlyNodes",
    "_SyncObj__serializer",
)


class _Refusal:
    """Stands where the library expects a module; whatever it asks for is an error."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __getattr__(self, name: str) -> NoReturn:
        raise InvariantViolationError(f"pysyncobj reached for {self._what}.{name}, which this node never allows")


class _NoPoller:
    """The event loop polls; the library must not."""

    def poll(self, timeout: float) -> None: ...
    def subscribe(self, *_: object) -> None: ...
    def unsubscribe(self, *_: object) -> None: ...


def check_library() -> None:
    """Compare the installed library with what the mends were written for.

    Raises:
        StartupError: another version, or a private name is gone.
    """
    if VERSION != PINNED_VERSION:
        raise StartupError(f"pysyncobj {PINNED_VERSION} is needed, {VERSION} is installed (docs/adr/0002)")
    known = set(SyncObj.__init__.__code__.co_names)
    missing = [name for name in _METHODS if not hasattr(SyncObj, name)]
    missing += [name for name in _ATTRIBUTES if name not in known]
    if missing:
        raise StartupError(f"pysyncobj {VERSION} lacks {', '.join(missing)}, which the mends rely on (docs/adr/0002)")


def _replace_globals() -> None:
    """All nodes of a process share the library's module, so what stands there must serve any of them."""
    syncobj.monotonicTime = monotonic
    syncobj.random = _Refusal("random")
    syncobj.pickle = _Refusal("pickle")
    syncobj.createPoller = lambda _: _NoPoller()
    syncobj.createJournal = lambda journal: journal
    syncobj.PIPE_NOTIFIER_ENABLED = False


def monotonic() -> float:
    """The clock that the library reads here."""
    return asyncio.get_running_loop().time()


_replace_globals()
