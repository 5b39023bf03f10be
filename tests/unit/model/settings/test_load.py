"""`server.properties` as users write it, and the sentences they get when it cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raftkafka.model.errors import ConfigurationError
from raftkafka.model.settings.load import Loaded, load
from raftkafka.model.settings.values import FlushPolicy, Listener, Settings, Voter

THREE_VOTERS = "controller.quorum.voters=1@localhost:9093, 2@localhost:9193, 3@localhost:9293 \n"


def read(text: str) -> Loaded:
    return load(text, source="server.properties")


def refusal(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_file_at_all_is_one_node_on_loopback() -> None:
    loaded = read("")
    assert loaded == Loaded(settings=Settings(), notes=())
    assert loaded.settings.listeners == (Listener(name="PLAINTEXT", host="127.0.0.1", port=9092),)


def test_a_cluster_file() -> None:
    loaded = read(
        THREE_VOTERS
        + "broker.id=2\nlisteners=PLAINTEXT://localhost:9192\nlog.dirs=/a, /b\ncluster.secret.file=/etc/s\n"
        "delete.topic.enable = False\nlog.flush.policy=interval\nbroker.rack=r1\nhttp.listener=none\n"
    )
    settings = loaded.settings
    assert settings.node_id == 2
    assert settings.voters[2] == Voter(node_id=settings.voters[2].node_id, host="localhost", port=9293)
    assert settings.log_dirs == (Path("/a"), Path("/b"))
    assert settings.cluster_secret_file == Path("/etc/s")
    assert settings.delete_topic_enable is False
    assert settings.log.flush_policy is FlushPolicy.INTERVAL
    assert settings.rack == "r1"
    assert settings.http_listener is None
    assert loaded.notes == ()


def test_an_empty_host_is_every_interface() -> None:
    settings = read("listeners=PLAINTEXT://:9092\nallow.insecure.listeners = True ").settings
    assert settings.listeners == (Listener(name="PLAINTEXT", host="", port=9092),)


@pytest.mark.parametrize("value", ["true", "True", " TRUE ", "tRuE\t"])
def test_booleans_in_any_case(value: str) -> None:
    assert read(f"delete.topic.enable = {value}").settings.delete_topic_enable is True


@pytest.mark.parametrize(
    ("text", "retention_ms"),
    [
        ("log.retention.hours=2", 7_200_000),
        ("log.retention.hours=2\nlog.retention.minutes=3", 180_000),
        ("log.retention.ms=4\nlog.retention.hours=2\nlog.retention.minutes=3", 4),
        ("log.retention.minutes=-1", -1),
    ],
)
def test_the_finer_unit_goes_first(text: str, retention_ms: int) -> None:
    loaded = read(text)
    assert loaded.settings.log.retention_ms == retention_ms
    assert len(loaded.notes) == text.count("\n")


def test_the_election_timeout_is_a_range() -> None:
    controller = read("controller.quorum.election.timeout.ms=1000").settings.controller
    assert (controller.election_timeout_min_ms, controller.election_timeout_max_ms) == (1000, 2000)


def test_a_kraft_file_gives_its_controller_listener() -> None:
    settings = read(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@localhost:9093\n"
        "listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\ncontroller.listener.names=CONTROLLER\n"
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL\n"
    ).settings
    assert [str(listener) for listener in settings.listeners] == ["PLAINTEXT://localhost:9092"]
    assert str(settings.controller_listener) == "CONTROLLER://localhost:9093"


def test_zookeeper_keys_are_accepted_and_explained() -> None:
    notes = read("zookeeper.connect=zk001:2181, zk002:2181, zk003:2181/kafka ").notes
    assert len(notes) == 2
    assert all(note.startswith("server.properties:1: ") for note in notes)
    assert "controller.quorum.voters" in notes[0]
    assert "a cluster of its own" in notes[1]


def test_kafka_keys_without_use_are_accepted_with_a_note() -> None:
    notes = read("num.network.threads=3\nsocket.send.buffer.bytes=102400\nssl.keystore.type=JKS\n").notes
    assert [note.split(": ")[0] for note in notes] == [f"server.properties:{line}" for line in (1, 2, 3)]


def test_a_repeated_key_counts_the_last_time() -> None:
    loaded = read("num.partitions=2\n\nnum.partitions=3")
    assert loaded.settings.num_partitions == 3
    assert loaded.notes == ("server.properties:3: 'num.partitions' stands on line 1 too; the later one counts",)


def test_an_unknown_key_names_the_nearest() -> None:
    assert refusal("\n" * 11 + "log.retention.hour=2") == (
        "server.properties:12: unknown key 'log.retention.hour'; did you mean 'log.retention.hours'?"
    )
    assert refusal("xyzzy=2") == "server.properties:1: unknown key 'xyzzy'"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("num.partitions=two", 1, "must be a whole number, not 'two'"),
        ("num.partitions=0", 1, "must be between 1 and"),
        ("num.partitions=99999999999999999999999999", 1, "must be between 1 and"),
        ("num.partitions=1_0", 1, "must be a whole number"),
        ("delete.topic.enable=yes", 1, "must be true or false, not 'yes'"),
        ("log.retention.ms=0", 1, "not 0"),
        ("log.roll.ms=-1", 1, "between"),
        ("log.cleanup.policy=shred", 1, "delete, compact"),
        ("log.cleaner.min.cleanable.ratio=1.5", 1, "from 0 to 1"),
        ("otel.traces.sampler.arg=all", 1, "from 0 to 1"),
        ("otel.traces.exporter=zipkin", 1, "one of none, otlp"),
        ("otel.exporter.otlp.endpoint=collector:4317", 1, "http://host:port"),
        ("log.flush.policy=never", 1, "group, os, interval"),
        ("log.dirs=", 1, "at least one directory"),
        ("log.dirs=/a,/a", 1, "twice"),
        ("listeners=localhost:9092", 1, "not of the form NAME://host:port"),
        ("listeners=PLAINTEXT://localhost:port", 1, "the port must be a whole number"),
        ("listeners=PLAINTEXT://localhost:65536", 1, "the port must be between"),
        ("listeners=PLAINTEXT://::1:9092", 1, "in brackets"),
        ("listeners=PLAINTEXT://lo calhost:9092", 1, "no host name has"),
        ("broker.id=1\nadvertised.listeners=PLAINTEXT://**192.168.137.101**:9092", 2, "contains '*'"),
        ("listeners=PLAINTEXT://localhost:1,PLAINTEXT://localhost:2", 1, "a name of its own"),
        ("listeners=PLAINTEXT://localhost:1\nadvertised.listeners=OTHER://localhost:1", 2, "not among the listeners"),
        ("listeners=SSL://localhost:9092", 1, "SSL, which is not supported yet"),
        ("listeners=INSIDE://localhost:9092", 1, "listener.security.protocol.map=INSIDE:PLAINTEXT"),
        ("\nlisteners=PLAINTEXT://:9092", 2, "allow.insecure.listeners=true"),
        ("listeners=PLAINTEXT://10.0.0.1:9092", 1, "allow.insecure.listeners=true"),
        ("http.listener=HTTP://0.0.0.0:9644", 1, "allow.insecure.listeners=true"),
        ("allow.insecure.listeners=true\nlisteners=PLAINTEXT://0.0.0.0:9092", 2, "set advertised.listeners"),
        ("controller.quorum.voters=1@localhost", 1, "not of the form id@host:port"),
        ("controller.quorum.voters=1@:9093", 1, "has no host"),
        (THREE_VOTERS + "broker.id=1", 1, "needs cluster.secret.file"),
        (THREE_VOTERS + "broker.id=4", 1, "needs cluster.secret.file"),
        (
            THREE_VOTERS + "broker.id=4\ncluster.secret.file=s\nprocess.roles=broker,controller",
            4,
            "must be broker for a node",
        ),
        ("controller.quorum.voters=1@localhost:1,1@localhost:2", 1, "twice"),
        ("controller.quorum.voters=1@localhost:1,2@localhost:1", 1, "the same address"),
        ("node.id=1\nbroker.id=2", 2, "differ"),
        ("process.roles=broker", 1, "broker,controller"),
        ("authorizer.class.name=kafka.security.authorizer.AclAuthorizer", 1, "ACLs are not supported yet"),
        ("security.inter.broker.protocol=SSL", 1, "not supported yet"),
        ("broker.heartbeat.interval.ms=5000", 1, "at most half"),
        ("controller.quorum.election.timeout.ms=60", 1, "more than three times"),
        ("message.max.bytes=2000\nsocket.request.max.bytes=1000", 1, "exceeds"),
        ("replica.fetch.wait.max.ms=60000", 1, "leave the ISR"),
    ],
)
def test_refusals_name_the_line_and_the_reason(text: str, line: int, words: str) -> None:
    message = refusal(text)
    assert message.startswith(f"server.properties:{line}: ")
    assert words in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("min.insync.replicas=2", "accept no acks=all"),
        ("default.replication.factor=3\nmin.insync.replicas=2", "no topic is created"),
        ("controller.quorum.voters=1@localhost:1,2@localhost:2\ncluster.secret.file=s", "no more failures"),
    ],
)
def test_legal_surprises_are_noted(text: str, words: str) -> None:
    assert any(words in note for note in read(text).notes)


@given(st.text())
def test_any_text_is_loaded_or_refused_in_one_line(text: str) -> None:
    try:
        read(text)
    except ConfigurationError as error:
        assert str(error).startswith("server.properties:")  # noqa: PT017


def test_overrides_stand_in_place_of_the_file() -> None:
    text = "broker.id=1\nlog.retention.hours=5\n"
    loaded = load(text, source="server.properties", overrides={"broker.id": "7", "num.partitions": "3"})
    assert loaded.settings.node_id == 7
    assert loaded.notes == load(text, source="server.properties").notes
    assert load(text, source="server.properties").settings.node_id == 1
    with pytest.raises(ConfigurationError, match=r"^--override: num\.partitions"):
        load(text, source="server.properties", overrides={"num.partitions": "none"})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("127.0.0.1:2181", ("127.0.0.1", 2181)),
        ("ZOOKEEPER://localhost:0", ("localhost", 0)),
        ("", None),
        ("none", None),
    ],
)
def test_the_zookeeper_port_is_where_it_is_told_to_be(text: str, wanted: tuple[str, int] | None) -> None:
    listener = load(f"zookeeper.listener={text}\n", source="x").settings.zookeeper.listener
    assert (None if listener is None else (listener.host, listener.port)) == wanted


def test_there_is_no_zookeeper_port_by_default() -> None:
    assert load("", source="x").settings.zookeeper.listener is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("zookeeper.listener=2181", "is not of the form"),
        ("zookeeper.listener=0.0.0.0:2181", r"x:1: zookeeper\.listener: .* is reachable from other hosts"),
        ("zookeeper.min.session.timeout.ms=50000", "no client could have a session"),
        ("zookeeper.writable=maybe", "must be true or false"),
    ],
)
def test_a_zookeeper_port_that_cannot_be_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        load(text, source="x")
