"""Settings that change at run time: each has a row, is checked by its own parser, and lies over the file's."""

from __future__ import annotations

import pytest

from raftkafka.model.settings.dynamic import CLUSTER_WIDE, DYNAMIC, LISTS, not_dynamic, overlaid, why_invalid
from raftkafka.model.settings.dynamic import why_not_together as conflict
from raftkafka.model.settings.keys import BY_NAME
from raftkafka.model.settings.values import Settings


def test_every_dynamic_key_is_one_that_the_node_acts_on():
    assert BY_NAME.keys() >= DYNAMIC
    assert {BY_NAME[name].section for name in DYNAMIC} == {"log", "replica"}
    assert DYNAMIC >= CLUSTER_WIDE | LISTS


def test_no_two_dynamic_keys_fill_one_field():
    fields = [(BY_NAME[name].section, BY_NAME[name].field) for name in DYNAMIC]
    assert len(set(fields)) == len(fields)


@pytest.mark.parametrize(
    ("name", "value"),
    [("log.retention.ms", "soon"), ("log.cleanup.policy", "shred"), ("message.max.bytes", "1" * 2_000)],
)
def test_bad_values_get_one_line_that_names_the_key(name, value):
    wrong = why_invalid(name, value)
    assert wrong is not None
    assert name in wrong
    assert "\n" not in wrong


def test_values_lie_over_those_of_the_file_and_what_is_not_known_is_left_out():
    settings = Settings()
    after = overlaid(settings, {"log.retention.ms": "5", "leader.replication.throttled.rate": "7", "port": "1"})
    assert (after.log.retention_ms, after.replica.leader_throttled_rate) == (5, 7)
    assert after.network == settings.network
    assert overlaid(settings, {"log.retention.ms": "soon"}) is settings


def test_keys_that_are_fixed_are_named():
    assert not_dynamic(["log.retention.ms"]) is None
    assert not_dynamic(["listeners", "log.retention.ms", "broker.id"]) == (
        "Cannot update these configs dynamically: broker.id, listeners"
    )


def test_a_least_lag_above_the_largest_is_no_pair():
    least, most = "log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"
    assert conflict({least: "5", most: "5"}) is None
    assert "larger" in (conflict({least: "6", most: "5"}) or "")
