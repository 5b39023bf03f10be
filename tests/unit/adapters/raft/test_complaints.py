"""One line per peer and reason, and the next one when it has gone on for a while."""

from __future__ import annotations

import logging

from raftkafka.adapters.raft.complaints import AGAIN_S, KINDS_MAX, Complaints

LOG = logging.getLogger("raftkafka.raft.test")


def test_the_same_complaint_is_made_once_until_a_while_has_passed(caplog):
    complaints = Complaints(LOG)
    for moment in range(10):
        complaints.say("node 2", "no proof", float(moment))
    complaints.say("node 3", "no proof", 10.0)
    complaints.say("node 2", "silent", 10.0)
    assert len(caplog.records) == 3
    complaints.say("node 2", "no proof", AGAIN_S + 1)
    assert "9 times more" in caplog.records[-1].getMessage()


def test_another_port_is_the_same_complaint_and_is_shown(caplog):
    complaints = Complaints(LOG)
    complaints.say("10.0.0.1", "no proof", 0.0, address="10.0.0.1:1111")
    complaints.say("10.0.0.1", "no proof", 1.0, address="10.0.0.1:2222")
    (record,) = caplog.records
    assert "10.0.0.1:1111: no proof" in record.getMessage()


def test_strangers_cannot_fill_the_memory():
    complaints = Complaints(LOG)
    for number in range(10 * KINDS_MAX):
        complaints.say("a stranger", f"reason {number}", 0.0)
    assert len(complaints._said) <= KINDS_MAX
