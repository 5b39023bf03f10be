from __future__ import annotations

from random import Random

import pytest

from raftkafka.client import (
    Admin,
    AlterableConfig,
    AlterOperation,
    ApiError,
    ConfigResource,
    ElectionType,
    NewPartitions,
    NewTopic,
    ResourceType,
    TopicPartition,
)
from raftkafka.client.connection import ConnectionClosedError
from raftkafka.model.api.cluster import DescribeQuorum, DescribeQuorumResponse, Metadata
from raftkafka.model.api.configs import (
    AlteredResource,
    DescribeConfigs,
    DescribeConfigsResponse,
    DescribedConfig,
    DescribedResource,
    IncrementalAlterConfigs,
    IncrementalAlterConfigsResponse,
)
from raftkafka.model.api.delete_records import DeleteRecords, DeleteRecordsPartitionResponse, DeleteRecordsResponse
from raftkafka.model.api.elections import ElectedPartition, ElectedTopic, ElectLeaders, ElectLeadersResponse
from raftkafka.model.api.partitions import CreatePartitions, CreatePartitionsResponse, GrownTopic
from raftkafka.model.api.reassignments import (
    AlterPartitionReassignments,
    AlterPartitionReassignmentsResponse,
    ListedTopic,
    ListPartitionReassignments,
    ListPartitionReassignmentsResponse,
    OngoingReassignment,
    OngoingTopic,
    ReassignedPartition,
    ReassignedTopic,
)
from raftkafka.model.api.topics import (
    CreatedTopic,
    CreateTopics,
    CreateTopicsResponse,
    DeletedTopic,
    DeleteTopics,
    DeleteTopicsResponse,
)
from raftkafka.model.errors import ErrorCode


def admin_of(cluster, **settings) -> Admin:
    return Admin("b1:9092,b2:9092,b3:9092", connect=cluster.connect, random=Random(1), **settings)


async def test_topics_are_created_listed_described_and_deleted(cluster):
    def script(node, request):
        if isinstance(request, CreateTopics):
            for topic in request.topics:
                cluster.add_topic(topic.name, *[1] * topic.num_partitions)
            return CreateTopicsResponse(topics=tuple(CreatedTopic(name=topic.name) for topic in request.topics))
        if isinstance(request, DeleteTopics):
            for topic in request.topics:
                del cluster.topics[topic.name]
            return DeleteTopicsResponse(topics=tuple(DeletedTopic(name=topic.name) for topic in request.topics))
        return NotImplemented

    cluster.script = script
    async with admin_of(cluster) as admin:
        await admin.create_topics([NewTopic(name="a", num_partitions=2)])
        assert (await admin.create_topic("b", num_partitions=1)).name == "b"
        assert await admin.list_topics() == ["a", "b"]
        (described,) = await admin.describe_topics(["a"])
        assert len(described.partitions) == 2
        assert (await admin.list_offsets({TopicPartition("a", 1): -1}))[TopicPartition("a", 1)].offset == 0
        await admin.delete_topics(["a"])
        assert await admin.list_topics() == ["b"]
        with pytest.raises(ApiError, match="UNKNOWN_TOPIC_OR_PARTITION"):
            await admin.describe_topics(["a"])


async def test_the_brokers_words_are_passed_on(cluster):
    refused = CreatedTopic(
        name="a/b", error_code=ErrorCode.INVALID_TOPIC_EXCEPTION, error_message="topic name 'a/b' is illegal"
    )
    cluster.script = lambda node, request: (
        CreateTopicsResponse(topics=(refused,)) if isinstance(request, CreateTopics) else NotImplemented
    )
    async with admin_of(cluster) as admin:
        with pytest.raises(ApiError) as failed:
            await admin.create_topic("a/b")
    assert failed.value.code is ErrorCode.INVALID_TOPIC_EXCEPTION
    assert failed.value.message == "topic name 'a/b' is illegal"


async def test_a_change_whose_answer_is_lost_is_not_sent_twice(cluster):
    asked = 0

    def script(node, request):
        nonlocal asked
        if isinstance(request, CreateTopics):
            asked += 1
            cluster.kill(node)
        return NotImplemented

    cluster.script = script
    async with admin_of(cluster) as admin:
        with pytest.raises(ApiError, match="unknown"):
            await admin.create_topic("t")
    assert asked == 1


async def test_a_cluster_without_a_controller_is_waited_for(cluster):
    answers = [ErrorCode.NOT_CONTROLLER, ErrorCode.NOT_CONTROLLER, ErrorCode.NONE]
    cluster.script = lambda node, request: (
        DescribeQuorumResponse(error_code=answers.pop(0), leader_id=2)
        if isinstance(request, DescribeQuorum)
        else NotImplemented
    )
    async with admin_of(cluster) as admin:
        assert (await admin.describe_quorum()).leader_id == 2
    assert not answers


