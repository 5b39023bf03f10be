"""Decisions about the feature level of the metadata.

Floor 1, pure. Every registered broker has to know a level before it is in force, fenced ones too: who comes back must be able to
go on. Source: KIP-584.
"""

from __future__ import annotations

from raftkafka.metadata.commands import SetFeatureLevel
from raftkafka.metadata.decide import Decision
from raftkafka.metadata.image import Image
from raftkafka.model.api.features import UpdateFeatures, UpdateFeaturesResponse
from raftkafka.model.errors import ErrorCode
from raftkafka.model.features import METADATA_VERSION, FeatureRange


def decide_update_features(image: Image, request: UpdateFeatures, *, known: FeatureRange) -> Decision:
    """Raise the level, or with `validate_only` say whether that is possible. `known` are the controller's own levels."""
    refusal = _why_not(image, request, known)
    if refusal is not None:
        code, message = refusal
        return Decision(
            respond=lambda after: UpdateFeaturesResponse(
                error_code=code, error_message=message, level=after.feature_level
            )
        )
    level = request.updates[0].max_version_level
    if request.validate_only or level == image.feature_level:
        return Decision(respond=lambda after: UpdateFeaturesResponse(level=after.feature_level))
    command = SetFeatureLevel(level=level, replaces=image.feature_level)
    return Decision(commands=(command,), respond=lambda after: _updated(after, level))


def _why_not(image: Image, request: UpdateFeatures, known: FeatureRange) -> tuple[ErrorCode, str] | None:
    if [each.feature for each in request.updates] != [METADATA_VERSION]:
        return ErrorCode.INVALID_REQUEST, f"{METADATA_VERSION} is the one feature that there is"
    level = request.updates[0].max_version_level
    if level < image.feature_level:
        return (
            ErrorCode.INVALID_REQUEST,
            f"the feature level is {image.feature_level} and cannot be lowered: the metadata may hold what {level} does not know",
        )
    if level not in known:
        return ErrorCode.FEATURE_UPDATE_FAILED, f"the controller knows the levels {known}, not {level}"
    for _, broker in sorted(image.brokers.items()):
        if level not in broker.features:
            return (
                ErrorCode.FEATURE_UPDATE_FAILED,
                f"broker {broker.node_id} knows the levels {broker.features}, not {level}: upgrade it first",
            )
    return None


def _updated(image: Image, level: int) -> UpdateFeaturesResponse:
    if image.feature_level == level:
        return UpdateFeaturesResponse(level=level)
    return UpdateFeaturesResponse(
        error_code=ErrorCode.FEATURE_UPDATE_FAILED,
        error_message="a broker that does not know the level registered at the same time",
        level=image.feature_level,
    )
