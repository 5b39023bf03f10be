"""The table of keys agrees with the values it fills."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from raftkafka.model.settings.kafka_keys import EXPLAINED, UNUSED, ZOOKEEPER_KEYS
from raftkafka.model.settings.keys import BY_NAME, KEYS, Key
from raftkafka.model.settings.values import Settings

NOT_FROM_A_KEY = {
    "http_auth_token",
    "cluster_secret",
    "election_timeout_max_ms",
    "log",
    "groups",
    "replica",
    "controller",
    "network",
    "zookeeper",
    "tracing",
    "given",
}


def part_of(key: Key) -> object:
    return getattr(Settings(), key.section) if key.section else Settings()


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_every_row_fills_an_existing_field(key: Key) -> None:
    part = part_of(key)
    assert replace(part, **{key.field: getattr(part, key.field)}) == part  # type: ignore[type-var]


def test_every_field_has_a_key() -> None:
    settings = Settings()
    parts = [
        settings,
        settings.log,
        settings.groups,
        settings.replica,
        settings.controller,
        settings.network,
        settings.zookeeper,
        settings.tracing,
    ]
    wanted = {field.name for part in parts for field in fields(part)} - NOT_FROM_A_KEY
    assert {key.field for key in KEYS} == wanted


def test_names_are_unique_and_no_used_key_is_called_unused() -> None:
    assert len(BY_NAME) == len(KEYS)
    assert not BY_NAME.keys() & (UNUSED | EXPLAINED.keys() | ZOOKEEPER_KEYS)


IN_THE_UNIT_OF_ITS_FIELD = [
    key
    for key in KEYS
    if isinstance(getattr(part_of(key), key.field), int) and not key.name.endswith((".hours", ".minutes"))
]


@pytest.mark.parametrize("key", IN_THE_UNIT_OF_ITS_FIELD, ids=lambda key: key.name)
def test_defaults_pass_their_own_parser(key: Key) -> None:
    default = getattr(part_of(key), key.field)
    assert key.parse(str(default)) == default
