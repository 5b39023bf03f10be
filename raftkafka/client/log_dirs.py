"""Log directories, for administrators: each broker is asked for its own. Floor 3."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from raftkafka.client.routing import Router
from raftkafka.model.api.log_dirs import DescribedLogDir, DescribeLogDirs, DescribeLogDirsResponse
from raftkafka.model.errors import ApiError, RaftKafkaError
from raftkafka.model.ids import NodeId

Found = dict[NodeId, tuple[DescribedLogDir, ...]]


async def describe(
    router: Router, brokers: Iterable[NodeId] | None, topics: Iterable[str] | None, *, timeout_s: float
) -> Found:
    """Of these brokers, or of all that are there. Those that do not answer within `timeout_s` are left out."""
    if brokers is None or not router.view.brokers:
        try:
            async with asyncio.timeout(timeout_s):
                await router.updated()
        except TimeoutError:
            return {}
    wanted = sorted(router.view.brokers) if brokers is None else list(dict.fromkeys(brokers))
    request = DescribeLogDirs(topics=None if topics is None else tuple(topics))

    async def ask(broker: NodeId) -> tuple[DescribedLogDir, ...] | None:
        try:
            channel = await router.channel(broker)
            answer = await channel.request(request, timeout_s=timeout_s)
        except ApiError:
            raise
        except RaftKafkaError:
            return None
        assert isinstance(answer, DescribeLogDirsResponse)
        return answer.log_dirs

    async def in_time(broker: NodeId) -> tuple[DescribedLogDir, ...] | None:
        try:
            return await asyncio.wait_for(ask(broker), timeout_s)
        except TimeoutError:
            return None

    answers = await asyncio.gather(*(in_time(each) for each in wanted))
    return {broker: answer for broker, answer in zip(wanted, answers, strict=True) if answer is not None}
