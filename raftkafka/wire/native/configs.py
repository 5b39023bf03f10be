"""DescribeConfigs (32) and IncrementalAlterConfigs (44). Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.configs import (
    AlterableConfig,
    AlterConfigsResource,
    AlteredResource,
    ConfigSynonym,
    DescribeConfigs,
    DescribeConfigsResource,
    DescribeConfigsResponse,
    DescribedConfig,
    DescribedResource,
    IncrementalAlterConfigs,
    IncrementalAlterConfigsResponse,
)
from raftkafka.wire.native.fields import BOOL, COUNT, ERROR, INT8, STRING, Shape, array, nullable
from raftkafka.wire.native.rows import without_records

_ALTERABLE: Final = Shape(AlterableConfig, name=STRING, operation=INT8, value=nullable(STRING))
_TO_ALTER: Final = Shape(
    AlterConfigsResource, resource_type=INT8, resource_name=STRING, configs=array(_ALTERABLE.field)
)
_ALTERED: Final = Shape(
    AlteredResource, resource_type=INT8, resource_name=STRING, error_code=ERROR, error_message=nullable(STRING)
)
INCREMENTAL_ALTER_CONFIGS: Final = without_records(
    Shape(IncrementalAlterConfigs, resources=array(_TO_ALTER.field), validate_only=BOOL, timeout_ms=COUNT),
    Shape(IncrementalAlterConfigsResponse, resources=array(_ALTERED.field), throttle_time_ms=COUNT),
)

_TO_DESCRIBE: Final = Shape(
    DescribeConfigsResource,
    resource_type=INT8,
    resource_name=STRING,
    configuration_keys=nullable(array(STRING)),
)
_SYNONYM: Final = Shape(ConfigSynonym, name=STRING, value=nullable(STRING), source=INT8)
_DESCRIBED_CONFIG: Final = Shape(
    DescribedConfig,
    name=STRING,
    value=nullable(STRING),
    source=INT8,
    read_only=BOOL,
    is_sensitive=BOOL,
    config_type=INT8,
    synonyms=array(_SYNONYM.field),
)
_DESCRIBED: Final = Shape(
    DescribedResource,
    resource_type=INT8,
    resource_name=STRING,
    error_code=ERROR,
    error_message=nullable(STRING),
    configs=array(_DESCRIBED_CONFIG.field),
)
DESCRIBE_CONFIGS: Final = without_records(
    Shape(DescribeConfigs, resources=array(_TO_DESCRIBE.field), include_synonyms=BOOL),
    Shape(DescribeConfigsResponse, resources=array(_DESCRIBED.field), throttle_time_ms=COUNT),
)
