"""Topic configs: known names, and values in range."""

from __future__ import annotations

import pytest

from raftkafka.metadata.topic_configs import why_invalid


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cleanup.policy", "delete"),
        ("cleanup.policy", "compact"),
        ("cleanup.policy", "compact, delete"),
        ("compression.type", "zstd"),
        ("min.cleanable.dirty.ratio", "0.5"),
        ("min.insync.replicas", "2"),
        ("retention.ms", "-1"),
        ("retention.bytes", "9223372036854775807"),
        ("unclean.leader.election.enable", "false"),
    ],
)
def test_legal(key, value):
    assert why_invalid(key, value) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cleanup.policy", "compact,compact"),
        ("cleanup.policy", ""),
        ("cleanup.policy", "shred"),
        ("compression.type", "rar"),
        ("min.cleanable.dirty.ratio", "nan"),
        ("min.cleanable.dirty.ratio", "1.5"),
        ("min.insync.replicas", "0"),
        ("retention.ms", "-2"),
        ("retention.ms", "--1"),
        ("retention.ms", "1e3"),
        ("retention.ms", "\u0661"),
        ("retention.ms", ""),
        ("retention.bytes", "9" * 5_000),
        ("retention.bytes", "9223372036854775808"),
        ("unclean.leader.election.enable", "yes"),
    ],
)
def test_illegal(key, value):
    assert key in why_invalid(key, value)


def test_unknown():
    assert why_invalid("retention.mss", "1") == "Unknown topic config name: retention.mss"
