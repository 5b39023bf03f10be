"""What four-letter words answer, line by line."""

from __future__ import annotations

import dataclasses

from kazoo.client import ENVI_VERSION

from raftkafka.model.zookeeper.status import ConnectionStatus, SessionStatus, TrafficStatus, TreeStatus
from raftkafka.wire.zookeeper import reports

TREE = TreeStatus(
    serving=True,
    mode="leader",
    zxid=0x2_0000_000A,
    znodes=5,
    ephemerals=2,
    data_bytes=99,
    watches=3,
    watching=2,
    watched=2,
    sessions=2,
    server_id=1,
)
NOT_SERVING = dataclasses.replace(TREE, serving=False)
TRAFFIC = TrafficStatus(
    received=10, sent=9, outstanding=1, latency_min_ms=0.2, latency_avg_ms=1.25, latency_max_ms=7.6, latency_last_ms=2.4
)
CONNECTION = ConnectionStatus(
    address="10.0.0.7:4711",
    reading=True,
    session_id=-1,
    timeout_ms=10_000,
    last_operation="PING",
    last_xid=-2,
    last_zxid=10,
    established_ms=1_700_000_000_000,
    answered_ms=53_712_849,
    traffic=TRAFFIC,
)
STRANGER = dataclasses.replace(CONNECTION, session_id=0, reading=False)
SESSIONS = (
    SessionStatus(session_id=1, timeout_ms=10_000, ephemerals=("/e/1", "/e/2"), watches=("/b", "/a")),
    SessionStatus(session_id=-1, timeout_ms=4_000, watches=("/a",)),
    SessionStatus(session_id=3, timeout_ms=4_000),
)


def test_srvr_and_stat():
    server = (
        "Latency min/avg/max: 0/1.2500/8\nReceived: 10\nSent: 9\nConnections: 2\nOutstanding: 1\n"
        "Zxid: 0x20000000a\nMode: leader\nNode count: 5\n"
    )
    version = f"Zookeeper version: {reports.FULL_VERSION}\n"
    assert reports.srvr(TREE, TRAFFIC, connections=2) == version + server
    assert reports.stat(TREE, TRAFFIC, [CONNECTION, STRANGER]) == (
        version + "Clients:\n"
        " /10.0.0.7:4711[1](queued=1,recved=10,sent=9)\n"
        " /10.0.0.7:4711[0](queued=1,recved=10,sent=9)\n\n" + server
    )


def test_mntr_is_keys_and_values_between_tabs():
    pairs = dict(line.split("\t") for line in reports.mntr(TREE, TRAFFIC, connections=2, uptime_ms=5).splitlines())
    assert pairs["zk_server_state"] == "leader"
    assert pairs["zk_max_latency"] == "8"
    assert pairs["zk_uptime"] == "5"
    assert {pairs[f"zk_{key}"] for key in ("znode_count", "watch_count", "ephemerals_count")} == {"5", "3", "2"}


def test_who_does_not_serve_says_so():
    for said in (
        reports.srvr(NOT_SERVING, TRAFFIC, connections=0),
        reports.stat(NOT_SERVING, TRAFFIC, []),
        reports.mntr(NOT_SERVING, TRAFFIC, connections=0, uptime_ms=5),
    ):
        assert said == "This ZooKeeper instance is not currently serving requests\n"
    assert reports.isro(NOT_SERVING, writable=True) == "null"
    assert (reports.isro(TREE, writable=True), reports.isro(TREE, writable=False)) == ("rw", "ro")


def test_cons_tells_more_of_who_has_a_session():
    lines = reports.cons([CONNECTION, STRANGER]).split("\n")
    assert lines[0] == (
        " /10.0.0.7:4711[1](queued=1,recved=10,sent=9,sid=0xffffffffffffffff,lop=PING,est=1700000000000,to=10000"
        ",lcxid=0xfffffffffffffffe,lzxid=0xa,lresp=53712849,llat=2,minlat=0,avglat=1,maxlat=8)"
    )
    assert lines[1:] == [" /10.0.0.7:4711[0](queued=1,recved=10,sent=9)", "", ""]


def test_dump_and_watches():
    assert reports.dump(SESSIONS) == (
        "SessionTracker dump:\nGlobal Sessions(3):\n0x1\t10000ms\n0xffffffffffffffff\t4000ms\n0x3\t4000ms\n"
        "ephemeral nodes dump:\nSessions with Ephemerals (1):\n0x1:\n\t/e/1\n\t/e/2\n"
    )
    assert reports.wchs(TREE) == "2 connections watching 2 paths\nTotal watches:3\n"
    assert reports.wchc(SESSIONS) == "0x1\n\t/b\n\t/a\n0xffffffffffffffff\n\t/a\n"
    assert reports.wchp(SESSIONS) == "/a\n\t0x1\n\t0xffffffffffffffff\n/b\n\t0x1\n"


def test_kazoo_finds_the_version_in_envi():
    lines = dict(line.split("=", 1) for line in reports.envi((("host.name", "h"),)).splitlines()[1:])
    found = ENVI_VERSION.match(lines["zookeeper.version"])
    assert found is not None
    assert tuple(int(part) for part in found.group(1).split(".")) >= (3, 5, 7)
    assert lines["host.name"] == "h"


def test_a_path_is_one_line_whatever_is_in_it():
    odd = SessionStatus(session_id=1, timeout_ms=1, watches=("/a\u2028b",), ephemerals=("/\u0085",))
    assert reports.wchc((odd,)).splitlines() == ["0x1", "\t/a\\u2028b"]
    assert reports.dump((odd,)).splitlines()[-1] == "\t/\\x85"


def test_short_answers():
    assert reports.ruok() == "imok"
    assert reports.conf((("clientPort", 2181),)) == "clientPort=2181\n"
    assert reports.refused("dump") == "dump is not executed because it is not in the whitelist.\n"
