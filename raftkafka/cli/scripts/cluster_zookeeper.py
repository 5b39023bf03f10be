"""What Kafka's nodes in ZooKeeper say of brokers and replicas, and where the tools of Kafka 2.4 place new ones. Floor 5."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any, Final

from raftkafka.cli.scripts.options import Parsed
from raftkafka.cli.scripts.zookeeper import Client, ZookeeperError, decoded, not_kafkas

TOPICS: Final = "/brokers/topics"

Assignment = dict[str, list[int]]
"""The replicas by the partition's number, which JSON has as text."""


def live_brokers(client: Client) -> list[int]:
    """Their ids, sorted."""
    return sorted(map(int, client.get_children("/brokers/ids")))


def racks(client: Client, parsed: Parsed, among: Iterable[int] | None = None) -> dict[int, str | None]:
    """The live brokers, those `among` some where they are given, and their racks, None where racks do not count.

    Raises ZookeeperError.
    """
    from kazoo.exceptions import NoNodeError

    wanted = None if among is None else set(among)
    found: dict[int, str | None] = {}
    for node in live_brokers(client):
        if wanted is not None and node not in wanted:
            continue
        path = f"/brokers/ids/{node}"
        try:
            data, _ = client.get(path)
        except NoNodeError:  # it has gone since
            continue
        found[node] = decoded(data, path).get("rack")
    if parsed.has("disable-rack-aware") or not any(found.values()):
        return dict.fromkeys(found)
    if None in found.values():
        raise ZookeeperError(
            "Not all brokers have rack information. Add --disable-rack-aware in command line to make replica "
            "assignment without rack information."
        )
    return found


def partitions_of(document: Mapping[str, Any], path: str) -> Assignment:
    """The assignment that a topic's node holds. Raises ZookeeperError where another writer has left something else."""
    found = document.get("partitions")
    if not isinstance(found, dict) or "0" not in found:
        raise not_kafkas(path)
    if not all(key.isdecimal() and isinstance(replicas, list) for key, replicas in found.items()):
        raise not_kafkas(path)
    return found


def replicas_of(client: Client, topics: Iterable[str]) -> dict[tuple[str, int], list[int]]:
    """The replicas of all partitions of these topics, sorted; none of a topic that is not there. Raises ZookeeperError."""
    from kazoo.exceptions import NoNodeError

    found: dict[tuple[str, int], list[int]] = {}
    for topic in sorted(set(topics)):
        path = f"{TOPICS}/{topic}"
        try:
            data, _ = client.get(path)
        except NoNodeError:
            continue
        every = partitions_of(decoded(data, path), path)
        found |= {(topic, number): every[str(number)] for number in sorted(map(int, every))}
    return found


def placed(racks: Mapping[int, str | None], partitions: int, factor: int) -> list[list[int]]:
    """Leaders in turn from a random broker on, replicas over as many racks as there are. Raises ZookeeperError."""
    if factor > len(racks):
        raise ZookeeperError(f"Replication factor: {factor} larger than available brokers: {len(racks)}.")
    nodes = list(racks)
    start, shift = random.randrange(len(nodes)), random.randrange(len(nodes))
    found = []
    for number in range(partitions):
        first = (start + number) % len(nodes)
        others = nodes[first + 1 :] + nodes[:first]
        # Another shift each time round, so that the followers of one leader are not always the same.
        turn = (shift + number // len(nodes)) % max(1, len(others))
        others = others[turn:] + others[:turn]
        chosen = [nodes[first]]
        while len(chosen) < factor:
            used = [racks[each] for each in chosen]
            following = min(others, key=lambda each: used.count(racks[each]))
            others.remove(following)
            chosen.append(following)
        found.append(chosen)
    return found
