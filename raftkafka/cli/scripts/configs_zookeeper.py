"""`kafka-configs.sh --zookeeper` for topics: the operations and words of the ConfigCommand of Kafka 2.4. Floor 5."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from raftkafka.cli.scripts.options import Parsed
from raftkafka.cli.scripts.zookeeper import ZookeeperError, connected, read_configs, write_configs


def describe(parsed: Parsed, names: Sequence[str]) -> None:
    """Of the topics named, of all that have configs where none is. Raises ZookeeperError."""
    with connected(parsed) as client:
        for name in names or sorted(client.get_children("/config/topics")):
            pairs = ",".join(f"{key}={value}" for key, value in read_configs(client, f"topics/{name}").items())
            sys.stdout.write(f"Configs for topic '{name}' are {pairs}\n")


def alter(parsed: Parsed, name: str, changes: Mapping[str, str | None]) -> None:
    """Set, or delete what is None. Raises ZookeeperError."""
    with connected(parsed) as client:
        there = read_configs(client, f"topics/{name}")
        if missing := [key for key, value in changes.items() if value is None and key not in there]:
            raise ZookeeperError(f"Invalid config(s): {','.join(missing)}")
        if "/" in name or not client.exists(f"/brokers/topics/{name}"):
            raise ZookeeperError(f'Topic "{name}" does not exist.')
        merged = {**there, **changes}
        kept = {key: value for key, value in merged.items() if value is not None}
        write_configs(client, f"topics/{name}", kept, tell=True)
    sys.stdout.write(f"Completed Updating config for entity: topic '{name}'.\n")
