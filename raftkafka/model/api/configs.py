"""DescribeConfigs (key 32) and IncrementalAlterConfigs (key 44), KIP-133, KIP-226, KIP-339."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode


class ResourceType(IntEnum):
    """What has configs. A broker's name is its id; the empty name stands for the default of all brokers."""

    UNKNOWN = 0
    TOPIC = 2
    BROKER = 4


class ConfigSource(IntEnum):
    """Where a value comes from; the smaller number goes first."""

    UNKNOWN = 0
    DYNAMIC_TOPIC_CONFIG = 1
    DYNAMIC_BROKER_CONFIG = 2
    DYNAMIC_DEFAULT_BROKER_CONFIG = 3
    STATIC_BROKER_CONFIG = 4
    DEFAULT_CONFIG = 5


class ConfigType(IntEnum):
    """What kind of value a config has (KIP-569)."""

    UNKNOWN = 0
    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class AlterOperation(IntEnum):
    """DELETE goes back to the default. APPEND and SUBTRACT are for lists."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterableConfig:
    """`operation` is an `AlterOperation`; `value` is None for DELETE."""

    name: str
    operation: int = AlterOperation.SET
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterConfigsResource:
    """`resource_type` is a `ResourceType`. All of its configs are changed, or none."""

    resource_type: int
    resource_name: str
    configs: tuple[AlterableConfig, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncrementalAlterConfigs:
    """With `validate_only`, say what would come of it and change nothing."""

    api_key: ClassVar[ApiKey] = ApiKey.INCREMENTAL_ALTER_CONFIGS

    resources: tuple[AlterConfigsResource, ...]
    validate_only: bool = False
    timeout_ms: int = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AlteredResource:
    resource_type: int
    resource_name: str
    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IncrementalAlterConfigsResponse:
    resources: tuple[AlteredResource, ...]
    throttle_time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeConfigsResource:
    """`configuration_keys` None asks for all of them."""

    resource_type: int
    resource_name: str
    configuration_keys: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeConfigs:
    """A broker's own configs are known to that broker only: ask it itself. Everything else any node answers."""

    api_key: ClassVar[ApiKey] = ApiKey.DESCRIBE_CONFIGS

    resources: tuple[DescribeConfigsResource, ...]
    include_synonyms: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigSynonym:
    """A key that says something of the value, the one that counts first. `source` is a `ConfigSource`."""

    name: str
    value: str | None
    source: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedConfig:
    """`value` is None for what is not set, and for what is sensitive. `source` is a `ConfigSource`, `config_type` a `ConfigType`."""

    name: str
    value: str | None
    source: int
    read_only: bool = False
    is_sensitive: bool = False
    config_type: int = ConfigType.UNKNOWN
    synonyms: tuple[ConfigSynonym, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedResource:
    resource_type: int
    resource_name: str
    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None
    configs: tuple[DescribedConfig, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeConfigsResponse:
    resources: tuple[DescribedResource, ...]
    throttle_time_ms: int = 0
