"""Whom `rk config` is about, and what its arguments ask for. Floor 5."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from raftkafka.client.configs import ConfigResource
from raftkafka.model.api.configs import AlterableConfig, AlterOperation, ResourceType
from raftkafka.model.api.quotas import (
    CLIENT_ID,
    USER,
    QuotaAlteration,
    QuotaEntityPart,
    QuotaFilter,
    QuotaMatch,
    QuotaOperation,
)

_HINT: Final = "--topic, --broker, --all-brokers, --user or --client-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A topic, a broker, all brokers; or, with `parts`, a user, a client id, or both."""

    type: ResourceType = ResourceType.UNKNOWN
    name: str = ""
    parts: tuple[QuotaEntityPart, ...] = ()

    def __str__(self) -> str:
        if self.is_client:
            return ", ".join(
                f"{part.entity_type} {part.entity_name}" if part.entity_name else f"the default {part.entity_type}"
                for part in self.parts
            )
        return str(self.resource)

    @property
    def is_client(self) -> bool:
        return bool(self.parts)

    @property
    def resource(self) -> ConfigResource:
        return ConfigResource(self.type, self.name)

    @property
    def named(self) -> dict[str, Any]:
        """As the JSON documents name it."""
        if self.is_client:
            return {"entity": [{"type": part.entity_type, "name": part.entity_name} for part in self.parts]}
        if self.type is ResourceType.TOPIC:
            return {"topic": self.name}
        return {"broker": int(self.name) if self.name else None}

    @property
    def filters(self) -> list[QuotaFilter]:
        return [
            QuotaFilter(
                entity_type=part.entity_type,
                match_type=QuotaMatch.DEFAULT if part.entity_name is None else QuotaMatch.EXACT,
                match=part.entity_name,
            )
            for part in self.parts
        ]

    def settings(self, pairs: Sequence[str]) -> list[AlterableConfig] | list[QuotaOperation]:
        """What KEY=VALUE, KEY+=VALUE and KEY-=VALUE ask for."""
        configs = [_config(pair) for pair in pairs]
        if not self.is_client:
            return configs
        quotas: list[QuotaOperation] = []
        for pair, config in zip(pairs, configs, strict=True):
            value = _number(config.value)
            if value is None or config.operation != AlterOperation.SET:
                raise click.BadParameter(f"{pair!r}: a quota is set to a number", param_hint="KEY=VALUE")
            if not math.isfinite(value):
                raise click.BadParameter(f"{pair!r}: a quota is a finite number", param_hint="KEY=VALUE")
            quotas.append(QuotaOperation(key=config.name, value=value))
        return quotas

    def deletions(self, keys: Sequence[str]) -> list[AlterableConfig] | list[QuotaOperation]:
        for key in keys:
            if "=" in key:
                raise click.BadParameter(f"{key!r}: a key to delete has no value", param_hint="KEY")
        if self.is_client:
            return [QuotaOperation(key=key, remove=True) for key in keys]
        return [AlterableConfig(name=key, operation=AlterOperation.DELETE) for key in keys]

    def alteration(self, operations: Sequence[QuotaOperation]) -> QuotaAlteration:
        return QuotaAlteration(entity=self.parts, operations=tuple(operations))


def target_of(
    *,
    topic: str | None,
    broker: int | None,
    all_brokers: bool,
    user: str | None,
    default_user: bool,
    client_id: str | None,
    default_client_id: bool,
    needed: bool,
) -> Target | None:
    """The one that the options name; None where none is named and none is needed."""
    for name, given, default in (("user", user, default_user), ("client-id", client_id, default_client_id)):
        if given is not None and default:
            raise click.BadParameter(f"choose one of --{name} and --default-{name}", param_hint=f"--{name}")
    parts: list[QuotaEntityPart] = []
    if user is not None or default_user:
        parts.append(QuotaEntityPart(entity_type=USER, entity_name=user))
    if client_id is not None or default_client_id:
        parts.append(QuotaEntityPart(entity_type=CLIENT_ID, entity_name=client_id))
    chosen = [
        *([Target(type=ResourceType.TOPIC, name=topic)] if topic is not None else ()),
        *([Target(type=ResourceType.BROKER, name=str(broker))] if broker is not None else ()),
        *([Target(type=ResourceType.BROKER)] if all_brokers else ()),
        *([Target(parts=tuple(parts))] if parts else ()),
    ]
    if len(chosen) > 1 or (needed and not chosen):
        raise click.BadParameter("name one target", param_hint=_HINT)
    return chosen[0] if chosen else None


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def _config(pair: str) -> AlterableConfig:
    key, equals, value = pair.partition("=")
    operation = AlterOperation.SET
    if key.endswith("+"):
        key, operation = key[:-1], AlterOperation.APPEND
    elif key.endswith("-"):
        key, operation = key[:-1], AlterOperation.SUBTRACT
    if not equals or not key.strip():
        raise click.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="KEY=VALUE")
    return AlterableConfig(name=key.strip(), operation=operation, value=value.strip())
