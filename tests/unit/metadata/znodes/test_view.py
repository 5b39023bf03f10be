"""Kafka's nodes: what they show, and that version, mzxid and times move when that moves and not otherwise (Kafka 2.4, `ZkData`)."""

from __future__ import annotations

import json

import pytest

from raftkafka.metadata import snapshot
from raftkafka.metadata.commands import (
    AddPartitions,
    AllocateProducerIdBlock,
    AlterBrokerConfigs,
    AlterClientQuotas,
    AlterTopicConfigs,
    DeleteTopic,
    NoteTime,
    TakeOffice,
)
from raftkafka.metadata.image import ALL_BROKERS, Image
from raftkafka.metadata.znodes import view
from raftkafka.metadata.znodes.commands import ChangeZnodes, CreateZkSession
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NodeId, ProducerId, TimestampMs
from raftkafka.model.zookeeper.acl import OPEN_ACL
from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.model.zookeeper.modes import CreateMode
from raftkafka.model.zookeeper.ops import Create, Delete, ErrorResult, SetData
from tests.unit.metadata.soundness import check
from tests.unit.metadata.znodes.conftest import PASSWORD, SESSION

STATE = "/brokers/topics/t/partitions/0/state"


def data(image, path):
    found = view.find(image, path)
    assert found is not None, path
    assert found.stat.data_length == len(found.data or b"")
    return json.loads(found.data)


def stat(image, path):
    found = view.find(image, path)
    assert found is not None, path
    return found.stat


@pytest.fixture
def kafka(new_cluster):
    """Three brokers; every entry says its time, 10 ms behind the last one, and goes into a snapshot and out of it."""

    class Kafka(new_cluster):
        def apply(self, *commands, expect=ErrorCode.NONE):
            now = NoteTime(time_ms=TimestampMs(1_000 + 10 * self.index))
            applied = super().apply(now, *commands, expect=expect)
            assert snapshot.decode(snapshot.encode(self.image)) == self.image
            check(self.image)
            return applied

        @property
        def now(self):
            return 990 + 10 * self.index

        def ask(self, operation):
            command = ChangeZnodes(session_id=SESSION, node_id=NodeId(1), operation=operation)
            ((_, _, result),) = self.apply(command).outcomes
            return result

    cluster = Kafka()
    for node_id in (1, 2, 3):
        cluster.start(node_id, rack=f"r{node_id}" if node_id == 3 else None)
    cluster.apply(CreateZkSession(session_id=SESSION, password=PASSWORD, timeout_ms=6_000, node_id=NodeId(1)))
    return cluster


def test_a_broker_is_there_while_it_is_not_fenced(kafka):
    registered = kafka.image.brokers[3]
    assert data(kafka.image, "/brokers/ids/3") == {
        "listener_security_protocol_map": {"PLAINTEXT": "PLAINTEXT"},
        "endpoints": ["PLAINTEXT://127.0.0.1:9003"],
        "jmx_port": -1,
        "host": "127.0.0.1",
        "port": 9003,
        "timestamp": str(registered.unfenced.time_ms),
        "version": 4,
        "rack": "r3",
    }
    first = stat(kafka.image, "/brokers/ids/3")
    assert first.ephemeral_owner == view.session_of(registered.epoch) > SESSION
    assert view.ephemerals_of_broker(kafka.image, first.ephemeral_owner) == ["/brokers/ids/3"]
    assert (first.czxid, first.mzxid, first.version, first.ctime_ms) == (6, 6, 0, 1_050)
    ids = stat(kafka.image, "/brokers/ids")
    assert (ids.num_children, ids.cversion, ids.pzxid) == (3, 3, 6)
    kafka.fence(3)
    assert view.find(kafka.image, "/brokers/ids/3") is None
    assert view.children(kafka.image, "/brokers/ids") == ["1", "2"]
    ids = stat(kafka.image, "/brokers/ids")
    assert (ids.num_children, ids.cversion, ids.pzxid) == (2, 4, kafka.index)
    kafka.unfence(3)
    assert stat(kafka.image, "/brokers/ids/3").czxid == kafka.index
    assert stat(kafka.image, "/brokers/ids").cversion == 5
    kafka.shut_down(3)
    assert stat(kafka.image, "/brokers/ids").cversion == 5


