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
    from raftkafka.cli.story import document, sentences
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