async def test_reading_goes_on_past_dead_nodes_and_gives_up_in_time(cluster):
    cluster.add_topic("t", 3)
    cluster.dead = {1, 2}
    async with admin_of(cluster) as admin:
        assert await admin.list_topics() == ["t"]
    cluster.dead = {1, 2, 3}
    async with admin_of(cluster, default_api_timeout_ms=80) as admin:
        with pytest.raises(ApiError, match="b1:9092"):
            await admin.list_topics()


async def test_nodes_that_accept_but_never_answer_are_passed_over(cluster):
    created = CreateTopicsResponse(topics=(CreatedTopic(name="t"),))
    cluster.script = lambda node, request: (
        created if isinstance(request, CreateTopics) and node == 3 else NotImplemented
    )
    cluster.deaf = {1, 2}
    async with admin_of(cluster, default_api_timeout_ms=5_000) as admin:
        assert (await admin.create_topic("t")).name == "t"
    assert [node for node, request in cluster.requests if isinstance(request, CreateTopics)] == [3]


@pytest.mark.parametrize("silent", [True, False], ids=["deaf", "dead"])
async def test_what_was_never_sent_is_not_unknown(cluster, silent):
    (cluster.deaf if silent else cluster.dead).update({1, 2, 3})
    async with admin_of(cluster, default_api_timeout_ms=100) as admin:
        with pytest.raises(ApiError, match="b1:9092") as failed:
            await admin.create_topic("t")
    assert failed.value.code is ErrorCode.BROKER_NOT_AVAILABLE


async def test_records_are_deleted_by_the_leaders_once_they_lead(cluster):
    cluster.add_topic("t", 1, 2)
    refusals = [ErrorCode.NOT_LEADER_OR_FOLLOWER]

    def script(node, request):
        if not isinstance(request, DeleteRecords):
            return NotImplemented
        error = refusals.pop() if refusals else ErrorCode.NONE
        return DeleteRecordsResponse(
            partitions=tuple(
                DeleteRecordsPartitionResponse(
                    topic_id=row.topic_id,
                    partition=row.partition,
                    error_code=error,
                    low_watermark=-1 if error else row.offset,
                )
                for row in request.partitions
            )
        )

    cluster.script = script
    async with admin_of(cluster) as admin:
        found = await admin.delete_records({TopicPartition("t", 0): 3, TopicPartition("t", 1): 5})
        assert found == {TopicPartition("t", 0): 3, TopicPartition("t", 1): 5}
        refusals.append(ErrorCode.OFFSET_OUT_OF_RANGE)
        with pytest.raises(ApiError, match="OFFSET_OUT_OF_RANGE"):
            await admin.delete_records({TopicPartition("t", 0): 9})
    assert {node for node, request in cluster.requests if isinstance(request, DeleteRecords)} == {1, 2}


# Partitions


async def test_reassignments_are_asked_for_listed_and_refused_in_the_brokers_words(cluster):
    ongoing = OngoingReassignment(partition=1, replicas=(3, 1), adding_replicas=(3,), removing_replicas=(1,))
    refused = ReassignedPartition(partition=0, error_code=ErrorCode.NO_REASSIGNMENT_IN_PROGRESS, error_message="None.")
    asked = []

    def script(node, request):
        asked.append(request)
        if isinstance(request, AlterPartitionReassignments):
            outcomes = (refused,) if request.topics[0].partitions[0].replicas is None else ()
            return AlterPartitionReassignmentsResponse(topics=(ReassignedTopic(name="a", partitions=outcomes),))
        if isinstance(request, ListPartitionReassignments):
            return ListPartitionReassignmentsResponse(topics=(OngoingTopic(name="a", partitions=(ongoing,)),))
        return NotImplemented

    cluster.script = script
    async with admin_of(cluster, default_api_timeout_ms=4_000) as admin:
        await admin.alter_partition_reassignments(
            {TopicPartition("a", 1): [3, 2], TopicPartition("b", 0): [1], TopicPartition("a", 2): [1]},
            allow_replication_factor_change=False,
        )
        assert await admin.list_partition_reassignments() == {TopicPartition("a", 1): ongoing}
        await admin.list_partition_reassignments([TopicPartition("a", 1)])
        with pytest.raises(ApiError, match="a-0: None") as failed:
            await admin.alter_partition_reassignments({TopicPartition("a", 0): None})
    assert failed.value.code is ErrorCode.NO_REASSIGNMENT_IN_PROGRESS
    altered, everything, one = [each for each in asked if not isinstance(each, Metadata)][:3]
    assert (altered.timeout_ms, altered.allow_replication_factor_change) == (4_000, False)
    assert [(topic.name, [each.partition for each in topic.partitions]) for topic in altered.topics] == [
        ("a", [1, 2]),
        ("b", [0]),
    ]
    assert altered.topics[0].partitions[0].replicas == (3, 2)
    assert everything.topics is None
    assert one.topics == (ListedTopic(name="a", partitions=(1,)),)


