"""Whom `rk config` is about, and what is no config."""

from __future__ import annotations

import click
import pytest

from raftkafka.cli.config_target import target_of
from raftkafka.cli.main import main
from raftkafka.model.api.configs import AlterOperation
from raftkafka.model.api.quotas import QuotaMatch

NOBODY = {
    "topic": None,
    "broker": None,
    "all_brokers": False,
    "user": None,
    "default_user": False,
    "client_id": None,
    "default_client_id": False,
}


def target(**chosen):
    return target_of(**{**NOBODY, **chosen}, needed=True)


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        ({"topic": "t"}, "topic t"),
        ({"broker": 0}, "broker 0"),
        ({"all_brokers": True}, "the default of all brokers"),
        ({"user": "ann", "client_id": "app"}, "user ann, client-id app"),
        ({"default_user": True, "client_id": "app"}, "the default user, client-id app"),
    ],
)
def test_one_target_is_named(chosen, named):
    assert str(target(**chosen)) == named


@pytest.mark.parametrize(
    "chosen", [{}, {"topic": "t", "broker": 1}, {"broker": 1, "user": "ann"}, {"user": "a", "default_user": True}]
)
def test_none_or_more_than_one_is_wrong_usage(chosen):
    with pytest.raises(click.BadParameter):
        target(**chosen)


def test_nobody_stands_for_all_quotas_where_nobody_is_needed():
    assert target_of(**NOBODY, needed=False) is None


def test_pairs_become_operations():
    configs = target(topic="t").settings(["a=1", "b+=x,y", "c-=z", "d=e=f"])
    assert [(each.name, AlterOperation(each.operation).name, each.value) for each in configs] == [
        ("a", "SET", "1"),
        ("b", "APPEND", "x,y"),
        ("c", "SUBTRACT", "z"),
        ("d", "SET", "e=f"),
    ]
    (quota,) = target(user="ann").settings(["producer_byte_rate=1e6"])
    assert (quota.key, quota.value, quota.remove) == ("producer_byte_rate", 1e6, False)
    assert target(user="ann").deletions(["a"])[0].remove


def test_filters_ask_for_exactly_that_entity():
    filters = target(user="ann", default_client_id=True).filters
    assert [(each.entity_type, each.match_type, each.match) for each in filters] == [
        ("user", QuotaMatch.EXACT, "ann"),
        ("client-id", QuotaMatch.DEFAULT, None),
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["config", "set", "a=1"], "name one target"),
        (["config", "set", "a", "--topic", "t"], "is not KEY=VALUE"),
        (["config", "set", "=1", "--topic", "t"], "is not KEY=VALUE"),
        (["config", "set", "producer_byte_rate=fast", "--user", "ann"], "a quota is set to a number"),
        (["config", "set", "producer_byte_rate=nan", "--user", "ann"], "finite"),
        (["config", "set", "producer_byte_rate+=1", "--user", "ann"], "a quota is set to a number"),
        (["config", "delete", "a=1", "--topic", "t"], "has no value"),
        (["config", "set", "a=1", "--broker", "one"], "--broker"),
        (["config", "describe", "--topic", "t", "--broker", "1"], "name one target"),
    ],
)
def test_wrong_usage_is_one_line(arguments, words, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
