"""`kafka-reassign-partitions.sh`: generate, execute, verify, cancel, list. Floor 5.

Words are those of Kafka 3.9; with --zookeeper those of Kafka 2.4, see `reassign_partitions_zookeeper`.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final, NoReturn

from raftkafka.cli.scripts.entry import BOOTSTRAP_SERVER, COMMAND_CONFIG, start, tool
from raftkafka.cli.scripts.options import Option, Parsed, UsageError
from raftkafka.model.errors import RaftKafkaError

if TYPE_CHECKING:
    from raftkafka.client.admin import Admin
    from raftkafka.client.spreading import Replicas
    from raftkafka.client.types import TopicPartition

_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "generate": ("topics-to-move-json-file", "broker-list"),
    "execute": ("reassignment-json-file",),
    "verify": ("reassignment-json-file",),
    "cancel": ("reassignment-json-file",),
    "list": (),
}
_ALLOWED: Final[Mapping[str, tuple[str, ...]]] = {
    "generate": ("disable-rack-aware",),
    "execute": ("additional", "throttle", "replica-alter-log-dirs-throttle", "timeout", "disable-rack-aware"),
    "verify": ("preserve-throttles",),
    "cancel": ("preserve-throttles", "timeout"),
    "list": (),
}
_EVERYWHERE: Final = ("bootstrap-server", "command-config", "zookeeper")
_OVER_ZOOKEEPER: Final = ("generate", "execute", "verify")
_BEGUN_ALREADY: Final = (
    "Cannot execute because there is an existing partition assignment.  Use --additional to override this and create "
    "a new partition assignment in addition to the existing one. The --additional flag can also be used to change the "
    "throttle by resubmitting the current reassignment."
)
_RUN_VERIFY: Final = "Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.\n"

TOOL: Final = tool(
    "kafka-reassign-partitions.sh",
    "This tool helps to move topic partitions between replicas.",
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    Option("zookeeper", "DEPRECATED: the ZooKeeper port of nodes that have zookeeper.listener.", "hosts"),
    Option("generate", "Propose a reassignment; nothing is moved."),
    Option("execute", "Begin the moves of --reassignment-json-file."),
    Option("verify", "Say how the moves of --reassignment-json-file stand."),
    Option("cancel", "Take back those moves of --reassignment-json-file that are under way."),
    Option("list", "List the moves that are under way."),
    Option(
        "reassignment-json-file",
        '{"partitions": [{"topic": "foo", "partition": 1, "replicas": [1,2,3]}], "version":1}',
        "path",
    ),
    Option("topics-to-move-json-file", '{"topics": [{"topic": "foo"},{"topic": "foo1"}], "version":1}', "path"),
    Option("broker-list", 'The brokers to move to, in the form "0,1,2".', "brokerlist"),
    Option("disable-rack-aware", "Leave racks out of account."),
    Option("additional", "Begin these moves beside those that are under way."),
    Option(
        "throttle", "Bytes per second for what is moved between brokers; --verify takes the limit away.", "throttle"
    ),
    Option(
        "replica-alter-log-dirs-throttle",
        "Accepted and ignored: replicas are not moved between directories.",
        "replicaAlterLogDirsThrottle",
    ),
    Option("preserve-throttles", "Do not modify broker or topic throttles."),
    Option("timeout", "Accepted and ignored: replicas are not moved between directories.", "timeout"),
    takes_zookeeper=True,
)


class _TerseError(RaftKafkaError):
    """Its message is all that is printed, as of Kafka's TerseException."""


def run() -> NoReturn:
    start(TOOL, main)


def main(parsed: Parsed) -> int:
    from raftkafka.cli.scripts.entry import run_async

    action = _check(parsed)
    if parsed.has("zookeeper"):
        return _over_zookeeper(action, parsed)
    try:
        run_async(_act(action, parsed))
    except UsageError:
        raise
    except _TerseError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    except RaftKafkaError as error:
        sys.stdout.write(f"Error: {_reason(error)}\n")
        return 1
    return 0


