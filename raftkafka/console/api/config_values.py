"""Configs as the API shows them, of topics and of brokers. Floor 4."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from raftkafka.console.api.schema import Says
from raftkafka.metadata.topic_configs import TOPIC_CONFIGS
from raftkafka.model.api.configs import ConfigSource, DescribedConfig
from raftkafka.model.settings.keys import BY_NAME

_WITHOUT_BROKER_KEY: Final[Mapping[str, str]] = {
    "file.delete.delay.ms": "how long files of deleted segments stay",
    "flush.messages": "accepted for tools; `log.flush.policy` of the brokers decides",
    "flush.ms": "accepted for tools; `log.flush.policy` of the brokers decides",
    "follower.replication.throttled.replicas": "replicas (partition:broker, or *) whose catching up is throttled",
    "leader.replication.throttled.replicas": "replicas (partition:broker, or *) for whom leaders are throttled",
    "preallocate": "accepted for tools; segments grow as they are written",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigValue:
    name: str
    value: Annotated[str | None, Says("null where nothing is set, or where it is secret")]
    default: Annotated[str | None, Says("what would hold if nobody had set anything")]
    source: Annotated[
        str, Says("DYNAMIC_TOPIC_CONFIG, DYNAMIC_BROKER_CONFIG, ..., DEFAULT_CONFIG, as Kafka names them")
    ]
    read_only: bool
    documentation: str


def config_values(described: Iterable[DescribedConfig]) -> tuple[ConfigValue, ...]:
    """`described` with its synonyms."""
    return tuple([_value(each) for each in described])


def _value(config: DescribedConfig) -> ConfigValue:
    defaults = [each.value for each in config.synonyms if each.source == ConfigSource.DEFAULT_CONFIG]
    return ConfigValue(
        name=config.name,
        value=config.value,
        default=defaults[-1] if defaults else None,
        source=ConfigSource(config.source).name,
        read_only=config.read_only,
        documentation=documentation(config.name),
    )


def documentation(name: str) -> str:
    """What a config of a topic or broker means; "" for one that nobody has described."""
    topic = TOPIC_CONFIGS.get(name)
    key = BY_NAME.get(topic.broker_keys[0] if topic is not None and topic.broker_keys else name)
    return _WITHOUT_BROKER_KEY.get(name, "") if key is None else key.meaning
