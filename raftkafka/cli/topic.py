"""`rk topic`: create, list, describe, delete. Floor 5."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from raftkafka.cli.options import DEFAULT_BOOTSTRAP, DEFAULT_TIMEOUT_MS, AsJson, BootstrapServer, TimeoutMs
from raftkafka.cli.output import as_json, line, table

if TYPE_CHECKING:
    from raftkafka.client.admin import Admin
    from raftkafka.model.api.cluster import TopicMetadata

app = typer.Typer(no_args_is_help=True, help="Create, list, describe and delete topics.")

Names = Annotated[list[str], typer.Argument(metavar="TOPIC...")]


@app.command("create")
def create(
    topic: Annotated[str, typer.Argument(help="Letters, digits, '.', '_' and '-', at most 249 of them.")],
    partitions: Annotated[
        int | None, typer.Option("--partitions", min=1, help="Default: the brokers' num.partitions.")
    ] = None,
    replication_factor: Annotated[
        int | None,
        typer.Option("--replication-factor", min=1, help="Default: the brokers' default.replication.factor."),
    ] = None,
    config: Annotated[
        list[str] | None, typer.Option("--config", metavar="KEY=VALUE", help="A topic config; may be repeated.")
    ] = None,
    bootstrap_server: BootstrapServer = DEFAULT_BOOTSTRAP,
    timeout_ms: TimeoutMs = DEFAULT_TIMEOUT_MS,
    json: AsJson = False,
) -> None:
    """Create a topic."""
    from raftkafka.cli.session import run

    configs = _configs(config or [])

    async def create_topic() -> None:
        async with _admin(bootstrap_server, timeout_ms) as admin:
            created = await admin.create_topic(
                topic, num_partitions=partitions or -1, replication_factor=replication_factor or -1, configs=configs
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


@app.command("list")
def list_(
    internal: Annotated[bool, typer.Option("--internal", help="Show internal topics too.")] = False,
    bootstrap_server: BootstrapServer = DEFAULT_BOOTSTRAP,
    timeout_ms: TimeoutMs = DEFAULT_TIMEOUT_MS,
    json: AsJson = False,
) -> None:
    """List the names of all topics."""
    from raftkafka.cli.session import run

    async def list_topics() -> list[str]:
        async with _admin(bootstrap_server, timeout_ms) as admin:
            return await admin.list_topics(include_internal=internal)

    names = run(list_topics())
    if json:
        as_json({"topics": names})
    else:
        for name in names:
            line(name)


@app.command("describe")
def describe(
    topics: Annotated[list[str] | None, typer.Argument(metavar="[TOPIC...]", help="Default: all.")] = None,
    bootstrap_server: BootstrapServer = DEFAULT_BOOTSTRAP,
    timeout_ms: TimeoutMs = DEFAULT_TIMEOUT_MS,
    json: AsJson = False,
) -> None:
    """Show leaders, replicas and in-sync replicas."""
    from raftkafka.cli.session import run

    async def describe_topics() -> Sequence[TopicMetadata]:
        async with _admin(bootstrap_server, timeout_ms) as admin:
            names = topics or await admin.list_topics()
            return await admin.describe_topics(names) if names else []

    found = run(describe_topics())
    if json:
        as_json({"topics": [_described(topic) for topic in found]})
        return
    rows = [
        (
            topic.name,
            partition.partition,
            partition.leader_id if partition.leader_id >= 0 else "none",
            partition.leader_epoch,
            _ids(partition.replica_nodes),
            _ids(partition.isr_nodes),
        )
        for topic in found
        for partition in topic.partitions
    ]
    table(("TOPIC", "PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR"), rows)


@app.command("delete")
def delete(
    topics: Names,
    bootstrap_server: BootstrapServer = DEFAULT_BOOTSTRAP,
    timeout_ms: TimeoutMs = DEFAULT_TIMEOUT_MS,
    json: AsJson = False,
) -> None:
    """Delete topics with all their records."""
    from raftkafka.cli.session import run

    async def delete_topics() -> None:
        async with _admin(bootstrap_server, timeout_ms) as admin:
            await admin.delete_topics(topics)

    run(delete_topics())
    if json:
        as_json({"deleted": topics})
    else:
        for name in topics:
            line(f"Deleted topic {name}.")


def _admin(bootstrap_server: str, timeout_ms: int) -> Admin:
    from raftkafka.client.admin import Admin

    return Admin(
        bootstrap_server,
        client_id="rk-admin",
        default_api_timeout_ms=timeout_ms,
        connect_timeout_ms=min(timeout_ms, 5_000),
    )


def _configs(pairs: Sequence[str]) -> dict[str, str | None]:
    configs: dict[str, str | None] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise typer.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--config")
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