def _over_zookeeper(action: str, parsed: Parsed) -> int:
    from raftkafka.cli.scripts.reassign_partitions_zookeeper import act

    try:
        act(action, parsed)
    except UsageError:
        raise
    except RaftKafkaError as error:
        sys.stdout.write(f"Partitions reassignment failed due to {error}\n")
        return 1
    return 0


def _check(parsed: Parsed) -> str:
    """The action; raises UsageError as validateAndParseArgs."""
    actions = [name for name in _NEEDED if parsed.has(name)]
    if len(actions) != 1:
        raise UsageError(f"Command must include exactly one action: {', '.join('--' + name for name in _NEEDED)}")
    action = actions[0]
    # Kafka's form with --zookeeper takes both: brokers are asked about directories only.
    if not parsed.has("bootstrap-server") and not parsed.has("zookeeper"):
        raise UsageError("Please specify --bootstrap-server")
    parsed.check_apart("zookeeper", ("additional", "preserve-throttles"))
    if parsed.has("zookeeper") and action not in _OVER_ZOOKEEPER:
        raise UsageError(f'Option "[zookeeper]" can\'t be used with action "[{action}]"')
    parsed.check_required(*_NEEDED[action])
    for option in TOOL.options:
        fits = (action, *_EVERYWHERE, *_NEEDED[action], *_ALLOWED[action])
        if parsed.has(option.name) and option.name not in fits:
            raise UsageError(f'Option "[{option.name}]" can\'t be used with action "[{action}]"')
    return action


async def _act(action: str, parsed: Parsed) -> None:
    from raftkafka.cli.moves import parse_moves
    from raftkafka.cli.scripts import json_file
    from raftkafka.cli.scripts.admin import admin_of

    path = parsed.text("reassignment-json-file")
    targets = {} if path is None else json_file.read(path, parse_moves)
    async with admin_of(parsed) as admin:
        if action == "generate":
            await _generate(admin, parsed)
        elif action == "execute":
            await _execute(admin, targets, additional=parsed.has("additional"), throttle=parsed.number("throttle"))
        elif action == "verify":
            await _verify(admin, targets, clear=not parsed.has("preserve-throttles"))
        elif action == "cancel":
            await _cancel(admin, targets, clear=not parsed.has("preserve-throttles"))
        else:
            await _list(admin)


async def _generate(admin: Admin, parsed: Parsed) -> None:
    from raftkafka.cli.moves import as_file, assignment_of, parse_topics
    from raftkafka.cli.scripts import json_file
    from raftkafka.client.spreading import spread

    topics = json_file.read(parsed.needed("topics-to-move-json-file"), parse_topics)
    brokers = parsed.needed("broker-list")
    try:
        wanted = [int(each) for each in brokers.split(",")]
    except ValueError:
        raise UsageError(f"Cannot parse argument '{brokers}' of option broker-list") from None
    described = await admin.describe_topics(topics)
    cluster = await admin.describe_cluster()
    proposed = spread(described, cluster.brokers, wanted, rack_aware=not parsed.has("disable-rack-aware"))
    sys.stdout.write(
        f"Current partition replica assignment\n{as_file(assignment_of(described))}\n\n"
        f"Proposed partition reassignment configuration\n{as_file(proposed)}\n"
    )


async def _execute(
    admin: Admin, targets: Mapping[TopicPartition, Replicas], *, additional: bool, throttle: int | None
) -> None:
    from raftkafka.cli.moves import as_file
    from raftkafka.model.errors import ApiError

    ongoing = await admin.list_partition_reassignments()
    if not additional and ongoing:
        raise _TerseError(_BEGUN_ALREADY)
    now = await _assignment(admin, targets)
    for each, replicas in targets.items():
        if not replicas:
            raise RaftKafkaError("Partition replica list cannot be empty")
        if len(set(replicas)) != len(replicas):
            raise RaftKafkaError(f"Partition replica lists may not contain duplicate entries: {each} {_ids(replicas)}")
    if missing := [each for each in targets if each not in now]:
        raise RaftKafkaError(f"Unable to find partition: {_names(missing, ', ')}")
    sys.stdout.write(
        f"Current partition replica assignment\n\n{as_file({each: now[each] for each in targets})}\n\n"
        "Save this to use as the --reassignment-json-file option during rollback\n"
    )
    if throttle is not None and throttle >= 0:
        from raftkafka.client.throttles import moves_of, set_throttles

        sys.stdout.write(_RUN_VERIFY)
        await set_throttles(admin, moves_of(ongoing, targets, now), throttle)
        sys.stdout.write(f"The inter-broker throttle limit was set to {throttle} B/s\n")
    try:
        await admin.alter_partition_reassignments(targets)
    except ApiError as error:
        raise _TerseError(f"Error reassigning partition(s):\n{_reason(error)}") from error
    sys.stdout.write(f"Successfully started partition reassignment{_plural(targets)} for {_names(sorted(targets))}\n")


