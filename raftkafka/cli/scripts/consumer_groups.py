"""`kafka-consumer-groups.sh`: list, describe, delete, delete-offsets, reset-offsets. Floor 5.

What goes wrong is said as Kafka says it, "Error: ..." on stdout; the exit code is then 1, where Kafka's older versions say 0.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

from raftkafka.cli.output import printable
from raftkafka.cli.scripts.entry import BOOTSTRAP_SERVER, COMMAND_CONFIG, ZOOKEEPER, start, tool
from raftkafka.cli.scripts.options import Option, Parsed, UsageError

if TYPE_CHECKING:
    from raftkafka.client.admin import Admin
    from raftkafka.client.group.descriptions import GroupDescription
    from raftkafka.client.types import TopicPartition

_ACTIONS: Final = ("list", "describe", "delete", "reset-offsets", "delete-offsets")
_TARGETS: Final = (
    "to-offset",
    "to-datetime",
    "by-duration",
    "to-earliest",
    "to-latest",
    "to-current",
    "shift-by",
    "from-file",
)
_NO_EXECUTE: Final = "WARN: No action will be performed as the --execute option is missing.\n"
_PATIENCE_MS: Final = 5_000

TOOL: Final = tool(
    "kafka-consumer-groups.sh",
    "This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, or reset "
    "consumer group offsets.",
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    ZOOKEEPER,
    Option("list", "List all consumer groups."),
    Option("describe", "Describe consumer group and list offset lag (number of messages not yet processed)."),
    Option("delete", "Delete groups without members, with what they have committed."),
    Option("reset-offsets", "Move what a group without members has committed; only shown without --execute."),
    Option("delete-offsets", "Delete what a group has committed for a topic."),
    Option("group", "The consumer group we wish to act on; may be repeated.", "consumer group"),
    Option("all-groups", "Apply to all consumer groups."),
    Option("topic", "The topic: name, or name:0,1,2 for some of its partitions; may be repeated.", "topic"),
    Option("all-topics", "All topics in which a group has committed, for --reset-offsets."),
    Option("members", "Describe members of the group, for --describe."),
    Option("offsets", "Describe partitions with their lag, the default of --describe."),
    Option("state", "Describe the state of the group, or list groups with their states, or in them.", "state", ""),
    Option("verbose", "Show which partitions members have, for --describe --members."),
    Option("dry-run", "Only show results of --reset-offsets."),
    Option("execute", "Execute --reset-offsets."),
    Option("export", "Print --reset-offsets as CSV."),
    Option("to-offset", "Reset offsets to a specific offset.", "offset"),
    Option("to-datetime", "Reset offsets to a time: YYYY-MM-DDTHH:mm:SS.sss.", "datetime"),
    Option("by-duration", "Reset offsets to so long ago: PnDTnHnMnS.", "duration"),
    Option("to-earliest", "Reset offsets to earliest offset."),
    Option("to-latest", "Reset offsets to latest offset."),
    Option("to-current", "Reset offsets to current offset."),
    Option("shift-by", "Reset offsets shifting current offset by n; back where it is negative.", "n"),
    Option("from-file", "Reset offsets to values defined in CSV file.", "path"),
    Option("timeout", "Milliseconds of patience, default 5000.", "timeout (ms)"),
)


def run() -> NoReturn:
    start(TOOL, main)


def main(parsed: Parsed) -> int:
    from raftkafka.cli.scripts.admin import admin_of
    from raftkafka.cli.scripts.entry import run_async
    from raftkafka.model.errors import ApiError

    action = _checked(parsed)

    async def act() -> int:
        async with admin_of(parsed, patience_ms=parsed.number("timeout") or _PATIENCE_MS) as admin:
            match action:
                case "list":
                    return await _list(admin, parsed)
                case "describe":
                    return await _describe(admin, parsed)
                case "delete":
                    return await _delete(admin, parsed)
                case "reset-offsets":
                    return await _reset(admin, parsed)
            return await _delete_offsets(admin, parsed)

    try:
        return run_async(act())
    except ApiError as error:
        return _error(f"Executing consumer group command failed due to {error}")


def _error(text: str) -> int:
    sys.stdout.write(f"\nError: {text}\n")
    return 1


def _checked(parsed: Parsed) -> str:
    """The action; raises UsageError as ConsumerGroupCommandOptions.checkArgs."""
    actions = [name for name in _ACTIONS if parsed.has(name)]
    if len(actions) != 1:
        raise UsageError(
            "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, --delete-offsets"
        )
    action = actions[0]
    parsed.check_required("bootstrap-server")
    parsed.check_apart("group", ("all-groups",))
    if action == "delete-offsets":
        parsed.check_required("group", "topic")
    elif action != "list" and not parsed.has("group") and not parsed.has("all-groups"):
        raise UsageError(f"Option [{action}] takes one of these options: [all-groups], [group]")
    if action == "describe":
        if sum(map(parsed.has, ("members", "offsets", "state"))) > 1:
            raise UsageError("Option [describe] takes at most one of these options: [members], [offsets], [state]")
        if parsed.text("state"):
            raise UsageError("Option [describe] does not take a value for [state]")
    if action == "delete" and parsed.has("topic"):
        raise UsageError("The consumer does not support topic-specific offset deletion from a consumer group.")
    if action == "reset-offsets":
        if parsed.has("dry-run") and parsed.has("execute"):
            raise UsageError("Option [reset-offsets] only accepts one of [execute] and [dry-run]")
        if sum(map(parsed.has, _TARGETS)) != 1:
            raise UsageError(
                f"Option [reset-offsets] requires one of these options: {', '.join(f'[{each}]' for each in _TARGETS)}"
            )
        if not any(map(parsed.has, ("topic", "all-topics", "from-file"))):
            raise UsageError("One of the reset scopes should be defined: --all-topics, --topic.")
    return action


async def _groups(admin: Admin, parsed: Parsed) -> list[str]:
    if not parsed.has("all-groups"):
        return list(dict.fromkeys(parsed.many("group")))
    return [each.group_id for each in await admin.list_consumer_groups()]


async def _list(admin: Admin, parsed: Parsed) -> int:
    states = parsed.text("state")
    wanted = [each.strip() for each in (states or "").split(",") if each.strip()]
    groups = await admin.list_consumer_groups(states=wanted)
    if states is None:
        sys.stdout.write("".join(printable(each.group_id) + "\n" for each in groups))
        return 0
    rows = [("GROUP", "STATE"), *((printable(each.group_id), each.group_state) for each in groups)]
    width = max([15, *(len(group) for group, _ in rows)]) + 10
    sys.stdout.write("".join(f"{group:<{width}} {state:<20}\n" for group, state in rows))
    return 0


async def _describe(admin: Admin, parsed: Parsed) -> int:
    from raftkafka.cli.scripts import group_tables
    from raftkafka.client.group import reports as group_reports

    described = sorted(
        await admin.describe_consumer_groups(await _groups(admin, parsed)), key=lambda each: each.group_id
    )
    there = [each for each in described if _is_there(each)]
    if parsed.has("members"):
        for each in there:
            if each.members:
                sys.stdout.write(group_tables.members(each, verbose=parsed.has("verbose")))
    elif parsed.has("state"):
        brokers = {each.node_id: f"{each.host}:{each.port}" for each in (await admin.describe_cluster()).brokers}
        for each in there:
            sys.stdout.write(group_tables.state(each, brokers.get(each.coordinator, "-")))
    else:
        for report in await group_reports.report(admin, there):
            sys.stdout.write(group_tables.offsets(report))
    return 0 if len(there) == len(described) else 1


def _is_there(group: GroupDescription) -> bool:
    """Say what is to be said beside the table."""
    if group.state == "Dead":
        _error(f"Consumer group '{group.group_id}' does not exist.")
        return False
    sys.stdout.flush()
    if group.state == "Empty":
        sys.stderr.write(f"\nConsumer group '{printable(group.group_id)}' has no active members.\n")
    elif group.state != "Stable":
        sys.stderr.write(f"\nWarning: Consumer group '{printable(group.group_id)}' is rebalancing.\n")
    return True


async def _delete(admin: Admin, parsed: Parsed) -> int:
    from raftkafka.model.errors import ApiError

    failed: dict[str, ApiError] = {}
    deleted: list[str] = []
    for group in await _groups(admin, parsed):
        try:
            await admin.delete_consumer_groups([group])
        except ApiError as error:
            failed[group] = error
        else:
            deleted.append(group)
    names = ", ".join(f"'{group}'" for group in deleted)
    if not failed:
        sys.stdout.write(f"Deletion of requested consumer groups ({names}) was successful.\n")
        return 0
    _error("Deletion of some consumer groups failed:")
    for group, reason in failed.items():
        sys.stdout.write(f"* Group '{group}' could not be deleted due to: {reason}\n")
    if deleted:
        sys.stdout.write(f"\nThese consumer groups were deleted successfully: {names}\n")
    return 1


async def _delete_offsets(admin: Admin, parsed: Parsed) -> int:
    from raftkafka.cli.scripts import group_tables
    from raftkafka.model.errors import ApiError

    group, topics = parsed.needed("group"), parsed.many("topic")
    partitions = await _scope(admin, group, topics)
    outcomes: dict[TopicPartition, str] = {}
    failed: ApiError | None = None
    for each in partitions:
        try:
            await admin.delete_consumer_group_offsets(group, [each])
        except ApiError as error:
            failed = error
            outcomes[each] = f"Error: {error}"
        else:
            outcomes[each] = "Successful"
    if failed is None:
        sys.stdout.write(f"Request succeed for deleting offsets with topic {', '.join(topics)} group {group}\n")
    else:
        _error("Encounter some partition level error, see the follow-up details:")
    sys.stdout.write(group_tables.deleted_offsets(outcomes))
    return 0 if failed is None else 1


async def _reset(admin: Admin, parsed: Parsed) -> int:
    from raftkafka.cli.scripts import group_tables

    execute = parsed.has("execute")
    if not execute and not parsed.has("dry-run"):
        sys.stderr.write(_NO_EXECUTE)
    moved: dict[str, dict[TopicPartition, int]] = {}
    code = 0
    for group in await admin.describe_consumer_groups(await _groups(admin, parsed)):
        if group.state not in {"Empty", "Dead"}:
            code = _error(
                f"Assignments can only be reset if the group '{group.group_id}' is inactive, "
                f"but the current state is {group.state}."
            )
            continue
        reset = _reset_of(parsed, group.group_id)
        wanted = await _scope(admin, group.group_id, parsed.many("topic"), reset, all_topics=parsed.has("all-topics"))
        moved[group.group_id] = await admin.reset_consumer_group_offsets(
            group.group_id, wanted, reset, dry_run=not execute
        )
    if not parsed.has("export"):
        sys.stdout.write(group_tables.new_offsets(moved))
        return code
    from raftkafka.cli.group_scope import write_offsets

    for name, offsets in moved.items():
        sys.stdout.write(write_offsets(name, sorted(offsets.items()), with_group=len(moved) > 1))
    return code


def _reset_of(parsed: Parsed, group: str) -> Any:
    """Where to, from the option that says it. Raises UsageError."""
    from pathlib import Path

    import click

    from raftkafka.cli.group_reset import reset_of

    path = parsed.text("from-file")
    how = {
        "to_earliest": parsed.has("to-earliest"),
        "to_latest": parsed.has("to-latest"),
        "to_current": parsed.has("to-current"),
        "to_offset": parsed.number("to-offset"),
        "to_datetime": parsed.text("to-datetime"),
        "by_duration": parsed.text("by-duration"),
        "shift_by": parsed.number("shift-by"),
        "from_file": None if path is None else Path(path),
    }
    try:
        return reset_of(how, group)
    except click.UsageError as error:
        raise UsageError(error.format_message()) from error


async def _scope(
    admin: Admin, group: str, topics: Sequence[str], reset: Any = None, *, all_topics: bool = False
) -> list[TopicPartition]:
    """The partitions that --topic or --all-topics speak of. Raises UsageError, or ApiError where one does not exist."""
    import click

    from raftkafka.cli.group_reset import partitions_of
    from raftkafka.cli.group_scope import scope_of

    try:
        return await partitions_of(admin, group, scope_of(topics), reset, all_topics=all_topics)
    except click.UsageError as error:
        raise UsageError(error.format_message()) from error
