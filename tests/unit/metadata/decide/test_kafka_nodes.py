"""Tools write Kafka's nodes as in the ZooKeeper era, and what they mean happens; what means nothing leaves nothing behind."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random

import pytest

from raftkafka.metadata.commands import BeginControlledShutdown, ChangeKafkaNodes, TakeOffice, decode, encode
from raftkafka.metadata.decide import kafka_nodes
from raftkafka.metadata.decide.brokers import decide_take_office
from raftkafka.metadata.decide.kafka_nodes import Rules, meant
from raftkafka.metadata.decide.kafka_nodes_upkeep import upkeep
from raftkafka.metadata.decide.znodes import decide_change_znodes
from raftkafka.metadata.image import ALL_BROKERS, QuotaEntity
from raftkafka.metadata.reassignment import in_progress
from raftkafka.metadata.znodes import view
from raftkafka.metadata.znodes.commands import ChangeZnodes, CreateZkSession, EndZkSession
from raftkafka.model.api.znodes import ChangeZnodes as Request
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NodeId, Term, TopicId
from raftkafka.model.zookeeper import acl as permission
from raftkafka.model.zookeeper.acl import OPEN_ACL, Acl, Identity
from raftkafka.model.zookeeper.errors import ZkErrorCode
from raftkafka.model.zookeeper.modes import CreateMode
from raftkafka.model.zookeeper.ops import (
    Check,
    CheckResult,
    Create,
    CreateResult,
    Delete,
    DeleteResult,
    ErrorResult,
    Multi,
    MultiResult,
    SetAcl,
    SetAclResult,
    SetData,
    SetDataResult,
)
from tests.unit.metadata.soundness import check

SESSION = 9
CODE = ZkErrorCode
THEIR_ID = "yPUvV6wPQsG2oe1dZ1ZAAg"
"""A topic id as Kafka 2.8 draws and writes it."""


def text(**fields) -> bytes:
    return json.dumps(fields).encode()


def configs(**every) -> bytes:
    return text(version=1, config={key.replace("_", "."): value for key, value in every.items()})


def assignment(partitions, version=2) -> bytes:
    fields = {"version": version, "partitions": {str(index): replicas for index, replicas in partitions.items()}}
    if version > 1:
        fields |= {"adding_replicas": {}, "removing_replicas": {}}
    return text(**fields, **({"topic_id": THEIR_ID} if version == 3 else {}))


def new(path: str, data: bytes | None = b"", **how) -> Create:
    return Create(path=path, data=data, acl=OPEN_ACL, **how)


class Tool:
    """A client with a session on broker 1 of a cluster of three."""

    def __init__(self, cluster) -> None:
        self.cluster = cluster
        self.ids = 0
        self.enabled = True
        cluster.apply(CreateZkSession(session_id=SESSION, password=bytes(16), timeout_ms=9_000, node_id=NodeId(1)))

    @property
    def image(self):
        return self.cluster.image

    def rules(self) -> Rules:
        def topic_id() -> TopicId:
            self.ids += 1
            return TopicId(self.ids.to_bytes(16, "big"))

        return Rules(delete_topic_enable=self.enabled, new_topic_id=topic_id, random=Random(1))

    def ask(self, operation, *, session: int = SESSION, who: tuple[Identity, ...] = ()):
        request = Request(broker_id=NodeId(1), session_id=session, cxid=1, identities=who, change=operation)
        decision = decide_change_znodes(self.image, request, self.rules())
        assert decode(encode(decision.commands)) == decision.commands
        applied = self.cluster.apply(*decision.commands)
        check(self.image)
        ((session_id, cxid, result),) = applied.outcomes
        assert (session_id, cxid) == (session, 1)
        self.events = applied.changes.znode_events
        return result

    def refusal(self, operation, **how) -> ZkErrorCode:
        before = self.image
        result = self.ask(operation, **how)
        assert isinstance(result, ErrorResult), result
        assert self.image is before
        return result.code

    def upkeep(self) -> bool:
        """Whether there was something to do."""
        commands = list(upkeep(self.image, delete_topic_enable=self.enabled))
        if commands:
            self.cluster.apply(*commands)
        return bool(commands)

    def stat(self, path):
        found = view.find(self.image, path)
        assert found is not None
        return found.stat

    def data(self, path):
        found = view.find(self.image, path)
        assert found is not None
        return json.loads(found.data)

    def there(self, path) -> bool:
        return view.find(self.image, path) is not None

    def replicas(self, name):
        return [partition.replicas for partition in self.image.topic_by_name(name).partitions]


@pytest.fixture
def tool(cluster) -> Tool:
    return Tool(cluster)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_topic_is_created_with_the_assignment_that_is_written(tool, version):
    assert tool.ask(new("/brokers/topics/t", assignment({0: [1, 2], 1: [3, 1]}, version))) == CreateResult(
        path="/brokers/topics/t"
    )
    assert tool.replicas("t") == [(1, 2), (3, 1)]
    assert tool.image.topic_by_name("t").topic_id == TopicId((1).to_bytes(16, "big")), "the cluster draws the id"
    assert tool.there("/brokers/topics/t/partitions/1/state")
    assert tool.refusal(new("/brokers/topics/t", assignment({0: [1]}))) is CODE.NODEEXISTS


def test_who_asks_for_the_stat_of_a_new_topic_gets_it(tool):
    result = tool.ask(new("/brokers/topics/t", assignment({0: [1]}), with_stat=True))
    assert result == CreateResult(path="/brokers/topics/t", stat=tool.stat("/brokers/topics/t"))


def test_configs_that_were_written_first_are_those_of_the_topic(tool):
    # kafka-topics and CMAK write the configs, even without any, before the topic (`AdminUtils.createOrUpdateTopicPartitionAssignmentPathInZK`).
    assert isinstance(tool.ask(new("/config/topics/t", configs(retention_ms="5"))), CreateResult)
    assert isinstance(tool.ask(SetData(path="/config/topics/t", data=configs(retention_ms="7"))), SetDataResult)
    tool.ask(new("/brokers/topics/t", assignment({0: [1]})))
    assert tool.image.topic_by_name("t").configs == {"retention.ms": "7"}
    assert tool.data("/config/topics/t")["config"] == {"retention.ms": "7"}
    assert tool.image.znodes.get("/config/topics/t") is None
    tool.ask(new("/config/topics/u", configs()))
    assert isinstance(tool.ask(Delete(path="/config/topics/u")), DeleteResult)


@pytest.mark.parametrize(
    ("path", "data", "code"),
    [
        ("/brokers/topics/t", b"", CODE.BADARGUMENTS),
        ("/brokers/topics/t", b"\xff", CODE.BADARGUMENTS),
        ("/brokers/topics/t", b"[" * 9_000, CODE.BADARGUMENTS),
        ("/brokers/topics/t", b"[]", CODE.BADARGUMENTS),
        ("/brokers/topics/t", text(version=4, partitions={"0": [1]}), CODE.BADARGUMENTS),
        ("/brokers/topics/t", text(version=1, partitions={}), CODE.BADARGUMENTS),
        ("/brokers/topics/t", text(version=1, partitions={"x": [1]}), CODE.BADARGUMENTS),
        ("/brokers/topics/t", assignment({0: [1], 2: [1]}), CODE.BADARGUMENTS),
        ("/brokers/topics/t", assignment({0: [1, 1]}), CODE.BADARGUMENTS),
        ("/brokers/topics/t", assignment({0: [9]}), CODE.BADARGUMENTS),
        ("/brokers/topics/t", assignment({0: ["1"]}), CODE.BADARGUMENTS),
        ("/brokers/topics/t", assignment({0: [True]}), CODE.BADARGUMENTS),
        ("/brokers/topics/t", assignment({0: [1], 1: [1, 2]}), CODE.BADARGUMENTS),
        ("/brokers/topics/a b", assignment({0: [1]}), CODE.BADARGUMENTS),
        ("/brokers/topics/x_y", assignment({0: [1]}), CODE.BADARGUMENTS),
        ("/brokers/topics/x.y/partitions", b"", CODE.NODEEXISTS),
        ("/brokers/topics/x.y/other", b"", CODE.NOAUTH),
        ("/brokers/topics/t/partitions", b"", CODE.NONODE),
        ("/brokers/ids/9", b"{}", CODE.NOAUTH),
        ("/brokers/ids/1", b"{}", CODE.NODEEXISTS),
        ("/controller", b"{}", CODE.NOAUTH),
        ("/controller_epoch", b"1", CODE.NOAUTH),
        ("/cluster/id", b"1", CODE.NODEEXISTS),
        ("/config/topics/x.y", configs(), CODE.NODEEXISTS),
        ("/config/topics/t", b"{}", CODE.BADARGUMENTS),
        ("/config/topics/t", configs(no_config="1"), CODE.BADARGUMENTS),
        ("/config/topics/t", text(version=1, config={"retention.ms": 5}), CODE.BADARGUMENTS),
        ("/config/topics/t/y", configs(), CODE.NOAUTH),
        ("/config/brokers/9", configs(), CODE.BADARGUMENTS),
        ("/config/brokers/x", configs(), CODE.BADARGUMENTS),
        ("/config/brokers/1", configs(broker_id="5"), CODE.BADARGUMENTS),
        ("/config/users/u", text(version=1, config={"producer_byte_rate": "x"}), CODE.BADARGUMENTS),
        ("/config/users/u", text(version=1, config={"producer_byte_rate": "-1"}), CODE.BADARGUMENTS),
        ("/admin/reassign_partitions", b"x", CODE.BADARGUMENTS),
        ("/admin/reassign_partitions", text(version=1, partitions=[{"topic": "t"}]), CODE.BADARGUMENTS),
        ("/admin/preferred_replica_election", text(version=1), CODE.BADARGUMENTS),
    ],
)
def test_a_wrong_node_is_refused_and_leaves_nothing_behind(tool, path, data, code):
    tool.cluster.create("x.y", (1,))
    assert tool.refusal(new(path, data)) is code


def test_kafkas_nodes_do_not_go_by_themselves(tool):
    for mode in (CreateMode.EPHEMERAL, CreateMode.PERSISTENT_SEQUENTIAL, CreateMode.CONTAINER):
        for path in ("/brokers/topics/t", "/config/topics/t", "/config/brokers/1"):
            assert tool.refusal(new(path, assignment({0: [1]}), mode=mode)) is CODE.BADARGUMENTS


def test_of_two_who_write_on_the_same_version_one_is_told_so(tool):
    tool.ask(new("/brokers/topics/t", assignment({0: [1]})))
    tool.ask(new("/config/brokers/1", configs(log_retention_ms="7")))

    def race(*operations):
        """All are decided upon before any is applied."""
        commands = []
        for at, operation in enumerate(operations):
            request = Request(broker_id=NodeId(1), session_id=SESSION, cxid=at, identities=(), change=operation)
            commands += decide_change_znodes(tool.image, request, tool.rules()).commands
        results = [result for _, _, result in tool.cluster.apply(*commands).outcomes]
        check(tool.image)
        return results

    topic, broker = "/config/topics/t", "/config/brokers/1"
    for path in (topic, broker):
        key = "retention_ms" if path == topic else "log_retention_ms"
        version = tool.stat(path).version
        mine, theirs = [SetData(path=path, data=configs(**{key: value}), version=version) for value in ("50", "60")]
        first, second = race(mine, theirs)
        assert isinstance(first, SetDataResult)
        assert second == ErrorResult(code=CODE.BADVERSION)
        assert tool.data(path)["config"][key.replace("_", ".")] == "50"
        version = tool.stat(path).version
        in_multi = Multi(operations=(new(f"/by{version}", b""), replace(theirs, version=version)))
        first, second = race(replace(mine, data=configs(), version=version), in_multi)
        assert isinstance(first, SetDataResult)
        assert [each.code for each in second.results] == [CODE.OK, CODE.BADVERSION]
        assert not tool.there(f"/by{version}")
        assert tool.data(path)["config"] == {}
    grown = [SetData(path="/brokers/topics/t", data=assignment({0: [1], 1: [node]}), version=0) for node in (2, 3)]
    first, second = race(*grown)
    assert isinstance(first, SetDataResult)
    assert second == ErrorResult(code=CODE.BADVERSION)
    assert tool.replicas("t") == [(1,), (2,)]


def test_a_topic_grows_by_a_new_assignment_of_the_version_that_was_read(tool):
    tool.cluster.create("t", (1, 2))
    stale = tool.stat("/brokers/topics/t").version
    grown = assignment({0: [1, 2], 1: [2, 3], 2: [3, 1]})
    assert tool.refusal(SetData(path="/brokers/topics/t", data=grown, version=stale + 1)) is CODE.BADVERSION
    result = tool.ask(SetData(path="/brokers/topics/t", data=grown, version=stale))
    assert result == SetDataResult(stat=tool.stat("/brokers/topics/t"))
    assert tool.replicas("t") == [(1, 2), (2, 3), (3, 1)]
    assert tool.refusal(SetData(path="/brokers/topics/t", data=grown, version=stale)) is CODE.BADVERSION
    before = tool.image
    assert isinstance(tool.ask(SetData(path="/brokers/topics/t", data=grown)), SetDataResult)
    assert tool.image is before, "what is so already is no change"


@pytest.mark.parametrize(
    "partitions",
    [{0: [2, 1]}, {1: [1, 2]}, {0: [1, 2], 2: [1, 2]}, {0: [1, 2], 1: [1]}, {0: [1, 2], 1: [8, 9]}],
)
def test_a_topic_does_not_change_otherwise(tool, partitions):
    tool.cluster.create("t", (1, 2))
    assert tool.refusal(SetData(path="/brokers/topics/t", data=assignment(partitions))) is CODE.BADARGUMENTS


def test_configs_of_a_topic_are_replaced_as_a_whole(tool):
    tool.cluster.create("t", (1,), configs={"retention.ms": "5", "flush.ms": "1"})
    path = "/config/topics/t"
    result = tool.ask(SetData(path=path, data=configs(retention_ms="6", segment_ms="9"), version=0))
    assert result == SetDataResult(stat=tool.stat(path))
    assert tool.image.topic_by_name("t").configs == {"retention.ms": "6", "segment.ms": "9"}
    assert tool.refusal(SetData(path=path, data=configs(), version=0)) is CODE.BADVERSION
    assert tool.refusal(SetData(path=path, data=configs(retention_ms="x"))) is CODE.BADARGUMENTS
    assert tool.refusal(Delete(path=path)) is CODE.NOAUTH


def test_configs_of_brokers(tool):
    assert isinstance(tool.ask(new("/config/brokers/1", configs(log_retention_ms="7"))), CreateResult)
    assert tool.image.broker_configs[1] == {"log.retention.ms": "7"}
    assert tool.refusal(new("/config/brokers/1", configs())) is CODE.NODEEXISTS
    result = tool.ask(SetData(path="/config/brokers/1", data=configs(), version=0))
    assert result == SetDataResult(stat=tool.stat("/config/brokers/1"))
    assert 1 not in tool.image.broker_configs
    assert tool.there("/config/brokers/1")
    assert isinstance(tool.ask(new("/config/brokers/2", configs())), CreateResult)
    assert tool.there("/config/brokers/2")
    tool.ask(new("/config/brokers/<default>", configs(log_retention_ms="8")))
    assert tool.image.broker_configs[ALL_BROKERS] == {"log.retention.ms": "8"}
    assert tool.refusal(SetData(path="/config/brokers/3", data=configs())) is CODE.NONODE
    assert tool.refusal(Delete(path="/config/brokers/1")) is CODE.NOAUTH


def test_quotas_and_what_stands_beside_them(tool):
    entity = QuotaEntity("ann b", None)
    both = text(version=1, config={"producer_byte_rate": "1024", "SCRAM-SHA-256": "salt=x"})
    assert isinstance(tool.ask(new("/config/users/ann%20b", both)), CreateResult)
    assert tool.image.client_quotas == {entity: {"producer_byte_rate": 1024.0}}
    assert (tool.data("/config/users/ann%20b"), tool.stat("/config/users/ann%20b").version) == (json.loads(both), 0)
    scram = text(version=1, config={"SCRAM-SHA-256": "salt=x"})
    result = tool.ask(SetData(path="/config/users/ann%20b", data=scram))
    assert tool.image.client_quotas == {}
    assert isinstance(result, SetDataResult)
    tool.ask(new("/config/users/ann%20b/clients", None))
    tool.ask(new("/config/users/ann%20b/clients/<default>", text(version=1, config={"request_percentage": "5"})))
    assert tool.image.client_quotas == {QuotaEntity("ann b", ""): {"request_percentage": 5.0}}
    tool.ask(Delete(path="/config/users/ann%20b/clients/<default>"))
    assert tool.image.client_quotas == {}
    tool.ask(new("/config/clients/app", text(version=1, config={"consumer_byte_rate": "9"})))
    assert tool.refusal(new("/config/clients/app", text(version=1, config={}))) is CODE.NODEEXISTS
    assert tool.image.client_quotas == {QuotaEntity(None, "app"): {"consumer_byte_rate": 9.0}}


def test_a_topic_is_deleted_by_a_node_that_goes_when_it_is_done(tool):
    tool.cluster.create("t", (1,))
    path = "/admin/delete_topics/t"
    assert isinstance(tool.ask(new(path, None)), CreateResult)
    assert not tool.there("/brokers/topics/t")
    assert tool.there(path)
    assert tool.upkeep()
    assert not tool.there(path)
    assert not tool.upkeep()


def test_a_topic_that_is_not_there_or_may_not_be_deleted_only_makes_its_node_go(tool):
    tool.ask(new("/admin/delete_topics/none", None))
    tool.upkeep()
    assert not tool.there("/admin/delete_topics/none")
    tool.cluster.create("t", (1,))
    tool.enabled = False
    tool.ask(new("/admin/delete_topics/t", None))
    tool.upkeep()
    assert tool.there("/brokers/topics/t")
    assert not tool.there("/admin/delete_topics/t")


def moves(*partitions) -> bytes:
    return text(
        version=1,
        partitions=[{"topic": name, "partition": at, "replicas": replicas} for name, at, replicas in partitions],
    )


REASSIGN = kafka_nodes.REASSIGN


def test_a_reassignment_shrinks_and_goes_when_it_is_done(tool):
    tool.cluster.create("t", (1,), (2,))
    wanted = moves(("t", 0, [2]), ("t", 1, [3]), ("t", 7, [3]), ("none", 0, [1]), ("t", 0, [3]))
    assert isinstance(tool.ask(new(REASSIGN, wanted)), CreateResult)
    assert all(map(in_progress, tool.image.topic_by_name("t").partitions))
    assert tool.refusal(new(REASSIGN, wanted)) is CODE.NODEEXISTS
    assert tool.upkeep()
    assert tool.data(REASSIGN) == {
        "version": 1,
        "partitions": [
            {"topic": "t", "partition": 0, "replicas": [3]},
            {"topic": "t", "partition": 1, "replicas": [3]},
        ],
    }
    assert not tool.upkeep()
    tool.cluster.change("t", isr=tool.cluster.isr(1, 3))
    assert tool.upkeep()
    assert [each["partition"] for each in tool.data(REASSIGN)["partitions"]] == [1]
    tool.cluster.change("t", index=1, isr=tool.cluster.isr(2, 3))
    assert tool.upkeep()
    assert not tool.there(REASSIGN)
    assert tool.replicas("t") == [(3,), (3,)]


def test_a_reassignment_is_cancelled_by_deleting_its_node(tool):
    tool.cluster.create("t", (1,))
    tool.ask(new(REASSIGN, moves(("t", 0, [2]))))
    assert tool.refusal(Delete(path=REASSIGN, version=5)) is CODE.BADVERSION
    assert in_progress(tool.cluster.partition("t"))
    assert isinstance(tool.ask(Delete(path=REASSIGN)), DeleteResult)
    assert not in_progress(tool.cluster.partition("t"))
    assert tool.replicas("t") == [(1,)]
    assert tool.refusal(Delete(path=REASSIGN)) is CODE.NONODE
    assert tool.refusal(SetData(path=REASSIGN, data=moves())) is CODE.NONODE


def test_a_reassignment_that_the_upkeep_cannot_read_goes(tool):
    tool.cluster.apply(ChangeZnodes(operation=new(REASSIGN, b"?")))
    assert tool.upkeep()
    assert not tool.there(REASSIGN)


def test_preferred_leaders_are_elected_by_a_node_that_goes(tool):
    tool.cluster.create("t", (1, 2))
    tool.cluster.apply(BeginControlledShutdown(node_id=NodeId(1), epoch=tool.cluster.epoch(1)))
    tool.cluster.register(1)
    tool.cluster.unfence(1)
    tool.cluster.change("t", isr=tool.cluster.isr(1, 2))
    assert tool.cluster.partition("t").leader == 2
    wanted = text(version=1, partitions=[{"topic": "t", "partition": 0}, {"topic": "none", "partition": 3}])
    assert isinstance(tool.ask(new(kafka_nodes.ELECT, wanted)), CreateResult)
    assert tool.cluster.partition("t").leader == 1
    assert tool.refusal(new(kafka_nodes.ELECT, wanted)) is CODE.NODEEXISTS
    assert tool.upkeep()
    assert not tool.there(kafka_nodes.ELECT)


def test_notifications_are_plain_nodes(tool):
    path = "/config/changes/config_change_"
    result = tool.ask(new(path, b'"t"', mode=CreateMode.PERSISTENT_SEQUENTIAL))
    assert result == CreateResult(path="/config/changes/config_change_0000000000")


def test_the_controller_leaves_office_when_its_node_is_deleted(tool):
    tool.cluster.apply(TakeOffice(node_id=NodeId(1), epoch=4))
    assert tool.refusal(Delete(path="/controller", version=4)) is CODE.BADVERSION
    assert tool.refusal(SetData(path="/controller", data=b"")) is CODE.NOAUTH
    assert tool.ask(Delete(path="/controller")) == DeleteResult()
    assert not tool.there("/controller")
    assert [event.path for event in tool.events] == ["/controller", "/"]
    assert tool.refusal(Delete(path="/controller")) is CODE.NONODE
    tool.cluster.apply(*decide_take_office(tool.image, NodeId(2), Term(4)).commands)
    assert tool.data("/controller")["brokerid"] == 2
    assert tool.image.controller_epoch == 5
    assert decide_take_office(tool.image, NodeId(2), Term(5)).commands == ()
    assert decide_take_office(tool.image, NodeId(3), Term(5)).commands == (TakeOffice(node_id=NodeId(3), epoch=6),)
    assert decide_take_office(tool.image, NodeId(3), Term(7)).commands == (TakeOffice(node_id=NodeId(3), epoch=7),)


def test_what_only_the_cluster_writes_is_not_written(tool):
    tool.cluster.create("t", (1,))
    state = "/brokers/topics/t/partitions/0/state"
    assert tool.refusal(SetData(path=state, data=b"{}")) is CODE.NOAUTH
    assert tool.refusal(SetData(path=state, data=b"{}", version=7)) is CODE.BADVERSION
    assert tool.refusal(Delete(path=state)) is CODE.NOAUTH
    assert tool.refusal(Delete(path="/brokers/topics/t")) is CODE.NOTEMPTY
    assert tool.refusal(Delete(path="/brokers/topics/t/partitions/0")) is CODE.NOTEMPTY
    assert tool.refusal(Delete(path="/brokers/topics/none")) is CODE.NONODE
    assert tool.refusal(Delete(path="/brokers/ids/1")) is CODE.NOAUTH


def test_rendered_nodes_have_the_access_control_list_of_their_directory(tool):
    tool.cluster.create("t", (1,))
    topic, config = "/brokers/topics/t", "/config/topics/t"
    assert tool.ask(SetAcl(path=topic, acl=OPEN_ACL)) == SetAclResult(stat=tool.stat(topic))
    mine = (Acl(perms=permission.ALL, scheme="auth", id=""),)
    me = (Identity(scheme="digest", id="a:b"),)
    assert tool.refusal(SetAcl(path=topic, acl=mine)) is CODE.INVALIDACL
    assert tool.refusal(SetAcl(path=topic, acl=mine), who=me) is CODE.NOAUTH
    assert isinstance(tool.ask(SetAcl(path="/brokers/topics", acl=mine), who=me), SetAclResult)
    # As a tool goes on that sets them all, from above.
    assert isinstance(tool.ask(SetAcl(path=topic, acl=mine), who=me), SetAclResult)
    assert isinstance(tool.ask(SetAcl(path=f"{topic}/partitions", acl=mine), who=me), SetAclResult)
    assert tool.refusal(SetAcl(path=topic, acl=mine, version=3), who=me) is CODE.BADVERSION
    for operation in (
        SetAcl(path=topic, acl=OPEN_ACL),
        SetData(path=topic, data=assignment({0: [1], 1: [2]})),
        Check(path=topic, version=0),
        new("/brokers/topics/u", assignment({0: [1]})),
    ):
        assert tool.refusal(operation) is CODE.NOAUTH
    assert isinstance(tool.ask(SetData(path=topic, data=assignment({0: [1], 1: [2]})), who=me), SetDataResult)
    assert tool.ask(new("/brokers/topics/u", assignment({0: [1]})), who=me) == CreateResult(path="/brokers/topics/u")
    assert isinstance(tool.ask(SetData(path=config, data=configs(retention_ms="1"))), SetDataResult)
    tool.ask(SetAcl(path="/config/topics", acl=mine), who=me)
    assert tool.refusal(SetData(path=config, data=configs(retention_ms="2"))) is CODE.NOAUTH
    for path in ("/", "/config/brokers"):
        tool.ask(SetAcl(path=path, acl=mine), who=me)
    tool.cluster.apply(TakeOffice(node_id=NodeId(1), epoch=Term(3)))
    assert tool.refusal(Delete(path="/controller")) is CODE.NOAUTH
    assert tool.refusal(new("/config/brokers/1", configs())) is CODE.NOAUTH
    assert tool.ask(new("/config/brokers/1", configs()), who=me) == CreateResult(path="/config/brokers/1")


def test_versions_of_rendered_nodes_can_be_checked(tool):
    tool.cluster.create("t", (1,))
    assert tool.ask(Check(path="/brokers/topics/t", version=0)) == CheckResult()
    assert tool.refusal(Check(path="/brokers/topics/t", version=5)) is CODE.BADVERSION
    assert tool.ask(Check(path="/brokers/topics", version=0)) == CheckResult()


def codes(result) -> list[ZkErrorCode]:
    """Of a transaction that was refused."""
    assert isinstance(result, MultiResult)
    assert result.failed
    return [each.code for each in result.results]


def test_a_transaction_takes_stored_nodes_with_their_effects(tool):
    tool.cluster.create("t", (1,))
    tool.cluster.create("u", (1,))
    before = tool.image
    failing = Multi(operations=(new("/admin/delete_topics/t", None), Delete(path="/none")))
    assert codes(tool.ask(failing)) == [CODE.OK, CODE.NONODE]
    assert tool.image is before
    both = Multi(operations=(new("/admin/delete_topics/t", None), new("/admin/delete_topics/u", None)))
    result = tool.ask(both)
    assert isinstance(result, MultiResult)
    assert not result.failed
    assert dict(tool.image.topic_ids) == {}


def test_a_transaction_takes_one_rendered_node_and_others_that_are_not_kafkas(tool):
    topic = new("/brokers/topics/t", assignment({0: [1]}), with_stat=True)
    assert tool.ask(Multi(operations=(new("/a"), topic, new("/b")))).results == (
        CreateResult(path="/a"),
        CreateResult(path="/brokers/topics/t", stat=tool.stat("/brokers/topics/t")),
        CreateResult(path="/b"),
    )
    more = SetData(path="/brokers/topics/t", data=assignment({0: [1], 1: [2]}), version=0)
    assert tool.ask(Multi(operations=(more, Delete(path="/b")))).results == (
        SetDataResult(stat=tool.stat("/brokers/topics/t")),
        DeleteResult(),
    )
    assert tool.replicas("t") == [(1,), (2,)]
    assert not tool.there("/b")
    before = tool.image
    for other in (
        new("/brokers/topics/u", assignment({0: [1]})),
        new("/config/topics/u", configs()),
        new("/admin/delete_topics/t", None),
        Delete(path="/controller"),
    ):
        two = Multi(operations=(new("/b"), new("/brokers/topics/v", assignment({0: [1]})), other))
        assert codes(tool.ask(two)) == [CODE.OK, CODE.NOAUTH, CODE.RUNTIMEINCONSISTENCY]
    # Whichever of them is refused, nothing is left of the others.
    late = Multi(operations=(new("/brokers/topics/v", assignment({0: [1]})), Delete(path="/none")))
    assert codes(tool.ask(late)) == [CODE.OK, CODE.NONODE]
    assert codes(tool.ask(Multi(operations=(new("/c"), topic)))) == [CODE.OK, CODE.NODEEXISTS]
    assert tool.image is before


def test_a_transaction_whose_topic_came_meanwhile_leaves_nothing_behind(tool):
    operation = Multi(operations=(new("/a"), new("/brokers/topics/t", assignment({0: [1]})), new("/b")))
    decided = meant(tool.image, ChangeZnodes(session_id=SESSION, node_id=NodeId(1), operation=operation), tool.rules())
    tool.cluster.create("t", (1,))
    before = tool.image
    applied = tool.cluster.apply(decided)
    ((_, _, result),) = applied.outcomes
    assert codes(result) == [CODE.OK, CODE.NODEEXISTS, CODE.RUNTIMEINCONSISTENCY]
    assert tool.image is before
    assert applied.changes.znode_events == ()


def test_a_transaction_checks_rendered_nodes_when_it_is_applied(tool):
    tool.cluster.create("t", (1, 2), (2, 3))
    state = "/brokers/topics/t/partitions/0/state"
    version = tool.stat(state).version

    def wanted(name: str, version: int = version, path: str = state) -> Multi:
        return Multi(operations=(Check(path=path, version=version), new(name)))

    assert tool.ask(wanted("/a")).results == (CheckResult(), CreateResult(path="/a"))
    assert tool.ask(Multi(operations=(Check(path=state), SetData(path="/a", data=b"x")))).results[0] == CheckResult()
    assert codes(tool.ask(wanted("/b", version + 1))) == [CODE.BADVERSION, CODE.RUNTIMEINCONSISTENCY]
    assert codes(tool.ask(wanted("/b", path="/brokers/topics/none"))) == [CODE.NONODE, CODE.RUNTIMEINCONSISTENCY]
    change = ChangeZnodes(session_id=SESSION, node_id=NodeId(1), operation=wanted("/b"))
    decided = meant(tool.image, change, tool.rules())
    # In one entry, as the controller packs them: what comes first counts.
    broker = tool.image.brokers[NodeId(1)]
    applied = tool.cluster.apply(BeginControlledShutdown(node_id=NodeId(1), epoch=broker.epoch), decided)
    assert codes(applied.outcomes[0].result) == [CODE.BADVERSION, CODE.RUNTIMEINCONSISTENCY]
    assert not tool.there("/b")
    assert tool.ask(wanted("/b", tool.stat(state).version)).results == (CheckResult(), CreateResult(path="/b"))


def test_what_was_read_can_be_written_though_versions_are_not_counted_by_one(tool):
    tool.cluster.create("t", (1,))
    path, replicas = "/brokers/topics/t", {0: [1]}
    before = tool.stat(path)
    for number in (1, 2, 3):
        tool.cluster.create(f"other{number}", (1,))
        read = tool.stat(path)
        assert read.version == before.version
        replicas[number] = [1]
        written = tool.ask(SetData(path=path, data=assignment(replicas), version=read.version))
        assert written == SetDataResult(stat=tool.stat(path))
        assert written.stat.version > read.version + 1
        assert tool.refusal(SetData(path=path, data=assignment({**replicas, 9: [1]}), version=read.version)) is (
            CODE.BADVERSION
        )
        before = written.stat


def test_a_session_that_is_over_means_nothing(tool):
    wanted = new("/brokers/topics/t", assignment({0: [1]}))
    assert tool.refusal(wanted, session=5) is CODE.SESSIONEXPIRED
    attached = tool.image.znodes.sessions[SESSION].attached
    tool.cluster.apply(EndZkSession(session_id=SESSION, attached=attached))
    tool.cluster.create("u", (1,))
    assert tool.refusal(new("/admin/delete_topics/u", None)) is CODE.SESSIONEXPIRED
    assert "u" in tool.image.topic_ids


def test_a_decision_that_has_become_stale_is_an_error_of_zookeeper(tool):
    change = ChangeZnodes(
        session_id=SESSION, node_id=NodeId(1), operation=new("/brokers/topics/t", assignment({0: [1]}))
    )
    decided = meant(tool.image, change, tool.rules())
    assert isinstance(decided, ChangeKafkaNodes)
    tool.cluster.create("t", (1,))
    ((_, _, result),) = tool.cluster.apply(decided).outcomes
    assert result == ErrorResult(code=CODE.NODEEXISTS)
    odd = ChangeKafkaNodes(change=change, refused=12345)
    ((_, _, result),) = tool.cluster.apply(odd).outcomes
    assert result == ErrorResult(code=CODE.SYSTEMERROR)


def test_what_is_created_needs_no_data_in_its_entry(tool):
    wanted = new("/brokers/topics/t", assignment({index: [1, 2, 3] for index in range(9_000)}))
    request = Request(broker_id=NodeId(1), session_id=SESSION, cxid=1, identities=(), change=wanted)
    (command,) = decide_change_znodes(tool.image, request, tool.rules()).commands
    assert len(encode((command,))) < len(wanted.data)
    assert decide_change_znodes(tool.image, request, tool.rules()).respond(tool.image).error_code is ErrorCode.NONE
