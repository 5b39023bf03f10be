"""DescribeClientQuotas (48) and AlterClientQuotas (49). Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.quotas import (
    AlterClientQuotas,
    AlterClientQuotasResponse,
    AlteredQuota,
    DescribeClientQuotas,
    DescribeClientQuotasResponse,
    DescribedQuota,
    QuotaAlteration,
    QuotaEntityPart,
    QuotaFilter,
    QuotaOperation,
    QuotaValue,
)
from raftkafka.wire.native.fields import BOOL, COUNT, ERROR, FLOAT64, INT8, STRING, Shape, array, nullable
from raftkafka.wire.native.rows import without_records

_ENTITY: Final = array(Shape(QuotaEntityPart, entity_type=STRING, entity_name=nullable(STRING)).field)
_OPERATION: Final = Shape(QuotaOperation, key=STRING, value=FLOAT64, remove=BOOL)
_ALTERATION: Final = Shape(QuotaAlteration, entity=_ENTITY, operations=array(_OPERATION.field))
_ALTERED: Final = Shape(AlteredQuota, entity=_ENTITY, error_code=ERROR, error_message=nullable(STRING))
ALTER_CLIENT_QUOTAS: Final = without_records(
    Shape(AlterClientQuotas, entries=array(_ALTERATION.field), validate_only=BOOL, timeout_ms=COUNT),
    Shape(AlterClientQuotasResponse, entries=array(_ALTERED.field), throttle_time_ms=COUNT),
)

_FILTER: Final = Shape(QuotaFilter, entity_type=STRING, match_type=INT8, match=nullable(STRING))
_DESCRIBED: Final = Shape(
    DescribedQuota, entity=_ENTITY, values=array(Shape(QuotaValue, key=STRING, value=FLOAT64).field)
)
DESCRIBE_CLIENT_QUOTAS: Final = without_records(
    Shape(DescribeClientQuotas, components=array(_FILTER.field), strict=BOOL),
    Shape(
        DescribeClientQuotasResponse,
        error_code=ERROR,
        error_message=nullable(STRING),
        entries=array(_DESCRIBED.field),
        throttle_time_ms=COUNT,
    ),
)
