"""Following: whatever two logs have lived through, cutting by epochs makes them agree, and cuts nothing they share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raftkafka.model.api.fetch import EpochEndOffset
from raftkafka.model.ids import LeaderEpoch, Offset
from raftkafka.replica.epochs import EpochHistory
from raftkafka.replica.follower import restart_offset, truncation_offset


def history(log: list[int]) -> EpochHistory:
    """The history of a log, given as the epoch of each record."""
    epochs = EpochHistory()
    for offset, epoch in enumerate(log):
        if epoch > epochs.latest:
            epochs.assign(LeaderEpoch(epoch), Offset(offset))
    return epochs


def diverging(leader: list[int], last_epoch: int, fetch_offset: int) -> EpochEndOffset | None:
    """The leader's answer, as the fetch handler gives it."""
    epoch, end = history(leader).end_offset_for(LeaderEpoch(last_epoch), Offset(len(leader)))
    if epoch < last_epoch or end < fetch_offset:
        return EpochEndOffset(epoch=epoch, end_offset=end)
    return None


@given(
    shared=st.lists(st.integers(0, 5), max_size=8),
    leader_tail=st.lists(st.integers(0, 12), max_size=8),
    follower_tail=st.lists(st.integers(0, 12), max_size=8),
)
def test_truncation_ends_where_the_logs_agree_and_keeps_what_they_share(shared, leader_tail, follower_tail):
    # One epoch is written by one leader: the tails of both logs use different epochs, even here, odd there.
    shared = sorted(shared)
    leader = shared + sorted(6 + 2 * epoch for epoch in leader_tail)
    follower = shared + sorted(7 + 2 * epoch for epoch in follower_tail)
    rounds = 0
    while follower:
        cut = diverging(leader, history(follower).latest, len(follower))
        if cut is None:
            break
        rounds += 1
        assert rounds <= 30
        end = truncation_offset(epochs=history(follower), log_end_offset=Offset(len(follower)), diverging=cut)
        assert end < len(follower)
        follower = follower[:end]
    assert follower == leader[: len(follower)]
    assert len(follower) >= min(len(shared), len(leader))


def test_an_epoch_that_both_have_is_cut_to_the_smaller_end():
    epochs = EpochHistory([(LeaderEpoch(1), Offset(0)), (LeaderEpoch(3), Offset(20))])
    cut = EpochEndOffset(epoch=LeaderEpoch(1), end_offset=Offset(12))
    assert truncation_offset(epochs=epochs, log_end_offset=Offset(30), diverging=cut) == 12
    cut = EpochEndOffset(epoch=LeaderEpoch(1), end_offset=Offset(25))
    assert truncation_offset(epochs=epochs, log_end_offset=Offset(30), diverging=cut) == 20


def test_an_epoch_that_only_the_leader_has_cuts_to_the_end_of_the_epoch_below():
    epochs = EpochHistory([(LeaderEpoch(1), Offset(0)), (LeaderEpoch(4), Offset(20))])
    cut = EpochEndOffset(epoch=LeaderEpoch(3), end_offset=Offset(15))
    assert truncation_offset(epochs=epochs, log_end_offset=Offset(30), diverging=cut) == 20


def test_logs_without_a_common_epoch_begin_at_zero():
    epochs = EpochHistory([(LeaderEpoch(4), Offset(0))])
    cut = EpochEndOffset(epoch=LeaderEpoch(-1), end_offset=Offset(-1))
    assert truncation_offset(epochs=epochs, log_end_offset=Offset(30), diverging=cut) == 0


def restart(start: int, end: int, leader_start: int) -> int | None:
    return restart_offset(
        log_start_offset=Offset(start), log_end_offset=Offset(end), leader_log_start_offset=Offset(leader_start)
    )


def test_a_log_that_ends_before_the_leaders_start_begins_there():
    assert restart(0, 10, 50) == 50


def test_a_log_beyond_the_leaders_end_is_left_to_the_epochs():
    assert restart(0, 10, 5) is None
    assert restart(0, 10, 10) is None


def test_an_empty_log_beyond_the_leaders_end_may_begin_anew():
    assert restart(10, 10, 0) == 0
    assert restart(0, 0, 0) is None
