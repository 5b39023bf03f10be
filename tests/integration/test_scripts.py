"""Kafka's scripts against real nodes: the command lines of the documentation that users have, word for word.

Tests named after a row of a requirement (F2, E8, ...) hold its command line. The scripts are those that the package
installs beside the interpreter of the tests.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from raftkafka.cli.children import Children, readiness
from raftkafka.cli.layout import HOST, NodePlace, free_ports, plan, prepare
from tests.cluster_fixtures import QUICK, ClusterFactory
from tests.clusters import Cluster, eventually

pytestmark = pytest.mark.integration

SCRIPTS = Path(sys.executable).parent
PATIENCE_S = 100
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodePlace]:
    """One node that is a whole cluster, shared by the tests of this file."""
    directory = tmp_path_factory.mktemp("scripts")
    places = plan(directory, free_ports(1))
    prepare(directory, places)
    with places[0].properties.open("a") as file:
        file.writelines(f"{key}={value}\n" for key, value in QUICK.items())
    with Children() as children:
        children.start(places[0])
        children.wait_ready(places, timeout_s=60)
        yield places[0]


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    return "".join(char if char.isalnum() else "-" for char in request.node.name)


def words_of(line: str, address: str) -> list[str]:
    """The words of a command line; `S` stands for the address of a broker."""
    name, *words = line.split()
    return [str(SCRIPTS / name), *[word.replace("localhost:9092", address) for word in words]]


def run_line(
    line: str, address: str, *, given: str = "", code: int = 0, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        words_of(line, address),
        input=given,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        cwd=cwd,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def run(place: NodePlace) -> Run:
    """Run a line in which localhost:9092 stands for the broker's address; its exit code must be `code`."""

    def run(line: str, **how: object) -> subprocess.CompletedProcess[str]:
        return run_line(line, place.address, **how)  # type: ignore[arg-type]

    return run


# Topics


def test_F2_a_topic_is_created_and_says_so(run: Run, topic: str) -> None:
    line = (
        "kafka-topics.sh --create --bootstrap-server localhost:9092 --replication-factor 1 --partitions 1 "
        f"--topic {topic}"
    )
    assert run(line).stdout == f"Created topic {topic}.\n"
    again = run(line, code=1)
    assert again.stdout == f"Error while executing topic command : Topic '{topic}' already exists.\n"
    assert again.stderr == ""
    assert run(f"{line} --if-not-exists").stdout == ""


def test_F3_F6_F7_a_topic_is_listed_deleted_and_gone(run: Run, topic: str) -> None:
    create = f"kafka-topics.sh --create --bootstrap-server localhost:9092 --topic {topic}"
    listing = "kafka-topics.sh --list --bootstrap-server localhost:9092"
    run(create)
    assert topic in run(listing).stdout.splitlines()
    assert run(f"{listing} --topic {topic[:-1]}.").stdout.splitlines() == [topic]
    deletion = f"kafka-topics.sh --delete --bootstrap-server localhost:9092 --topic {topic}"
    assert run(deletion).stdout == ""
    assert topic not in run(listing).stdout.splitlines()
    refused = run(deletion, code=1)
    assert refused.stdout == f"Error while executing topic command : Topic '{topic}' does not exist as expected\n"
    assert run(f"{deletion} --if-exists").stdout == ""
    assert run(create).stdout == f"Created topic {topic}.\n"


def test_F3_F6_the_zookeeper_forms_say_what_to_write(run: Run, topic: str) -> None:
    for line in (
        "kafka-topics.sh --list --zookeeper 127.0.0.1:1",
        f"kafka-topics.sh --delete --zookeeper 127.0.0.1:1 --topic {topic}",
    ):
        refused = run(line, code=1)
        assert refused.stderr == ""
        assert "Nobody listens at 127.0.0.1:1: set zookeeper.listener, or write --bootstrap-server " in refused.stdout
        assert refused.stdout.count("\n") == 1
    refused = run("kafka-configs.sh --describe --zookeeper 127.0.0.1:1 --entity-type brokers", code=1)
    assert refused.stdout == ""
    assert "write --bootstrap-server 127.0.0.1:9092 in place of --zookeeper" in refused.stderr
    refused = run("kafka-consumer-groups.sh --list --zookeeper 127.0.0.1:1", code=1)
    assert refused.stdout == ""
    assert "does not take --zookeeper here: write --bootstrap-server 127.0.0.1:9092" in refused.stderr