async def test_leaders_are_elected_and_each_outcome_told(cluster):
    outcome = ElectedPartition(partition=0, error_code=ErrorCode.ELECTION_NOT_NEEDED, error_message="It leads.")
    answers = [
        ElectLeadersResponse(error_code=ErrorCode.NOT_CONTROLLER),
        ElectLeadersResponse(topics=(ElectedTopic(name="a", partitions=(outcome,)),)),
        ElectLeadersResponse(error_code=ErrorCode.REQUEST_TIMED_OUT, error_message="unknown"),
    ]
    cluster.script = lambda node, request: answers.pop(0) if isinstance(request, ElectLeaders) else NotImplemented
    async with admin_of(cluster) as admin:
        assert await admin.elect_leaders(ElectionType.PREFERRED) == {TopicPartition("a", 0): outcome}
        with pytest.raises(ApiError) as failed:
            await admin.elect_leaders(ElectionType.UNCLEAN, [TopicPartition("a", 0)])
    assert failed.value.code is ErrorCode.REQUEST_TIMED_OUT
    assert not answers


async def test_topics_grow_or_it_is_said_why_not(cluster):
    answers = [
        CreatePartitionsResponse(topics=(GrownTopic(name="a", error_code=ErrorCode.NOT_CONTROLLER),)),
        CreatePartitionsResponse(topics=(GrownTopic(name="a"),)),
        CreatePartitionsResponse(
            topics=(GrownTopic(name="a", error_code=ErrorCode.INVALID_PARTITIONS, error_message="no growth"),)
        ),
    ]
    cluster.script = lambda node, request: answers.pop(0) if isinstance(request, CreatePartitions) else NotImplemented
    async with admin_of(cluster) as admin:
        await admin.create_partitions([NewPartitions(name="a", count=3)])
        with pytest.raises(ApiError, match="no growth") as failed:
            await admin.create_partitions([NewPartitions(name="a", count=1)])
    assert failed.value.code is ErrorCode.INVALID_PARTITIONS


TOPIC, BROKER = ConfigResource(ResourceType.TOPIC, "t"), ConfigResource(ResourceType.BROKER, "2")


async def test_a_broker_is_asked_itself_for_its_configs_and_anybody_for_the_others(cluster):
    asked = []

    def script(node, request):
        if not isinstance(request, DescribeConfigs):
            return NotImplemented
        asked.append((node, [each.resource_name for each in request.resources]))
        return DescribeConfigsResponse(
            resources=tuple(
                DescribedResource(
                    resource_type=each.resource_type,
                    resource_name=each.resource_name,
                    configs=(DescribedConfig(name="a", value=str(node), source=5),),
                )
                for each in request.resources
            )
        )

    cluster.script = script
    async with admin_of(cluster) as admin:
        found = await admin.describe_configs([BROKER, TOPIC, ConfigResource(ResourceType.BROKER, "")])
        assert list(found) == [BROKER, TOPIC, ConfigResource(ResourceType.BROKER, "")]
        assert found[BROKER][0].value == "2"
        assert sorted(names for _, names in asked) == [["2"], ["t", ""]]
        with pytest.raises(ApiError, match="broker 9 is not there") as failed:
            await admin.describe_configs([ConfigResource(ResourceType.BROKER, "9")])
    assert failed.value.code is ErrorCode.BROKER_NOT_AVAILABLE


async def test_configs_are_altered_or_it_is_said_why_not(cluster):
    def answer(code, message=None):
        return IncrementalAlterConfigsResponse(
            resources=(AlteredResource(resource_type=2, resource_name="t", error_code=code, error_message=message),)
        )

    answers = [answer(ErrorCode.NOT_CONTROLLER), answer(ErrorCode.NONE), answer(ErrorCode.INVALID_CONFIG, "no number")]
    asked = []

    def script(node, request):
        if not isinstance(request, IncrementalAlterConfigs):
            return NotImplemented
        asked.append(request)
        return answers.pop(0)

    cluster.script = script
    change = {TOPIC: [AlterableConfig(name="retention.ms", operation=AlterOperation.DELETE)]}
    async with admin_of(cluster) as admin:
        await admin.alter_configs(change, validate_only=True)
        with pytest.raises(ApiError, match="no number") as failed:
            await admin.alter_configs(change)
    assert failed.value.code is ErrorCode.INVALID_CONFIG
    assert [each.validate_only for each in asked] == [True, True, False]
    assert asked[0].resources[0].configs == tuple(change[TOPIC])


async def test_a_broker_that_does_not_answer_is_no_broker_to_describe(cluster):
    def script(node, request):
        return ConnectionClosedError("gone") if isinstance(request, DescribeConfigs) else NotImplemented

    cluster.script = script
    async with admin_of(cluster) as admin:
        with pytest.raises(ApiError, match="broker 2 does not answer: gone") as failed:
            await admin.describe_configs([BROKER])
    assert failed.value.code is ErrorCode.BROKER_NOT_AVAILABLE
