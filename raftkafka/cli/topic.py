"""`rk topic`: create, list, describe, alter, delete, delete-records. Floor 5."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from raftkafka.cli.admin import admin_of
from raftkafka.cli.options import bootstrap_option, json_option, timeout_option
from raftkafka.cli.output import as_json, line, table

if TYPE_CHECKING:
    from raftkafka.model.api.cluster import TopicMetadata


@click.group(no_args_is_help=True)
def topic() -> None:
    """Create, list, describe, alter and delete topics."""


@topic.command("create")
@click.argument("name", metavar="TOPIC")
@click.option("--partitions", metavar="N", type=click.IntRange(min=1), help="Default: the brokers' num.partitions.")
@click.option(
    "--replication-factor",
    metavar="N",
    type=click.IntRange(min=1),
    help="Default: the brokers' default.replication.factor.",
)
@click.option("--config", metavar="KEY=VALUE", multiple=True, help="A topic config; may be repeated.")
@bootstrap_option
@timeout_option
@json_option
def create(
    name: str,
    partitions: int | None,
    replication_factor: int | None,
    config: Sequence[str],
    bootstrap_server: str,
    timeout_ms: int,
    json: bool,
) -> None:
    """Create a topic.

    Its name is made of letters, digits, '.', '_' and '-', at most 249 of them.
    """
    from raftkafka.cli.session import run

    configs = _configs(config)

    async def create_topic() -> None:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            created = await admin.create_topic(
                name, num_partitions=partitions or -1, replication_factor=replication_factor or -1, configs=configs
            )
        if json:
            as_json(
                {
                    "topic": created.name,
                    "topic_id": created.topic_id.hex(),
                    "partitions": created.num_partitions,
                    "replication_factor": created.replication_factor,
                }
            )
        else:
            line(f"Created topic {created.name}.")

    run(create_topic())


@topic.command("list")
@click.option("--internal", is_flag=True, help="Show internal topics too.")
@bootstrap_option
@timeout_option
@json_option
def list_(internal: bool, bootstrap_server: str, timeout_ms: int, json: bool) -> None:
    """List the names of all topics."""
    from raftkafka.cli.session import run

    async def list_topics() -> list[str]:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            return await admin.list_topics(include_internal=internal)

    names = run(list_topics())
    if json:
        as_json({"topics": names})
    else:
        for name in names:
            line(name)


@topic.command("describe")
@click.argument("topics", metavar="[TOPIC]...", nargs=-1)
@bootstrap_option
@timeout_option
@json_option
def describe(topics: Sequence[str], bootstrap_server: str, timeout_ms: int, json: bool) -> None:
    """Show leaders, replicas, in-sync replicas.

    Of all topics where none is named.
    """
    from raftkafka.cli.session import run

    async def describe_topics() -> Sequence[TopicMetadata]:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            names = list(topics) or await admin.list_topics()
            return await admin.describe_topics(names) if names else []

    found = run(describe_topics())
    if json:
        as_json({"topics": [_described(each) for each in found]})
        return
    rows = [
        (
            each.name,
            partition.partition,
            partition.leader_id if partition.leader_id >= 0 else "none",
            partition.leader_epoch,
            _ids(partition.replica_nodes),
            _ids(partition.isr_nodes),
        )
        for each in found
        for partition in each.partitions
    ]
    table(("TOPIC", "PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR"), rows)


@topic.command("alter")
@click.argument("name", metavar="TOPIC")
@click.option("--partitions", metavar="N", type=click.IntRange(min=1), required=True, help="In all; more than now.")
@bootstrap_option
@timeout_option
@json_option
def alter(name: str, partitions: int, bootstrap_server: str, timeout_ms: int, json: bool) -> None:
    """Give a topic more partitions.

    Records stay where they are; keys go to other partitions from then on.
    """
    from raftkafka.cli.session import run

    async def grow() -> None:
        from raftkafka.model.api.partitions import NewPartitions

        async with admin_of(bootstrap_server, timeout_ms) as admin:
            await admin.create_partitions([NewPartitions(name=name, count=partitions)])

    run(grow())
    if json:
        as_json({"topic": name, "partitions": partitions})
    else:
        line(f"Topic {name} has {partitions} partitions now.")


@topic.command("delete")
@click.argument("topics", metavar="TOPIC...", nargs=-1, required=True)
@bootstrap_option
@timeout_option
@json_option
def delete(topics: Sequence[str], bootstrap_server: str, timeout_ms: int, json: bool) -> None:
    """Delete topics with all their records."""
    from raftkafka.cli.session import run

    async def delete_topics() -> None:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            await admin.delete_topics(list(topics))

    run(delete_topics())
    if json:
        as_json({"deleted": list(topics)})
    else:
        for name in topics:
            line(f"Deleted topic {name}.")


@topic.command("delete-records")
@click.argument("name", metavar="TOPIC")
@click.option("--partition", metavar="N", type=click.IntRange(min=0), help="Only this one; default: all partitions.")
@click.option(
    "--before",
    metavar="OFFSET",
    type=click.IntRange(min=-1),
    required=True,
    help="Records with a smaller offset go; -1: all that are committed.",
)
@bootstrap_option
@timeout_option
@json_option
def delete_records(
    name: str, partition: int | None, before: int, bootstrap_server: str, timeout_ms: int, json: bool
) -> None:
    """Delete the records below an offset."""
    from raftkafka.cli.session import run
    from raftkafka.client import TopicPartition

    async def delete_them() -> dict[TopicPartition, int]:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            if partition is not None:
                wanted = [TopicPartition(name, partition)]
            else:
                (described,) = await admin.describe_topics([name])
                wanted = [TopicPartition(name, int(each.partition)) for each in described.partitions]
            return await admin.delete_records(dict.fromkeys(wanted, before))

    starts = run(delete_them())
    if json:
        as_json(
            {
                "topic": name,
                "partitions": [{"partition": tp.partition, "low_watermark": at} for tp, at in starts.items()],
            }
        )
    else:
        for tp, start in starts.items():
            line(f"{name}-{tp.partition} begins at offset {start}.")


def _configs(pairs: Sequence[str]) -> dict[str, str | None]:
    configs: dict[str, str | None] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--config")
        configs[key.strip()] = value.strip()
    return configs


def _ids(nodes: Sequence[int]) -> str:
    return ",".join(map(str, nodes))


def _described(topic: TopicMetadata) -> dict[str, Any]:
    return {
        "topic": topic.name,
        "topic_id": topic.topic_id.hex(),
        "internal": topic.is_internal,
        "partitions": [
            {
                "partition": partition.partition,
                "leader": partition.leader_id,
                "leader_epoch": partition.leader_epoch,
                "replicas": list(partition.replica_nodes),
                "isr": list(partition.isr_nodes),
                "offline_replicas": list(partition.offline_replicas),
            }
            for partition in topic.partitions
        ],
    }
