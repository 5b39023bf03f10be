"""Descriptors are shared out so that clients cannot take the last one."""

from __future__ import annotations

import resource

import pytest

from raftkafka.model.settings.values import NetworkSettings, Settings
from raftkafka.node.descriptors import raise_limit, within_limit


@pytest.mark.parametrize(
    ("descriptors", "connections", "segments"), [(1_024, 512, 256), (1 << 20, 10_000, 1_024), (2, 1, 1)]
)
def test_half_are_for_connections_and_a_quarter_for_closed_segments(descriptors, connections, segments):
    settings = within_limit(Settings(), descriptors)
    assert settings.network.connections_max == connections
    assert settings.log.open_segments_max == segments


def test_what_is_configured_is_never_raised_and_what_gives_way_is_told(caplog):
    few = within_limit(Settings(network=NetworkSettings(connections_max=5)), 1 << 16)
    assert few.network.connections_max == 5
    assert not caplog.messages
    within_limit(Settings(), 100)
    assert "max.connections is 50 here, not 10000" in caplog.text


def test_the_soft_limit_is_raised_to_the_hard_one(monkeypatch):
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, 4_096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    assert raise_limit() == 4_096
    assert asked == [(4_096, 4_096)]

    def refuse(_, limits):
        raise ValueError("not permitted")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_limit() == 1_024
