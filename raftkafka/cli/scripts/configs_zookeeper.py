"""`kafka-configs.sh --zookeeper`: the operations and words of the ConfigCommand of Kafka 2.4. Floor 5.

An entity is a path below /config: `topics/T`, `brokers/1`, `users/U`, `clients/C` or `users/U/clients/C`, with the names of users and
clients encoded as Kafka's Sanitizer does, `<default>` for the one that stands for all.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from raftkafka.cli.scripts.cluster_zookeeper import live_brokers
from raftkafka.cli.scripts.options import Parsed
from raftkafka.cli.scripts.zookeeper import (
    Client,
    ZookeeperError,
    connected,
    read_configs,
    write_configs,
)
from raftkafka.client.throttles import RATES
from raftkafka.metadata.quotas import KEYS as QUOTAS
from raftkafka.metadata.znodes.formats import DEFAULT, sanitized, unsanitized

_TITLES: Final = {"users": "user-principal", "clients": "client-id", "topics": "topic"}
_QUOTAS: Final = frozenset({"users", "clients"})


class _Part(NamedTuple):
    """`name` as in the path; None stands for every one there is."""

    kind: str
    name: str | None

    def __str__(self) -> str:
        title = _TITLES.get(self.kind, self.kind)
        if self.name is None:
            return self.kind
        if self.name == DEFAULT:
            return f"default {title}"
        return f"{title} '{unsanitized(self.name) if self.kind in _QUOTAS else self.name}'"


Entity = tuple[_Part, ...]


def entity_of(types: Sequence[str], names: Sequence[str]) -> Entity:
    """Of what stands on the command line: the user before the client id, whichever came first."""
    parts = []
    for at, kind in enumerate(types):
        name = names[at] if at < len(names) else None
        if name is not None:
            name = sanitized(name) if kind in _QUOTAS else name or DEFAULT
        parts.append(_Part(kind, name))
    return tuple(sorted(parts, key=lambda part: part.kind == "clients"))


def describe(parsed: Parsed, entity: Entity) -> None:
    """What is set for it, for each one where it stands for many. Raises ZookeeperError."""
    everybody = entity == (_Part("users", None),)
    with connected(parsed) as client:
        for each in _every(client, entity):
            configs = read_configs(client, _path(each))
            if configs or not everybody:
                # A user without own quotas may have clients that have some.
                pairs = ",".join(f"{key}={value}" for key, value in configs.items())
                sys.stdout.write(f"Configs for {_words(each)} are {pairs}\n")


def alter(parsed: Parsed, entity: Entity, changes: Mapping[str, str | None]) -> None:
    """Set, or delete what is None. Raises ZookeeperError."""
    kind, name = entity[0]
    with connected(parsed) as client:
        if kind == "brokers":
            _check_broker(client, name or DEFAULT, changes)
        there = read_configs(client, _path(entity))
        if missing := [key for key, value in changes.items() if value is None and key not in there]:
            raise ZookeeperError(f"Invalid config(s): {','.join(missing)}")
        if kind == "topics" and ("/" in (name or "") or not client.exists(f"/brokers/topics/{name}")):
            raise ZookeeperError(f'Topic "{name}" does not exist.')
        if kind in _QUOTAS:
            _check_quotas(changes)
        merged = {**there, **changes}
        kept = {key: value for key, value in merged.items() if value is not None}
        write_configs(client, _path(entity), kept, tell=True)
    sys.stdout.write(f"Completed Updating config for entity: {_words(entity)}.\n")


def _every(client: Client, entity: Entity) -> Iterator[Entity]:
    """The entity itself, or all that it stands for."""
    at = next((at for at, part in enumerate(entity) if part.name is None), None)
    if at is None:
        yield entity
        return
    from kazoo.exceptions import NoNodeError

    directory = "/".join(["/config", *(f"{part.kind}/{part.name}" for part in entity[:at]), entity[at].kind])
    try:
        names = sorted(client.get_children(directory))
    except NoNodeError:
        return
    for name in names:
        yield from _every(client, (*entity[:at], _Part(entity[at].kind, name), *entity[at + 1 :]))


def _check_broker(client: Client, name: str, changes: Mapping[str, str | None]) -> None:
    """While brokers run, ZooKeeper's way is for throttles alone: they would learn of nothing else in time."""
    others = [key for key, value in changes.items() if value is not None and key not in RATES]
    running = live_brokers(client)
    if not others or not (running if name == DEFAULT else int(name) in running):
        return
    who = "for default cluster if any broker is running" if name == DEFAULT else f"when broker {name} is running"
    raise ZookeeperError(
        f"--bootstrap-server option must be specified to update broker configs Set({', '.join(others)}). {who}. "
        "Broker configuration updates using ZooKeeper are supported for bootstrapping before brokers are started to "
        "enable encrypted password configs to be stored in ZooKeeper."
    )


def _check_quotas(changes: Mapping[str, str | None]) -> None:
    wanted = [key for key, value in changes.items() if value is not None]
    if scram := [key for key in wanted if key.upper().startswith("SCRAM-")]:
        raise ZookeeperError(f"SCRAM credentials are not supported yet: {', '.join(scram)}")
    if unknown := [key for key in wanted if key not in QUOTAS]:
        raise ZookeeperError(f"Unknown Dynamic Configuration: Set({', '.join(unknown)}).")


def _path(entity: Entity) -> str:
    return "/".join(f"{part.kind}/{part.name}" for part in entity)


def _words(entity: Entity) -> str:
    return ", ".join(map(str, entity))