def test_a_topic_is_created_with_more_and_grows(run: Run, topic: str) -> None:
    topic = topic.replace("-", "_")
    create = f"kafka-topics.sh --bootstrap-server localhost:9092 --create --topic {topic}"
    refused = run(f"{create} --replication-factor 2", code=1)
    warning, error = refused.stdout.splitlines()
    assert warning.startswith("WARNING: Due to limitations in metric names, topics with a period ('.')")
    assert error.startswith("Error while executing topic command : ")
    run(f"{create} --replica-assignment 1,1 --config retention.ms=1000 --config cleanup.policy=compact")
    alter = f"kafka-topics.sh --bootstrap-server localhost:9092 --alter --topic {topic} --partitions"
    assert run(f"{alter} 3").stdout == ""
    assert "Error while executing topic command" in run(f"{alter} 3", code=1).stdout
    run(f"{alter} 4 --replica-assignment 1,1,1,1")


def test_topics_are_described(run: Run, topic: str) -> None:
    run(f"kafka-topics.sh --bootstrap-server localhost:9092 --create --topic {topic} --partitions 2")
    other = topic + "-2"
    run(
        f"kafka-topics.sh --bootstrap-server localhost:9092 --create --topic {other} "
        "--config retention.ms=1000 --config cleanup.policy=compact"
    )
    describe = f"kafka-topics.sh --bootstrap-server localhost:9092 --describe --topic {topic}"
    head, *partitions = run(describe).stdout.splitlines()
    found = re.fullmatch(
        rf"Topic: {topic}\tTopicId: ([\w-]{{22}})\tPartitionCount: 2\tReplicationFactor: 1\tConfigs: (.*)", head
    )
    assert found is not None
    assert partitions == [f"\tTopic: {topic}\tPartition: {number}\tLeader: 1\tReplicas: 1\tIsr: 1" for number in (0, 1)]
    both = run(f"{describe}.*").stdout.splitlines()
    assert both[:3] == [head, *partitions]
    configs = both[3].partition("\tConfigs: ")[2].split(",")
    assert {"retention.ms=1000", "cleanup.policy=compact"} <= set(configs)
    describe_all = "kafka-topics.sh --bootstrap-server localhost:9092 --describe"
    assert run(f"{describe_all} --topic-id {found[1]}").stdout.splitlines() == [head, *partitions]
    assert both[3] in run(f"{describe_all} --topics-with-overrides").stdout.splitlines()
    assert run(f"{describe} --under-replicated-partitions").stdout == ""
    assert run(f"{describe} --unavailable-partitions").stdout == ""
    assert run(f"{describe} --at-min-isr-partitions").stdout.splitlines() == partitions
    refused = run(f"{describe}-9", code=1)
    assert refused.stdout == f"Error while executing topic command : Topic '{topic}-9' does not exist as expected\n"
    assert run(f"{describe}-9 --if-exists").stdout == ""


def test_a_cluster_that_does_not_answer(tmp_path: Path) -> None:
    config = tmp_path / "client.properties"
    config.write_text("default.api.timeout.ms=500\nclient.id=me\nmine=1\n")
    nobody = f"{HOST}:{free_ports(1)[0].client}"
    done = run_line(
        f"kafka-topics.sh --list --bootstrap-server localhost:9092 --command-config {config}", nobody, code=1
    )
    assert done.stdout.startswith(f"Error while executing topic command : no broker answered: {nobody}")
    assert "The configuration 'mine' was supplied but isn't a known config." in done.stderr


# Console producer and consumer


