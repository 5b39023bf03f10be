"""What the ZooKeeper port promises its clients, of a `ZkHistory`: each checker yields what speaks against it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

ENDS_WITHIN_S = 8.0
"""After its time-out, once all is healed: the controller looks in ticks, and one that took office late counts anew."""


class Kind(Enum):
    REPLY = auto()
    READ = auto()
    WRITE = auto()
    EPHEMERAL = auto()
    ARMED = auto()
    DATA_EVENT = auto()
    NUMBER_EVENT = auto()
    LAST = auto()
    """What a path holds at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One thing that a client was told; lines of one client stand in the order in which it heard them."""

    kind: Kind
    at: float
    session: int
    connection: int
    path: str = ""
    zxid: int = -1
    mzxid: int = -1
    version: int = -1
    value: bytes | None = None
    watched: bool = False
    asked_at: float = 0.0
    number: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The newest tree that any node has applied: sessions, and ephemeral nodes with their owners."""

    at: float
    sessions: frozenset[int]
    ephemerals: frozenset[tuple[int, str]]


@dataclass(slots=True)
class ZkHistory:
    timeout_s: float = 0.0
    told: list[Told] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    silent_since: dict[int, float] = field(default_factory=dict)
    """Sessions whose clients are dead."""
    living_since: dict[int, float] = field(default_factory=dict)
    """Sessions whose clients go on in a cluster that is whole again."""
    healed_at: float = float("inf")
    connections: int = 0


def no_orphans(history: ZkHistory) -> Iterator[str]:
    """No ephemeral node outlives its session, nor a session its dead client for longer than promised."""
    bound_s = history.timeout_s + ENDS_WITHIN_S
    for look in history.looks:
        for session, path in sorted(look.ephemerals):
            if session not in look.sessions:
                yield f"{path} was there at {look.at:.3f} without its session {session:#x}"
            since = history.silent_since.get(session)
            if since is not None and look.at > max(since, history.healed_at) + bound_s:
                yield f"{path} was there at {look.at:.3f}, its client died at {since:.3f}"


def none_vanishes(history: ZkHistory) -> Iterator[str]:
    """While a session lives its ephemeral nodes do; and it lives while its client is heard."""
    made = [each for each in history.told if each.kind is Kind.EPHEMERAL]
    for look in history.looks:
        for each in made:
            there = (each.session, each.path) in look.ephemerals
            if look.at >= each.at and each.session in look.sessions and not there:
                yield f"{each.path} was gone at {look.at:.3f}, its session {each.session:#x} was not"
        for session, since in history.living_since.items():
            if look.at >= since and session not in look.sessions:
                yield f"session {session:#x} was gone at {look.at:.3f}, its client is well since {since:.3f}"


def time_goes_on(history: ZkHistory) -> Iterator[str]:
    """The zxid never goes back for a session, at whatever node it is."""
    seen: dict[int, int] = {}
    for each in history.told:
        if each.kind is Kind.REPLY:
            if each.zxid < seen.get(each.session, 0):
                yield f"session {each.session:#x} had zxid {seen[each.session]}, then {each.zxid} at {each.at:.3f}"
            seen[each.session] = max(each.zxid, seen.get(each.session, 0))


def events_first(history: ZkHistory) -> Iterator[str]:
    """Who watches hears of a change before a reply shows it, and of changes in their order, of each."""
    armed: dict[tuple[int, str], int] = {}
    numbers: dict[int, int] = {}
    for each in history.told:
        where = each.connection, each.path
        match each.kind:
            case Kind.ARMED:
                armed[where] = each.mzxid
            case Kind.DATA_EVENT:
                if armed.pop(where, None) is None:
                    yield f"{each.session:#x} heard of {each.path} at {each.at:.3f}, and did not watch it"
            case Kind.NUMBER_EVENT:
                last = numbers.get(each.connection)
                if last is not None and each.number != last + 1:
                    yield f"{each.session:#x} heard of number {each.number} at {each.at:.3f} after {last}"
                numbers[each.connection] = each.number
            case Kind.READ | Kind.WRITE:
                if (had := armed.get(where)) is not None and each.mzxid > had:
                    yield f"{each.session:#x} saw {each.path} of {each.mzxid} at {each.at:.3f}, and no event since {had}"
                if each.watched:
                    armed[where] = each.mzxid


def changes_stay(history: ZkHistory) -> Iterator[str]:
    """One value per version of a path; versions follow zxids and time; the end is no older than what was acknowledged."""
    values: dict[tuple[str, int], tuple[bytes | None, int]] = {}
    writes: dict[str, list[Told]] = {}
    last: dict[str, Told] = {}
    for each in history.told:
        if each.kind not in {Kind.READ, Kind.WRITE, Kind.LAST}:
            continue
        found = values.setdefault((each.path, each.version), (each.value, each.mzxid))
        if found != (each.value, each.mzxid):
            yield f"{each.path} had {found} as version {each.version}, and {(each.value, each.mzxid)} at {each.at:.3f}"
        if each.kind is Kind.WRITE:
            writes.setdefault(each.path, []).append(each)
        elif each.kind is Kind.LAST:
            last[each.path] = each
    for path, every in writes.items():
        if path in last and last[path].version < max(each.version for each in every):
            yield f"{path} ends with version {last[path].version}, a later one was acknowledged"
        newest, newest_at = -1, 0
        acknowledged = iter(sorted(every, key=lambda each: each.at))
        waiting = next(acknowledged, None)
        for each in sorted(every, key=lambda each: each.asked_at):
            while waiting is not None and waiting.at < each.asked_at:
                newest, newest_at = max((newest, newest_at), (waiting.version, waiting.mzxid))
                waiting = next(acknowledged, None)
            if each.version <= newest or each.mzxid <= newest_at:
                yield f"{path} got version {each.version} at {each.at:.3f}, asked for after {newest} was acknowledged"


CHECKERS = (no_orphans, none_vanishes, time_goes_on, events_first, changes_stay)


def violations(history: ZkHistory) -> list[str]:
    return [f"{checker.__name__}: {found}" for checker in CHECKERS for found in checker(history)]
