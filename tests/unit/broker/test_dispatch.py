"""One row per API: whatever the connection does not answer itself has a handler."""

from __future__ import annotations

import asyncio

import pytest

from raftkafka.broker.client_quotas import ClientQuotas
from raftkafka.broker.dispatch import Dispatch, error_of
from raftkafka.broker.handlers.committed_offsets import CommittedOffsetsHandler
from raftkafka.broker.handlers.configs import ConfigsHandler
from raftkafka.broker.handlers.controller import ControllerHandler
from raftkafka.broker.handlers.delete_records import DeleteRecordsHandler
from raftkafka.broker.handlers.groups import GroupsHandler
from raftkafka.broker.handlers.log_dirs import LogDirsHandler
from raftkafka.broker.handlers.membership import MembershipHandler
from raftkafka.broker.handlers.metadata import MetadataHandler
from raftkafka.broker.handlers.offsets import OffsetsHandler
from raftkafka.broker.handlers.partitions import PartitionsHandler
from raftkafka.broker.handlers.producers import ProducersHandler
from raftkafka.broker.handlers.quorum import QuorumHandler
from raftkafka.broker.handlers.quotas import QuotasHandler
from raftkafka.broker.handlers.topics import TopicsHandler
from raftkafka.broker.producer_ids import ProducerIds
from raftkafka.model.api.cluster import ApiVersions, DescribeCluster
from raftkafka.model.api.elections import ElectedPartition, ElectedTopic, ElectLeadersResponse
from raftkafka.model.api.keys import ApiKey
from raftkafka.model.api.offsets import ListOffsets
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NodeId

OF_THE_CONNECTION = {ApiKey.API_VERSIONS, ApiKey.SASL_HANDSHAKE, ApiKey.SASL_AUTHENTICATE}
CONTEXT = RequestContext(listener="PLAINTEXT", client_address="test")


@pytest.fixture
async def dispatch(world) -> Dispatch:
    world.requests = []
    world.probe.request = lambda api, error, seconds: world.requests.append((api, error))
    return Dispatch(
        produce=world.produce,
        fetch=world.fetch,
        offsets=OffsetsHandler(replicas=world.replicas, store=world.store),
        delete_records=DeleteRecordsHandler(
            replicas=world.replicas, store=world.store, save=world.logs.save_log_starts, has_lease=lambda: True
        ),
        metadata=MetadataHandler(
            store=world.store,
            consensus=world.consensus,
            channel=world.channel,
            auto_create_topics=True,
            is_current=lambda: True,
            timeout_s=1.0,
        ),
        topics=TopicsHandler(channel=world.channel, store=world.store),
        partitions=PartitionsHandler(channel=world.channel, store=world.store),
        controller=ControllerHandler(controller=world.controller),
        producers=ProducersHandler(
            ids=ProducerIds(
                node_id=NodeId(1), broker_epoch=lambda: world.epoch(1), channel=world.channel, timeout_s=1.0
            )
        ),
        quorum=QuorumHandler(channel=world.channel),
        configs=ConfigsHandler(settings=world.settings, store=world.store, channel=world.channel),
        log_dirs=LogDirsHandler(logs=world.logs),
        quotas=QuotasHandler(store=world.store, channel=world.channel),
        client_quotas=ClientQuotas(
            store=world.store,
            probe=world.probe,
            now=asyncio.get_running_loop().time,
            window_num=11,
            window_size_s=1,
        ),
        groups=GroupsHandler(coordinator=world.groups, store=world.store),
        membership=MembershipHandler(coordinator=world.groups),
        committed_offsets=CommittedOffsetsHandler(coordinator=world.groups, store=world.store),
        probe=world.probe,
        now=asyncio.get_running_loop().time,
    )


async def test_every_api_but_the_connections_own_is_served(dispatch):
    served = {request.api_key for request in dispatch._handlers}
    assert served == set(ApiKey) - OF_THE_CONNECTION


async def test_anything_else_is_refused(dispatch):
    with pytest.raises(ApiError) as refused:
        dispatch(CONTEXT, ApiVersions())
    assert refused.value.code is ErrorCode.UNSUPPORTED_VERSION


async def test_what_is_ready_costs_no_task_and_what_is_not_is_awaited(world, dispatch):
    world.start_brokers(1)
    assert dispatch(CONTEXT, ListOffsets(partitions=())).partitions == ()
    assert len((await dispatch(CONTEXT, DescribeCluster())).brokers) == 1
    assert [api for api, _ in world.requests] == ["LIST_OFFSETS", "DESCRIBE_CLUSTER"]


def test_an_answer_whose_topics_only_group_partitions_stands_for_the_first_error_among_them():
    fine = ElectedPartition(partition=0)
    refused = ElectedPartition(partition=1, error_code=ErrorCode.ELECTION_NOT_NEEDED)
    topics = (ElectedTopic(name="a", partitions=(fine,)), ElectedTopic(name="b", partitions=(fine, refused)))
    assert error_of(ElectLeadersResponse(topics=topics)) is ErrorCode.ELECTION_NOT_NEEDED
    assert error_of(ElectLeadersResponse(topics=topics[:1])) is ErrorCode.NONE
