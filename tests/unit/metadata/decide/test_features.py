"""The feature level rises only as far as every registered broker knows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from raftkafka.metadata import commands as metadata_commands
from raftkafka.metadata.apply import apply, apply_all
from raftkafka.metadata.commands import RegisterBroker, SetFeatureLevel, decode, encode, level_of
from raftkafka.metadata.decide.brokers import decide_register
from raftkafka.metadata.decide.features import decide_update_features
from raftkafka.model.api.broker_lifecycle import BrokerRegistration, ListenerEndpoint
from raftkafka.model.api.features import FeatureUpdate, UpdateFeatures
from raftkafka.model.errors import ErrorCode
from raftkafka.model.features import METADATA_VERSION, FeatureRange
from raftkafka.model.ids import NodeId, RaftIndex

KNOWN = FeatureRange(lowest=1, highest=3)


def update(level: int, **fields) -> UpdateFeatures:
    return UpdateFeatures(updates=(FeatureUpdate(feature=METADATA_VERSION, max_version_level=level),), **fields)


def knowing(image, **highest: int):
    """The image with brokers `b1`, ... that know levels up to the given ones."""
    brokers = dict(image.brokers)
    for name, level in highest.items():
        node_id = NodeId(int(name[1:]))
        brokers[node_id] = replace(brokers[node_id], features=FeatureRange(lowest=1, highest=level))
    return replace(image, brokers=brokers)


def decided(image, request):
    decision = decide_update_features(image, request, known=KNOWN)
    after = apply_all(image, RaftIndex(99), decision.commands).image
    return decision.respond(after), after


def test_it_rises_when_all_know_it_and_not_before(cluster):
    image = knowing(cluster.image, b1=2, b2=2, b3=1)
    answer, after = decided(image, update(2))
    assert (answer.error_code, answer.level, after.feature_level) == (ErrorCode.FEATURE_UPDATE_FAILED, 1, 1)
    assert "broker 3 knows the levels 1 to 1, not 2" in str(answer.error_message)
    image = knowing(cluster.image, b1=2, b2=3, b3=2)
    answer, after = decided(image, update(2, validate_only=True))
    assert (answer.error_code, after.feature_level) == (ErrorCode.NONE, 1)
    answer, after = decided(image, update(2))
    assert (answer.error_code, answer.level, after.feature_level) == (ErrorCode.NONE, 2, 2)
    assert decided(after, update(2))[0].error_code is ErrorCode.NONE
    assert decided(after, update(1))[0].error_code is ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize("level", [0, -1, 4])
def test_levels_that_nobody_knows_are_refused(cluster, level):
    assert decided(knowing(cluster.image, b1=9, b2=9, b3=9), update(level))[0].error_code in (
        ErrorCode.FEATURE_UPDATE_FAILED,
        ErrorCode.INVALID_REQUEST,
    )


def test_there_is_one_feature(cluster):
    other = UpdateFeatures(updates=(FeatureUpdate(feature="kraft.version", max_version_level=1),))
    for request in (other, UpdateFeatures(updates=())):
        assert decided(cluster.image, request)[0].error_code is ErrorCode.INVALID_REQUEST


def test_what_was_decided_on_another_image_is_refused_by_apply(cluster):
    image = knowing(cluster.image, b1=2, b2=2, b3=2)
    assert apply(image, RaftIndex(9), SetFeatureLevel(level=2, replaces=0)).error is ErrorCode.INVALID_UPDATE_VERSION
    old = knowing(image, b2=1)
    assert apply(old, RaftIndex(9), SetFeatureLevel(level=2, replaces=1)).error is ErrorCode.FEATURE_UPDATE_FAILED
    assert decode(encode([SetFeatureLevel(level=2, replaces=1)])) == (SetFeatureLevel(level=2, replaces=1),)


def test_a_broker_that_does_not_know_the_level_in_force_is_not_registered(cluster):
    image = replace(cluster.image, feature_level=2)
    request = BrokerRegistration(
        broker_id=NodeId(9),
        cluster_id="",
        incarnation_id=b"i" * 16,
        listeners=(ListenerEndpoint(name="PLAINTEXT", host="h", port=1),),
        feature_level_min=1,
        feature_level_max=1,
    )
    answer = decide_register(image, request, alive=False).respond(image)
    assert answer.error_code is ErrorCode.UNSUPPORTED_VERSION
    assert "feature level 2, broker 9 knows 1 to 1" in str(answer.error_message)
    command = RegisterBroker(node_id=NodeId(9), incarnation_id=b"i" * 16, listeners=request.listeners)
    assert apply(image, RaftIndex(99), command).error is ErrorCode.UNSUPPORTED_VERSION
    newer = replace(request, feature_level_max=2)
    decision = decide_register(image, newer, alive=False)
    after = apply_all(image, RaftIndex(99), decision.commands).image
    assert after.brokers[NodeId(9)].features == FeatureRange(lowest=1, highest=2)


def test_a_command_may_ask_for_a_level(monkeypatch):
    command = SetFeatureLevel(level=2, replaces=1)
    assert level_of(command) == 1
    monkeypatch.setitem(metadata_commands.LEVELS, SetFeatureLevel, 2)
    assert level_of(command) == 2
