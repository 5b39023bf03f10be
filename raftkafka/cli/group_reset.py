"""`rk group reset-offsets`: let a group read again, or leave something out. Floor 5."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from raftkafka.cli.admin import admin_of
from raftkafka.cli.options import bootstrap_option, json_option, timeout_option
from raftkafka.cli.output import as_json, line, no_partition, say, table

if TYPE_CHECKING:
    from raftkafka.cli.group_scope import Scope
    from raftkafka.client.admin import Admin
    from raftkafka.client.group.resets import OffsetReset
    from raftkafka.client.types import TopicPartition


@click.command("reset-offsets")
@click.argument("name", metavar="GROUP")
@click.option("--topic", "topics", metavar="TOPIC[:P,P]", multiple=True, help="May be repeated.")
@click.option("--all-topics", is_flag=True, help="All topics in which the group has committed.")
@click.option("--to-earliest", is_flag=True, help="To the first record kept.")
@click.option("--to-latest", is_flag=True, help="Behind the last record.")
@click.option("--to-current", is_flag=True, help="To what is committed, or the end where nothing is.")
@click.option("--to-offset", metavar="N", type=click.IntRange(min=0))
@click.option("--to-datetime", metavar="TIME", help="YYYY-MM-DDTHH:mm:SS.sss, UTC unless it has a zone.")
@click.option("--by-duration", metavar="PnDTnHnMnS", help="So long ago.")
@click.option("--shift-by", metavar="N", type=int, help="So many records on; back where it is negative.")
@click.option(
    "--from-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Offsets from CSV: topic,partition,offset.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be done (the default).")
@click.option("--execute", is_flag=True, help="Do it.")
@click.option("--export", is_flag=True, help="Print CSV for --from-file.")
@bootstrap_option
@timeout_option
@json_option
def reset_offsets(
    name: str,
    topics: Sequence[str],
    all_topics: bool,
    dry_run: bool,
    execute: bool,
    export: bool,
    bootstrap_server: str,
    timeout_ms: int,
    json: bool,
    **how: Any,
) -> None:
    """Move what a group without members has committed.

    Offsets outside of what the log holds become its nearest end. Nothing is changed without --execute.
    """
    if dry_run and execute:
        raise click.BadParameter("choose one of --dry-run and --execute", param_hint="--execute")
    from raftkafka.cli.group_scope import scope_of, write_offsets
    from raftkafka.cli.session import run

    reset = reset_of(how, name)
    scope = scope_of(topics)
    if not scope and not all_topics and how["from_file"] is None:
        raise click.BadParameter("name a topic, or take --all-topics", param_hint="--topic")

    async def move() -> dict[TopicPartition, int]:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            wanted = await partitions_of(admin, name, scope, reset, all_topics=all_topics)
            return await admin.reset_consumer_group_offsets(name, wanted, reset, dry_run=not execute)

    moved = run(move())
    if json:
        as_json(
            {
                "group": name,
                "executed": execute,
                "offsets": [
                    {"topic": each.topic, "partition": each.partition, "new_offset": offset}
                    for each, offset in sorted(moved.items())
                ],
            }
        )
    elif export:
        line(write_offsets(name, sorted(moved.items()), with_group=False).rstrip("\n"))
    else:
        rows = [(name, each.topic, each.partition, offset) for each, offset in sorted(moved.items())]
        table(("GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"), rows)
    if not execute:
        say("nothing was changed: --execute does it")


def reset_of(how: Mapping[str, Any], group_id: str) -> OffsetReset:
    """What the one option that says where to stands for."""
    from raftkafka.cli.group_scope import datetime_ms, duration_ms, read_offsets
    from raftkafka.client.group import resets
    from raftkafka.client.types import WallClock

    makers: dict[str, Callable[[Any], OffsetReset]] = {
        "to_earliest": lambda _: resets.ToEarliest(),
        "to_latest": lambda _: resets.ToLatest(),
        "to_current": lambda _: resets.ToCurrent(),
        "to_offset": lambda offset: resets.ToOffset(offset=offset),
        "to_datetime": lambda text: resets.ToTimestamp(timestamp_ms=datetime_ms(text)),
        "by_duration": lambda text: resets.ToTimestamp(timestamp_ms=max(0, WallClock().now_ms() - duration_ms(text))),
        "shift_by": lambda count: resets.ShiftBy(count=count),
        "from_file": lambda file: resets.ToOffsets(offsets=read_offsets(file, group_id)),
    }
    given = [key for key in makers if how[key] is not None and how[key] is not False]
    if len(given) != 1:
        options = ", ".join(f"--{key.replace('_', '-')}" for key in makers)
        raise click.UsageError(f"say where to by one of {options}")
    return makers[given[0]](how[given[0]])


async def partitions_of(
    admin: Admin, group_id: str, scope: Scope, reset: OffsetReset, *, all_topics: bool
) -> list[TopicPartition]:
    """
    Raises:
        ApiError: a topic or partition does not exist.
    """
    from raftkafka.client.group.resets import ToOffsets
    from raftkafka.client.types import TopicPartition
    from raftkafka.model.errors import ApiError, ErrorCode

    if all_topics:
        committed = await admin.list_consumer_group_offsets(group_id)
        known = {topic.name for topic in await admin.known_topics({each.topic for each in committed})}
        return [each for each in sorted(committed) if each.topic in known]
    if not scope and isinstance(reset, ToOffsets):
        scope = [(each.topic, [each.partition]) for each in sorted(reset.offsets)]
    found: list[TopicPartition] = []
    for topic in await admin.describe_topics(dict.fromkeys(name for name, _ in scope)):
        count = len(topic.partitions)
        for numbers in [numbers for name, numbers in scope if name == topic.name]:
            for number in range(count) if numbers is None else numbers:
                if number >= count:
                    raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, no_partition(topic.name, number, count))
                found.append(TopicPartition(topic.name, number))
    return found