def test_a_topic_shows_its_assignment_and_moves_with_it_alone(kafka):
    kafka.create("t", (1, 2), (2, 1))
    born = kafka.index
    assert data(kafka.image, "/brokers/topics/t") == {
        "version": 2,
        "partitions": {"0": [1, 2], "1": [2, 1]},
        "adding_replicas": {},
        "removing_replicas": {},
    }
    first = stat(kafka.image, "/brokers/topics/t")
    assert (first.czxid, first.mzxid, first.version, first.num_children, first.cversion) == (born, born, 0, 1, 1)
    kafka.change("t", isr=kafka.isr(1))
    kafka.fence(2)
    kafka.unfence(2)
    assert stat(kafka.image, "/brokers/topics/t") == first
    kafka.reassign("t", (1, 3))
    moving = stat(kafka.image, "/brokers/topics/t")
    assert (moving.czxid, moving.mzxid, moving.mtime_ms) == (born, kafka.index, kafka.now)
    assert moving.version == kafka.index - born
    assert data(kafka.image, "/brokers/topics/t")["adding_replicas"] == {"0": [3]}
    kafka.change("t", isr=kafka.isr(1, 3))
    done = stat(kafka.image, "/brokers/topics/t")
    assert done.mzxid == kafka.index
    assert data(kafka.image, "/brokers/topics/t")["partitions"]["0"] == [1, 3]
    kafka.apply(AddPartitions(topic_id=kafka.image.topic_ids["t"], first=2, partitions=((NodeId(3),), (NodeId(1),))))
    assert stat(kafka.image, "/brokers/topics/t").mzxid == kafka.index
    partitions = stat(kafka.image, "/brokers/topics/t/partitions")
    assert (partitions.czxid, partitions.mzxid, partitions.pzxid) == (born, born, kafka.index)
    assert (partitions.num_children, partitions.cversion) == (4, 4)
    assert stat(kafka.image, "/brokers/topics/t/partitions/3").ctime_ms == kafka.now
    assert stat(kafka.image, "/brokers/topics/t/partitions/1").ctime_ms == first.ctime_ms


def test_a_state_moves_with_leader_epoch_and_isr_alone(kafka):
    kafka.apply(TakeOffice(node_id=NodeId(2), epoch=7))
    kafka.create("t", (1, 2))
    first = stat(kafka.image, STATE)
    assert data(kafka.image, STATE) == {
        "controller_epoch": 7,
        "leader": 1,
        "version": 1,
        "leader_epoch": 0,
        "isr": [1, 2],
    }
    kafka.apply(TakeOffice(node_id=NodeId(3), epoch=9))
    kafka.reassign("t", (1, 2, 3))
    assert stat(kafka.image, STATE) == first
    assert data(kafka.image, STATE)["controller_epoch"] == 7
    kafka.fence(1)
    then = stat(kafka.image, STATE)
    assert (then.czxid, then.mzxid, then.mtime_ms) == (first.czxid, kafka.index, kafka.now)
    assert then.version == then.mzxid - then.czxid
    assert data(kafka.image, STATE) == {
        "controller_epoch": 9,
        "leader": 2,
        "version": 1,
        "leader_epoch": 1,
        "isr": [2],
    }
    kafka.fence(2)
    assert data(kafka.image, STATE)["leader"] == -1


def test_what_there_is_below_topics(kafka):
    empty = view.below(kafka.image, "/")
    before = stat(kafka.image, "/brokers/topics")
    kafka.create("b", (1,), (1,))
    kafka.create("a", (1,))
    assert view.children(kafka.image, "/brokers/topics") == ["a", "b"]
    assert view.children(kafka.image, "/config/topics") == ["a", "b"]
    assert view.children(kafka.image, "/brokers/topics/b") == ["partitions"]
    assert view.children(kafka.image, "/brokers/topics/b/partitions") == ["0", "1"]
    assert view.children(kafka.image, "/brokers/topics/b/partitions/1") == ["state"]
    assert view.children(kafka.image, "/brokers/topics/b/partitions/1/state") == []
    assert view.children(kafka.image, "/brokers/ids/1") == view.children(kafka.image, "/config/topics/a") == []
    assert view.below(kafka.image, "/brokers/topics") == 10
    assert view.below(kafka.image, "/brokers/topics/b") == 5
    assert view.below(kafka.image, "/") == empty + 12
    after = stat(kafka.image, "/brokers/topics")
    assert (after.num_children, after.cversion, after.pzxid) == (2, before.cversion + 2, kafka.index)
    kafka.apply(DeleteTopic(topic_id=kafka.image.topic_ids["b"]))
    after = stat(kafka.image, "/brokers/topics")
    assert (after.num_children, after.cversion, after.pzxid) == (1, before.cversion + 3, kafka.index)
    assert view.find(kafka.image, "/brokers/topics/b") is None


