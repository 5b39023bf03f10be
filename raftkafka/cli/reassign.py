"""`rk reassign`: move partitions to other brokers. Floor 5."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    import json
    import sys

    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(f"not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("version") != 1:
        raise _unreadable('"version": 1 is missing')
    return _partitions(document.get("partitions"))


def _partitions(entries: Any) -> dict[TopicPartition, Sequence[int]]:
    from raftkafka.client.types import TopicPartition

    if not isinstance(entries, list) or not entries:
        raise _unreadable('"partitions" is no list with entries')
    targets: dict[TopicPartition, Sequence[int]] = {}
    for number, entry in enumerate(entries):
        match entry:
            case {"topic": str(topic), "partition": int(index), "replicas": [*replicas]} if _all_ids(
                (index, *replicas)
            ):
                partition = TopicPartition(topic, index)
            case _:
                raise _unreadable(f"entry {number} has no topic, partition and replicas")
        if partition in targets:
            raise _unreadable(f"{partition} is named twice")
        targets[partition] = replicas
    return targets


def _all_ids(values: Iterable[object]) -> bool:
    return all(type(value) is int and 0 <= value < 1 << 31 for value in values)


def _unreadable(reason: str) -> click.BadParameter:
    return click.BadParameter(reason, param_hint="FILE")


def _ids(nodes: Sequence[int]) -> str:
    return ",".join(map(str, nodes))


def _named(partition: TopicPartition) -> dict[str, object]:
    return {"topic": partition.topic, "partition": partition.partition}
