"""UpdateFeatures (57). Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.features import FeatureUpdate, UpdateFeatures, UpdateFeaturesResponse
from raftkafka.wire.native.fields import BOOL, COUNT, ERROR, INT32, STRING, Shape, array, nullable
from raftkafka.wire.native.rows import without_records

_FEATURE_UPDATE: Final = Shape(FeatureUpdate, feature=STRING, max_version_level=INT32)
UPDATE_FEATURES: Final = without_records(
    Shape(UpdateFeatures, updates=array(_FEATURE_UPDATE.field), validate_only=BOOL, timeout_ms=COUNT),
    Shape(
        UpdateFeaturesResponse,
        error_code=ERROR,
        error_message=nullable(STRING),
        level=COUNT,
        throttle_time_ms=COUNT,
    ),
)
