"""All scripts alike: help, version, wrong usage in one line, what they say instead of ZooKeeper, and nothing heavy to import."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from raftkafka import __version__
from raftkafka.cli.scripts import (
    configs,
    console_consumer,
    console_producer,
    consumer_groups,
    delete_records,
    leader_election,
    preferred_replica_election,
    reassign_partitions,
    server_start,
    topics,
    zookeeper_server_start,
)
from raftkafka.cli.scripts.entry import run_tool
from raftkafka.cli.scripts.options import Parsed, Tool

Main = Callable[[Parsed], int]

SCRIPTS: dict[str, tuple[Tool, Main]] = {
    module.TOOL.name: (module.TOOL, module.main)
    for module in (
        topics,
        console_producer,
        console_consumer,
        consumer_groups,
        configs,
        reassign_partitions,
        leader_election,
        preferred_replica_election,
        delete_records,
    )
}
S = ("--bootstrap-server", "localhost:1")


def run(name: str, *arguments: str) -> int:
    return run_tool(*SCRIPTS[name], arguments)


def test_every_script_is_installed_under_its_name() -> None:
    installed = {each.name for each in entry_points(group="console_scripts") if each.value.startswith("raftkafka.")}
    assert {*SCRIPTS, "kafka-server-start.sh", "zookeeper-server-start.sh", "rk"} <= installed


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_and_version(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name, "--help") == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(SCRIPTS[name][0].summary)
    assert captured.err == ""
    assert run(name, "--version") == 0
    assert capsys.readouterr().out == f"raftkafka {__version__}\n"
    assert run(name) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(SCRIPTS[name][0].summary)
    assert captured.out == ""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("kafka-topics.sh --list --bootstrap-servr a", "bootstrap-servr is not a recognized option"),
        ("kafka-topics.sh --list", "--bootstrap-server must be specified"),
        ("kafka-topics.sh --list --create --topic a S", "Command must include exactly one action"),
        ("kafka-topics.sh --create S", 'Missing required argument "[topic]"'),
        ("kafka-topics.sh --create --topic a --partitions x S", "Cannot parse argument 'x' of option partitions"),
        ("kafka-topics.sh --create --topic a --partitions 0 S", "The partitions must be greater than 0"),
        ("kafka-topics.sh --create --topic a --replication-factor 0 S", "The replication factor must be between 1"),
        ("kafka-topics.sh --create --topic a --config retention.ms S", 'must be in the format "key=val"'),
        ("kafka-topics.sh --create --topic a --replica-assignment 1:1 S", "may not contain duplicate entries"),
        ("kafka-topics.sh --create --topic a --replica-assignment 1:2,1 S", "has different replication factor"),
        ("kafka-topics.sh --create --topic a --replica-assignment 1:b S", "Cannot parse argument"),
        (
            "kafka-topics.sh --create --topic a --replica-assignment 1:2 --partitions 1 S",
            'Option "[replica-assignment]" can\'t be used with option "[partitions]"',
        ),
        ("kafka-topics.sh --alter --topic a --config b=c S", "use kafka-configs.sh"),
        ("kafka-topics.sh --alter --topic a S", 'Missing required argument "[partitions]"'),
        ("kafka-topics.sh --delete --topic a --if-not-exists S", 'Option "[if-not-exists]"'),
        (
            "kafka-topics.sh --describe --under-replicated-partitions --topics-with-overrides S",
            'Option "[under-replicated-partitions]" can\'t be used with option "[topics-with-overrides]"',
        ),
        ("kafka-topics.sh --list --unavailable-partitions S", 'Option "[unavailable-partitions]"'),
        ("kafka-topics.sh --describe --if-exists S", 'Missing required argument "[topic]"'),
        ("kafka-console-producer.sh --topic a", 'Missing required argument "[bootstrap-server]"'),
        ("kafka-console-producer.sh S", 'Missing required argument "[topic]"'),
        ("kafka-console-producer.sh S --topic a --batch-size x", "Cannot parse argument 'x' of option batch-size"),
        ("kafka-console-producer.sh S --topic a --line-reader com.acme.Reader", "com.acme.Reader cannot be had"),
        ("kafka-console-producer.sh S --topic a --request-required-acks 2", "acks"),
        ("kafka-console-producer.sh S --topic a --property key.separator=", "key.separator may not be empty"),
        ("kafka-console-producer.sh S --topic a --producer.config /nowhere/x", "/nowhere/x: No such file"),
        ("kafka-console-consumer.sh S", "Exactly one of --include/--topic is required."),
        ("kafka-console-consumer.sh S --topic a --include b", "Exactly one of --include/--topic is required."),
        ("kafka-console-consumer.sh S --topic a --offset 1", "The partition is required when offset is specified."),
        ("kafka-console-consumer.sh S --include a --partition 1", "The topic is required when partition is specified."),
        ("kafka-console-consumer.sh S --topic a --partition 0 --offset -5", "The provided offset value '-5'"),
        ("kafka-console-consumer.sh S --topic a --partition -1", "Invalid partition -1"),
        ("kafka-console-consumer.sh S --topic a --partition 0 --group g", "cannot be specified together"),
        ("kafka-console-consumer.sh S --topic a --group g --consumer-property group.id=h", "do not match"),
        ("kafka-console-consumer.sh S --topic a --isolation-level some", "isolation-level is"),
        ("kafka-reassign-partitions.sh S --list --throttle 5", 'Option "[throttle]" can\'t be used with action'),
        ("kafka-console-consumer.sh S --topic a --formatter com.acme.F", "com.acme.F cannot be had"),
        ("kafka-console-consumer.sh S --topic a --value-deserializer com.acme.Avro", "com.acme.Avro"),
        (
            "kafka-console-consumer.sh S --topic a --from-beginning --consumer-property auto.offset.reset=latest",
            "please remove one option",
        ),
        ("kafka-console-consumer.sh S --topic a --consumer-property fetch.min.bytes=x", "Not a number"),
        ("kafka-reassign-partitions.sh S", "Command must include exactly one action"),
        ("kafka-reassign-partitions.sh --list", "Please specify --bootstrap-server"),
        ("kafka-reassign-partitions.sh S --execute", 'Missing required argument "[reassignment-json-file]"'),
        ("kafka-reassign-partitions.sh S --list --additional", "can't be used with action"),
        ("kafka-leader-election.sh --topic a", "Missing required option(s): bootstrap-server, election-type"),
        ("kafka-leader-election.sh S --election-type preferred", "One and only one of the following options"),
        ("kafka-leader-election.sh S --election-type preferred --topic a", "Missing required option(s): partition"),
        ("kafka-leader-election.sh S --election-type mine --all-topic-partitions", "Cannot parse argument 'mine'"),
        (
            "kafka-leader-election.sh S --election-type preferred --all-topic-partitions --partition 1",
            "Option partition is only allowed if topic is used",
        ),
        ("kafka-preferred-replica-election.sh --path-to-json-file a", "Exactly one of '[bootstrap-server]' or"),
        ("kafka-configs.sh S --entity-type topics", "Command must include exactly one action: --describe, --alter"),
        ("kafka-configs.sh --describe --entity-type topics", "--bootstrap-server must be specified"),
        ("kafka-configs.sh S --describe", "At least one entity type must be specified"),
        ("kafka-configs.sh S --describe --entity-type ips", "Invalid entity type ips, the entity type must be one of"),
        ("kafka-configs.sh S --describe --entity-type topics --entity-type users", "may be specified together"),
        ("kafka-configs.sh S --describe --entity-type users --entity-type users", "Duplicate entity type(s)"),
        ("kafka-configs.sh S --describe --topic a --entity-type users", "in conjunction with specific entity flags"),
        ("kafka-configs.sh S --describe --entity-type users --entity-name a --entity-name b", "More entity names"),
        ("kafka-configs.sh S --describe --broker a", "must be a valid integer broker id, but it is: a"),
        ("kafka-configs.sh S --describe --entity-type topics --entity-default", "no default entity of topics"),
        ("kafka-configs.sh S --alter --entity-type topics --add-config a=b", "An entity name or default entity"),
        ("kafka-configs.sh S --alter --topic a", "At least one of --add-config"),
        ("kafka-configs.sh S --alter --topic a --add-config b", 'must be in the format "key=val"'),
        ("kafka-configs.sh S --alter --topic a --add-config b!=c", "Invalid character found for config key: b!"),
        ("kafka-configs.sh S --alter --user a --add-config SCRAM-SHA-256=x --describe", "exactly one action"),
        ("kafka-configs.sh S --alter --user a --add-config SCRAM-SHA-256=x", "SCRAM credentials are not supported yet"),
        ("kafka-consumer-groups.sh S", "Command must include exactly one action"),
        ("kafka-consumer-groups.sh --list", 'Missing required argument "[bootstrap-server]"'),
        ("kafka-consumer-groups.sh S --describe", "takes one of these options: [all-groups], [group]"),
        ("kafka-consumer-groups.sh S --describe --group g --all-groups", 'Option "[group]" can\'t be used'),
        ("kafka-consumer-groups.sh S --describe --group g --members --state", "takes at most one of these options"),
        ("kafka-consumer-groups.sh S --describe --group g --state=Empty", "does not take a value for [state]"),
        ("kafka-consumer-groups.sh S --delete --group g --topic t", "does not support topic-specific offset deletion"),
        ("kafka-consumer-groups.sh S --delete-offsets --group g", 'Missing required argument "[topic]"'),
        ("kafka-consumer-groups.sh S --reset-offsets --group g --topic t", "requires one of these options"),
        ("kafka-consumer-groups.sh S --reset-offsets --group g --to-latest", "One of the reset scopes"),
        (
            "kafka-consumer-groups.sh S --reset-offsets --group g --topic t --to-latest --to-earliest",
            "requires one of these options",
        ),
        (
            "kafka-consumer-groups.sh S --reset-offsets --group g --topic t --to-latest --dry-run --execute",
            "only accepts one of [execute] and [dry-run]",
        ),
        ("kafka-delete-records.sh S", 'Missing required argument "[offset-json-file]"'),
        ("kafka-delete-records.sh S --offset-json-file /nowhere/x", "/nowhere/x: No such file"),
    ],
)
def test_wrong_usage_is_one_line_and_code_1(line: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, *arguments = line.split()
    where = arguments.index("S") if "S" in arguments else len(arguments)
    arguments[where : where + 1] = S if where < len(arguments) else ()
    assert run(name, *arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert words in captured.err


@pytest.mark.parametrize(
    ("hosts", "servers"),
    [
        ("localhost", "localhost:9092"),
        ("localhost:2181", "localhost:9092"),
        ("zk1:2181, zk2:2181/kafka", "zk1:9092,zk2:9092"),
    ],
)
def test_F3_F6_the_zookeeper_forms_name_bootstrap_server(
    hosts: str, servers: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raftkafka.cli.scripts.zookeeper.somebody_listens", lambda host, port: False)
    for words in (["--list"], ["--delete", "--topic", "x"]):
        assert run("kafka-topics.sh", *words, "--zookeeper", hosts) == 1
        captured = capsys.readouterr()
        assert captured.err == ""
        assert captured.out.count("\n") == 1
        assert captured.out.startswith(f"Error while executing topic command : Nobody listens at {hosts}: ")
        assert "set zookeeper.listener, or write " in captured.out
        assert f"--bootstrap-server {servers} in place of --zookeeper" in captured.out


def test_words_that_are_no_option_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("kafka-topics.sh", "frob", "--list") == 1
    assert "WARN 'frob' is not an option and is ignored" in capsys.readouterr().err


def test_a_file_that_is_not_what_it_should_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "some.json"
    for text in (b"\xff\xfe", b"{", b"[]", b'{"partitions":[7]}', b'{"version":2}', b"[" * 100_000):
        file.write_bytes(text)
        assert run("kafka-delete-records.sh", *S, "--offset-json-file", str(file)) == 1
        captured = capsys.readouterr()
        assert captured.err.startswith(f"{file}: ")
        assert captured.err.count("\n") == 1


def test_E8_the_zookeeper_script_explains_that_there_is_nothing_to_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert zookeeper_server_start.main(["config/zookeeper.properties"]) == 0
    assert "There is no ZooKeeper to start" in capsys.readouterr().out
    assert zookeeper_server_start.main(["-daemon", "config/zookeeper.properties"]) == 0
    assert zookeeper_server_start.main([]) == 1
    assert capsys.readouterr().out.endswith("USAGE: zookeeper-server-start.sh [-daemon] zookeeper.properties\n")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["-daemon"],
        ["-d", "server.properties"],
        ["server.properties", "--override"],
        ["server.properties", "--override", "broker.id"],
        ["server.properties", "broker.id=1"],
    ],
)
def test_wrong_usage_of_the_server_script(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert server_start.main(words) == 1
    captured = capsys.readouterr()
    assert captured.err == server_start.USAGE + "\n"


def test_the_server_script_names_what_is_wrong_with_an_override(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "server.properties"
    file.write_text("broker.id=1\n")
    assert server_start.main([str(file), "--override", "broker.id=one"]) == 1
    assert "--override: broker.id" in capsys.readouterr().err
    assert server_start.main([str(file), "--override=frob.nicate=1"]) == 1
    assert "--override: unknown key 'frob.nicate'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "module",
    [
        "topics",
        "configs",
        "consumer_groups",
        "console_producer",
        "console_consumer",
        "reassign_partitions",
        "preferred_replica_election",
        "server_start",
    ],
)
def test_scripts_import_nothing_heavy(module: str) -> None:
    """What --help needs: neither the client nor the event loop nor the node."""
    code = f"import json, sys, raftkafka.cli.scripts.{module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout)
    assert not {"asyncio", "uvloop", "click", "rich", "raftkafka.client.connection"} & set(loaded)
