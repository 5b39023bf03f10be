"""`rk` against real nodes: what a user types, and what comes out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from raftkafka.cli.children import Children
from raftkafka.cli.layout import NodePlace, free_ports, plan, prepare
from tests.cluster_fixtures import QUICK

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
Rk = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[NodePlace]]:
    """One node that is a whole cluster, shared by the tests of this file."""
    directory = tmp_path_factory.mktemp("rk")
    places = plan(directory, free_ports(1))
    prepare(directory, places)
    with places[0].properties.open("a") as file:
        file.writelines(f"{key}={value}\n" for key, value in QUICK.items())
    with Children() as children:
        children.start(places[0])
        children.wait_ready(places, timeout_s=60)
        yield places


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    return "".join(char if char.isalnum() else "-" for char in request.node.name)


def command(places: list[NodePlace], *arguments: str) -> list[str]:
    return [sys.executable, "-m", "raftkafka.cli.main", *arguments, "--bootstrap-server", places[0].address]


@pytest.fixture
def rk(places: list[NodePlace]) -> Rk:
    def run(*arguments: str, given: str = "", fails: bool = False) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command(places, *arguments), input=given, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
        )
        assert bool(done.returncode) == fails, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def documents(done: subprocess.CompletedProcess[str]) -> list[Any]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_topics_come_and_go(rk: Rk, topic: str) -> None:
    created = rk("topic", "create", topic, "--partitions", "3", "--config", "retention.ms=60000")
    assert created.stdout == f"Created topic {topic}.\n"
    assert topic in rk("topic", "list").stdout.splitlines()
    assert topic in documents(rk("topic", "list", "--json"))[0]["topics"]
    [described] = documents(rk("topic", "describe", topic, "--json"))[0]["topics"]
    assert [partition["leader"] for partition in described["partitions"]] == [1, 1, 1]
    assert [partition["isr"] for partition in described["partitions"]] == [[1], [1], [1]]
    head, *rows = rk("topic", "describe", topic).stdout.splitlines()
    assert head.split() == ["TOPIC", "PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR"]
    assert [row.split()[:3] for row in rows] == [[topic, str(number), "1"] for number in range(3)]
    again = rk("topic", "create", topic, fails=True)
    assert again.stderr.startswith("rk: TOPIC_ALREADY_EXISTS")
    assert again.stderr.count("\n") == 1
    assert rk("topic", "delete", topic).stdout == f"Deleted topic {topic}.\n"
    assert topic not in rk("topic", "list").stdout.splitlines()
    assert rk("topic", "delete", topic, fails=True).stderr.startswith("rk: UNKNOWN_TOPIC_OR_PARTITION")


def test_a_refused_topic_says_why(rk: Rk) -> None:
    assert rk("topic", "create", "a/b", fails=True).stderr.startswith("rk: INVALID_TOPIC_EXCEPTION")
    refused = rk("topic", "create", "too-wide", "--replication-factor", "2", fails=True)
    assert refused.stderr.startswith("rk: INVALID_REPLICATION_FACTOR")


def test_lines_come_back_in_order(rk: Rk, topic: str, tmp_path: Path) -> None:
    lines = [f"line {number} é\t" for number in range(5_000)]
    rk("topic", "create", topic)
    report = tmp_path / "report.json"
    rk("produce", topic, "--report", str(report), given="\n".join(lines) + "\n")
    [partition] = json.loads(report.read_text())["partitions"]
    assert (partition["lines"], partition["ranges"]) == (5_000, [[0, 4_999]])
    assert rk("consume", topic, "--from-beginning", "--until-end").stdout.split("\n")[:-1] == lines


def test_where_reading_starts_and_ends(rk: Rk, topic: str) -> None:
    before_ms = int(time.time() * 1000) - 1
    rk("produce", topic, given="a\nb\nc\nd\n")
    assert rk("consume", topic, "--partition", "0", "--offset", "1", "--max-messages", "2").stdout == "b\nc\n"
    assert rk("consume", topic, "--timestamp", str(before_ms), "--until-end").stdout == "a\nb\nc\nd\n"
    assert rk("consume", topic, "--timestamp", str(before_ms + 3_600_000), "--until-end").stdout == ""
    assert rk("consume", topic, "--until-end").stdout == ""
    for more in ((), ("--until-end",)):
        beyond = rk("consume", topic, "--partition", "0", "--offset", "9", *more, fails=True)
        assert beyond.stderr.startswith("rk: OFFSET_OUT_OF_RANGE")
    assert "there is no partition 7" in rk("consume", topic, "--partition", "7", fails=True).stderr


def test_keys_and_json(rk: Rk, topic: str) -> None:
    rk("topic", "create", topic, "--partitions", "4")
    rk("produce", topic, "--key-separator", ":", given="k1:a\nk2:b\nk1:c\nno key\n")
    records = documents(rk("consume", topic, "--from-beginning", "--until-end", "--json"))
    assert sorted((record["key"] or "", record["value"]) for record in records) == [
        ("", "no key"), ("k1", "a"), ("k1", "c"), ("k2", "b"),
    ]  # fmt: skip
    assert len({record["partition"] for record in records if record["key"] == "k1"}) == 1
    assert all(record["topic"] == topic and record["headers"] == [] for record in records)


def test_headers_a_rate_and_templates(rk: Rk, topic: str) -> None:
    began = time.monotonic()
    rk("produce", topic, "--header", "a=1", "--header", "b=", "--rate", "10", given="x\n" * 11)
    assert time.monotonic() - began >= 1
    shown = rk("consume", topic, "--from-beginning", "--until-end", "--template", "{offset} {headers} [{key}] {value};")
    assert shown.stdout == "".join(f"{offset} a=1,b= [] x;" for offset in range(11))


def test_bytes_that_are_no_text(places: list[NodePlace], rk: Rk, topic: str) -> None:
    subprocess.run(command(places, "produce", topic), input=b"\xff\xfe\n", timeout=60, check=True, cwd=ROOT)
    [record] = documents(rk("consume", topic, "--from-beginning", "--max-messages", "1", "--json"))
    assert record["value_base64"] == "//4="


def test_cluster_status(rk: Rk) -> None:
    [status] = documents(rk("cluster", "status", "--json"))
    assert status["controller"] == 1
    assert [broker["fenced"] for broker in status["brokers"]] == [False]
    assert [voter["node_id"] for voter in status["voters"]] == [1]
    assert status["partitions"]["leaderless"] == status["partitions"]["under_replicated"] == 0
    assert "controller 1" in rk("cluster", "status").stdout


def test_the_cluster_is_watched_until_ctrl_c(places: list[NodePlace], rk: Rk, topic: str) -> None:
    watching = subprocess.Popen(
        command(places, "cluster", "status", "--watch", "0.1", "--json"), stdout=subprocess.PIPE, cwd=ROOT
    )
    assert watching.stdout is not None
    before = json.loads(watching.stdout.readline())["partitions"]["total"]
    rk("topic", "create", topic, "--partitions", "3")
    while json.loads(watching.stdout.readline())["partitions"]["total"] < before + 3:
        pass  # bounded by the test's own timeout
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=30)
    assert watching.returncode == 0


def test_the_bench_measures(rk: Rk, topic: str) -> None:
    rk("topic", "create", topic, "--partitions", "2")
    [sent] = documents(rk("bench", "producer", topic, "--records", "12000", "--record-size", "50", "--json"))
    assert (sent["records"], sent["bytes"]) == (12_000, 600_000)
    assert sent["records_per_second"] > 0
    [read] = documents(rk("bench", "consumer", topic, "--json"))
    assert (read["records"], read["bytes"]) == (12_000, 600_000)
    assert rk("bench", "producer", topic, "--records", "20", "--rate", "200").stdout.startswith("20 records sent")
    [times] = documents(rk("bench", "latency", topic, "--records", "50", "--rate", "200", "--json"))
    assert times["records"] == 50
    assert 0 < times["p50_ms"] <= times["p99_ms"] <= times["max_ms"]
    assert "p99" in rk("bench", "latency", topic, "--records", "5").stdout


def test_the_bench_reads_no_topic_that_is_missing(rk: Rk, topic: str) -> None:
    done = rk("bench", "consumer", topic, "--json", fails=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"rk: UNKNOWN_TOPIC_OR_PARTITION: topic '{topic}'\n"
    # Nor did the question create it.
    assert topic not in documents(rk("topic", "list", "--json"))[0]["topics"]


def test_metrics_and_health(places: list[NodePlace], rk: Rk, topic: str) -> None:
    rk("produce", topic, given="a\nb\n")
    with urllib.request.urlopen(places[0].metrics_url, timeout=20) as answer:
        text = answer.read().decode()
    assert f'raftkafka_partition_high_watermark{{topic="{topic}",partition="0"}} 2\n' in text
    assert "raftkafka_raft_is_leader 1\n" in text


def test_ctrl_c_ends_a_consumer_cleanly(places: list[NodePlace], rk: Rk, topic: str) -> None:
    rk("produce", topic, given="a\n")
    consumer = subprocess.Popen(
        command(places, "consume", topic, "--from-beginning"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    assert consumer.stdout is not None
    assert consumer.stdout.readline() == b"a\n"
    consumer.send_signal(signal.SIGINT)
    output, errors = consumer.communicate(timeout=30)
    assert (consumer.returncode, output, errors) == (0, b"", b"")


def test_ctrl_c_ends_a_waiting_producer(places: list[NodePlace], rk: Rk, topic: str) -> None:
    rk("topic", "create", topic)
    producer = subprocess.Popen(
        command(places, "produce", topic), stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    assert producer.stdin is not None
    producer.stdin.write(b"a\n")
    producer.stdin.flush()
    # The record is there: so the producer is up, and now waits for its next line.
    assert rk("consume", topic, "--from-beginning", "--max-messages", "1").stdout == "a\n"
    producer.send_signal(signal.SIGINT)
    assert producer.wait(30) == 130
    producer.stdin.close()
    assert producer.stderr is not None
    assert b"Traceback" not in producer.stderr.read()
    producer.stderr.close()


def test_a_reader_who_has_enough_is_no_failure(places: list[NodePlace], rk: Rk, topic: str) -> None:
    rk("produce", topic, given="x" * 100 + "\n" + "y\n" * 200_000)
    read_end, write_end = os.pipe()
    consumer = subprocess.Popen(
        command(places, "consume", topic, "--from-beginning"), stdout=write_end, stderr=subprocess.PIPE, cwd=ROOT
    )
    os.close(write_end)
    assert os.read(read_end, 10) == b"x" * 10
    os.close(read_end)
    _, errors = consumer.communicate(timeout=30)
    assert (consumer.returncode, errors) == (0, b"")


def test_a_port_in_use_is_one_line(places: list[NodePlace], tmp_path: Path) -> None:
    other = tmp_path / "server.properties"
    other.write_text(places[0].properties.read_text().replace(str(places[0].directory), str(tmp_path / "log")))
    done = subprocess.run(
        [sys.executable, "-m", "raftkafka.cli.main", "broker", str(other)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "in use" in done.stderr.splitlines()[-1]


@pytest.mark.timeout(300)
def test_the_demonstration_loses_nothing(tmp_path: Path) -> None:
    log = tmp_path / "some.log"
    log.write_text("".join(f"Nov 23 22:12:{number % 60:02d} host daemon[{number}]: event\n" for number in range(500)))
    done = subprocess.run(
        [
            sys.executable, "-m", "raftkafka.cli.main", "demo",
            "--log", str(log), "--lines", "20000", "--directory", str(tmp_path / "demo"),
        ],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All 20000 input lines together equal all lines read back: yes" in done.stdout
    assert "SIGKILL to node" in done.stdout
    assert list((tmp_path / "demo").iterdir()) == []


def test_a_topic_grows_and_partitions_are_moved(rk: Rk, topic: str, tmp_path: Path) -> None:
    """On one node nothing can move; what is refused and what is done at once can be seen all the same."""
    rk("topic", "create", topic)
    assert rk("topic", "alter", topic, "--partitions", "3").stdout == f"Topic {topic} has 3 partitions now.\n"
    assert documents(rk("topic", "alter", topic, "--partitions", "4", "--json")) == [{"topic": topic, "partitions": 4}]
    [described] = documents(rk("topic", "describe", topic, "--json"))[0]["topics"]
    assert len(described["partitions"]) == 4
    assert rk("topic", "alter", topic, "--partitions", "4", fails=True).stderr.startswith("rk: INVALID_PARTITIONS")

    moves = tmp_path / "moves.json"
    partition = {"topic": topic, "partition": 0}
    moves.write_text(json.dumps({"version": 1, "partitions": [{**partition, "replicas": [1]}]}))
    assert rk("reassign", "execute", str(moves)).stdout == f"Moving {topic}-0 to 1.\n"
    assert documents(rk("reassign", "execute", str(moves), "--json")) == [{"reassigning": [partition]}]
    assert rk("reassign", "list").stdout.split() == ["TOPIC", "PARTITION", "REPLICAS", "ADDING", "REMOVING"]
    assert documents(rk("reassign", "list", "--json")) == [{"reassignments": []}]
    assert rk("reassign", "cancel", str(moves)).stdout == "None of these partitions is moving.\n"
    proposed = rk("reassign", "generate", "--topic", topic, "--brokers", "1")
    moves.write_text(proposed.stdout)
    [both] = documents(rk("reassign", "generate", "--topic", topic, "--brokers", "1", "--json"))
    assert both["current"] == both["proposed"] == json.loads(proposed.stdout)
    assert rk("reassign", "verify", str(moves)).stdout.splitlines() == [
        f"Reassignment of partition {topic}-{number} is completed." for number in range(4)
    ]
    unknown = rk("reassign", "generate", "--topic", topic, "--brokers", "1,7", fails=True)
    assert "unknown broker(s): 7" in unknown.stderr
    moves.write_text(json.dumps({"version": 1, "partitions": [{**partition, "replicas": [9]}]}))
    other = rk("reassign", "verify", str(moves), "--json", fails=True)
    assert documents(other) == [{"partitions": [{**partition, "state": "other", "replicas": [1]}]}]
    refused = rk("reassign", "execute", str(moves), fails=True)
    assert refused.stderr.startswith("rk: INVALID_REPLICA_ASSIGNMENT")

    head, row = rk("cluster", "elect-leaders", "--topic", topic, "--partition", "0").stdout.splitlines()
    assert head.split() == ["TOPIC", "PARTITION", "OUTCOME"]
    assert row.split() == [topic, "0", "ELECTION_NOT_NEEDED"]
    [outcome] = documents(rk("cluster", "elect-leaders", "--json"))
    assert topic not in {each["topic"] for each in outcome["partitions"]}
