"""The `--zookeeper` forms of the scripts against the ZooKeeper port of real nodes. Tests are named after the rows that they hold."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.clusters import PATIENCE_S, Cluster, _free_port, eventually

pytestmark = pytest.mark.integration

SCRIPTS = Path(sys.executable).parent


Script = Callable[..., Awaitable[str]]
"""`await script(words, code=0, script="kafka-topics.sh")`: what it says over the port of the first node."""


@pytest.fixture
async def script_of(new_cluster):
    async def start(nodes: int, **properties: str) -> Script:
        cluster: Cluster = new_cluster(nodes, {key.replace("_", "."): value for key, value in properties.items()})
        port = _free_port()
        cluster.configure(cluster.node_ids[0], {"zookeeper.listener": f"127.0.0.1:{port}"})
        cluster.start()
        await cluster.ready()

        async def run(words: str, code: int = 0, script: str = "kafka-topics.sh") -> str:
            done = await asyncio.to_thread(
                subprocess.run,
                [str(SCRIPTS / script), "--zookeeper", f"127.0.0.1:{port}", *words.split()],
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
            assert done.returncode == code, done.stdout + done.stderr
            if code == 0:
                assert done.stderr == ""
            return done.stdout + done.stderr

        return run

    return start


@pytest.fixture
async def topics(script_of) -> Script:
    return await script_of(1)


async def test_F2_F3_F6_F7_a_topic_over_zookeeper_is_created_listed_deleted_and_gone(topics) -> None:
    create = "--create --replication-factor 1 --partitions 2 --topic x"
    assert await topics(create) == "Created topic x.\n"
    assert await topics(create, 1) == "Error while executing topic command : Topic 'x' already exists.\n"
    assert await topics(f"{create} --if-not-exists") == ""
    assert "x" in (await topics("--list")).splitlines()
    assert await topics("--delete --topic x") == (
        "Topic x is marked for deletion.\nNote: This will have no impact if delete.topic.enable is not set to true.\n"
    )

    async def gone() -> bool:
        return not {"x", "x - marked for deletion"} & set((await topics("--list")).splitlines())

    await eventually(gone, "the topic is gone")
    missing = "Error while executing topic command : Topic 'x' does not exist as expected\n"
    assert await topics("--delete --topic x", 1) == missing
    assert await topics("--delete --topic x --if-exists") == ""
    assert await topics(create) == "Created topic x.\n"


async def test_F1_without_delete_topic_enable_a_topic_stays(script_of) -> None:
    topics: Script = await script_of(1, delete_topic_enable="False")
    await topics("--create --topic x --replica-assignment 1")
    assert (await topics("--delete --topic x")).startswith("Topic x is marked for deletion.\n")

    async def unmarked() -> bool:
        return await topics("--list") == "x\n"

    await eventually(unmarked, "the mark is gone and the topic is there")


async def test_F3_a_topic_over_zookeeper_is_described_and_altered(topics) -> None:
    assert await topics("--create --topic x --replica-assignment 1 --config retention.ms=5000") == "Created topic x.\n"

    async def led() -> bool:
        return "Leader: 1" in await topics("--describe --topic x")

    await eventually(led, "the partition is led")
    assert await topics("--describe --topic x") == (
        "Topic: x\tPartitionCount: 1\tReplicationFactor: 1\tConfigs: retention.ms=5000\n"
        "\tTopic: x\tPartition: 0\tLeader: 1\tReplicas: 1\tIsr: 1\n"
    )
    altered = await topics(
        "--alter --topic x --partitions 3 --config cleanup.policy=compact --delete-config retention.ms"
    )
    assert "Updated config for topic x.\n" in altered
    assert altered.endswith("Adding partitions succeeded!\n")
    described = (await topics("--describe --topic x")).splitlines()
    assert described[0] == "Topic: x\tPartitionCount: 3\tReplicationFactor: 1\tConfigs: cleanup.policy=compact"
    assert len(described) == 4
    assert (await topics("--alter --topic x --partitions 2", 1)).endswith(
        "Error while executing topic command : The number of partitions for a topic can only be increased. "
        "Topic x currently has 3 partitions, 2 would not be an increase.\n"
    )
    assert await topics("--describe --topics-with-overrides") == described[0] + "\n"
    assert await topics("--describe --unavailable-partitions") == ""
    refused = await topics("--create --topic y --partitions 1 --replication-factor 2", 1)
    assert refused.endswith("Replication factor: 2 larger than available brokers: 1.\n")
    refused = await topics("--create --topic y --partitions 1 --replication-factor 1 --config retention.ms=soon", 1)
    assert refused.startswith("Error while executing topic command : KeeperErrorCode = ")
    assert (await topics("--list")).splitlines() == ["x"]


async def test_configs_of_a_topic_over_zookeeper(topics) -> None:
    await topics("--create --topic x --replica-assignment 1 --config retention.ms=5000")
    script = "kafka-configs.sh"
    assert await topics("--describe --entity-type topics", script=script) == (
        "Configs for topic 'x' are retention.ms=5000\n"
    )
    change = "--alter --entity-type topics --entity-name x --add-config cleanup.policy=compact --delete-config"
    assert await topics(f"{change} retention.ms", script=script) == (
        "Completed Updating config for entity: topic 'x'.\n"
    )
    assert await topics("--describe --entity-type topics --entity-name x", script=script) == (
        "Configs for topic 'x' are cleanup.policy=compact\n"
    )
    assert (await topics("--describe --topic x")).startswith(
        "Topic: x\tPartitionCount: 1\tReplicationFactor: 1\tConfigs: cleanup.policy=compact\n"
    )


async def test_configs_of_brokers_users_and_clients_over_zookeeper(topics) -> None:
    async def configs(words: str, code: int = 0) -> str:
        return await topics(words, code, "kafka-configs.sh")

    broker = "--entity-type brokers --entity-name 1"
    rates = "leader.replication.throttled.rate=1000,follower.replication.throttled.rate=2000"
    assert await configs(f"--alter {broker} --add-config {rates}") == (
        "Completed Updating config for entity: brokers '1'.\n"
    )
    assert await configs("--describe --entity-type brokers") == f"Configs for brokers '1' are {rates}\n"
    refused = await configs(f"--alter {broker} --add-config log.cleaner.threads=2", 1)
    assert refused.startswith(
        "--bootstrap-server option must be specified to update broker configs Set(log.cleaner.threads). "
        "when broker 1 is running. "
    )
    refused = await configs("--alter --entity-type brokers --entity-default --add-config log.cleaner.threads=2", 1)
    assert " for default cluster if any broker is running. " in refused
    assert await configs(f"--alter {broker} --delete-config a", 1) == "Invalid config(s): a\n"
    await configs(f"--alter {broker} --delete-config {rates.replace('=1000', '').replace('=2000', '')}")
    assert await configs(f"--describe {broker}") == "Configs for brokers '1' are \n"

    user, client = "--entity-type users --entity-name al/ice", "--entity-type clients --entity-name c1"
    assert await configs(f"--alter {client} --add-config producer_byte_rate=1024") == (
        "Completed Updating config for entity: client-id 'c1'.\n"
    )
    assert await configs(f"--alter {client} {user} --add-config consumer_byte_rate=2048") == (
        "Completed Updating config for entity: user-principal 'al/ice', client-id 'c1'.\n"
    )
    assert await configs(f"--alter {user} --add-config request_percentage=50") == (
        "Completed Updating config for entity: user-principal 'al/ice'.\n"
    )
    await configs("--alter --entity-type users --entity-default --add-config producer_byte_rate=9")
    assert await configs("--describe --entity-type users") == (
        "Configs for default user-principal are producer_byte_rate=9\n"
        "Configs for user-principal 'al/ice' are request_percentage=50\n"
    )
    assert await configs("--describe --entity-type users --entity-type clients") == (
        "Configs for user-principal 'al/ice', client-id 'c1' are consumer_byte_rate=2048\n"
    )
    assert await configs("--describe --entity-type clients") == (
        "Configs for client-id 'c1' are producer_byte_rate=1024\n"
    )
    assert "SCRAM credentials are not supported yet" in await configs(
        f"--alter {user} --add-config SCRAM-SHA-256=[password=secret]", 1
    )
    assert await configs(f"--alter {user} --add-config frob=1", 1) == "Unknown Dynamic Configuration: Set(frob).\n"
    assert "KeeperErrorCode = BadArguments" in await configs(f"--alter {user} --add-config producer_byte_rate=x", 1)


async def test_replicas_over_zookeeper_are_moved_and_verified_and_lead_again(script_of, tmp_path: Path) -> None:
    script: Script = await script_of(3)
    await script("--create --topic x --replica-assignment 1:2,2:3")
    moves, wanted = tmp_path / "moves.json", tmp_path / "topics.json"
    wanted.write_text('{"version":1,"topics":[{"topic":"x"}]}')

    async def reassign(words: str, code: int = 0) -> str:
        return await script(words, code, "kafka-reassign-partitions.sh")

    def assignment(*replicas: list[int]) -> str:
        partitions = [
            {"topic": "x", "partition": at, "replicas": each, "log_dirs": ["any"] * len(each)}
            for at, each in enumerate(replicas)
        ]
        return json.dumps({"version": 1, "partitions": partitions}, separators=(",", ":"))

    generated = await reassign(f"--generate --topics-to-move-json-file {wanted} --broker-list 1,3")
    lines = generated.splitlines()
    assert lines[:2] == ["Current partition replica assignment", assignment([1, 2], [2, 3])]
    assert lines[3] == "Proposed partition reassignment configuration"
    proposed = [each["replicas"] for each in json.loads(lines[4])["partitions"]]
    assert sorted(map(sorted, proposed)) == [[1, 3], [1, 3]]
    assert sorted(each[0] for each in proposed) == [1, 3]

    moves.write_text(assignment([3, 1], [1, 3]))
    file = f"--reassignment-json-file {moves}"
    executed = await reassign(f"--execute --throttle 50000000 {file}")
    assert executed.startswith(
        f"Current partition replica assignment\n\n{assignment([1, 2], [2, 3])}\n\n"
        "Save this to use as the --reassignment-json-file option during rollback\n"
        "Warning: You must run Verify periodically, "
    )
    assert executed.endswith(
        "The inter-broker throttle limit was set to 50000000 B/s\nSuccessfully started reassignment of partitions.\n"
    )
    said = []

    async def moved() -> bool:
        said.append(await reassign(f"--verify {file}"))
        return "in progress" not in said[-1]

    await eventually(moved, "the replicas have moved")
    assert said[-1] == (
        "Status of partition reassignment: \nReassignment of partition x-0 completed successfully\n"
        "Reassignment of partition x-1 completed successfully\nThrottle was removed.\n"
    )
    assert await script("--describe --entity-type brokers", script="kafka-configs.sh") == "".join(
        f"Configs for brokers '{node}' are \n" for node in (1, 2, 3)
    )

    file = tmp_path / "partitions.json"
    file.write_text('{"partitions":[{"topic":"x","partition":0},{"topic":"x","partition":7}]}')
    elected = await script(f"--path-to-json-file {file}", script="kafka-preferred-replica-election.sh")
    assert elected.splitlines()[3:] == [
        "Created preferred replica election path with x-0",
        "Successfully started preferred replica election for partitions Set(x-0)",
        "Skipping preferred replica leader election for partition x-7 since it doesn't exist.",
    ]

    async def led() -> bool:
        return "Leader: 3\tReplicas: 3,1" in await script("--describe --topic x")

    await eventually(led, "the preferred replica leads")

    moves.write_text(assignment([2, 1]))
    refused = await reassign(f"--execute --reassignment-json-file {moves}".replace("moves", "none"), 1)
    assert "No such file" in refused
    for wrong, why in (
        (assignment([2, 2]), "may not contain duplicate entries: x-0 contains multiple entries for 2"),
        (assignment([9]), "The proposed assignment contains non-existent brokerIDs: 9"),
        (assignment([1], [1], [1]), "The proposed assignment contains non-existent partitions: List(x-2)"),
        ('{"version":1,"partitions":[]}', "Partitions reassignment failed due to "),
    ):
        moves.write_text(wrong)
        assert why in await reassign(f"--execute --reassignment-json-file {moves}", 1)
    moves.write_text(assignment([2, 1]))
    assert await reassign(f"--verify --reassignment-json-file {moves}") == (
        "Status of partition reassignment: \nReassignment of partition x-0 failed\n"
    )
