"""`rk cluster`: who is there, and who leads or should. Floor 5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from raftkafka.cli.admin import admin_of
from raftkafka.cli.options import bootstrap_option, json_option, timeout_option
from raftkafka.cli.output import as_json, line, say, sentence, table

if TYPE_CHECKING:
    from raftkafka.client.admin import Admin
    from raftkafka.client.types import TopicPartition
    from raftkafka.model.api.cluster import DescribeClusterResponse, DescribeQuorumResponse, QuorumReplica
    from raftkafka.model.api.elections import ElectedPartition


@dataclass(frozen=True, slots=True, kw_only=True)
class _Status:
    """What `rk cluster status` tells; the last three count partitions."""

    cluster: DescribeClusterResponse
    quorum: DescribeQuorumResponse
    partitions: int
    leaderless: int
    under_replicated: int


@click.group(no_args_is_help=True)
def cluster() -> None:
    """See the cluster as a whole, call leaders back, and change who votes in it."""


@cluster.command()
@click.option(
    "--watch", metavar="SECONDS", type=click.FloatRange(min=0.1), help="Again and again, until Ctrl-C; so far apart."
)
@bootstrap_option
@timeout_option
@json_option
def status(watch: float | None, bootstrap_server: str, timeout_ms: int, json: bool) -> int:
    """Show brokers, the controller, the Raft voters with their term, and how many partitions are in need.

    With --watch, a cluster that does not answer is said to be so, and asked again.
    """
    import asyncio

    from raftkafka.cli.session import run

    async def show() -> None:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            _show(await _ask(admin), json=json, again=False)

    async def follow(seconds: float) -> None:
        from raftkafka.client.admin import Admin
        from raftkafka.model.errors import ApiError

        async with Admin(bootstrap_server, client_id="rk-admin", default_api_timeout_ms=timeout_ms) as admin:
            while True:
                try:
                    _show(await _ask(admin), json=json, again=True)
                except ApiError as error:
                    say(sentence(error))
                await asyncio.sleep(seconds)

    try:
        run(show() if watch is None else follow(watch))
    except KeyboardInterrupt:
        if watch is None:
            raise
    return 0


async def _ask(admin: Admin) -> _Status:
    cluster, quorum = await admin.describe_cluster(), await admin.describe_quorum()
    topics = await admin.known_topics(await admin.list_topics(include_internal=True))
    partitions = [each for topic in topics for each in topic.partitions]
    return _Status(
        cluster=cluster,
        quorum=quorum,
        partitions=len(partitions),
        leaderless=sum(each.leader_id < 0 for each in partitions),
        under_replicated=sum(len(each.isr_nodes) < len(each.replica_nodes) for each in partitions),
    )


def _show(status: _Status, *, json: bool, again: bool) -> None:
    import sys

    described, quorum = status.cluster, status.quorum
    if json:
        as_json(_document(status))
        sys.stdout.flush()
        return
    if again and sys.stdout.isatty():
        sys.stdout.write("\x1b[H\x1b[2J")
    line(
        f"cluster {described.cluster_id}, controller {quorum.leader_id}, Raft term {quorum.term}, "
        f"commit index {quorum.commit_index}, feature level {described.feature_level}"
    )
    line(
        f"partitions {status.partitions}, without a leader {status.leaderless}, "
        f"under-replicated {status.under_replicated}"
    )
    line("")
    table(
        ("BROKER", "ADDRESS", "RACK", "STATE"),
        [
            (
                broker.node_id,
                f"{broker.host}:{broker.port}",
                broker.rack or "-",
                "fenced" if broker.fenced else "active",
            )
            for broker in described.brokers
        ],
    )
    line("")
    table(("VOTER", "LOG END", "BEHIND", "STATE"), [_quorum_row(quorum, each) for each in quorum.voters])
    if quorum.observers:
        line("")
        table(("OBSERVER", "LOG END", "BEHIND", "STATE"), [_quorum_row(quorum, each) for each in quorum.observers])
    sys.stdout.flush()


@cluster.command()
@click.argument("node_id", type=click.IntRange(min=0))
@click.argument("address", metavar="HOST:PORT")
@bootstrap_option
@timeout_option
def add_voter(node_id: int, address: str, bootstrap_server: str, timeout_ms: int) -> None:
    """Let an observer vote in Raft.

    NODE_ID follows as an observer; HOST:PORT is its controller.listener. It is added once it has caught up.
    """
    from raftkafka.cli.session import run

    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise click.BadParameter(f"{address!r} is no HOST:PORT", param_hint="HOST:PORT")

    async def ask() -> None:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            await admin.add_voter(node_id, host.strip("[]"), int(port))

    run(ask())
    line(f"node {node_id} is a voter")


@cluster.command()
@click.argument("node_id", type=click.IntRange(min=0))
@bootstrap_option
@timeout_option
def remove_voter(node_id: int, bootstrap_server: str, timeout_ms: int) -> None:
    """Take the vote from a node, which goes on as an observer.

    The controller may be removed too: another one is elected.
    """
    from raftkafka.cli.session import run

    async def ask() -> None:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            await admin.remove_voter(node_id)

    run(ask())
    line(f"node {node_id} is no voter")


@cluster.command()
@click.argument("level", type=click.IntRange(min=1))
@click.option("--dry-run", is_flag=True, help="Only say whether every broker knows the level.")
@bootstrap_option
@timeout_option
def upgrade(level: int, dry_run: bool, bootstrap_server: str, timeout_ms: int) -> None:
    """Raise the feature level of the metadata to LEVEL.

    Do so when every broker runs the new version. There is no way back: older versions do not start any more.
    """
    from raftkafka.cli.session import run
    from raftkafka.model.features import METADATA_VERSION

    async def ask() -> int:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            return await admin.update_features({METADATA_VERSION: level}, validate_only=dry_run)

    in_force = run(ask())
    line(f"feature level {in_force}" + (f", {level} is possible" if dry_run else ""))


def _quorum_row(quorum: DescribeQuorumResponse, each: QuorumReplica) -> tuple[object, ...]:
    return (
        each.node_id,
        each.log_end_index if each.log_end_index >= 0 else "unknown",
        max(0, quorum.commit_index - each.log_end_index) if each.log_end_index >= 0 else "unknown",
        "leader" if each.node_id == quorum.leader_id else "connected" if each.connected else "not connected",
    )


@cluster.command("elect-leaders")
@click.option("--topic", metavar="TOPIC", help="Default: all topics.")
@click.option("--partition", metavar="N", type=click.IntRange(min=0), help="Of that topic; default: all of them.")
@click.option("--unclean", is_flag=True, help="Where nobody may lead, let whoever is there: records may be lost.")
@bootstrap_option
@timeout_option
@json_option
def elect_leaders(
    topic: str | None, partition: int | None, unclean: bool, bootstrap_server: str, timeout_ms: int, json: bool
) -> None:
    """Let the preferred leaders lead again, where they are in sync."""
    from raftkafka.cli.session import run

    if partition is not None and topic is None:
        raise click.UsageError("--partition is of a topic: name it with --topic")
    if unclean and topic is None:
        raise click.UsageError("--unclean may lose records: name the topic with --topic")

    async def elect() -> Mapping[TopicPartition, ElectedPartition]:
        from raftkafka.client.types import TopicPartition
        from raftkafka.model.api.elections import ElectionType

        kind = ElectionType.UNCLEAN if unclean else ElectionType.PREFERRED
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            wanted = None
            if topic is not None and partition is not None:
                wanted = [TopicPartition(topic, partition)]
            elif topic is not None:
                (described,) = await admin.describe_topics([topic])
                wanted = [TopicPartition(topic, each.partition) for each in described.partitions]
            return await admin.elect_leaders(kind, wanted)

    outcomes = run(elect())
    if json:
        as_json(
            {
                "partitions": [
                    {"topic": key.topic, "partition": key.partition, "outcome": each.error_code.name}
                    for key, each in outcomes.items()
                ]
            }
        )
        return
    table(
        ("TOPIC", "PARTITION", "OUTCOME"),
        [
            (key.topic, key.partition, "elected" if each.error_code == 0 else each.error_code.name)
            for key, each in outcomes.items()
        ],
    )


def _document(status: _Status) -> dict[str, object]:
    cluster, quorum = status.cluster, status.quorum
    return {
        "cluster_id": cluster.cluster_id,
        "controller": quorum.leader_id,
        "term": quorum.term,
        "commit_index": quorum.commit_index,
        "feature_level": cluster.feature_level,
        "brokers": [
            {
                "node_id": broker.node_id,
                "host": broker.host,
                "port": broker.port,
                "rack": broker.rack,
                "fenced": broker.fenced,
            }
            for broker in cluster.brokers
        ],
        "voters": [_quorum_document(each) for each in quorum.voters],
        "observers": [_quorum_document(each) for each in quorum.observers],
        "partitions": {
            "total": status.partitions,
            "leaderless": status.leaderless,
            "under_replicated": status.under_replicated,
        },
    }


def _quorum_document(each: QuorumReplica) -> dict[str, object]:
    return {"node_id": each.node_id, "log_end_index": each.log_end_index, "connected": each.connected}
