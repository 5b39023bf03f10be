"""`rk reassign`: move partitions to other brokers. Floor 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from raftkafka.cli.admin import admin_of
from raftkafka.cli.options import bootstrap_option, json_option, timeout_option
from raftkafka.cli.output import as_json, line, table

if TYPE_CHECKING:
    from raftkafka.client.types import TopicPartition
    from raftkafka.model.api.reassignments import OngoingReassignment

_FILE = click.argument(
    "file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)


@click.group(no_args_is_help=True)
def reassign() -> None:
    """Move partitions to other brokers."""


@reassign.command()
@_FILE
@bootstrap_option
@timeout_option
@json_option
def execute(file: Path, bootstrap_server: str, timeout_ms: int, json: bool) -> None:
    """Begin the moves of FILE, in place of those under way.

    FILE ('-' for stdin) is JSON as Kafka's kafka-reassign-partitions reads it: {"version":1,"partitions":[{"topic":"t",
    "partition":0,"replicas":[2,3]}]}. The first replica is the preferred leader. See `rk reassign list` for what is not done yet.
    """
    from raftkafka.cli.session import run

    targets = _targets(file)

    async def begin() -> None:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            await admin.alter_partition_reassignments(targets)

    run(begin())
    if json:
        as_json({"reassigning": [_named(partition) for partition in targets]})
    else:
        for partition, replicas in targets.items():
            line(f"Moving {partition} to {_ids(replicas)}.")


@reassign.command()
@_FILE
@bootstrap_option
@timeout_option
@json_option
def cancel(file: Path, bootstrap_server: str, timeout_ms: int, json: bool) -> None:
    """Take back those moves of FILE that are under way.

    FILE is as for `rk reassign execute`; its replicas are not looked at.
    """
    from raftkafka.cli.session import run

    named = list(_targets(file))

    async def take_back() -> list[TopicPartition]:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            moving = list(await admin.list_partition_reassignments(named))
            if moving:
                await admin.alter_partition_reassignments(dict.fromkeys(moving))
            return moving

    cancelled = run(take_back())
    if json:
        as_json({"cancelled": [_named(partition) for partition in cancelled]})
    elif not cancelled:
        line("None of these partitions is moving.")
    else:
        for partition in cancelled:
            line(f"Cancelled the move of {partition}.")


@reassign.command()
@click.option("--topic", "topics", metavar="TOPIC", multiple=True, required=True, help="May be repeated.")
@click.option("--brokers", metavar="ID,...", required=True, help="The brokers that shall hold the replicas.")
@click.option("--disable-rack-aware", is_flag=True, help="Leave racks out of account.")
@bootstrap_option
@timeout_option
@json_option
def generate(
    topics: Sequence[str], brokers: str, disable_rack_aware: bool, bootstrap_server: str, timeout_ms: int, json: bool
) -> None:
    """Propose how partitions could lie on other brokers.

    What is printed is a FILE for `rk reassign execute`; nothing is moved. With --json, the present replicas stand beside it.
    """
    from raftkafka.cli.moves import as_file, assignment_of
    from raftkafka.cli.session import run
    from raftkafka.client.spreading import SpreadError, spread

    try:
        wanted = [int(each) for each in brokers.split(",")]
    except ValueError:
        raise click.BadParameter(f"{brokers!r} is no list of ids", param_hint="--brokers") from None

    async def propose() -> tuple[str, str]:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            described = await admin.describe_topics(list(dict.fromkeys(topics)))
            cluster = await admin.describe_cluster()
        proposed = spread(described, cluster.brokers, wanted, rack_aware=not disable_rack_aware)
        return as_file(assignment_of(described)), as_file(proposed)

    try:
        current, proposed = run(propose())
    except SpreadError as error:
        raise click.BadParameter(str(error), param_hint="--brokers") from error
    line(f'{{"current":{current},"proposed":{proposed}}}' if json else proposed)


@reassign.command()
@_FILE
@bootstrap_option
@timeout_option
@json_option
def verify(file: Path, bootstrap_server: str, timeout_ms: int, json: bool) -> int:
    """Say how the moves of FILE stand.

    The exit code is 1 as long as one of them is not completed.
    """
    from raftkafka.cli.moves import MoveState, assignment_of, describe_state, state_of
    from raftkafka.cli.session import run

    targets = _targets(file)

    async def ask() -> dict[TopicPartition, tuple[MoveState, Sequence[int]]]:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            ongoing = await admin.list_partition_reassignments(targets)
            now = assignment_of(await admin.describe_topics(sorted({each.topic for each in targets})))
        return {each: (state_of(each, targets[each], ongoing, now), now.get(each, ())) for each in sorted(targets)}

    states = run(ask())
    if json:
        as_json(
            {
                "partitions": [
                    {**_named(each), "state": state.value, "replicas": list(replicas)}
                    for each, (state, replicas) in states.items()
                ]
            }
        )
    else:
        for each, (state, replicas) in states.items():
            line(describe_state(each, state, replicas, targets[each]))
    return int(any(state is not MoveState.COMPLETED for state, _ in states.values()))


@reassign.command("list")
@bootstrap_option
@timeout_option
@json_option
def list_(bootstrap_server: str, timeout_ms: int, json: bool) -> None:
    """Show the moves that are under way."""
    from raftkafka.cli.session import run

    async def ask() -> Mapping[TopicPartition, OngoingReassignment]:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            return await admin.list_partition_reassignments()

    moving = run(ask())
    if json:
        as_json(
            {
                "reassignments": [
                    {
                        **_named(partition),
                        "replicas": list(each.replicas),
                        "adding_replicas": list(each.adding_replicas),
                        "removing_replicas": list(each.removing_replicas),
                    }
                    for partition, each in moving.items()
                ]
            }
        )
        return
    table(
        ("TOPIC", "PARTITION", "REPLICAS", "ADDING", "REMOVING"),
        [
            (
                partition.topic,
                partition.partition,
                _ids(each.replicas),
                _ids(each.adding_replicas) or "-",
                _ids(each.removing_replicas) or "-",
            )
            for partition, each in moving.items()
        ],
    )


def _targets(file: Path) -> dict[TopicPartition, Sequence[int]]:
    """What a file of Kafka's form asks for; raises BadParameter with the reason why it cannot be read."""
    import sys

    from raftkafka.cli.moves import FormatError, parse_moves

    try:
        return parse_moves(sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise _unreadable(f"not JSON: {error}") from error
    except FormatError as error:
        raise _unreadable(str(error)) from error


def _unreadable(reason: str) -> click.BadParameter:
    return click.BadParameter(reason, param_hint="FILE")


def _ids(nodes: Sequence[int]) -> str:
    return ",".join(map(str, nodes))


def _named(partition: TopicPartition) -> dict[str, object]:
    return {"topic": partition.topic, "partition": partition.partition}
