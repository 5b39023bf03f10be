"""Polling before sleeping: learned from the gaps between frames, bounded in time, never against who else wants the core."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from raftkafka.wire.busy_poll import LATE_NEEDED_MAX, MISSED, SCORE_MAX, SCORE_MIN, SHARED_S, WAKING_S, BusyPoll

MAX_S = 200e-6
LOOK_S = 3e-6
"""What one turn of the loop takes here."""


class Core:
    """A processor's time, a loop's queue of callbacks, and what others on this core take when they are let run."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.taken_by_others = 0.0
        self.interrupts = False
        self.gave_way = 0
        self.looks = 0
        self._soon: list[Callable[[], None]] = []
        self.poll = BusyPoll(max_s=MAX_S, call_soon=self._soon.append, now=lambda: self.now, give_way=self._give_way)

    def _give_way(self) -> None:
        self.gave_way += 1
        if self.interrupts:
            raise KeyboardInterrupt
        self.now += self.taken_by_others

    @property
    def polls(self) -> bool:
        return bool(self._soon)

    def turn(self) -> None:
        """The next turn of a loop in which nothing has come."""
        self.now += LOOK_S
        soon, self._soon[:] = list(self._soon), []
        assert len(soon) <= 1, "there is one look at a time"
        for call in soon:
            self.looks += 1
            call()

    def idle(self, seconds: float) -> int:
        """No frame for so long; how often the loop looked instead of sleeping."""
        end, before = self.now + seconds, self.looks
        while self.polls and self.now < end:
            self.turn()
        self.now = max(self.now, end)
        return self.looks - before

    def frame(self, gap_s: float) -> int:
        """One comes after `gap_s` and is dealt with; how often the loop looked before."""
        looked = self.idle(gap_s)
        self.poll.woke()
        self.now += 50e-6
        self.poll.rest()
        return looked


@pytest.fixture
def core() -> Core:
    return Core()


def test_a_loop_that_knows_nothing_sleeps(core):
    core.poll.rest()
    assert not core.polls
    assert core.idle(1) == 0


def test_frames_that_follow_each_other_are_waited_for_awake(core):
    core.poll.rest()
    looked = [core.frame(50e-6) for _ in range(10)]
    assert looked[0] == 0
    assert all(looks >= 10 for looks in looked[1:])
    assert core.gave_way > 0


def test_polling_ends_in_time_and_is_not_begun_again(core):
    for _ in range(20):
        core.frame(50e-6)
    assert core.polls
    looks = core.idle(1)
    assert MAX_S / LOOK_S - 2 <= looks <= MAX_S / LOOK_S + 2
    assert not core.polls


def test_a_frame_ends_the_polling_at_once(core):
    for _ in range(5):
        core.frame(10e-6)
    core.poll.woke()
    core.turn()
    assert not core.polls


def test_work_in_several_pieces_keeps_one_look(core):
    for _ in range(5):
        core.frame(10e-6)
    for _ in range(3):  # more frames of the same turn, as from several connections
        core.poll.woke()
        core.poll.rest()
    core.turn()  # asserts that there is one
    assert core.polls


def test_a_paced_client_is_not_waited_for(core):
    for _ in range(20):
        core.frame(50e-6)
    looked = [core.frame(1e-3) for _ in range(10)]
    assert sum(looks > 0 for looks in looked) <= -(-SCORE_MAX // MISSED)
    assert looked[-1] == 0


def test_what_comes_late_to_who_sleeps_is_tried_awake(core):
    """Asleep, a frame takes longer by what waking both sides costs."""
    core.poll.rest()
    late_s = MAX_S + WAKING_S - 10e-6
    assert core.frame(late_s) == 0
    assert core.frame(MAX_S - 10e-6) > 0
    looked = [core.frame(MAX_S - 10e-6) for _ in range(20)]
    assert all(looked)


def test_what_comes_late_to_who_is_awake_is_slept_for(core):
    """Tried again, but more and more rarely."""
    core.poll.rest()
    late_s = MAX_S + WAKING_S - 10e-6
    polled = [core.frame(late_s) > 0 for _ in range(2_000)]
    assert sum(polled[:100]) >= 2
    assert 1 <= sum(polled[1_000:]) <= 1_000 // (MISSED * LATE_NEEDED_MAX) + 1
    # What has become faster is soon noticed, and what then is late to a sleeper is believed to be in time again.
    assert all([core.frame(MAX_S / 2) for _ in range(20)][-10:])


def test_one_frame_that_comes_in_pieces_is_judged_once(core):
    core.poll.rest()
    for _ in range(20):
        core.frame(50e-6)
    core.idle(1e-3)
    for _ in range(5):
        core.poll.woke()
        core.now += 1e-3
    core.poll.rest()
    assert core.polls  # one frame that did not come in time, not five


def test_the_pieces_of_a_fast_frame_are_no_proof_that_the_next_one_is_fast(core):
    core.poll.rest()
    for _ in range(20):
        core.now += 1e-6
        core.poll.woke()
    core.poll.rest()
    core.idle(1e-3)
    core.poll.woke()
    core.poll.rest()
    assert not core.polls


def test_a_look_that_is_interrupted_is_not_the_last_one(core):
    for _ in range(20):
        core.frame(50e-6)
    core.interrupts = True
    with pytest.raises(KeyboardInterrupt):
        core.turn()
    core.interrupts = False
    assert all(core.frame(50e-6) for _ in range(2)) or core.frame(50e-6) > 0


@pytest.mark.parametrize("hits", [1, 2])
def test_pairs_and_threes_with_pauses_are_not_worth_it(core, hits):
    """A long-poll that is answered and asked again at once, a thousand times a second."""
    for _ in range(50):
        for _ in range(hits):
            core.frame(20e-6)
        core.frame(1e-3)
    before = core.looks
    for _ in range(50):
        for _ in range(hits):
            core.frame(20e-6)
        core.frame(1e-3)
    assert core.looks == before


def test_most_gaps_short_is_worth_it(core):
    for number in range(200):
        core.frame(1e-3 if number % 8 == 0 else 20e-6)
    before = core.looks
    for number in range(80):
        core.frame(1e-3 if number % 8 == 0 else 20e-6)
    assert core.looks > before


def test_after_a_long_silence_it_takes_some_frames_to_believe_in_the_next(core):
    for _ in range(1000):
        core.frame(1)
    looked = [core.frame(20e-6) for _ in range(-SCORE_MIN + 3)]
    assert looked[: -SCORE_MIN + 1] == [0] * (-SCORE_MIN + 1)
    assert looked[-1] > 0


def test_what_the_kernel_does_in_between_is_no_reason_to_sleep(core):
    for _ in range(20):
        core.frame(50e-6)
    core.taken_by_others = 0.4 * SHARED_S
    looked = [core.frame(100e-6) for _ in range(20)]
    assert min(looked) >= 2


def test_where_somebody_else_wants_the_core_the_loop_sleeps(core):
    for _ in range(20):
        core.frame(50e-6)
    core.taken_by_others = 1.2 * SHARED_S
    assert core.idle(1) == 1
    assert not core.polls
    # With every frame in time it is tried one time in three.
    before = core.looks
    for _ in range(400):
        core.frame(50e-6)
    assert 120 <= core.looks - before <= 145
