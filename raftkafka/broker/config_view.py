"""What DescribeConfigs says: every config with its value, where that comes from, and what stands behind it.

Floor 3, pure. The order is Kafka's: the topic, this broker, all brokers, the file, the default.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from raftkafka.metadata.image import ALL_BROKERS, Image, Topic
from raftkafka.metadata.topic_configs import TOPIC_CONFIGS, TopicConfig
from raftkafka.model.api.configs import ConfigSource, ConfigSynonym, ConfigType, DescribedConfig
from raftkafka.model.settings.dynamic import DYNAMIC
from raftkafka.model.settings.keys import BY_NAME, KEYS, Key
from raftkafka.model.settings.values import Settings, Voter

_DEFAULTS: Final = Settings()
_SECRET: Final = ("password", "secret", "jaas", "keystore.key", "credential")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigView:
    """The configs as one broker sees them: `settings` are those of its file."""

    settings: Settings
    image: Image

    def of_topic(self, topic: Topic) -> Iterator[DescribedConfig]:
        for name, config in TOPIC_CONFIGS.items():
            behind = self._behind(config.broker_keys) if config.broker_keys else _default(name, config)
            own = topic.configs.get(name)
            if own is not None:
                behind = [ConfigSynonym(name=name, value=own, source=ConfigSource.DYNAMIC_TOPIC_CONFIG), *behind]
            value = behind[0].value
            if own is None and config.broker_keys and behind[0].source >= ConfigSource.STATIC_BROKER_CONFIG:
                # In the unit of the topic's config, whichever of the broker's keys says it.
                value = _text(_field(self.settings, BY_NAME[config.broker_keys[0]]))
            yield DescribedConfig(
                name=name,
                value=value,
                source=behind[0].source,
                config_type=config.kind,
                synonyms=tuple(behind),
            )

    def of_broker(self) -> Iterator[DescribedConfig]:
        """Of the broker whose settings these are."""
        given = dict(self.settings.given)
        names: dict[tuple[str, str], list[str]] = {}
        for key in KEYS:
            names.setdefault((key.section, key.field), []).append(key.name)
        for same in names.values():
            first = BY_NAME[same[0]]
            behind = self._behind(tuple(same))
            value = behind[0].value
            if behind[0].source >= ConfigSource.STATIC_BROKER_CONFIG:
                value = _text(_field(self.settings, first))
            yield _broker_config(first.name, value, behind, _kind(first))
            for other in same[1:]:
                if other in given:
                    static = [each for each in behind if each.name == other]
                    yield _broker_config(other, given[other], static, _kind(first))
        for name, text in given.items():
            if name not in BY_NAME:
                static = [ConfigSynonym(name=name, value=text, source=ConfigSource.STATIC_BROKER_CONFIG)]
                yield _broker_config(name, text, static, ConfigType.STRING)

    def of_all_brokers(self) -> Iterator[DescribedConfig]:
        """What was set as the default of all brokers, and nothing else, as in Kafka."""
        for name, value in self.image.broker_configs.get(ALL_BROKERS, {}).items():
            source = ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG
            synonyms = [ConfigSynonym(name=name, value=value, source=source)]
            yield _broker_config(name, value, synonyms, _kind(BY_NAME[name]))

    def _behind(self, names: tuple[str, ...]) -> list[ConfigSynonym]:
        """What the broker's keys say, that which counts in front; the last one is the default."""
        found: list[ConfigSynonym] = []
        for node_id, source in (
            (self.settings.node_id, ConfigSource.DYNAMIC_BROKER_CONFIG),
            (ALL_BROKERS, ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG),
        ):
            configs = self.image.broker_configs.get(node_id, {})
            found += [ConfigSynonym(name=name, value=configs[name], source=source) for name in names if name in configs]
        given = dict(self.settings.given)
        static = [name for name in names if name in given]
        value, default = _field(self.settings, BY_NAME[names[0]]), _field(_DEFAULTS, BY_NAME[names[0]])
        for name in static:
            found.append(ConfigSynonym(name=name, value=given[name], source=ConfigSource.STATIC_BROKER_CONFIG))
        if not static and value != default:
            # Given to the node by other means than a file.
            found.append(ConfigSynonym(name=names[0], value=_text(value), source=ConfigSource.STATIC_BROKER_CONFIG))
        found.append(ConfigSynonym(name=names[0], value=_text(default), source=ConfigSource.DEFAULT_CONFIG))
        return found


def _default(name: str, config: TopicConfig) -> list[ConfigSynonym]:
    return [ConfigSynonym(name=name, value=config.default, source=ConfigSource.DEFAULT_CONFIG)]


def _broker_config(name: str, value: str | None, behind: list[ConfigSynonym], kind: ConfigType) -> DescribedConfig:
    sensitive = any(word in name for word in _SECRET) and name not in BY_NAME
    return DescribedConfig(
        name=name,
        value=None if sensitive else value,
        source=behind[0].source,
        read_only=name not in DYNAMIC,
        is_sensitive=sensitive,
        config_type=ConfigType.PASSWORD if sensitive else kind,
        synonyms=() if sensitive else tuple(behind),
    )


def _field(settings: Settings, key: Key) -> object:
    value: object = getattr(getattr(settings, key.section) if key.section else settings, key.field)
    return value


def _text(value: object) -> str | None:
    """A value as it would stand in the file; None for one that is not set."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(_text(each) or "" for each in value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Voter):
        return f"{value.node_id}@{value.host}:{value.port}"
    return str(value)


def _kind(key: Key) -> ConfigType:
    default = _field(_DEFAULTS, key)
    if isinstance(default, bool):
        return ConfigType.BOOLEAN
    if isinstance(default, int):
        return (
            ConfigType.LONG if key.name.endswith((".ms", ".bytes", ".rate", ".hours", ".minutes")) else ConfigType.INT
        )
    if isinstance(default, float):
        return ConfigType.DOUBLE
    return ConfigType.LIST if isinstance(default, tuple) else ConfigType.STRING