@pytest.mark.parametrize(
    "path",
    [
        "/brokers/ids/9",
        "/brokers/ids/x",
        "/brokers/ids/",
        "/brokers/ids/01",
        "/brokers/ids/1/x",
        "/brokers/topics/none",
        "/brokers/topics/t/other",
        "/brokers/topics/t/partitions/7",
        "/brokers/topics/t/partitions/00",
        "/brokers/topics/t/partitions/-1",
        "/brokers/topics/t/partitions/0/other",
        "/brokers/topics/t/partitions/0/state/x",
        "/config/topics/none",
        "/config/topics/t/x",
        "/controller",
    ],
)
def test_what_is_not_there(kafka, path):
    kafka.create("t", (1,))
    assert view.find(kafka.image, path) is None
    assert view.children(kafka.image, path) is None
    assert view.below(kafka.image, path) is None


def test_configs_of_topics_have_a_version_of_their_own(kafka):
    kafka.create("t", (1,), configs={"retention.ms": "5"})
    assert data(kafka.image, "/config/topics/t") == {"version": 1, "config": {"retention.ms": "5"}}
    kafka.fence(1)
    assert stat(kafka.image, "/config/topics/t").version == 0
    topic_id = kafka.image.topic_ids["t"]
    kafka.apply(AlterTopicConfigs(topic_id=topic_id, configs={"retention.ms": None}))
    assert data(kafka.image, "/config/topics/t") == {"version": 1, "config": {}}
    then = stat(kafka.image, "/config/topics/t")
    assert (then.mzxid, then.mtime_ms) == (kafka.index, kafka.now)
    kafka.apply(AlterTopicConfigs(topic_id=topic_id, configs={"retention.ms": None}))
    assert stat(kafka.image, "/config/topics/t") == then


def test_the_controller_and_its_epoch(kafka):
    kafka.apply(TakeOffice(node_id=NodeId(2), epoch=7))
    assert data(kafka.image, "/controller") == {"version": 1, "brokerid": 2, "timestamp": str(kafka.now)}
    assert view.find(kafka.image, "/controller_epoch").data == b"7"
    first = stat(kafka.image, "/controller")
    assert first.ephemeral_owner == view.session_of(kafka.image.brokers[2].epoch)
    kafka.apply(TakeOffice(node_id=NodeId(3), epoch=7), expect=ErrorCode.INVALID_UPDATE_VERSION)
    kafka.apply(TakeOffice(node_id=NodeId(3), epoch=8))
    assert data(kafka.image, "/controller")["brokerid"] == 3
    assert stat(kafka.image, "/controller").czxid == kafka.index
    epoch = stat(kafka.image, "/controller_epoch")
    assert (epoch.czxid, epoch.version, epoch.mzxid) == (first.czxid, 1, kafka.index)


def test_the_cluster_and_the_configs_of_brokers(new_cluster, cluster):
    assert data(cluster.image, "/cluster/id") == {"version": "1", "id": "c"}
    cluster.apply(AlterBrokerConfigs(node_id=NodeId(1), configs={"log.retention.ms": "7"}))
    cluster.apply(AlterBrokerConfigs(node_id=ALL_BROKERS, configs={"log.retention.ms": "8"}))
    assert data(cluster.image, "/config/brokers/1") == {"version": 1, "config": {"log.retention.ms": "7"}}
    assert data(cluster.image, "/config/brokers/<default>")["config"] == {"log.retention.ms": "8"}
    cluster.apply(AlterBrokerConfigs(node_id=NodeId(1), configs={"log.retention.ms": None}))
    assert data(cluster.image, "/config/brokers/1") == {"version": 1, "config": {}}
    assert stat(cluster.image, "/config/brokers/1").version == 1


def test_the_last_block_of_producer_ids(kafka):
    assert view.find(kafka.image, "/latest_producer_id_block").data is None
    epoch = kafka.epoch(2)
    kafka.apply(AllocateProducerIdBlock(node_id=NodeId(2), epoch=epoch, start=ProducerId(0), count=1_000))
    assert data(kafka.image, "/latest_producer_id_block") == {
        "version": 1,
        "broker": 2,
        "block_start": "0",
        "block_end": "999",
    }
    assert stat(kafka.image, "/latest_producer_id_block").version == 1


