"""`kafka-configs.sh`: describe and alter configs of topics and brokers, and quotas of users and client ids. Floor 5."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from raftkafka.cli.scripts.entry import BOOTSTRAP_SERVER, COMMAND_CONFIG, start, tool
from raftkafka.cli.scripts.options import Option, Parsed, UsageError
from raftkafka.model.errors import ConfigurationError

if TYPE_CHECKING:
    from raftkafka.client.admin import Admin
    from raftkafka.client.configs import ConfigResource
    from raftkafka.model.api.configs import DescribedConfig
    from raftkafka.model.api.quotas import QuotaEntityPart

_NAMED: Final = {"topic": "topics", "client": "clients", "user": "users", "broker": "brokers"}
_DEFAULTS: Final = {"client-defaults": "clients", "user-defaults": "users", "broker-defaults": "brokers"}
_QUOTA_TYPES: Final = {"users": "user", "clients": "client-id"}
_QUOTA_TITLES: Final = {"user": "user-principal", "client-id": "client-id"}

TOOL: Final = tool(
    "kafka-configs.sh",
    "This tool helps to manipulate and describe entity config for a topic, client, user or broker.",
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    Option("zookeeper", "DEPRECATED: the ZooKeeper port of nodes that have zookeeper.listener.", "hosts"),
    Option("alter", "Alter the configuration for the entity."),
    Option("describe", "List configs for the given entity."),
    Option("all", "List all configs for the given topic or broker, also those that nobody has set."),
    Option("add-config", "Configs to be added: 'k1=v1,k2=[v1,v2],k3=v3'.", "k=v,..."),
    Option("add-config-file", "Property file with configs to be added.", "path"),
    Option("delete-config", "Config keys to be removed: 'k1,k2'.", "k,..."),
    Option("entity-type", "topics, clients, users or brokers; users and clients may stand together.", "type"),
    Option("entity-name", "Name of the entity (topic, client id, user, broker id).", "name"),
    Option("entity-default", "The default of all clients, users or brokers."),
    Option("topic", "The topic's name.", "topic"),
    Option("client", "The client's id.", "client"),
    Option("user", "The user's name.", "user"),
    Option("broker", "The broker's id.", "id"),
    Option("client-defaults", "The config defaults of all clients."),
    Option("user-defaults", "The config defaults of all users."),
    Option("broker-defaults", "The config defaults of all brokers."),
    Option("force", "Accepted; nothing is asked."),
    takes_zookeeper=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entity:
    """`names` go with `types`, the empty one for the default; there may be fewer of them, which stands for all."""

    types: tuple[str, ...]
    names: tuple[str, ...]


def run() -> NoReturn:
    start(TOOL, main)


def main(parsed: Parsed) -> int:
    from raftkafka.cli.scripts.admin import admin_of
    from raftkafka.cli.scripts.entry import run_async
    from raftkafka.model.errors import ApiError

    entity = _checked(parsed)
    changes = _changes(parsed) if parsed.has("alter") else {}

    if parsed.has("zookeeper"):
        from raftkafka.cli.scripts.configs_zookeeper import alter, describe, entity_of

        if parsed.has("alter"):
            alter(parsed, entity_of(entity.types, entity.names), changes)
        else:
            describe(parsed, entity_of(entity.types, entity.names))
        return 0

    async def act() -> None:
        async with admin_of(parsed) as admin:
            if not parsed.has("alter"):
                await _describe(admin, entity, everything=parsed.has("all"))
                return
            if entity.types[0] in _QUOTA_TYPES:
                await _alter_quotas(admin, entity, changes)
            else:
                await _alter(admin, entity, changes)
        what = entity.types[0]
        if entity.names[0]:
            sys.stdout.write(f"Completed updating config for {what[:-1]} {entity.names[0]}.\n")
        else:
            sys.stdout.write(f"Completed updating default config for {what} in the cluster.\n")

    try:
        run_async(act())
    except ApiError as error:
        sys.stderr.write(f"Error while executing config command: {error}\n")
        return 1
    return 0


def _checked(parsed: Parsed) -> _Entity:
    """As ConfigCommandOptions.checkArgs; raises UsageError."""
    if parsed.has("alter") == parsed.has("describe"):
        raise UsageError("Command must include exactly one action: --describe, --alter")
    parsed.check_apart("describe", ("add-config", "add-config-file", "delete-config"))
    if parsed.has("bootstrap-server") == parsed.has("zookeeper"):
        if parsed.has("zookeeper"):
            raise UsageError("Only one of --bootstrap-server or --zookeeper must be specified")
        raise UsageError("--bootstrap-server must be specified")
    parsed.check_apart("zookeeper", ("command-config", "all"))
    entity = _entity(parsed)
    known = (*_NAMED.values(),)
    for each in entity.types:
        if each not in known:
            raise UsageError(f"Invalid entity type {each}, the entity type must be one of {', '.join(known)}")
    if not entity.types:
        raise UsageError("At least one entity type must be specified")
    if len(set(entity.types)) != len(entity.types):
        raise UsageError("Duplicate entity type(s) specified")
    if len(entity.types) > 1 and set(entity.types) != {"users", "clients"}:
        raise UsageError("Only 'users' and 'clients' entity types may be specified together")
    if len(entity.names) > len(entity.types):
        raise UsageError("More entity names specified than entity types")
    if entity.types == ("topics",) and "" in entity.names:
        raise UsageError("There is no default entity of topics: the defaults are configs of the brokers")
    if entity.types == ("brokers",) and any(name and not name.isdecimal() for name in entity.names):
        raise UsageError(f"The entity name for brokers must be a valid integer broker id, but it is: {entity.names[0]}")
    if parsed.has("alter"):
        if len(entity.names) != len(entity.types):
            raise UsageError("An entity name or default entity must be specified with --alter for every entity type")
        if parsed.has("add-config") and parsed.has("add-config-file"):
            raise UsageError("Only one of --add-config or --add-config-file must be specified")
        if not any(map(parsed.has, ("add-config", "add-config-file", "delete-config"))):
            raise UsageError(
                "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter"
            )
    return entity


def _entity(parsed: Parsed) -> _Entity:
    flags = [name for name in (*_NAMED, *_DEFAULTS) if parsed.has(name)]
    types = tuple(parsed.many("entity-type"))
    if flags and (types or parsed.has("entity-name") or parsed.has("entity-default")):
        raise UsageError("--entity-{type,name,default} should not be used in conjunction with specific entity flags")
    if flags:
        return _Entity(
            types=tuple(_NAMED.get(name) or _DEFAULTS[name] for name in flags),
            names=tuple((parsed.text(name) or "") if name in _NAMED else "" for name in flags),
        )
    given = iter(parsed.many("entity-name"))
    names = [
        next(given) if name == "entity-name" else ""
        for name in parsed.order
        if name in {"entity-name", "entity-default"}
    ]
    return _Entity(types=types, names=tuple(names))


def _changes(parsed: Parsed) -> dict[str, str | None]:
    """What is to be set, and what is to be deleted (None). Raises UsageError."""
    import re

    from raftkafka.cli.scripts.settings import read_file

    changes: dict[str, str | None] = {}
    changes.update(read_file(parsed.text("add-config-file")))
    if text := parsed.text("add-config"):
        # Commas and equals signs within square brackets belong to the value.
        for pair in re.split(r",(?=[^\]]*(?:\[|$))", text):
            key, equals, value = pair.partition("=")
            if not equals:
                raise UsageError('Invalid entity config: all configs to be added must be in the format "key=val".')
            changes[key.strip()] = value.replace("[", "").replace("]", "").strip()
    for keys in parsed.many("delete-config"):
        for key in keys.split(","):
            changes[key.strip()] = None
    for key in changes:
        if not re.fullmatch(r"[a-zA-Z0-9._-]+", key):
            raise UsageError(f"Invalid character found for config key: {key}")
    return changes


# Topics and brokers


async def _describe(admin: Admin, entity: _Entity, *, everything: bool) -> None:
    if entity.types[0] in _QUOTA_TYPES:
        await _describe_quotas(admin, entity)
        return
    [kind] = entity.types
    names = list(entity.names)
    if not names and kind == "topics":
        names = await admin.list_topics(include_internal=True)
    elif not names:
        names = [*(str(each.node_id) for each in (await admin.describe_cluster()).brokers), ""]
    for name in names:
        if name:
            sys.stdout.write(f"{'All' if everything else 'Dynamic'} configs for {kind[:-1]} {name} are:\n")
        else:
            sys.stdout.write(f"Default configs for {kind} in the cluster are:\n")
        for each in await _configs(admin, kind, name, everything=everything):
            sys.stdout.write(_line(each) + "\n")


def _line(config: DescribedConfig) -> str:
    from raftkafka.model.api.configs import ConfigSource

    synonyms = ", ".join(
        f"{ConfigSource(each.source).name}:{each.name}={_or_null(each.value)}" for each in config.synonyms
    )
    sensitive = str(config.is_sensitive).lower()
    return f"  {config.name}={_or_null(config.value)} sensitive={sensitive} synonyms={{{synonyms}}}"


def _or_null(value: str | None) -> str:
    return "null" if value is None else value


def _resource(kind: str, name: str) -> ConfigResource:
    from raftkafka.client.configs import ConfigResource
    from raftkafka.model.api.configs import ResourceType

    return ConfigResource(ResourceType.TOPIC if kind == "topics" else ResourceType.BROKER, name)


async def _configs(admin: Admin, kind: str, name: str, *, everything: bool) -> list[DescribedConfig]:
    """By name; without `everything` those that were set for exactly this entity."""
    from raftkafka.model.api.configs import ConfigSource

    if kind == "topics":
        own = ConfigSource.DYNAMIC_TOPIC_CONFIG
    else:
        own = ConfigSource.DYNAMIC_BROKER_CONFIG if name else ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG
    resource = _resource(kind, name)
    found = (await admin.describe_configs([resource], include_synonyms=True))[resource]
    return sorted([each for each in found if everything or each.source == own], key=lambda each: each.name)


async def _alter(admin: Admin, entity: _Entity, changes: Mapping[str, str | None]) -> None:
    from raftkafka.model.api.configs import AlterableConfig, AlterOperation

    kind, name = entity.types[0], entity.names[0]
    there = {each.name for each in await _configs(admin, kind, name, everything=False)}
    _check_deletions(changes, there)
    await admin.alter_configs(
        {
            _resource(kind, name): [
                AlterableConfig(
                    name=key, operation=AlterOperation.DELETE if value is None else AlterOperation.SET, value=value
                )
                for key, value in changes.items()
            ]
        }
    )


def _check_deletions(changes: Mapping[str, str | None], there: set[str]) -> None:
    missing = [key for key, value in changes.items() if value is None and key not in there]
    if missing:
        raise ConfigurationError(f"Invalid config(s): {','.join(missing)}")


# Quotas


async def _describe_quotas(admin: Admin, entity: _Entity) -> None:
    from raftkafka.model.api.quotas import QuotaFilter, QuotaMatch

    filters = []
    for at, kind in enumerate(entity.types):
        name = entity.names[at] if at < len(entity.names) else None
        match = QuotaMatch.ANY if name is None else QuotaMatch.EXACT if name else QuotaMatch.DEFAULT
        filters.append(QuotaFilter(entity_type=_QUOTA_TYPES[kind], match_type=match, match=name or None))
    for quota in await admin.describe_client_quotas(filters, strict=True):
        who = ", ".join(_title(each) for each in sorted(quota.entity, key=lambda each: each.entity_type != "user"))
        values = ", ".join(f"{each.key}={java_double(each.value)}" for each in quota.values)
        sys.stdout.write(f"Quota configs for {who} are {values}\n")


def _title(part: QuotaEntityPart) -> str:
    title = _QUOTA_TITLES[part.entity_type]
    return f"the default {title}" if part.entity_name is None else f"{title} '{part.entity_name}'"


async def _alter_quotas(admin: Admin, entity: _Entity, changes: Mapping[str, str | None]) -> None:
    from raftkafka.model.api.quotas import QuotaAlteration, QuotaEntityPart, QuotaFilter, QuotaMatch, QuotaOperation

    if scram := [key for key in changes if key.upper().startswith("SCRAM-")]:
        raise ConfigurationError(f"SCRAM credentials are not supported yet: {', '.join(scram)}")
    who = list(zip([_QUOTA_TYPES[kind] for kind in entity.types], entity.names, strict=True))
    filters = [
        QuotaFilter(entity_type=kind, match_type=QuotaMatch.EXACT if name else QuotaMatch.DEFAULT, match=name or None)
        for kind, name in who
    ]
    there = await admin.describe_client_quotas(filters, strict=True)
    _check_deletions(changes, {each.key for quota in there for each in quota.values})
    operations = []
    for key, value in changes.items():
        try:
            number = 0.0 if value is None else float(value)
        except ValueError:
            raise ConfigurationError(f"Cannot parse quota configuration value for {key}: {value}") from None
        operations.append(QuotaOperation(key=key, value=number, remove=value is None))
    parts = tuple(QuotaEntityPart(entity_type=kind, entity_name=name or None) for kind, name in who)
    await admin.alter_client_quotas([QuotaAlteration(entity=parts, operations=tuple(operations))])


def java_double(value: float) -> str:
    """As Java's Double.toString: 1024.0, 1.0E7."""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(float(value))
    text = next(text for places in range(17) if float(text := f"{value:.{places}e}") == value or places == 16)
    digits, _, exponent = text.partition("e")
    return f"{digits if '.' in digits else digits + '.0'}E{int(exponent)}"
