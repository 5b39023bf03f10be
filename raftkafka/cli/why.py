"""`rk why`: the causes of the present state. Floor 5."""

from __future__ import annotations

import click

from raftkafka.cli.admin import admin_of
from raftkafka.cli.options import bootstrap_option, json_option, timeout_option
from raftkafka.cli.output import as_json, line


@click.group(no_args_is_help=True)
def why() -> None:
    """Say how something came to be as it is."""


@why.command()
@click.argument("name", metavar="TOPIC-PARTITION")
@bootstrap_option
@timeout_option
@json_option
def partition(name: str, bootstrap_server: str, timeout_ms: int, json: bool) -> None:
    """Say who leads a partition, since when and why, and who is in sync.

    TOPIC-PARTITION as in logs: orders-0. The last changes of leader and in-sync replicas are remembered, eight at most.
    """
    topic, dash, number = name.rpartition("-")
    if not dash or not topic or not (number.isascii() and number.isdigit() and len(number) <= 9):
        raise click.BadParameter(f"{name!r} is not TOPIC-PARTITION, such as orders-0", param_hint="TOPIC-PARTITION")
    from raftkafka.cli.session import run
    from raftkafka.client.story import document, sentences
    from raftkafka.client.types import TopicPartition
    from raftkafka.model.api.history import DescribePartitionHistoryResponse

    async def ask() -> DescribePartitionHistoryResponse:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            return await admin.describe_partition_history(TopicPartition(topic, int(number)))

    told = run(ask())
    if json:
        as_json({"topic": topic, "partition": int(number), **document(told)})
    else:
        for sentence in sentences(name, told):
            line(sentence)


@why.command()
@click.argument("name", metavar="GROUP")
@bootstrap_option
@timeout_option
@json_option
def group(name: str, bootstrap_server: str, timeout_ms: int, json: bool) -> None:
    """Say what a group is doing, since when and why, and who coordinates it.

    Its coordinator remembers the last rebalances with their reasons; the next coordinator begins anew.
    """
    from raftkafka.cli.group_story import group_document, group_sentences
    from raftkafka.cli.session import run
    from raftkafka.client.group.descriptions import GroupDescription
    from raftkafka.client.group.reports import groups_of
    from raftkafka.client.types import TopicPartition
    from raftkafka.group.partition_of import partition_of
    from raftkafka.model.api.history import DescribePartitionHistoryResponse
    from raftkafka.model.errors import ApiError, ErrorCode
    from raftkafka.model.topics import OFFSETS_TOPIC

    async def ask() -> tuple[GroupDescription, TopicPartition, DescribePartitionHistoryResponse]:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            [found] = await groups_of(admin, [name], history=True)
            topics = await admin.known_topics([OFFSETS_TOPIC])
            if not topics:
                raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE, f"the topic {OFFSETS_TOPIC} is gone")
            place = TopicPartition(OFFSETS_TOPIC, partition_of(name, len(topics[0].partitions)))
            return found, place, await admin.describe_partition_history(place)

    found, place, coordinator = run(ask())
    where = f"{place.topic}-{place.partition}"
    if json:
        as_json(group_document(found, where, coordinator))
    else:
        for sentence in group_sentences(found, where, coordinator):
            line(sentence)
