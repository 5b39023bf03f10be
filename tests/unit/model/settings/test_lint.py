"""`rk lint`'s rules: the mistakes of real files, each with its file and line."""

from __future__ import annotations

import pytest

from raftkafka.model.settings.lint import Level, lint

SERVER = """\
# licensed to somebody

broker.id={number}
listeners=PLAINTEXT://:9092
advertised.listeners=PLAINTEXT://{host}:9092
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
log.dirs={logs}
num.partitions=1
offsets.topic.replication.factor=1
log.retention.hours=168
log.segment.bytes=1073741824
zookeeper.connect={zookeeper}
zookeeper.connection.timeout.ms=6000
group.initial.rebalance.delay.ms=0
"""
"""As Kafka 2.4 ships it, with what the document changes."""

ZOOKEEPER = "192.168.137.101:2181, 192.168.137.102:2181, 192.168.137.103:2181 "


def server(number: object = 1, host: str = "192.168.137.101", zookeeper: str = ZOOKEEPER, logs: str = "/data") -> str:
    return SERVER.format(number=number, host=host, zookeeper=zookeeper, logs=logs)


def found(*texts: str, level: Level = Level.ERROR) -> list[str]:
    files = [(f"server-{at}.properties", text) for at, text in enumerate(texts, start=1)]
    return [str(each) for each in lint(files) if each.level is level]


def test_E6_one_address_on_all_three_servers_names_both_brokers_and_the_lines():
    said = (
        "server-{0}.properties:5: error: advertised.listeners: broker {0} advertises 192.168.137.101:9092, "
        "which broker 1 advertises already (server-1.properties:5)"
    )
    assert found(server(1), server(2), server(3)) == [said.format(2), said.format(3)]


def test_E6_markdown_in_a_host_is_told_and_hides_no_other_mistake():
    texts = [server(1, "**192.168.137.101**"), server(2, "**192.168.137.101**")]
    first, second, third = found(*texts)
    assert first.startswith("server-1.properties:5: error: advertised.listeners: the host '**192.168.137.101**'")
    assert "Markdown" in first
    assert second.startswith("server-2.properties:5:")
    assert "broker 2 advertises 192.168.137.101:9092, which broker 1 advertises already" in third


def test_E7_blanks_and_a_chroot_in_zookeeper_connect_are_accepted():
    assert found(server()) == []
    notes = found(server(zookeeper=f"{ZOOKEEPER}/kafka"), level=Level.NOTE)
    assert (
        "server-1.properties:14: note: zookeeper.connect: accepted, 3 servers, chroot /kafka, the blanks do not count"
    ) in notes


def test_three_different_servers_have_no_error():
    assert found(*[server(each, f"192.168.137.10{each}") for each in (1, 2, 3)]) == []


def test_E4_a_log_directory_that_is_emptied_at_boot_is_a_warning():
    warnings = found(server(logs="/tmp/kafka-logs"), level=Level.WARNING)
    assert "server-1.properties:9: warning: log.dirs: /tmp/kafka-logs may be emptied at every boot" in warnings


def test_E5_a_listener_on_every_interface_is_a_warning_until_it_is_allowed():
    (warning,) = found(server(), level=Level.WARNING)
    assert warning.startswith("server-1.properties:4: warning: listeners: ")
    assert found(server() + "allow.insecure.listeners=true\n", level=Level.WARNING) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (server() + "log.retention.hour=1\n", ":17: error: unknown key 'log.retention.hour'; did you mean"),
        (server("one"), ":3: error: broker.id: must be a whole number"),
        (server(zookeeper="a:port"), ":14: error: zookeeper.connect: 'a:port' is not of the form host:port"),
        (server(zookeeper="/kafka"), ":14: error: zookeeper.connect: names no server"),
        (server() + "authorizer.class.name=x\n", ":17: error: authorizer.class.name: ACLs are not supported"),
        (server() + "node.id=7\n", "broker.id and node.id differ"),
        ("broker.id=1\n=2\n", ":2: error:"),
    ],
)
def test_every_mistake_of_a_file_has_its_line(text, told):
    assert any(told in each for each in found(text)), found(text)


def test_all_mistakes_of_a_file_are_told_at_once():
    text = server("one") + "num.partitions=many\nfoo=bar\n"
    assert len(found(text)) == 3


def test_one_id_in_two_files_and_voters_that_differ():
    voters = "controller.quorum.voters=1@a:1,2@b:1\ncluster.secret.file=s\n"
    errors = found(server(1, "a") + voters, server(1, "b") + voters.replace("2@b", "2@c"))
    assert any("broker.id=1 is the id of another broker too (server-1.properties:3)" in each for each in errors)
    assert any("differs from server-1.properties:17" in each for each in errors)


def test_findings_come_in_the_order_of_files_and_lines():
    findings = lint([("b", server(1) + "foo=1\n"), ("a", server(1) + "bar=1\n")])
    assert [each.file for each in findings] == sorted((each.file for each in findings), reverse=True)
    for name in "ab":
        lines = [each.line for each in findings if each.file == name]
        assert lines == sorted(lines)
