"""`kafka-topics.sh`: create, list, describe, alter, delete. Floor 5. The source of options and words is Kafka's TopicCommand."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from raftkafka.cli.scripts.entry import BOOTSTRAP_SERVER, COMMAND_CONFIG, start, tool
from raftkafka.cli.scripts.options import Option, Parsed, UsageError

if TYPE_CHECKING:
    from raftkafka.client.admin import Admin
    from raftkafka.model.ids import NodeId

_ACTIONS: Final = ("list", "describe", "create", "alter", "delete")
_REPORTS: Final = (
    "under-replicated-partitions",
    "unavailable-partitions",
    "under-min-isr-partitions",
    "at-min-isr-partitions",
)
_REPLICATION_FACTOR_MAX: Final = 32_767
_COLLISION: Final = (
    "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. "
    "To avoid issues it is best to use either, but not both."
)

TOOL: Final = tool(
    "kafka-topics.sh",
    "This tool helps to create, delete, describe, or change a topic.",
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    Option(
        "zookeeper", "DEPRECATED: The ZooKeeper port of nodes that have zookeeper.listener, or a ZooKeeper.", "hosts"
    ),
    Option("list", "List all available topics."),
    Option("create", "Create a new topic."),
    Option("delete", "Delete a topic."),
    Option("alter", "Alter the number of partitions and replica assignment."),
    Option("describe", "List details for the given topics."),
    Option("topic", "The topic; a regular expression, except for --create.", "topic"),
    Option("topic-id", "The topic-id to describe.", "topic-id"),
    Option("config", "A topic configuration override for the topic being created.", "name=value"),
    Option("delete-config", "A topic configuration override to be removed; with --zookeeper only.", "name"),
    Option("partitions", "The number of partitions of the topic being created or altered.", "# of partitions"),
    Option("replication-factor", "The replication factor of each partition being created.", "replication factor"),
    Option("replica-assignment", "Brokers of each partition: 1:2,2:3 are two partitions.", "id:id,id:id,..."),
    Option("under-replicated-partitions", "Only describe under-replicated partitions."),
    Option("unavailable-partitions", "Only describe partitions whose leader is not available."),
    Option("under-min-isr-partitions", "Only describe partitions whose isr is smaller than the configured minimum."),
    Option("at-min-isr-partitions", "Only describe partitions whose isr is as small as the configured minimum."),
    Option("topics-with-overrides", "Only describe topics that have overridden configs."),
    Option("if-exists", "When altering, deleting or describing: do nothing where the topic does not exist."),
    Option("if-not-exists", "When creating: do nothing where the topic exists."),
    Option("exclude-internal", "Exclude internal topics when listing or describing."),
    Option("disable-rack-aware", "Accepted for Kafka 2.4; the brokers place replicas."),
    Option("force", "Accepted for Kafka 2.4; nothing is asked."),
    Option("partition-size-limit-per-response", "Accepted; answers are not paged.", "number"),
    takes_zookeeper=True,
)


def run() -> NoReturn:
    start(TOOL, main)


def main(parsed: Parsed) -> int:
    """One action; the exit code."""
    from raftkafka.cli.scripts.entry import run_async
    from raftkafka.model.errors import ApiError, RaftKafkaError

    _check(parsed)
    try:
        if parsed.has("zookeeper"):
            _act_over_zookeeper(parsed)
        else:
            run_async(_act(parsed))
    except RaftKafkaError as error:
        if isinstance(error, UsageError):
            raise
        reason = error.message if isinstance(error, ApiError) else str(error)
        sys.stdout.write(f"Error while executing topic command : {reason}\n")
        return 1
    return 0


def _check(parsed: Parsed) -> None:
    """As TopicCommandOptions.checkArgs; raises UsageError."""
    if sum(map(parsed.has, _ACTIONS)) != 1:
        raise UsageError("Command must include exactly one action: --list, --describe, --create, --alter or --delete")
    if parsed.has("bootstrap-server") == parsed.has("zookeeper"):
        if parsed.has("zookeeper"):
            raise UsageError("Only one of --bootstrap-server or --zookeeper must be specified")
        raise UsageError("--bootstrap-server must be specified")
    parsed.check_apart("zookeeper", ("command-config", "topic-id", "under-min-isr-partitions", "at-min-isr-partitions"))
    if parsed.has("describe") and parsed.has("if-exists") and not parsed.has("topic-id"):
        parsed.check_required("topic")
    if not parsed.has("list") and not parsed.has("describe"):
        parsed.check_required("topic")
    if parsed.has("zookeeper"):
        _check_for_zookeeper(parsed)
    elif parsed.has("alter"):
        if parsed.has("config") or parsed.has("delete-config"):
            raise UsageError("--alter does not change topic configs: use kafka-configs.sh")
        parsed.check_required("partitions")
    for name, actions in (
        ("config", ("alter", "create")),
        ("delete-config", ("alter",)),
        ("partitions", ("alter", "create")),
        ("replication-factor", ("create",)),
        ("replica-assignment", ("alter", "create")),
        *((report, ("describe",)) for report in _REPORTS),
        ("topics-with-overrides", ("describe",)),
        ("if-exists", ("alter", "delete", "describe")),
        ("if-not-exists", ("create",)),
        ("exclude-internal", ("list", "describe")),
    ):
        parsed.check_apart(name, [action for action in _ACTIONS if action not in actions])
    if parsed.has("create"):
        parsed.check_apart("replica-assignment", ("partitions", "replication-factor"))
    for report in _REPORTS:
        parsed.check_apart(report, ("topics-with-overrides",))


def _check_for_zookeeper(parsed: Parsed) -> None:
    """What ZooKeeper has no answer for, other than a broker: the defaults. Raises UsageError."""
    if parsed.has("create") and not parsed.has("replica-assignment"):
        parsed.check_required("partitions", "replication-factor")
        _check_numbers(parsed)
    if parsed.has("alter") and not any(map(parsed.has, ("partitions", "config", "delete-config"))):
        raise UsageError("--alter needs --partitions, --config or --delete-config")


def _check_numbers(parsed: Parsed) -> None:
    partitions, replication_factor = parsed.number("partitions"), parsed.number("replication-factor")
    if replication_factor is not None and not 1 <= replication_factor <= _REPLICATION_FACTOR_MAX:
        raise UsageError(f"The replication factor must be between 1 and {_REPLICATION_FACTOR_MAX} inclusive")
    if partitions is not None and partitions < 1:
        raise UsageError("The partitions must be greater than 0")


def _act_over_zookeeper(parsed: Parsed) -> None:
    from raftkafka.cli.scripts.topics_zookeeper import Request, act

    if parsed.has("create"):
        _warn_of_collisions(parsed.needed("topic"))
    act(
        Request(
            parsed=parsed,
            matches=lambda names: _matching(parsed, names),
            configs={key: value for key, value in _configs(parsed).items() if value is not None},
            assignment=_assignment(parsed),
        )
    )


def _warn_of_collisions(topic: str) -> None:
    if "." in topic or "_" in topic:
        sys.stdout.write(_COLLISION + "\n")


async def _act(parsed: Parsed) -> None:
    from raftkafka.cli.scripts.admin import admin_of

    async with admin_of(parsed) as admin:
        if parsed.has("create"):
            await _create(admin, parsed)
        elif parsed.has("list"):
            sys.stdout.write("\n".join(await _topics(admin, parsed)) + "\n")
        elif parsed.has("describe"):
            await _describe(admin, parsed)
        elif parsed.has("delete"):
            if topics := await _existing(admin, parsed):
                await admin.delete_topics(topics)
        elif parsed.has("alter"):
            await _alter(admin, parsed, await _existing(admin, parsed))


async def _create(admin: Admin, parsed: Parsed) -> None:
    from raftkafka.model.api.topics import NewTopic
    from raftkafka.model.errors import ApiError, ErrorCode
    from raftkafka.model.ids import PartitionIndex

    name = parsed.needed("topic")
    partitions = parsed.number("partitions")
    replication_factor = parsed.number("replication-factor")
    _warn_of_collisions(name)
    _check_numbers(parsed)
    topic = NewTopic(
        name=name,
        num_partitions=partitions or -1,
        replication_factor=replication_factor or -1,
        assignments=tuple((PartitionIndex(at), nodes) for at, nodes in enumerate(_assignment(parsed))),
        configs=tuple(_configs(parsed).items()),
    )
    try:
        await admin.create_topics([topic])
    except ApiError as error:
        if error.code is not ErrorCode.TOPIC_ALREADY_EXISTS or not parsed.has("if-not-exists"):
            raise
    else:
        sys.stdout.write(f"Created topic {name}.\n")


async def _alter(admin: Admin, parsed: Parsed, topics: Sequence[str]) -> None:
    from raftkafka.model.api.partitions import NewPartitions

    if not topics:
        return
    count = parsed.number("partitions") or 0
    assignment = _assignment(parsed)
    described = await admin.describe_topics(topics)
    await admin.create_partitions(
        [
            # Kafka's form names all partitions, those that are there already first.
            NewPartitions(
                name=topic.name,
                count=count,
                assignments=tuple(assignment[len(topic.partitions) :]) if assignment else None,
            )
            for topic in described
        ]
    )


async def _describe(admin: Admin, parsed: Parsed) -> None:
    from raftkafka.cli.scripts.topic_description import Report, describe, topic_id_text
    from raftkafka.client.configs import ConfigResource
    from raftkafka.client.types import TopicPartition
    from raftkafka.model.api.configs import ResourceType

    wanted_id = parsed.text("topic-id")
    names = await (_existing(admin, parsed) if wanted_id is None else admin.list_topics(include_internal=True))
    topics = await admin.known_topics(names) if names else []
    if wanted_id is not None:
        topics = [each for each in topics if topic_id_text(each.topic_id) == wanted_id]
        if not topics and not parsed.has("if-exists"):
            raise UsageError(f"TopicId '{wanted_id}' does not exist as expected")
    if not topics:
        return
    resources = {each.name: ConfigResource(ResourceType.TOPIC, each.name) for each in topics}
    configs = await admin.describe_configs(resources.values())
    cluster = await admin.describe_cluster()
    ongoing = await admin.list_partition_reassignments(
        [TopicPartition(topic.name, each.partition) for topic in topics for each in topic.partitions]
    )
    report = Report(
        live={int(each.node_id) for each in cluster.brokers if not each.fenced},
        under_replicated=parsed.has("under-replicated-partitions"),
        unavailable=parsed.has("unavailable-partitions"),
        under_min_isr=parsed.has("under-min-isr-partitions"),
        at_min_isr=parsed.has("at-min-isr-partitions"),
        overrides_only=parsed.has("topics-with-overrides"),
    )
    for topic in topics:
        for line in describe(topic, configs[resources[topic.name]], ongoing, report):
            sys.stdout.write(line + "\n")


async def _topics(admin: Admin, parsed: Parsed) -> list[str]:
    """All topics that --topic matches."""
    return _matching(parsed, await admin.list_topics(include_internal=not parsed.has("exclude-internal")))


def _matching(parsed: Parsed, names: Sequence[str]) -> list[str]:
    import re

    wanted = parsed.text("topic")
    if wanted is None:
        return list(names)
    # As Kafka's IncludeList: a comma stands for "or", blanks and outer quotes for nothing.
    pattern = wanted.replace(",", "|").replace(" ", "").strip("\"'")
    try:
        matches = re.compile(pattern)
    except re.error:
        raise UsageError(f"{pattern} is an invalid regex.") from None
    return [name for name in names if matches.fullmatch(name)]


async def _existing(admin: Admin, parsed: Parsed) -> list[str]:
    from raftkafka.model.errors import ApiError, ErrorCode

    names = await _topics(admin, parsed)
    topic = parsed.text("topic")
    if topic and not names and not parsed.has("if-exists"):
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"Topic '{topic}' does not exist as expected")
    return names


def _configs(parsed: Parsed) -> dict[str, str | None]:
    configs: dict[str, str | None] = {}
    for pair in parsed.many("config"):
        key, equals, value = pair.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise UsageError('Invalid topic config: all configs to be added must be in the format "key=val".')
        configs[key.strip()] = value.strip()
    return configs


def _assignment(parsed: Parsed) -> list[tuple[NodeId, ...]]:
    """The brokers of each partition; raises UsageError."""
    from raftkafka.model.ids import NodeId

    text = parsed.text("replica-assignment")
    if not text:
        return []
    try:
        partitions = [tuple(NodeId(int(node)) for node in part.split(":")) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"Cannot parse argument '{text}' of option replica-assignment") from None
    for number, nodes in enumerate(partitions):
        if len(set(nodes)) != len(nodes):
            raise UsageError(f"Partition replica lists may not contain duplicate entries: {':'.join(map(str, nodes))}")
        if len(nodes) != len(partitions[0]):
            raise UsageError(f"Partition {number} has different replication factor: {', '.join(map(str, nodes))}")
    return partitions