def test_quotas_stand_beside_what_else_is_in_their_node(kafka):
    scram = {"SCRAM-SHA-256": "salt=x,stored_key=y,server_key=z,iterations=4096"}
    text = json.dumps({"version": 1, "config": scram}).encode()
    kafka.ask(Create(path="/config/users/ann%20b", data=text, acl=OPEN_ACL))
    kafka.apply(AlterClientQuotas(user="ann b", client_id=None, quotas={"producer_byte_rate": 1024.0}))
    assert data(kafka.image, "/config/users/ann%20b")["config"] == {**scram, "producer_byte_rate": "1024"}
    kafka.apply(AlterClientQuotas(user="ann b", client_id=None, quotas={"producer_byte_rate": None}))
    assert data(kafka.image, "/config/users/ann%20b")["config"] == scram
    kafka.apply(AlterClientQuotas(user="..", client_id="", quotas={"request_percentage": 0.5}))
    assert data(kafka.image, "/config/users/%2E%2E/clients/<default>")["config"] == {"request_percentage": "0.5"}
    kafka.apply(AlterClientQuotas(user=None, client_id="app", quotas={"request_percentage": 2.0}))
    assert data(kafka.image, "/config/clients/app")["config"] == {"request_percentage": "2"}


def test_a_config_that_was_written_first_is_where_the_topics_is_later(kafka):
    kafka.ask(Create(path="/config/topics/t", data=b"{}", acl=OPEN_ACL))
    assert view.find(kafka.image, "/config/topics/t").data == b"{}"
    before = stat(kafka.image, "/config/topics")
    topic = kafka.create("t", (1,))
    assert data(kafka.image, "/config/topics/t") == {"version": 1, "config": {}}
    assert kafka.image.znodes.get("/config/topics/t") is None
    assert view.children(kafka.image, "/config/topics") == ["t"]
    assert stat(kafka.image, "/config/topics").num_children == before.num_children == 1
    kafka.apply(DeleteTopic(topic_id=topic))
    assert view.children(kafka.image, "/config/topics") == []


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (Delete(path="/brokers"), ZkErrorCode.NOAUTH),
        (Delete(path="/config/changes"), ZkErrorCode.NOAUTH),
        (Create(path="/brokers/ids/7", data=b"", acl=OPEN_ACL), ZkErrorCode.NOAUTH),
        (Create(path="/brokers/topics/x", data=b"", acl=OPEN_ACL), ZkErrorCode.NOAUTH),
        (Create(path="/controller", data=b"", acl=OPEN_ACL), ZkErrorCode.NOAUTH),
        (SetData(path="/controller_epoch", data=b"9"), ZkErrorCode.NOAUTH),
        (SetData(path="/cluster/id", data=b""), ZkErrorCode.NOAUTH),
        (Delete(path="/config/topics/t"), ZkErrorCode.NOAUTH),
        (Create(path="/config/topics/x/y", data=b"", acl=OPEN_ACL), ZkErrorCode.NOAUTH),
        (Create(path="/admin/x", data=b"", acl=OPEN_ACL, mode=CreateMode.EPHEMERAL), ZkErrorCode.BADARGUMENTS),
        (Create(path="/config/users/x", data=b"", acl=OPEN_ACL, mode=CreateMode.CONTAINER), ZkErrorCode.BADARGUMENTS),
    ],
)
def test_what_is_kafkas_is_not_changed_as_a_node(kafka, operation, code):
    kafka.create("t", (1,))
    before = kafka.image
    assert kafka.ask(operation) == ErrorResult(code=code)
    assert kafka.image is before


def test_the_number_of_changes_of_a_broker_id_is_counted_by_its_node(kafka):
    assert not isinstance(kafka.ask(SetData(path="/brokers/seqid", data=b"")), ErrorResult)
    assert stat(kafka.image, "/brokers/seqid").version == 1


def test_an_image_without_anything_shows_the_nodes_that_are_always_there():
    image = Image.empty()
    assert view.children(image, "/brokers") == ["ids", "seqid", "topics"]
    assert view.children(image, "/config") == ["brokers", "changes", "clients", "topics", "users"]
    assert view.children(image, "/brokers/ids") == []
    assert view.find(image, "/consumers").data is None
