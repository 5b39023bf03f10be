"""The --zookeeper forms, as far as they go without a server."""

from __future__ import annotations

import sys

import pytest

from raftkafka.cli.scripts import configs, preferred_replica_election, reassign_partitions, topics
from raftkafka.cli.scripts.cluster_zookeeper import partitions_of, placed
from raftkafka.cli.scripts.configs_zookeeper import entity_of
from raftkafka.cli.scripts.entry import run_tool
from raftkafka.cli.scripts.options import UsageError
from raftkafka.cli.scripts.zookeeper import ZookeeperError, addresses


def test_F3_the_port_is_2181_where_none_is_given() -> None:
    assert addresses("localhost") == [("localhost", 2181)]
    assert addresses("zk1:2182, zk2/kafka") == [("zk1", 2182), ("zk2", 2181)]
    assert addresses("[::1]:2181") == [("::1", 2181)]
    for wrong in ("", "a:b", "a:0", "a:65536", ":2181", "a,,b"):
        with pytest.raises(UsageError):
            addresses(wrong)


def test_without_kazoo_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] == "kazoo"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "kazoo", None)
    assert run_tool(topics.TOOL, topics.main, ["--list", "--zookeeper", "127.0.0.1:1"]) == 1
    said = "--zookeeper needs kazoo: pip install 'raftkafka[zookeeper]'\n"
    assert capsys.readouterr().out == f"Error while executing topic command : {said}"


TOOLS = {module.TOOL.name: module for module in (topics, configs, reassign_partitions, preferred_replica_election)}


@pytest.mark.parametrize(
    "line",
    [
        "kafka-topics.sh --list --bootstrap-server x",
        "kafka-topics.sh --describe --at-min-isr-partitions",
        "kafka-topics.sh --create --topic x --partitions 1",
        "kafka-topics.sh --create --topic x --partitions 0 --replication-factor 1",
        "kafka-topics.sh --alter --topic x",
        "kafka-configs.sh --describe --entity-type brokers --bootstrap-server x",
        "kafka-configs.sh --describe --entity-type brokers --all",
        "kafka-configs.sh --alter --entity-type brokers --entity-name x --add-config a=b",
        "kafka-reassign-partitions.sh --list",
        "kafka-reassign-partitions.sh --cancel --reassignment-json-file x",
        "kafka-reassign-partitions.sh --execute --reassignment-json-file x --additional",
        "kafka-reassign-partitions.sh --generate --broker-list 1",
        "kafka-preferred-replica-election.sh --bootstrap-server x",
        "kafka-preferred-replica-election.sh --admin.config x",
    ],
)
def test_wrong_usage_is_refused_before_anybody_is_asked(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, *words = line.split()
    assert run_tool(TOOLS[name].TOOL, TOOLS[name].main, [*words, "--zookeeper", "127.0.0.1:1"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith(f"(see: {name} --help)\n")


def test_an_entity_is_a_path_and_words() -> None:
    both = entity_of(("clients", "users"), ("c/1", ""))
    assert [(part.kind, part.name) for part in both] == [("users", "<default>"), ("clients", "c%2F1")]
    assert ", ".join(map(str, both)) == "default user-principal, client-id 'c/1'"
    assert list(map(str, entity_of(("users", "clients"), ("a",)))) == ["user-principal 'a'", "clients"]
    assert list(map(str, entity_of(("brokers",), ("",)))) == ["default brokers"]
    assert list(map(str, entity_of(("topics",), ("a%2Fb",)))) == ["topic 'a%2Fb'"]


def test_replicas_are_spread_over_brokers_and_racks() -> None:
    racks: dict[int, str | None] = {1: "a", 2: "a", 3: "b", 4: "b", 5: "c"}
    for _ in range(20):
        found = placed(racks, 10, 3)
        assert sorted(each[0] for each in found) == sorted([*racks, *racks])
        assert all({racks[node] for node in each} == {"a", "b", "c"} for each in found)
        assert all(len(set(each)) == 4 for each in placed(dict.fromkeys(racks), 7, 4))
    assert placed({7: None}, 2, 1) == [[7], [7]]
    for nodes in ({}, {1: None}):
        with pytest.raises(ZookeeperError, match="larger than available brokers"):
            placed(nodes, 1, 2)


@pytest.mark.parametrize(
    "left",
    [
        {},
        {"partitions": []},
        {"partitions": {"1": [1]}},
        {"partitions": {"0": [1], "x": [1]}},
        {"partitions": {"0": 1}},
    ],
)
def test_a_topic_s_node_that_somebody_else_has_written_is_named(left: dict[str, object]) -> None:
    with pytest.raises(ZookeeperError, match="/brokers/topics/t does not hold what Kafka writes there"):
        partitions_of(left, "/brokers/topics/t")
    assert partitions_of({"partitions": {"0": [1]}}, "") == {"0": [1]}
