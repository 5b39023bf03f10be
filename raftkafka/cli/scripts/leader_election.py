"""`kafka-leader-election.sh`: let preferred replicas lead, or, uncleanly, whoever is there. Floor 5."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NoReturn

from raftkafka.cli.scripts.entry import BOOTSTRAP_SERVER, start, tool
from raftkafka.cli.scripts.options import Option, Parsed, UsageError

if TYPE_CHECKING:
    from raftkafka.client.types import TopicPartition

TOOL: Final = tool(
    "kafka-leader-election.sh",
    "This tool attempts to elect a new leader for a set of topic partitions. The type of elections supported are "
    "preferred replicas and unclean replicas.",
    BOOTSTRAP_SERVER,
    Option("admin.config", "Configuration properties files to pass to the admin client.", "config file"),
    Option("election-type", "REQUIRED: preferred or unclean.", "type"),
    Option("topic", "The topic of the partition.", "topic name"),
    Option("partition", "The partition; REQUIRED if --topic is specified.", "partition id"),
    Option("all-topic-partitions", "All partitions that have need of an election."),
    Option(
        "path-to-json-file",
        'Several partitions: {"partitions": [{"topic": "foo", "partition": 1}, {"topic": "foobar", "partition": 2}]}',
        "path",
    ),
)
_WHICH: Final = ("topic", "all-topic-partitions", "path-to-json-file")
_PATIENCE_MS: Final = 30_000


def run() -> NoReturn:
    start(TOOL, main)


def main(parsed: Parsed) -> int:
    from raftkafka.cli.scripts.admin import admin_of
    from raftkafka.cli.scripts.entry import run_async
    from raftkafka.model.api.elections import ElectionType
    from raftkafka.model.errors import ErrorCode

    partitions = _partitions(parsed)
    name = parsed.needed("election-type").upper()
    if name not in ElectionType.__members__:
        raise UsageError(f"Cannot parse argument '{parsed.text('election-type')}' of option election-type")

    async def elect() -> int:
        async with admin_of(parsed, config="admin.config", patience_ms=_PATIENCE_MS) as admin:
            outcomes = await admin.elect_leaders(ElectionType[name], partitions)
        done = [each for each, outcome in outcomes.items() if outcome.error_code is ErrorCode.NONE]
        noop = [each for each, outcome in outcomes.items() if outcome.error_code is ErrorCode.ELECTION_NOT_NEEDED]
        failed = [each for each in outcomes if each not in {*done, *noop}]
        if done:
            sys.stdout.write(
                f"Successfully completed leader election ({name}) for partitions {_names(done)}\n",
            )
        if noop:
            sys.stdout.write(f"Valid replica already elected for partitions {_names(noop)}\n")
        for each in failed:
            outcome = outcomes[each]
            reason = outcome.error_message or outcome.error_code.name
            sys.stdout.write(f"Error completing leader election ({name}) for partition: {each}: {reason}\n")
        if failed:
            sys.stderr.write(f"{len(failed)} replica(s) could not be elected\n")
        return 1 if failed else 0

    return run_async(elect())


def _partitions(parsed: Parsed) -> list[TopicPartition] | None:
    """As LeaderElectionCommandOptions.validate; None stands for all. Raises UsageError."""
    from raftkafka.cli.moves import parse_partitions
    from raftkafka.cli.scripts import json_file
    from raftkafka.client.types import TopicPartition

    missing = [name for name in ("bootstrap-server", "election-type") if not parsed.has(name)]
    if missing:
        raise UsageError(f"Missing required option(s): {', '.join(missing)}")
    if sum(map(parsed.has, _WHICH)) != 1:
        raise UsageError(f"One and only one of the following options is required: {', '.join(_WHICH)}")
    topic, partition = parsed.text("topic"), parsed.number("partition")
    if topic is not None:
        if partition is None:
            raise UsageError("Missing required option(s): partition")
        if not 0 <= partition < 1 << 31:
            raise UsageError(f"Cannot parse argument '{partition}' of option partition")
        return [TopicPartition(topic, partition)]
    if partition is not None:
        raise UsageError("Option partition is only allowed if topic is used")
    path = parsed.text("path-to-json-file")
    return None if path is None else json_file.read(path, parse_partitions)


def _names(partitions: Iterable[TopicPartition]) -> str:
    return ", ".join(map(str, partitions))
