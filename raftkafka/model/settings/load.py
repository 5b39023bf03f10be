"""From the text of `server.properties` to `Settings`: the only reader of that file.

Floor 0. A node never starts on a guess: an unknown key, a malformed value or a contradiction is a `ConfigurationError` that
names file and line. Kafka only warns of unknown keys; here a typing error must not silently leave a default in force.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from raftkafka.model.errors import ConfigurationError
from raftkafka.model.settings import kafka_keys, parsers
from raftkafka.model.settings.keys import BY_NAME, KEYS, Key
from raftkafka.model.settings.properties import Property, parse
from raftkafka.model.settings.validate import advise, validate
from raftkafka.model.settings.values import Listener, Settings

_OVERRIDDEN: Final = 0
"""The line of what stands in no file."""
_ROLES: Final = frozenset({"broker", "controller"})
_SHAPING: Final = (
    "process.roles",
    "controller.listener.names",
    "listener.security.protocol.map",
    "security.inter.broker.protocol",
)
"""Kafka's keys that give other keys their meaning; they fill no field of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings that may be started, and `notes` for the log: one line each, with file and line."""

    settings: Settings
    notes: tuple[str, ...]


def load(text: str, *, source: str, overrides: Mapping[str, str] = MappingProxyType({})) -> Loaded:
    """Settings of a `server.properties`; `source` is its name in messages. Empty text gives a one-node cluster on loopback.

    `overrides` stand in place of what the file says for their keys, as kafka-server-start's `--override`.

    Raises:
        ConfigurationError: "server.properties:12: ..." in one line.
    """
    replaced = tuple(found for found in parse(text, source=source) if found.key not in overrides)
    given = tuple(Property(key=key, value=value, line=_OVERRIDDEN) for key, value in overrides.items())
    return _Reading((*replaced, *given), source).loaded()


