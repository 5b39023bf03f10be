"""UpdateFeatures (57): raise the feature level of the metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureUpdate:
    """`metadata.version` is the only feature; `max_version_level` is the level that is to be in force."""

    feature: str
    max_version_level: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateFeatures:
    api_key: ClassVar[ApiKey] = ApiKey.UPDATE_FEATURES

    updates: tuple[FeatureUpdate, ...]
    validate_only: bool = False
    timeout_ms: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateFeaturesResponse:
    """FEATURE_UPDATE_FAILED with the broker that does not know the level, INVALID_REQUEST for a lower one or another feature.

    All updates are carried out, or none. `level` is the one in force.
    """

    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None
    level: int = 0
    throttle_time_ms: int = 0