async def _verify(admin: Admin, targets: Mapping[TopicPartition, Replicas], *, clear: bool) -> None:
    from raftkafka.cli.moves import describe_state, state_of

    ongoing = await admin.list_partition_reassignments()
    now = await _assignment(admin, targets)
    sys.stdout.write("Status of partition reassignment:\n")
    for partition in sorted(targets):
        target = targets[partition]
        state = state_of(partition, target, ongoing, now)
        sys.stdout.write(describe_state(partition, state, now.get(partition, ()), target) + "\n")
    sys.stdout.write("\n")
    if clear and not ongoing:
        await _clear_throttles(admin, targets)


async def _clear_throttles(admin: Admin, targets: Mapping[TopicPartition, Replicas]) -> None:
    from raftkafka.client.throttles import clear_throttles

    brokers = sorted(int(each.node_id) for each in (await admin.describe_cluster()).brokers)
    topics = sorted(each.name for each in await admin.known_topics({each.topic for each in targets}))
    sys.stdout.write(f"Clearing broker-level throttles on broker{_plural(brokers)} {_ids(brokers)}\n")
    sys.stdout.write(f"Clearing topic-level throttles on topic{_plural(topics)} {','.join(topics)}\n")
    await clear_throttles(admin, brokers, topics)


async def _cancel(admin: Admin, targets: Mapping[TopicPartition, Replicas], *, clear: bool) -> None:
    moving = list(await admin.list_partition_reassignments(targets))
    if moving:
        await admin.alter_partition_reassignments(dict.fromkeys(moving))
        sys.stdout.write(
            f"Successfully cancelled partition reassignment{_plural(moving)} for: {_names(sorted(moving))}\n"
        )
    else:
        sys.stdout.write("None of the specified partition reassignments are active.\n")
    sys.stdout.write("None of the specified partition moves are active.\n")
    if clear:
        await _clear_throttles(admin, targets)


async def _list(admin: Admin) -> None:
    ongoing = await admin.list_partition_reassignments()
    if not ongoing:
        sys.stdout.write("No partition reassignments found.\n")
        return
    sys.stdout.write("Current partition reassignments:\n")
    for partition in sorted(ongoing):
        each = ongoing[partition]
        line = f"{partition}: replicas: {_ids(each.replicas)}."
        if each.adding_replicas:
            line += f" adding: {_ids(each.adding_replicas)}."
        if each.removing_replicas:
            line += f" removing: {_ids(each.removing_replicas)}."
        sys.stdout.write(line + "\n")


async def _assignment(admin: Admin, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Replicas]:
    """The replicas of all partitions of these topics; those of a topic that is missing are left out."""
    from raftkafka.cli.moves import assignment_of
    from raftkafka.model.errors import ApiError, ErrorCode

    found: dict[TopicPartition, Replicas] = {}
    for topic in sorted({each.topic for each in partitions}):
        try:
            found |= assignment_of(await admin.describe_topics([topic]))
        except ApiError as error:
            if error.code is not ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                raise
    return found


def _reason(error: BaseException) -> str:
    from raftkafka.model.errors import ApiError

    return error.message if isinstance(error, ApiError) else str(error)


def _plural(some: Collection[object]) -> str:
    return "" if len(some) == 1 else "s"


def _names(partitions: Iterable[TopicPartition], separator: str = ",") -> str:
    return separator.join(map(str, partitions))


def _ids(nodes: Iterable[int]) -> str:
    return ",".join(map(str, nodes))