def test_F4_a_topic_that_was_never_created(run: Run, topic: str) -> None:
    produced = run(
        f"kafka-console-producer.sh --broker-list localhost:9092 --topic {topic}", given="one\ntwo\r\n\nlast"
    )
    assert (produced.stdout, produced.stderr) == ("", "")
    consumed = run(
        f"kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic {topic} --from-beginning --max-messages 4"
    )
    assert consumed.stdout == "one\ntwo\n\nlast\n"
    assert consumed.stderr == "Processed a total of 4 messages\n"


async def test_F4_a_topic_that_may_not_be_created(new_cluster: ClusterFactory, topic: str) -> None:
    cluster = new_cluster(1, {"auto.create.topics.enable": "false"})
    cluster.start()
    await cluster.ready()
    done = await asyncio.to_thread(
        run_line,
        f"kafka-console-producer.sh --broker-list localhost:9092 --topic {topic} --max-block-ms 1000",
        cluster.bootstrap,
        given="lost\n",
        code=1,
    )
    assert done.stderr.startswith(f"ERROR Error when sending message to topic {topic}: UNKNOWN_TOPIC_OR_PARTITION")
    assert done.stderr.count("\n") == 1


def test_F5_earlier_records_are_printed_then_it_follows(place: NodePlace, run: Run, topic: str) -> None:
    producer = f"kafka-console-producer.sh --bootstrap-server localhost:9092 --topic {topic}"
    run(producer, given="a\nb\n")
    consumer = subprocess.Popen(
        words_of(
            f"kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic {topic} --from-beginning",
            place.address,
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert consumer.stdout is not None
    assert [consumer.stdout.readline(), consumer.stdout.readline()] == [b"a\n", b"b\n"]
    run(producer, given="c\n")
    assert consumer.stdout.readline() == b"c\n"
    consumer.send_signal(signal.SIGINT)
    output, errors = consumer.communicate(timeout=PATIENCE_S)
    assert (consumer.returncode, output, errors) == (130, b"", b"Processed a total of 3 messages\n")


def test_a_consumer_that_is_told_to_stop_while_it_waits_for_its_topic(place: NodePlace, topic: str) -> None:
    consumer = subprocess.Popen(
        words_of(
            f"kafka-console-consumer.sh --bootstrap-server localhost:9092 --include {topic} "
            "--property print.key=true --property frob=1",
            place.address,
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert consumer.stderr is not None
    warning = consumer.stderr.readline()
    assert b"The property 'frob' was supplied" in warning
    # SIGTERM that comes before the handler is there ends it the same, without its last word.
    consumer.send_signal(signal.SIGTERM)
    output, errors = consumer.communicate(timeout=PATIENCE_S)
    assert output == b""
    assert (consumer.returncode, errors) in {(143, b"Processed a total of 0 messages\n"), (-signal.SIGTERM, b"")}


def test_a_consumer_ends_when_nothing_has_come_for_long_enough(run: Run, topic: str) -> None:
    consumer = f"kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic {topic} --timeout-ms 1500"
    assert run(consumer).stderr == "Processed a total of 0 messages\n"
    run(f"kafka-console-producer.sh --bootstrap-server localhost:9092 --topic {topic}", given="a\n")
    done = run(f"{consumer} --from-beginning")
    assert (done.stdout, done.stderr) == ("a\n", "Processed a total of 1 messages\n")


def test_keys_headers_and_nulls(run: Run, topic: str, tmp_path: Path) -> None:
    run(f"kafka-topics.sh --bootstrap-server localhost:9092 --create --topic {topic} --partitions 2")
    reader = tmp_path / "reader.properties"
    reader.write_text("parse.key=true\nkey.separator=:\n")
    producer = f"kafka-console-producer.sh --bootstrap-server localhost:9092 --topic {topic} --sync"
    run(
        f"{producer} --property parse.headers=true --reader-config {reader} --property null.marker=NIL "
        "--property headers.key.separator==",
        given="h1=v1,h2=NIL\tk:v\nNIL\tk:NIL\n",
    )
    consumer = f"kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic {topic} --from-beginning"
    shown = run(
        f"{consumer} --max-messages 2 --property print.key=true --property print.headers=true "
        "--property print.timestamp=true --property print.partition=true --property print.offset=true"
    ).stdout
    first, second = (re.sub(r"CreateTime:\d{13}", "CreateTime:T", line) for line in shown.splitlines())
    partition = first.split("\t")[1]
    assert partition in {"Partition:0", "Partition:1"}
    assert first == f"CreateTime:T\t{partition}\tOffset:0\th1:v1,h2:null\tk\tv"
    assert second == f"CreateTime:T\t{partition}\tOffset:1\tNO_HEADERS\tk\tnull"
    number = partition[-1]
    placed = f"kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic {topic} --partition {number}"
    assert run(f"{placed} --offset 1 --max-messages 1").stdout == "null\n"
    assert run(f"{placed} --offset earliest --max-messages 1").stdout == "v\n"
    assert run(f"{placed} --offset latest --timeout-ms 300").stdout == ""
    missing = run(f"kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic {topic} --partition 7", code=1)
    assert f"Topic {topic} has no partition 7" in missing.stderr


def test_times_of_the_broker_are_named_so(run: Run, topic: str) -> None:
    run(
        f"kafka-topics.sh --bootstrap-server localhost:9092 --create --topic {topic} "
        "--config message.timestamp.type=LogAppendTime"
    )
    run(f"kafka-console-producer.sh --bootstrap-server localhost:9092 --topic {topic}", given="a\n")
    shown = run(
        f"kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic {topic} --from-beginning "
        "--max-messages 1 --property print.timestamp=true"
    ).stdout
    assert re.fullmatch(r"LogAppendTime:\d{13}\ta\n", shown)


def test_a_line_without_its_key_ends_the_producer_after_those_before(run: Run, topic: str) -> None:
    done = run(
        f"kafka-console-producer.sh --bootstrap-server localhost:9092 --topic {topic} --property parse.key=true",
        given="k\tv\nnone\nk\tw\n",
        code=1,
    )
    assert done.stderr == "No key separator found on line number 2: 'none'\n"
    consumer = f"kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic {topic} --from-beginning"
    assert run(f"{consumer} --timeout-ms 1500").stdout == "v\n"
    number = run(
        f"{consumer} --max-messages 1 --value-deserializer org.apache.kafka.common.serialization.LongDeserializer",
        code=1,
    )
    assert number.stderr == ("Processed a total of 0 messages\nSize of data received by LongDeserializer is not 8\n")


def test_a_reader_who_has_enough_is_no_failure(place: NodePlace, run: Run, topic: str) -> None:
    run(f"kafka-console-producer.sh --bootstrap-server localhost:9092 --topic {topic}", given="y\n" * 300_000)
    read_end, write_end = os.pipe()
    consumer = subprocess.Popen(
        words_of(
            f"kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic {topic} --from-beginning",
            place.address,
        ),
        stdout=write_end,
        stderr=subprocess.PIPE,
    )
    os.close(write_end)
    assert os.read(read_end, 2) == b"y\n"
    os.close(read_end)
    _, errors = consumer.communicate(timeout=PATIENCE_S)
    assert consumer.returncode == 0
    assert errors.startswith(b"Unable to write to standard out, closing consumer.\nProcessed a total of ")


# Groups and configs


def test_a_group_reads_on_and_is_looked_after(place: NodePlace, run: Run, topic: str) -> None:
    group = f"group-of-{topic}"
    run(f"kafka-topics.sh --bootstrap-server localhost:9092 --create --topic {topic}")
    run(f"kafka-console-producer.sh --bootstrap-server localhost:9092 --topic {topic}", given="a\nb\nc\nd\n")
    consumer = (
        f"kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic {topic} --group {group} --from-beginning"
    )
    # What was fetched and not printed is not committed: the next member begins with it.
    assert run(f"{consumer} --max-messages 2").stdout == "a\nb\n"
    assert run(f"{consumer} --max-messages 1 --property print.offset=true").stdout == "Offset:2\tc\n"
    tool = "kafka-consumer-groups.sh --bootstrap-server localhost:9092"
    assert group in run(f"{tool} --list").stdout.splitlines()
    described = run(f"{tool} --describe --group {group}")
    row = described.stdout.splitlines()[2]
    assert row.split() == [group, topic, "0", "3", "4", "1", "-", "-", "-"]
    assert described.stderr == f"\nConsumer group '{group}' has no active members.\n"
    assert run(f"{tool} --describe --group {group} --state").stdout.splitlines()[2].split()[-2:] == ["Empty", "0"]

    reset = f"{tool} --reset-offsets --group {group} --topic {topic}"
    planned = run(f"{reset} --shift-by -2")
    assert planned.stdout.splitlines()[2].split() == [group, topic, "0", "1"]
    assert planned.stderr.startswith("WARN: No action will be performed as the --execute option is missing.")
    assert run(f"{reset} --to-earliest --execute").stdout.splitlines()[2].split() == [group, topic, "0", "0"]
    assert run(f"{reset} --to-latest --dry-run --export").stdout == f"{topic},0,4\n"
    assert "is not like" in run(f"{reset} --by-duration 5m", code=1).stderr
    member = subprocess.Popen(words_of(consumer, place.address), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert member.stdout is not None
    assert member.stdout.readline() == b"a\n"
    refused = run(f"{reset} --to-latest --execute", code=1)
    assert refused.stdout.startswith(f"\nError: Assignments can only be reset if the group '{group}' is inactive")
    listed = run(f"{tool} --describe --group {group} --members --verbose").stdout.splitlines()[2].split()
    assert (listed[0], listed[-1]) == (group, "(0)")
    member.send_signal(signal.SIGINT)
    _, errors = member.communicate(timeout=PATIENCE_S)
    assert (member.returncode, errors) == (130, b"Processed a total of 4 messages\n")
    assert run(f"{tool} --describe --group {group}").stdout.splitlines()[2].split()[3] == "4"

    forgotten = run(f"{tool} --delete-offsets --group {group} --topic {topic}").stdout
    assert forgotten.startswith(f"Request succeed for deleting offsets with topic {topic} group {group}\n")
    deletion = f"{tool} --delete --group {group}"
    assert run(deletion).stdout == f"Deletion of requested consumer groups ('{group}') was successful.\n"
    assert run(deletion, code=1).stdout.startswith("\nError: Deletion of some consumer groups failed:\n")
    missing = run(f"{tool} --describe --group {group}", code=1)
    assert missing.stdout == f"\nError: Consumer group '{group}' does not exist.\n"


def test_configs_and_quotas(run: Run, topic: str, tmp_path: Path) -> None:
    run(f"kafka-topics.sh --bootstrap-server localhost:9092 --create --topic {topic}")
    tool = "kafka-configs.sh --bootstrap-server localhost:9092"
    altered = run(
        f"{tool} --alter --entity-type topics --entity-name {topic} "
        "--add-config retention.ms=5000,cleanup.policy=[compact,delete]"
    )
    assert altered.stdout == f"Completed updating config for topic {topic}.\n"
    head, first, second = run(f"{tool} --describe --entity-type topics --entity-name {topic}").stdout.splitlines()
    assert head == f"Dynamic configs for topic {topic} are:"
    assert first.startswith(
        "  cleanup.policy=compact,delete sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, "
    )
    assert second.startswith("  retention.ms=5000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=5000, ")
    deletion = f"{tool} --alter --topic {topic} --delete-config retention.ms"
    run(deletion)
    assert run(deletion, code=1).stderr == "Invalid config(s): retention.ms\n"
    refused = run(f"{tool} --alter --topic {topic} --add-config frob=1", code=1)
    assert refused.stderr.startswith("Error while executing config command: INVALID_CONFIG")
    everything = run(f"{tool} --describe --topic {topic} --all").stdout.splitlines()
    assert everything[0] == f"All configs for topic {topic} are:"
    assert len(everything) > 10

    file = tmp_path / "broker.properties"
    file.write_text("log.cleaner.delete.retention.ms=77777\n")
    key = "log.cleaner.delete.retention.ms"
    assert run(f"{tool} --alter --broker 1 --add-config-file {file}").stdout == (
        "Completed updating config for broker 1.\n"
    )
    assert run(f"{tool} --alter --broker-defaults --add-config {key}=88888").stdout == (
        "Completed updating default config for brokers in the cluster.\n"
    )
    brokers = run(f"{tool} --describe --entity-type brokers").stdout.splitlines()
    assert brokers[0] == "Dynamic configs for broker 1 are:"
    assert brokers[1].startswith(
        f"  {key}=77777 sensitive=false synonyms={{DYNAMIC_BROKER_CONFIG:{key}=77777, "
        f"DYNAMIC_DEFAULT_BROKER_CONFIG:{key}=88888"
    )
    assert brokers[2] == "Default configs for brokers in the cluster are:"
    run(f"{tool} --alter --entity-type brokers --entity-name 1 --delete-config {key}")
    run(f"{tool} --alter --entity-type brokers --entity-default --delete-config {key}")

    quota = "--entity-type users --entity-name u --entity-type clients --entity-default"
    run(f"{tool} --alter {quota} --add-config producer_byte_rate=123456789,consumer_byte_rate=1024")
    assert run(f"{tool} --describe --entity-type users --entity-type clients").stdout == (
        "Quota configs for user-principal 'u', the default client-id are "
        "consumer_byte_rate=1024.0, producer_byte_rate=1.23456789E8\n"
    )
    assert run(f"{tool} --describe --entity-type users").stdout == ""
    run(f"{tool} --alter {quota} --delete-config producer_byte_rate,consumer_byte_rate")


# Records, leaders, replicas


def test_records_are_deleted(run: Run, topic: str, tmp_path: Path) -> None:
    run(f"kafka-console-producer.sh --bootstrap-server localhost:9092 --topic {topic}", given="a\nb\nc\n")
    file = tmp_path / "offsets.json"
    entries = [{"topic": topic, "partition": 0, "offset": 2}]
    file.write_text(json.dumps({"partitions": entries, "version": 1}))
    line = f"kafka-delete-records.sh --bootstrap-server localhost:9092 --offset-json-file {file}"
    head = "Executing records delete operation\nRecords delete operation completed:\n"
    assert run(line).stdout == f"{head}partition: {topic}-0\tlow_watermark: 2\n"
    consumer = f"kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic {topic} --from-beginning"
    assert run(f"{consumer} --max-messages 1").stdout == "c\n"
    entries[0]["offset"] = 9
    file.write_text(json.dumps({"partitions": entries}))
    assert run(line, code=1).stdout.startswith(f"{head}partition: {topic}-0\terror: OFFSET_OUT_OF_RANGE")


def test_leaders_are_elected(run: Run, topic: str, tmp_path: Path) -> None:
    run(f"kafka-topics.sh --bootstrap-server localhost:9092 --create --topic {topic} --partitions 2")
    line = "kafka-leader-election.sh --bootstrap-server localhost:9092 --election-type preferred"
    done = run(f"{line} --topic {topic} --partition 1")
    assert done.stdout == f"Valid replica already elected for partitions {topic}-1\n"
    assert run(f"{line} --all-topic-partitions").stdout == ""
    file = tmp_path / "partitions.json"
    file.write_text(json.dumps({"partitions": [{"topic": topic, "partition": each} for each in (0, 7)]}))
    failed = run(f"{line} --path-to-json-file {file}", code=1)
    first, second = failed.stdout.splitlines()
    assert first == f"Valid replica already elected for partitions {topic}-0"
    assert second.startswith(f"Error completing leader election (PREFERRED) for partition: {topic}-7: ")
    assert failed.stderr == "1 replica(s) could not be elected\n"


def test_replicas_are_reassigned(run: Run, topic: str, tmp_path: Path) -> None:
    """On one node nothing can move; the words and the files can be seen all the same."""
    run(f"kafka-topics.sh --bootstrap-server localhost:9092 --create --topic {topic} --partitions 2")
    tool = "kafka-reassign-partitions.sh --bootstrap-server localhost:9092"
    topics = tmp_path / "topics.json"
    topics.write_text(json.dumps({"topics": [{"topic": topic}], "version": 1}))
    generated = run(f"{tool} --generate --topics-to-move-json-file {topics} --broker-list 1").stdout.splitlines()
    assert generated[::3] == ["Current partition replica assignment", "Proposed partition reassignment configuration"]
    assert (
        generated[1]
        == generated[4]
        == (
            '{"version":1,"partitions":['
            f'{{"topic":"{topic}","partition":0,"replicas":[1],"log_dirs":["any"]}},'
            f'{{"topic":"{topic}","partition":1,"replicas":[1],"log_dirs":["any"]}}]}}'
        )
    )
    moves = tmp_path / "moves.json"
    moves.write_text(generated[4])
    assert run(f"{tool} --execute --reassignment-json-file {moves}").stdout == (
        f"Current partition replica assignment\n\n{generated[1]}\n\n"
        "Save this to use as the --reassignment-json-file option during rollback\n"
        f"Successfully started partition reassignments for {topic}-0,{topic}-1\n"
    )
    assert run(f"{tool} --verify --reassignment-json-file {moves}").stdout == (
        "Status of partition reassignment:\n"
        f"Reassignment of partition {topic}-0 is completed.\nReassignment of partition {topic}-1 is completed.\n\n"
        f"Clearing broker-level throttles on broker 1\nClearing topic-level throttles on topic {topic}\n"
    )
    assert run(f"{tool} --cancel --reassignment-json-file {moves} --preserve-throttles").stdout == (
        "None of the specified partition reassignments are active.\nNone of the specified partition moves are active.\n"
    )
    assert run(f"{tool} --list").stdout == "No partition reassignments found.\n"
    moves.write_text(generated[4].replace("[1]", "[9]"))
    assert run(f"{tool} --verify --reassignment-json-file {moves}").stdout.splitlines()[1] == (
        f"There is no active reassignment of partition {topic}-0, but replica set is 1 rather than 9."
    )
    refused = run(f"{tool} --execute --reassignment-json-file {moves}", code=1).stdout
    assert f"Error reassigning partition(s):\n{topic}-0: " in refused
    unknown = run(f"{tool} --generate --topics-to-move-json-file {topics} --broker-list 1,9", code=1).stdout
    assert unknown == "Error: unknown broker(s): 9\n"


def test_preferred_replicas_are_elected_by_the_tool_of_kafka_2_4(run: Run, topic: str, tmp_path: Path) -> None:
    run(f"kafka-topics.sh --bootstrap-server localhost:9092 --create --topic {topic} --partitions 1")
    file = tmp_path / "partitions.json"
    file.write_text(json.dumps({"partitions": [{"topic": topic, "partition": each} for each in (0, 7)]}))
    line = f"kafka-preferred-replica-election.sh --bootstrap-server localhost:9092 --path-to-json-file {file}"
    failed = run(line, code=1)
    said, first, second = failed.stdout.splitlines()
    assert said == "This tool is deprecated. Please use kafka-leader-election tool. Tracking issue: KAFKA-8405"
    assert first == f"Preferred replica already elected for partitions {topic}-0"
    assert second.startswith(f"Error completing preferred leader election for partition: {topic}-7: ")
    assert failed.stderr == "1 preferred replica(s) could not be elected\n"


async def test_replicas_move_and_are_verified(cluster: Cluster, tmp_path: Path) -> None:
    await cluster.create_topic("t", replicas=2)
    there = [int(node) for node in (await cluster.topic("t")).partitions[0].replica_nodes]
    other = next(node for node in cluster.node_ids if node not in there)
    target = [other, there[0]]
    moves = tmp_path / "moves.json"
    moves.write_text(json.dumps({"version": 1, "partitions": [{"topic": "t", "partition": 0, "replicas": target}]}))
    tool = "kafka-reassign-partitions.sh --bootstrap-server localhost:9092"

    async def run(action: str) -> str:
        line = f"{tool} --reassignment-json-file {moves} --{action}"
        return (await asyncio.to_thread(run_line, line, cluster.bootstrap)).stdout

    assert (await run("execute --throttle 50000000")).endswith(
        "Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.\n"
        "The inter-broker throttle limit was set to 50000000 B/s\n"
        "Successfully started partition reassignment for t-0\n"
    )
    configs = "kafka-configs.sh --bootstrap-server localhost:9092 --describe"
    shown = await asyncio.to_thread(run_line, f"{configs} --broker {other}", cluster.bootstrap)
    assert "  follower.replication.throttled.rate=50000000 " in shown.stdout

    async def completed() -> bool:
        return "Reassignment of partition t-0 is completed." in await run("verify")

    await eventually(completed, "the partition has moved")
    assert [int(node) for node in (await cluster.topic("t")).partitions[0].replica_nodes] == target
    for entity in (f"--broker {other}", "--topic t"):
        shown = await asyncio.to_thread(run_line, f"{configs} {entity}", cluster.bootstrap)
        assert "throttled" not in shown.stdout


# Nodes

DOCUMENTED = """\
broker.id=1
listeners=PLAINTEXT://:9092
advertised.listeners=PLAINTEXT://192.168.137.101:9092
zookeeper.connect=192.168.137.101:2181, 192.168.137.102:2181, 192.168.137.103:2181
delete.topic.enable = True
"""
"""As the user's documentation has it; its addresses are those of other machines, so the tests override them."""


def overrides(place: NodePlace) -> str:
    pairs = (
        f"listeners=PLAINTEXT://{place.address}",
        f"advertised.listeners=PLAINTEXT://{place.address}",
        f"http.listener=HTTP://{HOST}:{place.ports.http}",
        f"log.dirs={place.directory}",
    )
    return " ".join(f"--override {pair}" for pair in pairs)


async def test_E8_zookeeper_first_then_the_broker_from_its_file(tmp_path: Path) -> None:
    explained = run_line("zookeeper-server-start.sh config/zookeeper.properties", "")
    assert "nothing" not in explained.stderr
    assert "There is no ZooKeeper to start" in explained.stdout
    [node] = plan(tmp_path, free_ports(1))
    node.properties.write_text(DOCUMENTED)
    with node.log.open("wb") as log:
        process = subprocess.Popen(
            words_of(f"kafka-server-start.sh {node.properties} {overrides(node)}", ""),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:

        async def ready() -> bool:
            assert process.poll() is None, node.log.read_text()
            return await asyncio.to_thread(readiness, node) == "ready"

        await eventually(ready, "the node is ready")
        created = await asyncio.to_thread(
            run_line, "kafka-topics.sh --create --bootstrap-server localhost:9092 --topic x", node.address
        )
        assert created.stdout == "Created topic x.\n"
        process.terminate()
        assert await asyncio.to_thread(process.wait, PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
    text = node.log.read_text()
    assert f"{node.properties}:4: " in text, "what zookeeper.connect means here is said"
    assert "Traceback" not in text


async def test_a_node_in_the_background(tmp_path: Path) -> None:
    [node] = plan(tmp_path, free_ports(1))
    node.properties.write_text("broker.id=1\n")
    line = f"kafka-server-start.sh -daemon {node.properties}"
    refused = run_line(f"{line} --override broker.id=one", "", code=1, cwd=tmp_path)
    assert refused.stderr.startswith("--override: broker.id")
    assert not (tmp_path / "logs").exists()
    started = run_line(f"{line} {overrides(node)}", "", cwd=tmp_path)
    found = re.search(r"process (\d+) runs in the background, its log is (\S+)", started.stderr)
    assert found is not None
    try:

        async def state(wanted: bool) -> bool:
            return (await asyncio.to_thread(readiness, node) == "ready") == wanted

        await eventually(lambda: state(True), "the node is ready")
    finally:
        os.kill(int(found[1]), signal.SIGTERM)
    await eventually(lambda: state(False), "the node has ended")
    log = tmp_path / found[2]
    assert log.name == "kafkaServer.out"

    async def released() -> bool:
        return not Path(f"/proc/{found[1]}").exists() or " Z " in Path(f"/proc/{found[1]}/stat").read_text()

    await eventually(released, "the process is gone")
    assert "Traceback" not in log.read_text()
