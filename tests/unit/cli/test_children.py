"""How long a command waits for its nodes, and what it says meanwhile."""

from __future__ import annotations

import pytest

from raftkafka.cli import children as module
from raftkafka.cli.children import Children
from raftkafka.cli.layout import plan
from raftkafka.model.errors import StartupError
from tests.clusters import _free_ports


@pytest.fixture
def places(tmp_path):
    return plan(tmp_path, _free_ports(2))


def answers(monkeypatch, *said):
    """What the nodes answer to one question after the other; the last answer stays."""
    left = list(said)
    monkeypatch.setattr(module, "readiness", lambda place: left.pop(0) if len(left) > 1 else left[0])
    monkeypatch.setattr(module, "_POLL_S", 0.001)


def test_who_waits_for_as_long_as_it_takes_is_told_for_what(places, monkeypatch):
    answers(monkeypatch, *["waiting for a majority"] * 60, "ready")
    told = []
    Children().wait_ready(places, timeout_s=0.01, tell=told.append)
    assert len(told) >= 2
    assert told[0].startswith("node 1 was not ready within 0.01 s (waiting for a majority); see ")
    assert told[0].endswith("waiting on, Ctrl-C stops")


def test_others_are_refused(places, monkeypatch):
    answers(monkeypatch, "waiting for a majority")
    with pytest.raises(StartupError, match=r"node 1 was not ready within 0.01 s \(waiting for a majority\)"):
        Children().wait_ready(places, timeout_s=0.01)
