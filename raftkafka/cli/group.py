"""`rk group`: list, describe, delete, delete-offsets, reset-offsets. Floor 5."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from raftkafka.cli.admin import admin_of
from raftkafka.cli.group_reset import reset_offsets
from raftkafka.cli.options import bootstrap_option, json_option, timeout_option
from raftkafka.cli.output import as_json, line, say, table

if TYPE_CHECKING:
    from raftkafka.client.group.reports import GroupReport
    from raftkafka.model.api.groups import ListedGroup


@click.group(no_args_is_help=True)
def group() -> None:
    """Consumer groups: who reads what, and how far it has come."""


group.add_command(reset_offsets)


@group.command("list")
@click.option("--state", metavar="STATE", multiple=True, help="Only groups in this state (Stable, Empty, ...).")
@bootstrap_option
@timeout_option
@json_option
def list_(state: Sequence[str], bootstrap_server: str, timeout_ms: int, json: bool) -> None:
    """List the groups with their states."""
    from raftkafka.cli.session import run

    async def ask() -> list[ListedGroup]:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            return await admin.list_consumer_groups(states=state)

    groups = run(ask())
    if json:
        as_json(
            {
                "groups": [
                    {"group": each.group_id, "state": each.group_state, "protocol_type": each.protocol_type}
                    for each in groups
                ]
            }
        )
    else:
        table(
            ("GROUP", "STATE", "PROTOCOL-TYPE"), [(e.group_id, e.group_state, e.protocol_type or "-") for e in groups]
        )


@group.command()
@click.argument("groups", metavar="[GROUP]...", nargs=-1)
@click.option("--offsets", "what", flag_value="offsets", default="offsets", help="Partitions, offsets, lag (default).")
@click.option("--members", "what", flag_value="members", help="Members and their partitions.")
@click.option("--state", "what", flag_value="state", help="State, coordinator and assignor.")
@click.option(
    "--watch", metavar="SECONDS", type=click.FloatRange(min=0.1), help="Again and again, until Ctrl-C; so far apart."
)
@bootstrap_option
@timeout_option
@json_option
def describe(
    groups: Sequence[str], what: str, watch: float | None, bootstrap_server: str, timeout_ms: int, json: bool
) -> int:
    """Show what groups read and how far they are behind.

    Of all groups where none is named.
    """
    import asyncio

    from raftkafka.cli.session import run
    from raftkafka.client.group import reports as group_reports

    async def show() -> None:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            while True:
                found = await group_reports.groups_of(admin, groups)
                whole = json or what == "offsets"
                reports = (
                    await group_reports.report(admin, found)
                    if whole
                    else [group_reports.GroupReport(group=each, partitions=()) for each in found]
                )
                _show(reports, what, json=json, again=watch is not None)
                if watch is None:
                    return
                await asyncio.sleep(watch)

    try:
        run(show())
    except KeyboardInterrupt:
        if watch is None:
            raise
    return 0


def _show(reports: Sequence[GroupReport], what: str, *, json: bool, again: bool) -> None:
    import sys

    from raftkafka.cli import group_report

    if json:
        as_json({"groups": [group_report.as_document(each) for each in reports]})
    else:
        if again and sys.stdout.isatty():
            sys.stdout.write("\x1b[H\x1b[2J")
        groups = [each.group for each in reports]
        if what == "members":
            table(group_report.MEMBERS_HEAD, group_report.member_rows(groups))
        elif what == "state":
            table(group_report.STATE_HEAD, group_report.state_rows(groups))
        else:
            table(group_report.OFFSETS_HEAD, group_report.offset_rows(reports))
        for each in groups:
            if not each.members and what != "state" and not again:
                say(f"group {each.group_id!r} has no active members")
    sys.stdout.flush()


@group.command()
@click.argument("groups", metavar="GROUP...", nargs=-1, required=True)
@bootstrap_option
@timeout_option
@json_option
def delete(groups: Sequence[str], bootstrap_server: str, timeout_ms: int, json: bool) -> None:
    """Delete groups without members, with all they have committed."""
    from raftkafka.cli.session import run

    async def delete_groups() -> None:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            await admin.delete_consumer_groups(groups)

    run(delete_groups())
    if json:
        as_json({"deleted": list(groups)})
    else:
        for each in groups:
            line(f"Deleted group {each}.")


@group.command("delete-offsets")
@click.argument("name", metavar="GROUP")
@click.option("--topic", "topics", metavar="TOPIC[:P,P]", multiple=True, required=True, help="May be repeated.")
@bootstrap_option
@timeout_option
@json_option
def delete_offsets(name: str, topics: Sequence[str], bootstrap_server: str, timeout_ms: int, json: bool) -> None:
    """Forget what a group has committed in a topic that none of its members reads."""
    from raftkafka.cli.group_scope import scope_of
    from raftkafka.cli.session import run
    from raftkafka.client.types import TopicPartition

    scope = scope_of(topics)

    async def forget() -> list[TopicPartition]:
        async with admin_of(bootstrap_server, timeout_ms) as admin:
            committed = await admin.list_consumer_group_offsets(name)
            wanted = [
                each
                for topic, numbers in scope
                for each in (
                    [each for each in sorted(committed) if each.topic == topic]
                    if numbers is None
                    else [TopicPartition(topic, number) for number in numbers]
                )
            ]
            if wanted:
                await admin.delete_consumer_group_offsets(name, wanted)
            return wanted

    forgotten = run(forget())
    if json:
        as_json({"group": name, "deleted": [{"topic": each.topic, "partition": each.partition} for each in forgotten]})
    elif not forgotten:
        line(f"Group {name} has committed nothing there.")
    else:
        for each in forgotten:
            line(f"Deleted the offset of group {name} in {each}.")
