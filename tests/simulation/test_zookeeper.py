"""ZooKeeper's clients under faults, and that each checker sees what it is there for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.simulation.checkers import zookeeper as checkers
from tests.simulation.checkers.zookeeper import ENDS_WITHIN_S, Kind, Look, Told, ZkHistory
from tests.simulation.zookeeper import simulate
from tests.simulation.zookeeper_mutations import detect

OWN = 7
READ = Told(kind=Kind.READ, at=1.0, session=OWN, connection=1, path="/a", mzxid=10, version=1, value=b"x", watched=True)
EVENT = Told(kind=Kind.DATA_EVENT, at=2.0, session=OWN, connection=1, path="/a")
SEEN = replace(READ, at=3.0, mzxid=11, version=2, value=b"y", watched=False)
WRITE = replace(SEEN, kind=Kind.WRITE, asked_at=2.0)
LAST = replace(SEEN, kind=Kind.LAST, at=9.0)
MADE = Told(kind=Kind.EPHEMERAL, at=1.0, session=OWN, connection=1, path="/live/a")
REPLY = Told(kind=Kind.REPLY, at=1.0, session=OWN, connection=1, zxid=10)
NUMBER = Told(kind=Kind.NUMBER_EVENT, at=1.0, session=OWN, connection=1, number=4)
THERE = Look(at=2.0, sessions=frozenset({OWN}), ephemerals=frozenset({(OWN, "/live/a")}))
ALL_GONE = Look(at=2.0, sessions=frozenset(), ephemerals=frozenset())


def history_of(*told: Told, looks: tuple[Look, ...] = ()) -> ZkHistory:
    return ZkHistory(timeout_s=4.0, told=list(told), looks=list(looks))


def outlived(at: float) -> ZkHistory:
    history = history_of(looks=(replace(THERE, at=at),))
    history.silent_since, history.healed_at = {OWN: 1.0}, 5.0
    return history


def expired_while_well(at: float) -> ZkHistory:
    history = history_of(looks=(replace(ALL_GONE, at=at),))
    history.living_since = {OWN: 2.0}
    return history


Checker = Callable[[ZkHistory], Iterator[str]]


@pytest.mark.parametrize(
    ("checker", "history"),
    [
        (checkers.no_orphans, history_of(looks=(replace(THERE, sessions=frozenset()),))),
        (checkers.no_orphans, outlived(5.0 + 4.0 + ENDS_WITHIN_S + 0.1)),
        (checkers.none_vanishes, history_of(MADE, looks=(replace(THERE, ephemerals=frozenset()),))),
        (checkers.none_vanishes, expired_while_well(2.1)),
        (checkers.time_goes_on, history_of(REPLY, replace(REPLY, connection=2, zxid=9))),
        (checkers.events_first, history_of(READ, SEEN)),
        (checkers.events_first, history_of(READ, WRITE)),
        (checkers.events_first, history_of(READ, SEEN, EVENT)),
        (checkers.events_first, history_of(READ, EVENT, EVENT)),
        (checkers.events_first, history_of(replace(READ, kind=Kind.ARMED), replace(SEEN, watched=True))),
        (checkers.events_first, history_of(NUMBER, replace(NUMBER, number=6))),
        (checkers.events_first, history_of(NUMBER, replace(NUMBER, number=3))),
        (checkers.changes_stay, history_of(WRITE, replace(LAST, version=1, value=b"x", mzxid=10))),
        (checkers.changes_stay, history_of(WRITE, replace(LAST, value=b"z"))),
        (
            checkers.changes_stay,
            history_of(WRITE, replace(WRITE, asked_at=4.0, at=5.0, version=1, mzxid=10, value=b"x")),
        ),
        (
            checkers.changes_stay,
            history_of(WRITE, replace(WRITE, asked_at=4.0, at=5.0, version=3, mzxid=10, value=b"z")),
        ),
    ],
)
def test_a_violation_is_seen(checker: Checker, history: ZkHistory) -> None:
    assert list(checker(history))


@pytest.mark.parametrize(
    "history",
    [
        outlived(5.0 + 4.0 + ENDS_WITHIN_S),
        expired_while_well(1.9),
        history_of(MADE, looks=(replace(THERE, at=0.5, ephemerals=frozenset()), THERE, ALL_GONE)),
        history_of(REPLY, replace(REPLY, connection=2), replace(REPLY, session=8, zxid=1)),
        history_of(READ, EVENT, SEEN),
        history_of(READ, replace(SEEN, connection=2)),
        history_of(NUMBER, replace(NUMBER, number=5), replace(NUMBER, connection=2, number=9)),
        history_of(WRITE, LAST, replace(WRITE, asked_at=2.5, at=4.0, version=1, mzxid=10, value=b"x")),
    ],
)
def test_what_is_allowed_is_not_called_wrong(history: ZkHistory) -> None:
    assert checkers.violations(history) == []


@pytest.mark.parametrize("seed", [2, 3])
def test_clients_are_told_the_truth_under_faults(seed: int) -> None:
    world, history, wrong = simulate(seed)
    assert wrong == [], f"python -m tests.simulation.zookeeper --seed {seed}"
    assert world.hash
    kinds = {each.kind for each in history.told}
    assert kinds == set(Kind)
    sessions = {each.session: each.connection for each in history.told}
    connections = {(each.session, each.connection) for each in history.told}
    assert len(connections) > len(sessions)  # some were taken up again


@pytest.mark.parametrize("bug", ["tell_events_later", "leave_ephemerals"])
def test_a_deliberate_bug_is_found(bug: str) -> None:
    assert detect(bug, seeds_max=30, faults_s=5.0).seeds is not None


def test_a_seed_tells_the_same_story_again() -> None:
    first, second = (simulate(4, faults_s=3.0) for _ in range(2))
    assert first[0].hash == second[0].hash
    assert first[1].told == second[1].told
