"""Images to start from, and strategies for commands: every kind, with values that often hit and often miss."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import strategies as st

from raftkafka.metadata.apply import apply_all
from raftkafka.metadata.commands import (
    AddPartitions,
    AllocateProducerIdBlock,
    AlterBrokerConfigs,
    AlterClientQuotas,
    AlterTopicConfigs,
    BeginControlledShutdown,
    ChangeKafkaNodes,
    ChangePartition,
    CreateTopic,
    DeleteTopic,
    ElectUncleanLeader,
    FenceBroker,
    InitializeCluster,
    LeaveOffice,
    LoseReplica,
    NoteTime,
    ReassignPartition,
    RegisterBroker,
    SetDefaults,
    TakeOffice,
    UnfenceBroker,
)
from raftkafka.metadata.image import Image
from raftkafka.metadata.znodes.commands import ChangeZnodes, CreateZkSession, EndZkSession, MoveZkSession
from raftkafka.model.api.broker_lifecycle import HeldLogs, IsrMember, ListenerEndpoint
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import (
    NO_BROKER_EPOCH,
    BrokerEpoch,
    NodeId,
    PartitionEpoch,
    PartitionIndex,
    ProducerId,
    RaftIndex,
    TimestampMs,
    TopicId,
)
from raftkafka.model.zookeeper.acl import OPEN_ACL, Acl, Identity
from raftkafka.model.zookeeper.modes import CreateMode
from raftkafka.model.zookeeper.ops import Check, Create, Delete, Multi, SetAcl, SetData
from tests.unit.metadata.soundness import check


def endpoint(node_id: int) -> ListenerEndpoint:
    return ListenerEndpoint(name="PLAINTEXT", host="127.0.0.1", port=9_000 + node_id)


def register(
    node_id: int,
    *,
    incarnation: int = 0,
    replaces: int = NO_BROKER_EPOCH,
    rack: str | None = None,
    previous: int = NO_BROKER_EPOCH,
    synced: bool = False,
    disks: tuple[int, ...] | None = None,
    held: dict[TopicId, tuple[int, ...]] | None = None,
):
    """`disks` are numbers that stand for directory ids; a broker has one of its own unless said otherwise."""
    logs = None
    if held is not None:
        logs = tuple(
            HeldLogs(topic_id=topic_id, partitions=tuple(PartitionIndex(each) for each in partitions))
            for topic_id, partitions in held.items()
        )
    return RegisterBroker(
        node_id=NodeId(node_id),
        incarnation_id=bytes([incarnation]) * 16,
        listeners=(endpoint(node_id),),
        rack=rack,
        replaces=BrokerEpoch(replaces),
        previous_broker_epoch=BrokerEpoch(previous),
        logs_synced=synced,
        directories=tuple(bytes([each]) * 16 for each in ((node_id,) if disks is None else disks)),
        held=logs,
    )


class Cluster:
    """An image that is built command by command, each in an entry of its own; `index` is the last one."""

    def __init__(self) -> None:
        self.image = Image.empty()
        self.index = RaftIndex(0)

    def apply(self, *commands, expect: ErrorCode = ErrorCode.NONE):
        self.index = RaftIndex(self.index + 1)
        applied = apply_all(self.image, self.index, commands)
        assert applied.error is expect
        self.image = applied.image
        return applied

    def epoch(self, node_id: int) -> BrokerEpoch:
        return self.image.brokers[NodeId(node_id)].epoch

    def start(self, node_id: int, *, incarnation: int = 0, rack: str | None = None) -> None:
        self.register(node_id, incarnation=incarnation, rack=rack)
        self.unfence(node_id)

    def register(self, node_id: int, **facts):
        """A new start of a broker that was killed, with the same disks, unless `facts` say otherwise."""
        known = self.image.brokers.get(NodeId(node_id))
        replaces = NO_BROKER_EPOCH if known is None else known.epoch
        facts = {"incarnation": self.index % 256, "synced": True, "replaces": replaces, **facts}
        return self.apply(register(node_id, **facts))

    def unfence(self, node_id: int):
        return self.apply(UnfenceBroker(node_id=NodeId(node_id), epoch=self.epoch(node_id)))

    def fence(self, node_id: int):
        return self.apply(FenceBroker(node_id=NodeId(node_id), epoch=self.epoch(node_id)))

    def defaults(self, *, min_insync_replicas: int = 1, unclean: bool = False):
        return self.apply(SetDefaults(min_insync_replicas=min_insync_replicas, unclean_leader_election=unclean))

    def lose(self, name: str, node_id: int, index: int = 0, *, damaged: bool = True):
        topic = self.image.topic_by_name(name)
        assert topic is not None
        return self.apply(
            LoseReplica(
                node_id=NodeId(node_id),
                epoch=self.epoch(node_id),
                topic_id=topic.topic_id,
                partition=PartitionIndex(index),
                damaged=damaged,
            )
        )

    def eligible(self, name: str, index: int = 0):
        """Leader, ISR and ELR."""
        partition = self.partition(name, index)
        return partition.leader, partition.isr, partition.elr

    def shut_down(self, node_id: int):
        return self.apply(BeginControlledShutdown(node_id=NodeId(node_id), epoch=self.epoch(node_id)))

    def create(self, name: str, *partitions: tuple[int, ...], configs: dict[str, str] | None = None) -> TopicId:
        topic_id = TopicId(name.encode().ljust(16, b"\1")[:16])
        replicas = tuple(tuple(NodeId(each) for each in partition) for partition in partitions)
        self.apply(CreateTopic(name=name, topic_id=topic_id, partitions=replicas, configs=configs or {}))
        return topic_id

    def partition(self, name: str, index: int = 0):
        topic = self.image.topic_by_name(name)
        assert topic is not None
        return topic.partitions[index]

    def isr(self, *node_ids: int) -> tuple[IsrMember, ...]:
        """Members with the broker epochs in force."""
        return tuple(IsrMember(node_id=NodeId(each), broker_epoch=self.epoch(each)) for each in node_ids)

    def reassign(self, name: str, replicas, *, index: int = 0, expect: ErrorCode = ErrorCode.NONE):
        """To these replicas; None cancels."""
        partition = self.partition(name, index)
        return self.apply(
            ReassignPartition(
                topic_id=self.image.topic_ids[name],
                partition=PartitionIndex(index),
                partition_epoch=partition.partition_epoch,
                replicas=None if replicas is None else tuple(NodeId(each) for each in replicas),
            ),
            expect=expect,
        )

    def change(self, name: str, *, isr=None, leader=None, index: int = 0, expect: ErrorCode = ErrorCode.NONE):
        topic = self.image.topic_by_name(name)
        assert topic is not None
        command = ChangePartition(
            topic_id=topic.topic_id,
            partition=PartitionIndex(index),
            partition_epoch=topic.partitions[index].partition_epoch,
            isr=isr,
            leader=leader,
        )
        return self.apply(command, expect=expect)


@pytest.fixture
def cluster() -> Cluster:
    """Three brokers, all active."""
    cluster = Cluster()
    cluster.apply(InitializeCluster(cluster_id="c", feature_level=1))
    for node_id in (1, 2, 3):
        cluster.start(node_id)
    return cluster


@pytest.fixture(scope="session")
def check_image() -> Callable[[Image], None]:
    return check


_nodes = st.integers(-1, 4).map(NodeId)
_epochs = st.integers(-1, 12).map(BrokerEpoch)
_topic_ids = st.integers(0, 4).map(lambda each: TopicId(bytes([each]) * 16))
_partitions = st.integers(-2, 4).map(PartitionIndex)
_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_members = st.builds(IsrMember, node_id=_nodes, broker_epoch=_epochs)

_acls = st.sampled_from([OPEN_ACL, (), (Acl(perms=31, scheme="auth", id=""),), (Acl(perms=1, scheme="ip", id="x"),)])
_paths = st.sampled_from(["/", "/a", "/a/b", "/a/c", "/zookeeper", "x", "/a/", "/a/../b"]) | _text
_data = st.none() | st.binary(max_size=4)
_versions = st.integers(-2, 3)
_single_ops = st.one_of(
    st.builds(
        Create,
        path=_paths,
        data=_data,
        acl=_acls,
        mode=st.sampled_from(CreateMode),
        ttl_ms=st.sampled_from([-1, 0, 5, 1 << 40]),
        with_stat=st.booleans(),
    ),
    st.builds(Delete, path=_paths, version=_versions),
    st.builds(SetData, path=_paths, data=_data, version=_versions),
    st.builds(SetAcl, path=_paths, acl=_acls, version=_versions),
    st.builds(Check, path=_paths, version=_versions),
)
_sessions = st.integers(1, 3)
_passwords = st.sampled_from([bytes(16), bytes([1]) * 16, b""])
znode_commands = st.one_of(
    st.builds(
        CreateZkSession, session_id=_sessions, password=_passwords, timeout_ms=st.integers(-1, 2), node_id=_nodes
    ),
    st.builds(MoveZkSession, session_id=_sessions, password=_passwords, timeout_ms=st.integers(0, 2), node_id=_nodes),
    st.builds(EndZkSession, session_id=_sessions, attached=st.integers(0, 12).map(RaftIndex)),
    st.builds(
        ChangeZnodes,
        session_id=st.integers(0, 3),
        cxid=st.integers(0, 3),
        node_id=_nodes,
        identities=st.sampled_from([(), (Identity(scheme="digest", id="a:b"), Identity(scheme="ip", id="::1"))]),
        operation=_single_ops | st.builds(Multi, operations=st.lists(_single_ops, max_size=3).map(tuple)),
    ),
)

commands = st.one_of(
    znode_commands,
    st.builds(
        ChangeKafkaNodes,
        change=st.builds(
            ChangeZnodes,
            session_id=_sessions,
            cxid=st.integers(0, 3),
            node_id=_nodes,
            operation=_single_ops | st.builds(Multi, operations=st.lists(_single_ops, max_size=2).map(tuple)),
        ),
        effects=st.lists(
            st.builds(DeleteTopic, topic_id=_topic_ids)
            | st.builds(
                CreateTopic,
                name=st.sampled_from(["a", "b"]),
                topic_id=_topic_ids,
                partitions=st.just(((NodeId(1),),)),
                configs=st.just({}),
            ),
            max_size=2,
        ).map(tuple),
        stored=st.booleans(),
        refused=st.sampled_from([0, 0, -101, 7]),
        refused_at=st.integers(-1, 3),
        rendered_at=st.integers(-1, 2),
    ),
    st.builds(InitializeCluster, cluster_id=st.sampled_from(["", "a", "b"]), feature_level=st.integers(0, 3)),
    st.builds(
        RegisterBroker,
        node_id=_nodes,
        incarnation_id=st.integers(0, 5).map(lambda each: bytes([each]) * 16),
        listeners=st.lists(st.integers(0, 5).map(endpoint), max_size=2).map(tuple),
        rack=st.none() | _text,
        replaces=_epochs,
        previous_broker_epoch=_epochs,
        logs_synced=st.booleans(),
        directories=st.lists(st.integers(0, 2).map(lambda each: bytes([each]) * 16), max_size=2, unique=True).map(
            tuple
        ),
        held=st.none()
        | st.lists(
            st.builds(HeldLogs, topic_id=_topic_ids, partitions=st.lists(_partitions, max_size=2).map(tuple)),
            max_size=2,
        ).map(tuple),
    ),
    st.builds(FenceBroker, node_id=_nodes, epoch=_epochs, silent=st.booleans()),
    st.builds(NoteTime, time_ms=st.integers(-1, 9).map(TimestampMs)),
    st.builds(UnfenceBroker, node_id=_nodes, epoch=_epochs),
    st.builds(BeginControlledShutdown, node_id=_nodes, epoch=_epochs),
    st.builds(
        AllocateProducerIdBlock,
        node_id=_nodes,
        epoch=_epochs,
        start=st.integers(0, 3).map(lambda each: ProducerId(each * 2)) | st.just(ProducerId((1 << 63) - 2)),
        count=st.integers(-1, 2),
    ),
    st.builds(
        CreateTopic,
        name=st.sampled_from(["a", "b", "c.d", "c_d", ".", "x/y", ""]) | _text,
        topic_id=_topic_ids,
        partitions=st.lists(st.lists(_nodes, max_size=3).map(tuple), max_size=3).map(tuple),
        configs=st.dictionaries(_text, _text, max_size=2)
        | st.just({"unclean.leader.election.enable": "true"})
        | st.just({"unclean.leader.election.enable": "false"})
        | st.sampled_from(["1", "2", "3", "x"]).map(lambda each: {"min.insync.replicas": each}),
    ),
    st.builds(DeleteTopic, topic_id=_topic_ids),
    st.builds(LeaveOffice, epoch=st.integers(0, 5)),
    st.builds(TakeOffice, node_id=_nodes, epoch=st.integers(-1, 5)),
    st.builds(
        ChangePartition,
        topic_id=_topic_ids,
        partition=_partitions,
        partition_epoch=st.integers(-1, 6).map(PartitionEpoch),
        isr=st.none() | st.lists(_members, max_size=4).map(tuple),
        leader=st.none() | _nodes,
    ),
    st.builds(
        LoseReplica,
        node_id=_nodes,
        epoch=_epochs,
        topic_id=_topic_ids,
        partition=_partitions,
        damaged=st.booleans(),
    ),
    st.builds(SetDefaults, min_insync_replicas=st.integers(-1, 3), unclean_leader_election=st.booleans()),
    st.builds(
        AlterTopicConfigs,
        topic_id=_topic_ids,
        configs=st.dictionaries(
            st.sampled_from(["min.insync.replicas", "unclean.leader.election.enable", "retention.ms"]) | _text,
            st.none() | st.sampled_from(["1", "2", "true", "false"]) | _text,
            max_size=3,
        ),
    ),
    st.builds(
        AlterClientQuotas,
        user=st.none() | _text,
        client_id=st.none() | st.sampled_from(["", "a"]),
        quotas=st.dictionaries(
            st.sampled_from(["producer_byte_rate", "consumer_byte_rate", "request_percentage"]) | _text,
            st.none() | st.sampled_from([1.0, 0.5, -1.0, float("inf")]),
            max_size=2,
        ),
    ),
    st.builds(
        AlterBrokerConfigs,
        node_id=_nodes,
        configs=st.dictionaries(
            st.sampled_from(["min.insync.replicas", "unclean.leader.election.enable", "log.retention.ms"]) | _text,
            st.none() | st.sampled_from(["1", "2", "true", "False"]) | _text,
            max_size=3,
        ),
    ),
    st.builds(
        ReassignPartition,
        topic_id=_topic_ids,
        partition=_partitions,
        partition_epoch=st.integers(-1, 6).map(PartitionEpoch),
        replicas=st.none() | st.lists(_nodes, max_size=4).map(tuple),
    ),
    st.builds(
        AddPartitions,
        topic_id=_topic_ids,
        first=st.integers(0, 4),
        partitions=st.lists(st.lists(_nodes, max_size=3).map(tuple), max_size=2).map(tuple),
    ),
    st.builds(
        ElectUncleanLeader,
        topic_id=_topic_ids,
        partition=_partitions,
        partition_epoch=st.integers(-1, 6).map(PartitionEpoch),
    ),
)


@pytest.fixture(scope="session")
def any_command() -> st.SearchStrategy:
    """Arbitrary well-typed commands over few ids, so that they meet."""
    return commands


@pytest.fixture
def new_cluster() -> type[Cluster]:
    return Cluster


@pytest.fixture
def make_endpoint() -> Callable[[int], ListenerEndpoint]:
    return endpoint
