"""`kafka-topics.sh --zookeeper`: the operations and words of the ZookeeperTopicService of Kafka 2.4. Floor 5."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from raftkafka.cli.scripts.cluster_zookeeper import TOPICS, Assignment, live_brokers, partitions_of, placed, racks
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
from raftkafka.model.topics import INTERNAL_TOPICS, OFFSETS_TOPIC, collision_key, why_illegal

_DELETIONS: Final = "/admin/delete_topics"

Matches = Callable[[Sequence[str]], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for, checked."""

    parsed: Parsed
    matches: Matches
    """The names among those given that --topic means."""
    configs: Mapping[str, str]
    assignment: Sequence[Sequence[int]]


def act(request: Request) -> None:
    """One action. Raises ZookeeperError and UsageError."""
    with connected(request.parsed) as client:
        if request.parsed.has("create"):
            _create(client, request)
            return
        topics = _topics(client, request)
        if request.parsed.has("list"):
            _list(client, topics)
        elif request.parsed.has("describe"):
            _describe(client, request.parsed, topics)
        elif request.parsed.has("delete"):
            _delete(client, topics)
        else:
            for topic in topics:
                _alter(client, request, topic)


def _topics(client: Client, request: Request) -> list[str]:
    parsed = request.parsed
    names = sorted(client.get_children(TOPICS))
    if parsed.has("exclude-internal"):
        names = [name for name in names if name not in INTERNAL_TOPICS]
    found = request.matches(names)
    topic = parsed.text("topic")
    if topic and not found and not parsed.has("list") and not parsed.has("if-exists"):
        raise ZookeeperError(f"Topic '{topic}' does not exist as expected")
    return found


def _list(client: Client, topics: Sequence[str]) -> None:
    for topic in topics:
        pending = " - marked for deletion" if client.exists(f"{_DELETIONS}/{topic}") else ""
        sys.stdout.write(f"{topic}{pending}\n")


def _delete(client: Client, topics: Sequence[str]) -> None:
    from kazoo.exceptions import NodeExistsError

    for topic in topics:
        if topic in INTERNAL_TOPICS:
            raise ZookeeperError(
                f"Topic {topic} is a kafka internal topic and is not allowed to be marked for deletion."
            )
        try:
            client.create(f"{_DELETIONS}/{topic}", b"", makepath=True)
        except NodeExistsError:
            sys.stdout.write(f"Topic {topic} is already marked for deletion.\n")
        else:
            sys.stdout.write(
                f"Topic {topic} is marked for deletion.\n"
                "Note: This will have no impact if delete.topic.enable is not set to true.\n"
            )


# Creation and growth


def _create(client: Client, request: Request) -> None:
    from kazoo.exceptions import NodeExistsError

    parsed = request.parsed
    name = parsed.needed("topic")
    if wrong := why_illegal(name):
        raise UsageError(wrong)
    replicas = [list(each) for each in request.assignment]
    if not replicas:
        count, factor = parsed.number("partitions") or 0, parsed.number("replication-factor") or 0
        replicas = placed(racks(client, parsed), count, factor)
    try:
        if client.exists(f"{TOPICS}/{name}"):
            raise NodeExistsError
        key = collision_key(name)
        alike = [each for each in sorted(client.get_children(TOPICS)) if collision_key(each) == key]
        if alike:
            raise ZookeeperError(f"Topic '{name}' collides with existing topics: {', '.join(alike)}")
        # The configs go first, so that they are in force when the topic is there.
        write_configs(client, f"topics/{name}", request.configs, tell=False)
        client.create(f"{TOPICS}/{name}", encoded(_document({str(at): each for at, each in enumerate(replicas)})))
    except NodeExistsError:
        if parsed.has("if-not-exists"):
            return
        raise ZookeeperError(f"Topic '{name}' already exists.") from None
    sys.stdout.write(f"Created topic {name}.\n")


def _document(partitions: Assignment) -> dict[str, Any]:
    return {"version": 2, "partitions": partitions, "adding_replicas": {}, "removing_replicas": {}}


