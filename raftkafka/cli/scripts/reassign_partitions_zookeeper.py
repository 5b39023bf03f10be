"""`kafka-reassign-partitions.sh --zookeeper`: operations and words of the ReassignPartitionsCommand of Kafka 2.4. Floor 5."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from raftkafka.cli.scripts import json_file
from raftkafka.cli.scripts.cluster_zookeeper import live_brokers, placed, racks, replicas_of
from raftkafka.cli.scripts.options import Parsed, UsageError
from raftkafka.cli.scripts.zookeeper import (
    Client,
    ZookeeperError,
    connected,
    decoded,
    encoded,
    not_kafkas,
    read_configs,
    write_configs,
)
from raftkafka.client.throttles import FOLLOWERS, LEADERS, RATES, moves_of, topic_values

if TYPE_CHECKING:
    from raftkafka.client.spreading import Replicas
    from raftkafka.client.types import TopicPartition

_NODE: Final = "/admin/reassign_partitions"
_RUN_VERIFY: Final = (
    "Warning: You must run Verify periodically, until the reassignment completes, to ensure the throttle is removed. "
    "You can also alter the throttle by rerunning the Execute command passing a new value.\n"
)


def act(action: str, parsed: Parsed) -> None:
    """Raises ZookeeperError, UsageError, FormatError and OSError."""
    from raftkafka.cli.moves import parse_moves

    path = parsed.text("reassignment-json-file")
    targets = {} if path is None else json_file.read(path, parse_moves)
    with connected(parsed) as client:
        if action == "generate":
            _generate(client, parsed)
        elif action == "execute":
            _execute(client, targets, parsed.number("throttle"))
        else:
            _verify(client, targets)


def _generate(client: Client, parsed: Parsed) -> None:
    from raftkafka.cli.moves import as_file, parse_topics
    from raftkafka.client.types import TopicPartition

    topics = json_file.read(parsed.needed("topics-to-move-json-file"), parse_topics)
    brokers = parsed.needed("broker-list")
    try:
        wanted = [int(each) for each in brokers.split(",")]
    except ValueError:
        raise UsageError(f"Cannot parse argument '{brokers}' of option broker-list") from None
    if twice := sorted({each for each in wanted if wanted.count(each) > 1}):
        raise ZookeeperError(f"Broker list contains duplicate entries: {_ids(twice)}")
    now = _assignment(client, topics)
    if missing := [topic for topic in topics if TopicPartition(topic, 0) not in now]:
        raise ZookeeperError(f"Topic(s) {', '.join(missing)} do not exist")
    nodes = racks(client, parsed, among=wanted)
    proposed: dict[TopicPartition, Replicas] = {}
    for topic in topics:
        count = sum(each.topic == topic for each in now)
        found = placed(nodes, count, len(now[TopicPartition(topic, 0)]))
        proposed |= {TopicPartition(topic, at): replicas for at, replicas in enumerate(found)}
    sys.stdout.write(
        f"Current partition replica assignment\n{as_file(now)}\n\n"
        f"Proposed partition reassignment configuration\n{as_file(proposed)}\n"
    )


def _execute(client: Client, targets: Mapping[TopicPartition, Replicas], throttle: int | None) -> None:
    from kazoo.exceptions import NodeExistsError

    from raftkafka.cli.moves import as_file

    now = _assignment(client, [each.topic for each in targets])
    _check(client, targets, now)
    if client.exists(_NODE):
        sys.stdout.write("There is an existing assignment running.\n")
        if throttle is not None and throttle >= 0:
            _limit(client, targets, now, throttle)
        return
    sys.stdout.write(
        f"Current partition replica assignment\n\n{as_file(now)}\n\n"
        "Save this to use as the --reassignment-json-file option during rollback\n"
    )
    if throttle is not None and throttle >= 0:
        sys.stdout.write(_RUN_VERIFY)
        moves = {each: (have, get) for each, (have, get) in moves_of({}, targets, now).items() if get}
        for topic, values in topic_values(moves).items():
            throttled = dict(zip((LEADERS, FOLLOWERS), values, strict=True))
            configs = read_configs(client, f"topics/{topic}")
            write_configs(client, f"topics/{topic}", {**configs, **throttled}, tell=True)
        _limit(client, targets, now, throttle)
        sys.stdout.write(f"The inter-broker throttle limit was set to {throttle} B/s\n")
    partitions = [
        {"topic": each.topic, "partition": each.partition, "replicas": list(replicas)}
        for each, replicas in targets.items()
    ]
    try:
        client.create(_NODE, encoded({"version": 1, "partitions": partitions}))
    except NodeExistsError:
        under_way = ", ".join(f"{each} -> List({_ids(replicas, ', ')})" for each, replicas in _ongoing(client).items())
        raise ZookeeperError(
            f"Partition reassignment currently in progress for Map({under_way}). Aborting operation"
        ) from None
    sys.stdout.write("Successfully started reassignment of partitions.\n")


def _check(client: Client, targets: Mapping[TopicPartition, Replicas], now: Mapping[TopicPartition, Replicas]) -> None:
    """As parseAndValidate. Raises ZookeeperError."""
    for each, replicas in targets.items():
        if not replicas:
            raise ZookeeperError("Partition replica list cannot be empty")
        if len(set(replicas)) != len(replicas):
            twice = sorted({node for node in replicas if list(replicas).count(node) > 1})
            raise ZookeeperError(
                "Partition replica lists may not contain duplicate entries: "
                f"{each} contains multiple entries for {_ids(twice)}"
            )
    if missing := [str(each) for each in targets if each not in now]:
        raise ZookeeperError(f"The proposed assignment contains non-existent partitions: List({', '.join(missing)})")
    brokers = {node for replicas in targets.values() for node in replicas}
    if unknown := sorted(brokers.difference(live_brokers(client))):
        raise ZookeeperError(f"The proposed assignment contains non-existent brokerIDs: {_ids(unknown)}")


def _limit(
    client: Client, targets: Mapping[TopicPartition, Replicas], now: Mapping[TopicPartition, Replicas], throttle: int
) -> None:
    """Of every broker that has one of these partitions, or is to have it."""
    for node in sorted(
        {node for assignment in (now, targets) for replicas in assignment.values() for node in replicas}
    ):
        configs = read_configs(client, f"brokers/{node}")
        write_configs(client, f"brokers/{node}", {**configs, **dict.fromkeys(RATES, str(throttle))}, tell=True)


def _verify(client: Client, targets: Mapping[TopicPartition, Replicas]) -> None:
    # First what is under way: what ends in between counts as under way.
    ongoing = _ongoing(client)
    now = _assignment(client, [each.topic for each in targets])
    sys.stdout.write("Status of partition reassignment: \n")
    completed = True
    for each in sorted(targets):
        if each in ongoing:
            state = "is still in progress"
        elif list(now.get(each, ())) == list(targets[each]):
            state = "completed successfully"
        else:
            state = "failed"
        completed = completed and state == "completed successfully"
        sys.stdout.write(f"Reassignment of partition {each} {state}\n")
    if completed and _unthrottle(client, {each.topic for each in targets}):
        sys.stdout.write("Throttle was removed.\n")


def _unthrottle(client: Client, topics: Iterable[str]) -> bool:
    """Of all brokers, since nobody knows any more which of them took part. Whether there was a throttle."""
    changed = False
    entities: list[tuple[str, Sequence[str]]] = [(f"brokers/{node}", RATES) for node in live_brokers(client)]
    entities += [(f"topics/{topic}", (LEADERS, FOLLOWERS)) for topic in sorted(topics)]
    for entity, keys in entities:
        configs = read_configs(client, entity)
        kept = {key: value for key, value in configs.items() if key not in keys}
        if kept != configs:
            write_configs(client, entity, kept, tell=True)
            changed = True
    return changed


def _assignment(client: Client, topics: Iterable[str]) -> dict[TopicPartition, Replicas]:
    from raftkafka.client.types import TopicPartition

    found = replicas_of(client, topics)
    return {TopicPartition(*partition): replicas for partition, replicas in found.items()}


def _ongoing(client: Client) -> dict[TopicPartition, Replicas]:
    """What the node names. Raises ZookeeperError."""
    from kazoo.exceptions import NoNodeError

    from raftkafka.client.types import TopicPartition

    try:
        data, _ = client.get(_NODE)
    except NoNodeError:
        return {}
    found: dict[TopicPartition, Replicas] = {}
    partitions: Any = decoded(data, _NODE).get("partitions")
    for each in partitions if isinstance(partitions, list) else [None]:
        match each:
            case {"topic": str(topic), "partition": int(number), "replicas": [*replicas]}:
                found[TopicPartition(topic, number)] = replicas
            case _:
                raise not_kafkas(_NODE)
    return found


def _ids(nodes: Iterable[int], separator: str = ",") -> str:
    return separator.join(map(str, nodes))