class _Reading:
    """One pass over one file; it keeps the line numbers at hand for messages."""

    def __init__(self, properties: tuple[Property, ...], source: str) -> None:
        self._source = source
        self._notes: list[str] = []
        self._found: dict[str, Property] = {}
        for found in properties:
            if (earlier := self._found.get(found.key)) is not None:
                self._note(
                    found.key, f"'{found.key}' stands on line {earlier.line} too; the later one counts", at=found
                )
            self._found[found.key] = found

    def loaded(self) -> Loaded:
        for name in self._found:
            self._recognise(name)
        settings = self._with_controller_listener(self._assemble(self._field_values()))
        given = tuple((found.key, found.value) for found in self._found.values())
        settings = replace(settings, given=given)
        self._check_roles_and_security(settings)
        validate(settings, where=self._where)
        for key, sentence in advise(settings):
            self._note(key, sentence)
        if "zookeeper.connect" in self._found and not settings.voters:
            self._note("zookeeper.connect", "without controller.quorum.voters this node is a cluster of its own")
        return Loaded(settings=settings, notes=tuple(self._notes))

    def _recognise(self, name: str) -> None:
        value = self._found[name].value
        if name in BY_NAME or name in _SHAPING:
            return
        if name in kafka_keys.REFUSED:
            if value:
                raise self._error(name, f"{name}: {kafka_keys.REFUSED[name]}")
            return
        note = kafka_keys.note_on(name)
        if note is None:
            raise self._error(name, f"unknown key '{name}'{nearest(name)}")
        self._note(name, f"'{name}' is ignored: {note}" if note != kafka_keys.UNUSED_NOTE else f"'{name}' {note}")

    def _field_values(self) -> dict[tuple[str, str], object]:
        values: dict[tuple[str, str], object] = {}
        winners: dict[tuple[str, str], Key] = {}
        for key in KEYS:
            if key.name not in self._found:
                continue
            value = self._parsed(key.name, key.parse)
            target = (key.section, key.field)
            if (winner := winners.get(target)) is None:
                winners[target], values[target] = key, value
            elif target == ("", "node_id"):
                if value != values[target]:
                    raise self._error(key.name, f"{key.name} and {winner.name} differ; one of them is enough")
            else:
                self._note(key.name, f"'{key.name}' is ignored: '{winner.name}' goes first")
        return values

    @staticmethod
    def _assemble(values: dict[tuple[str, str], object]) -> Settings:
        settings = Settings()
        # mypy cannot follow field names that come from a table; the table's own test checks name and type of every row.
        sections: dict[str, dict[str, Any]] = {}
        for (section, field), value in values.items():
            sections.setdefault(section, {})[field] = value
        top = sections.pop("", {})
        for section, fields in sections.items():
            if "election_timeout_min_ms" in fields:
                fields["election_timeout_max_ms"] = 2 * fields["election_timeout_min_ms"]
            top[section] = replace(getattr(settings, section), **fields)
        return replace(settings, **top)

    def _with_controller_listener(self, settings: Settings) -> Settings:
        """KRaft files list the controller's listener among the others; take it out from there."""
        names = {name.upper() for name in self._parsed("controller.listener.names", parsers.names) or ()}
        protocols = dict(self._parsed("listener.security.protocol.map", parsers.protocol_map) or ())
        for listener in settings.listeners:
            if listener.name in names:
                protocols.setdefault(listener.name, "PLAINTEXT")
            self._check_protocol(listener, protocols)
        for listener in settings.listeners:
            if listener.name in names and settings.controller_listener is None:
                rest = tuple(other for other in settings.listeners if other.name not in names)
                if not rest:
                    raise self._error("listeners", "listeners: none is left for clients beside the controller's")
                settings = replace(settings, listeners=rest, controller_listener=replace(listener, name="CONTROLLER"))
        return settings

    def _check_protocol(self, listener: Listener, protocols: dict[str, str]) -> None:
        protocol = protocols.get(listener.name, listener.name)
        if protocol in {"SSL", "SASL_PLAINTEXT", "SASL_SSL"}:
            raise self._error(
                "listeners", f"listeners: {listener.name} asks for {protocol}, which is not supported yet"
            )
        if protocol != "PLAINTEXT":
            raise self._error(
                "listeners",
                f"listeners: no security protocol is known for {listener.name}; "
                f"add listener.security.protocol.map={listener.name}:PLAINTEXT",
            )

    def _check_roles_and_security(self, settings: Settings) -> None:
        roles = self._parsed("process.roles", parsers.names)
        votes = not settings.voters or any(voter.node_id == settings.node_id for voter in settings.voters)
        wanted = _ROLES if votes else {"broker"}
        if roles and set(roles) != wanted:
            raise self._error(
                "process.roles",
                f"process.roles: must be {','.join(sorted(wanted))} for a node that is "
                f"{'one' if votes else 'none'} of controller.quorum.voters",
            )
        protocol = self._parsed("security.inter.broker.protocol", parsers.word)
        if protocol not in {None, "PLAINTEXT"}:
            raise self._error(
                "security.inter.broker.protocol", f"security.inter.broker.protocol: {protocol} is not supported yet"
            )

    def _parsed(self, name: str, parser: parsers.Parser) -> Any:
        """The parsed value of a key, None when the file does not have it."""
        if name not in self._found:
            return None
        try:
            return parser(self._found[name].value)
        except ValueError as error:
            raise self._error(name, f"{name}: {error}") from None

    def _where(self, name: str) -> str:
        found = self._found.get(name)
        if found is not None and found.line == _OVERRIDDEN:
            return "--override: "
        return f"{self._source}:{found.line}: " if found else f"{self._source}: "

    def _error(self, name: str, sentence: str) -> ConfigurationError:
        return ConfigurationError(f"{self._where(name)}{sentence}")

    def _note(self, name: str, sentence: str, *, at: Property | None = None) -> None:
        place = f"{self._source}:{at.line}: " if at else self._where(name)
        self._notes.append(place + sentence)


def is_known(name: str) -> bool:
    """True for every key that we or Kafka have."""
    refused = name in kafka_keys.REFUSED
    return name in BY_NAME or name in _SHAPING or refused or kafka_keys.note_on(name) is not None


def nearest(name: str) -> str:
    """What was perhaps meant, as the end of a sentence."""
    known = [*BY_NAME, *_SHAPING, *kafka_keys.UNUSED, *kafka_keys.EXPLAINED, *kafka_keys.ZOOKEEPER_KEYS]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""