def _alter(client: Client, request: Request, topic: str) -> None:
    parsed = request.parsed
    removed = {key.strip() for keys in parsed.many("delete-config") for key in keys.split(",")}
    if request.configs or removed:
        sys.stdout.write(
            "WARNING: Altering topic configuration from this script has been deprecated and may be removed in future "
            "releases.\n         Going forward, please use kafka-configs.sh for this functionality\n"
        )
        merged = {**read_configs(client, f"topics/{topic}"), **request.configs}
        kept = {key: value for key, value in merged.items() if key not in removed}
        write_configs(client, f"topics/{topic}", kept, tell=True)
        sys.stdout.write(f"Updated config for topic {topic}.\n")
    if not parsed.has("partitions"):
        return
    sys.stdout.write(
        "WARNING: If partitions are increased for a topic that has a key, the partition logic or ordering of the "
        "messages will be affected\n"
    )
    if topic == OFFSETS_TOPIC:
        raise ZookeeperError("The number of partitions for the offsets topic cannot be changed.")
    _grow(client, request, topic)
    sys.stdout.write("Adding partitions succeeded!\n")


def _grow(client: Client, request: Request, topic: str) -> None:
    path = f"{TOPICS}/{topic}"
    data, stat = client.get(path)
    document = decoded(data, path)
    there = partitions_of(document, path)
    wanted = request.parsed.number("partitions") or 0
    if wanted <= len(there):
        raise ZookeeperError(
            f"The number of partitions for a topic can only be increased. Topic {topic} currently has {len(there)} "
            f"partitions, {wanted} would not be an increase."
        )
    # Kafka's form names all partitions, those that are there already first.
    added = [list(each) for each in request.assignment[len(there) :]]
    if not request.assignment:
        added = placed(racks(client, request.parsed), wanted - len(there), len(there["0"]))
    elif len(request.assignment) != wanted:
        raise UsageError(f"--replica-assignment names {len(request.assignment)} partitions, --partitions {wanted}")
    numbered = {str(at): each for at, each in enumerate(added, len(there))}
    # Only over what was read: another tool's change in between must not be lost.
    client.set(path, encoded({**document, "partitions": {**there, **numbered}}), version=stat.version)


# Description


def _describe(client: Client, parsed: Parsed, topics: Sequence[str]) -> None:
    live = set(live_brokers(client))
    for topic in topics:
        for line in _lines(client, parsed, topic, live):
            sys.stdout.write(line + "\n")


def _lines(client: Client, parsed: Parsed, topic: str, live: set[int]) -> list[str]:
    from kazoo.exceptions import NoNodeError

    path = f"{TOPICS}/{topic}"
    try:
        document = decoded(client.get(path)[0], path)
    except NoNodeError:  # deleted since it was listed
        return []
    partitions = partitions_of(document, path)
    marked = "\tMarkedForDeletion: true" if client.exists(f"{_DELETIONS}/{topic}") else ""
    under, unavailable = parsed.has("under-replicated-partitions"), parsed.has("unavailable-partitions")
    lines = []
    if not under and not unavailable:
        configs = read_configs(client, f"topics/{topic}")
        if configs or not parsed.has("topics-with-overrides"):
            pairs = ",".join(f"{key}={value}" for key, value in configs.items())
            lines.append(
                f"Topic: {topic}\tPartitionCount: {len(partitions)}\tReplicationFactor: {len(partitions['0'])}\t"
                f"Configs: {pairs}{marked}"
            )
    if parsed.has("topics-with-overrides"):
        return lines
    for number in sorted(partitions, key=int):
        leader, isr = _state(client, f"{path}/partitions/{number}/state")
        if (
            not (under or unavailable)
            or (under and len(isr) < len(partitions[number]))
            or (unavailable and leader not in live)
        ):
            moving = "".join(
                f"\t{title}: {_ids(document[key][number])}"
                for title, key in (("Adding Replicas", "adding_replicas"), ("Removing Replicas", "removing_replicas"))
                if document.get(key, {}).get(number)
            )
            lines.append(
                f"\tTopic: {topic}\tPartition: {number}\tLeader: {'none' if leader < 0 else leader}\t"
                f"Replicas: {_ids(partitions[number])}\tIsr: {_ids(isr)}{moving}{marked}"
            )
    return lines


def _state(client: Client, path: str) -> tuple[int, list[int]]:
    """Leader and ISR; nobody and none before the controller has written them."""
    from kazoo.exceptions import NoNodeError

    try:
        state = decoded(client.get(path)[0], path)
    except NoNodeError:
        return -1, []
    leader, isr = state.get("leader"), state.get("isr")
    if not isinstance(leader, int) or not isinstance(isr, list):
        raise not_kafkas(path)
    return leader, isr


def _ids(nodes: Sequence[int]) -> str:
    return ",".join(map(str, nodes))
