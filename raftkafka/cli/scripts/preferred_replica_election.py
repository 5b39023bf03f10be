"""`kafka-preferred-replica-election.sh`: let preferred replicas lead again. Floor 5.

Options and words are those of the PreferredReplicaLeaderElectionCommand of Kafka 2.4; later versions have `kafka-leader-election.sh`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from raftkafka.cli.scripts.entry import BOOTSTRAP_SERVER, start, tool
from raftkafka.cli.scripts.options import Option, Parsed, UsageError

if TYPE_CHECKING:
    from raftkafka.client.types import TopicPartition

TOOL: Final = tool(
    "kafka-preferred-replica-election.sh",
    "This tool helps to causes leadership for each partition to be transferred back to the 'preferred replica', it can "
    "be used to balance leadership among the servers.",
    BOOTSTRAP_SERVER,
    Option("zookeeper", "DEPRECATED: the ZooKeeper port of nodes that have zookeeper.listener.", "urls"),
    Option("admin.config", "Configuration properties files to pass to the admin client.", "config file"),
    Option(
        "path-to-json-file",
        'The partitions, all where it is not given: {"partitions": [{"topic": "foo", "partition": 1}]}',
        "path",
    ),
    takes_zookeeper=True,
)
_DEPRECATED: Final = "This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405\n"
_ZOOKEEPER: Final = (
    "Warning: --zookeeper is deprecated and will be removed in a future version of Kafka.\n"
    "Use --bootstrap-server instead to specify a broker to connect to.\n"
)
_NODE: Final = "/admin/preferred_replica_election"
_PATIENCE_MS: Final = 30_000


def run() -> NoReturn:
    start(TOOL, main)


def main(parsed: Parsed) -> int:
    from raftkafka.cli.moves import parse_partitions
    from raftkafka.cli.scripts import json_file

    if parsed.has("bootstrap-server") == parsed.has("zookeeper"):
        raise UsageError("Exactly one of '[bootstrap-server]' or '[zookeeper]' must be provided")
    parsed.check_apart("zookeeper", ("admin.config",))
    sys.stdout.write(_DEPRECATED)
    path = parsed.text("path-to-json-file")
    partitions = None if path is None else json_file.read(path, parse_partitions)
    if parsed.has("zookeeper"):
        sys.stdout.write(_ZOOKEEPER)
        _over_zookeeper(parsed, partitions)
        return 0
    return _by_request(parsed, partitions)


def _by_request(parsed: Parsed, partitions: Sequence[TopicPartition] | None) -> int:
    from raftkafka.cli.scripts.admin import admin_of
    from raftkafka.cli.scripts.entry import run_async
    from raftkafka.model.api.elections import ElectionType
    from raftkafka.model.errors import ErrorCode

    async def elect() -> int:
        async with admin_of(parsed, config="admin.config", patience_ms=_PATIENCE_MS) as admin:
            outcomes = await admin.elect_leaders(ElectionType.PREFERRED, partitions)
        codes = {each: outcome.error_code for each, outcome in outcomes.items()}
        if done := [each for each, code in codes.items() if code is ErrorCode.NONE]:
            sys.stdout.write(f"Successfully completed preferred leader election for partitions {_names(done)}\n")
        if noop := [each for each, code in codes.items() if code is ErrorCode.ELECTION_NOT_NEEDED]:
            sys.stdout.write(f"Preferred replica already elected for partitions {_names(noop)}\n")
        failed = [each for each in codes if each not in {*done, *noop}]
        for each in failed:
            reason = outcomes[each].error_message or codes[each].name
            sys.stdout.write(f"Error completing preferred leader election for partition: {each}: {reason}\n")
        if failed:
            sys.stderr.write(f"{len(failed)} preferred replica(s) could not be elected\n")
        return 1 if failed else 0

    return run_async(elect())


def _over_zookeeper(parsed: Parsed, wanted: Sequence[TopicPartition] | None) -> None:
    """Raises ZookeeperError."""
    from raftkafka.cli.scripts.cluster_zookeeper import TOPICS, replicas_of
    from raftkafka.cli.scripts.zookeeper import ZookeeperError, connected, encoded
    from raftkafka.client.types import TopicPartition

    with connected(parsed) as client:
        from kazoo.exceptions import NodeExistsError

        topics = client.get_children(TOPICS) if wanted is None else [each.topic for each in wanted]
        there = [TopicPartition(*each) for each in replicas_of(client, topics)]
        valid = there if wanted is None else [each for each in wanted if each in there]
        partitions = [{"topic": each.topic, "partition": each.partition} for each in valid]
        try:
            client.create(_NODE, encoded({"version": 1, "partitions": partitions}))
        except NodeExistsError:
            raise ZookeeperError(
                "Admin command failed: Preferred replica leader election currently in progress. Aborting operation"
            ) from None
        sys.stdout.write(
            f"Created preferred replica election path with {_names(valid, ',')}\n"
            f"Successfully started preferred replica election for partitions Set({_names(valid)})\n"
        )
        for each in wanted or ():
            if each not in valid:
                sys.stdout.write(
                    f"Skipping preferred replica leader election for partition {each} since it doesn't exist.\n"
                )


def _names(partitions: Iterable[TopicPartition], separator: str = ", ") -> str:
    return separator.join(map(str, partitions))
