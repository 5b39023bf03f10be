"""Decisions in turn, one proposal for all that wait, and an honest answer whatever becomes of it."""

from __future__ import annotations

import asyncio

import pytest

from raftkafka.broker import controller_queue
from raftkafka.metadata import commands as metadata_commands
from raftkafka.metadata.commands import CreateTopic, InitializeCluster, decode
from raftkafka.metadata.decide import Decision
from raftkafka.model.api.broker_lifecycle import BrokerHeartbeatResponse
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NodeId, TopicId
from raftkafka.ports.consensus import NotLeaderError, OutcomeUnknownError


@pytest.fixture
async def leading(world):
    world.start_brokers(1)
    world.consensus.leader_id = NodeId(1)
    return world


def create(number: int, partitions: int = 1):
    """Decides to create topic `t<number>`; the answer tells whether the image had it when it was given."""
    name = f"t{number}"
    command = CreateTopic(
        name=name,
        topic_id=TopicId(number.to_bytes(16, "big")),
        partitions=((NodeId(1),),) * partitions,
        configs={},
    )

    def decide(image):
        if name in image.topic_ids:
            raise ApiError(ErrorCode.TOPIC_ALREADY_EXISTS)
        return Decision(
            commands=(command,), respond=lambda after: BrokerHeartbeatResponse(is_fenced=name not in after.topic_ids)
        )

    return decide


async def submit(world, *decisions):
    return await asyncio.gather(*[world.queue.submit(each) for each in decisions], return_exceptions=True)


async def test_requests_that_wait_together_are_one_entry(leading):
    answers = await submit(leading, *[create(number) for number in range(1, 21)])
    assert [answer.is_fenced for answer in answers] == [False] * 20
    (entry,) = leading.consensus.proposed
    assert len(decode(entry)) == 20


async def test_what_comes_during_a_commit_is_the_next_entry(leading):
    leading.consensus.gate.clear()
    first = asyncio.ensure_future(submit(leading, create(1)))
    await asyncio.sleep(0.01)
    rest = asyncio.ensure_future(submit(leading, create(2), create(3)))
    await asyncio.sleep(0.01)
    leading.consensus.gate.set()
    await first
    await rest
    assert [len(decode(entry)) for entry in leading.consensus.proposed] == [1, 2]


async def test_a_decision_sees_what_was_decided_before_it_in_the_same_entry(leading):
    first, second = await submit(leading, create(1), create(1))
    assert first.is_fenced is False
    assert second.code is ErrorCode.TOPIC_ALREADY_EXISTS
    assert len(decode(leading.consensus.proposed[0])) == 1


async def test_a_decision_is_worked_out_in_advance_only_for_who_comes_behind_it(leading, monkeypatch):
    """To fence a broker changes thousands of partitions: once, where nobody waits to see it."""
    worked_out = []
    real = controller_queue.apply_all

    def counted(image, index, commands):
        worked_out.append(len(commands))
        return real(image, index, commands)

    monkeypatch.setattr(controller_queue, "apply_all", counted)
    (alone,) = await submit(leading, create(1))
    assert (alone.is_fenced, worked_out) == (False, [])
    await submit(leading, create(2), create(2), create(3), create(4))
    assert worked_out == [1, 1]


async def test_a_refusal_alone_proposes_nothing(leading):
    await submit(leading, create(1))
    (refused,) = await submit(leading, create(1))
    assert refused.code is ErrorCode.TOPIC_ALREADY_EXISTS
    assert len(leading.consensus.proposed) == 1


@pytest.mark.parametrize(
    ("failure", "code"),
    [(NotLeaderError("no"), ErrorCode.NOT_CONTROLLER), (OutcomeUnknownError("?"), ErrorCode.REQUEST_TIMED_OUT)],
)
async def test_a_failed_proposal_says_whether_anything_may_have_happened(leading, failure, code):
    leading.consensus.failures = [failure]
    answers = await submit(leading, create(1), create(2))
    assert [answer.code for answer in answers] == [code, code]
    (later,) = await submit(leading, create(3))
    assert later.is_fenced is False


async def test_half_a_request_is_unknown_and_not_undone(leading):
    """Several entries: when the leadership is lost behind the first, part of it has happened (I18)."""
    real = leading.consensus.propose

    async def propose(command, *, timeout_s):
        if leading.consensus.proposed:
            raise NotLeaderError("lost it")
        return await real(command, timeout_s=timeout_s)

    leading.consensus.propose = propose
    many = Decision(
        commands=tuple(InitializeCluster(cluster_id="cluster", feature_level=1) for _ in range(5_000)),
        respond=lambda after: BrokerHeartbeatResponse(),
    )
    (answer,) = await submit(leading, lambda image: many)
    assert answer.code is ErrorCode.REQUEST_TIMED_OUT


async def test_resigning_answers_what_was_not_proposed(leading):
    leading.consensus.gate.clear()
    first = asyncio.ensure_future(submit(leading, create(1)))
    await asyncio.sleep(0.01)
    second = asyncio.ensure_future(submit(leading, create(2)))
    await asyncio.sleep(0.01)
    leading.queue.fail_all(ApiError(ErrorCode.NOT_CONTROLLER))
    assert [error.code for error in await second] == [ErrorCode.NOT_CONTROLLER]
    leading.consensus.gate.set()
    assert (await first)[0].is_fenced is False


async def test_a_fault_in_a_decision_leaves_nobody_waiting(leading):
    faults = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))

    def broken(image):
        raise ZeroDivisionError

    answers = await submit(leading, create(1), broken)
    assert [answer.code for answer in answers] == [ErrorCode.UNKNOWN_SERVER_ERROR] * 2
    (later,) = await submit(leading, create(2))
    assert later.is_fenced is False


async def test_the_queue_is_bounded(leading, monkeypatch):
    monkeypatch.setattr(controller_queue, "WAITING_MAX", 3)
    answers = await submit(leading, *[create(number) for number in range(1, 6)])
    codes = [answer.code for answer in answers if isinstance(answer, ApiError)]
    assert codes == [ErrorCode.THROTTLING_QUOTA_EXCEEDED] * 2


async def test_who_stops_waiting_disturbs_nobody(leading):
    leading.consensus.gate.clear()
    gone = asyncio.ensure_future(leading.queue.submit(create(1)))
    kept = asyncio.ensure_future(leading.queue.submit(create(2)))
    await asyncio.sleep(0.01)
    gone.cancel()
    leading.consensus.gate.set()
    assert (await kept).is_fenced is False
    assert "t1" in leading.store.image.topic_ids


async def test_a_command_that_the_feature_level_does_not_allow_is_refused(leading, monkeypatch):
    monkeypatch.setitem(metadata_commands.LEVELS, CreateTopic, 2)
    refused, *_ = await submit(leading, create(1))
    assert (refused.code, leading.consensus.proposed) == (ErrorCode.UNSUPPORTED_VERSION, [])
    assert "needs feature level 2, the cluster's metadata has 1" in refused.message
