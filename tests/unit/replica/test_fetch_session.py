"""The asking side of a fetch session: what is spelled out when, and when everything is again."""

from __future__ import annotations

import pytest

from raftkafka.model.api.fetch import FetchPartition, FetchResponse, ForgottenPartition
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import Offset, PartitionIndex, TopicId, TopicPartition
from raftkafka.replica.fetch_session import INITIAL_EPOCH, NO_SESSION, AskingSession, next_epoch

KEYS = [TopicPartition(TopicId(b"t" * 16), PartitionIndex(number)) for number in range(3)]


def row(key: TopicPartition, offset: int = 0) -> FetchPartition:
    return FetchPartition(topic_id=key.topic_id, partition=key.partition, fetch_offset=Offset(offset))


def opened() -> AskingSession:
    session = AskingSession()
    for key in KEYS:
        session.ask(key, row(key))
    assert session.answered(FetchResponse(partitions=(), session_id=7))
    return session


def test_epochs_count_from_one_and_wrap_around_to_one():
    assert next_epoch(INITIAL_EPOCH) == 1
    assert next_epoch((1 << 31) - 1) == 1
    session = opened()
    assert (session.session_id, session.epoch, session.is_whole) == (7, 1, False)
    session.answered(FetchResponse(partitions=(), session_id=7))
    assert session.epoch == 2


def test_what_leaves_is_said_once_and_not_when_it_came_back():
    session = opened()
    session.forget(KEYS[0])
    session.forget(KEYS[1])
    session.ask(KEYS[1], row(KEYS[1], 5))
    assert session.take_forgotten() == (ForgottenPartition(topic_id=KEYS[0].topic_id, partition=KEYS[0].partition),)
    assert session.take_forgotten() == ()
    session.forget(KEYS[0])
    assert session.take_forgotten() == ()
    assert session.rows.keys() == {KEYS[1], KEYS[2]}


@pytest.mark.parametrize(
    ("code", "session_id"),
    [(ErrorCode.FETCH_SESSION_ID_NOT_FOUND, NO_SESSION), (ErrorCode.INVALID_FETCH_SESSION_EPOCH, 7)],
)
def test_a_session_that_the_leader_does_not_know_begins_again(code, session_id):
    session = opened()
    session.forget(KEYS[0])
    assert not session.answered(FetchResponse(partitions=(), error_code=code))
    assert (session.is_whole, session.session_id, session.rows) == (True, session_id, {})
    assert session.take_forgotten() == ()


def test_a_lost_answer_leaves_the_old_session_to_be_closed_and_the_rows_to_who_reads_an_answer():
    session = opened()
    rows = session.rows
    session.lost()
    assert (session.is_whole, session.session_id) == (True, 7)
    assert list(rows) == KEYS


def test_a_leader_without_room_is_asked_whole_each_time():
    session = AskingSession()
    session.ask(KEYS[0], row(KEYS[0]))
    assert session.answered(FetchResponse(partitions=(), session_id=NO_SESSION))
    assert (session.is_whole, session.rows, session.refused) == (True, {}, True)
    assert session.answered(FetchResponse(partitions=(), session_id=7))
    assert (session.is_whole, session.refused) == (False, False)
