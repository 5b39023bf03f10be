"""Two replicas of the image under random requests: one applies what was decided, the other only ever sees bytes."""

from __future__ import annotations

from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from raftkafka.metadata import snapshot
from raftkafka.metadata.apply import apply_all
from raftkafka.metadata.changes import Changes
from raftkafka.metadata.commands import decode, encode
from raftkafka.metadata.decide import Decision
from raftkafka.metadata.decide.brokers import (
    decide_controlled_shutdown,
    decide_defaults,
    decide_fence,
    decide_initialize_cluster,
    decide_register,
    decide_unfence,
)
from raftkafka.metadata.decide.elections import balance, decide_elect_leaders, preferred_leader_changes
from raftkafka.metadata.decide.new_partitions import decide_create_partitions
from raftkafka.metadata.decide.partitions import decide_alter_partition
from raftkafka.metadata.decide.reassignments import decide_reassign
from raftkafka.metadata.decide.topics import decide_create_topics, decide_delete_topics
from raftkafka.metadata.image import Defaults, Image
from raftkafka.metadata.reassignment import target
from raftkafka.model.api.broker_lifecycle import (
    AlterPartition,
    AlterPartitionItem,
    BrokerRegistration,
    HeldLogs,
    IsrMember,
    ListenerEndpoint,
)
from raftkafka.model.api.elections import ElectionType, ElectLeaders
from raftkafka.model.api.partitions import CreatePartitions, NewPartitions
from raftkafka.model.api.reassignments import AlterPartitionReassignments, ReassignablePartition, ReassignableTopic
from raftkafka.model.api.topics import CreateTopics, DeleteTopics, NewTopic, TopicToDelete
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_NODE, DirectoryId, NodeId, PartitionIndex, RaftIndex, TopicId
from tests.unit.metadata.soundness import check

NODES = st.integers(1, 4).map(NodeId)
NAMES = st.sampled_from(["a", "b", "c.d", "c_d"])


class Replicas(RuleBasedStateMachine):
    """Decisions are made on an image that may be older than the one they are applied to, as after a change of controller."""

    @initialize(seed=st.integers(0, 1 << 20))
    def begin(self, seed):
        self.random = Random(seed)
        self.image = self.copy = self.known = Image.empty()
        self.index = 0
        self.starts = 0
        self.leaders: dict[tuple[TopicId, int, int], NodeId] = {}
        self.commit([decide_initialize_cluster(self.image, "c", feature_level=1)])
        for node in (1, 2, 3):
            self.start(NodeId(node), alive=False, rack=None)
            self.unfence(NodeId(node))
        self.create(["a"], partitions=3, factor=2)

    def commit(self, decisions: list[Decision]):
        """Propose all commands as one entry, which both replicas apply."""
        commands = [command for decision in decisions for command in decision.commands]
        before = self.image
        if commands:
            self.index += 1 + self.random.randrange(3)
            applied = apply_all(self.image, RaftIndex(self.index), commands)
            copied = apply_all(self.copy, RaftIndex(self.index), decode(encode(commands)))
            assert copied.errors == applied.errors
            assert copied.changes == applied.changes
            assert Changes.between(before, applied.image).partitions <= applied.changes.partitions
            if self.known is before:
                assert applied.error is ErrorCode.NONE, "a fresh decision is never refused"
            self.image, self.copy = applied.image, copied.image
            self.check_step(before)
        return [decision.respond(self.image) for decision in decisions]

    def check_step(self, before):
        for key, old in before.partitions():
            new = self.image.partition(key)
            if new is None:
                continue
            assert new.partition_epoch >= old.partition_epoch
            assert (new.partition_epoch > old.partition_epoch) == (new != old)
            assert new.leader_epoch >= old.leader_epoch
            assert new.leader == old.leader or new.leader_epoch > old.leader_epoch

    def look(self):
        """The image that a decision is made on: mostly the newest."""
        if self.random.random() < 0.8:
            self.known = self.image
        return self.known

    @rule(
        node=NODES,
        alive=st.booleans(),
        rack=st.sampled_from([None, "x", "y"]),
        disks=st.lists(st.sampled_from([b"a" * 16, b"b" * 16]), min_size=1, max_size=2, unique=True),
        synced=st.booleans(),
        holds=st.booleans(),
    )
    def start(self, node, alive, rack, disks=(b"a" * 16,), synced=True, holds=False):
        self.starts += 1
        held = tuple(
            HeldLogs(topic_id=topic_id, partitions=(PartitionIndex(0),)) for topic_id in sorted(self.image.topics)
        )
        request = BrokerRegistration(
            broker_id=node,
            cluster_id="c",
            incarnation_id=self.starts.to_bytes(16, "big"),
            listeners=(ListenerEndpoint(name="P", host="h", port=node),),
            rack=rack,
            logs_synced=synced,
            directories=tuple(DirectoryId(each) for each in disks),
            held=held if holds else None,
        )
        (answer,) = self.commit([decide_register(self.look(), request, alive=alive)])
        if answer.error_code is ErrorCode.NONE:
            assert answer.broker_epoch == self.index

    @rule(node=NODES)
    def unfence(self, node):
        if node in self.image.brokers:
            epoch = self.image.brokers[node].epoch
            self.commit([decide_unfence(self.look(), node, epoch)])

    @rule(node=NODES)
    def fence(self, node):
        image = self.look()
        if node in image.brokers:
            epoch = image.brokers[node].epoch
            self.commit([decide_fence(image, node, epoch)])

    @rule(least=st.integers(1, 3), unclean=st.booleans())
    def set_defaults(self, least, unclean):
        defaults = Defaults(min_insync_replicas=least, unclean_leader_election=unclean)
        self.commit([decide_defaults(self.look(), defaults)])

    @rule(node=NODES)
    def shut_down(self, node):
        self.commit([decide_controlled_shutdown(self.look(), node)])

    def new_topic_id(self):
        return TopicId(self.random.randbytes(16))

    @rule(names=st.lists(NAMES, min_size=1, max_size=2), partitions=st.integers(0, 4), factor=st.integers(1, 4))
    def create(self, names, partitions, factor):
        topics = tuple(NewTopic(name=name, num_partitions=partitions, replication_factor=factor) for name in names)
        decision = decide_create_topics(
            self.look(),
            CreateTopics(topics=topics),
            default_partitions=1,
            default_replication_factor=1,
            new_topic_id=self.new_topic_id,
            random=self.random,
        )
        (answer,) = self.commit([decision])
        for topic in answer.topics:
            if topic.error_code is ErrorCode.NONE:
                assert self.image.topics[topic.topic_id].name == topic.name

    @rule(name=NAMES)
    def delete(self, name):
        request = DeleteTopics(topics=(TopicToDelete(name=name),))
        (answer,) = self.commit([decide_delete_topics(self.look(), request, delete_topic_enable=True)])
        if answer.topics[0].error_code is ErrorCode.NONE:
            assert answer.topics[0].topic_id not in self.image.topics

    @rule(data=st.data())
    def alter(self, data):
        image = self.look()
        keys = sorted(key for key, partition in image.partitions() if partition.leader != NO_NODE)
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        partition = image.partition(key)
        chosen = data.draw(st.sets(st.sampled_from(partition.replicas)))
        members = tuple(
            IsrMember(node_id=node, broker_epoch=image.brokers[node].epoch)
            for node in partition.replicas
            if node in chosen | {partition.leader}
        )
        request = AlterPartition(
            broker_id=partition.leader,
            broker_epoch=image.brokers[partition.leader].epoch,
            partitions=(
                AlterPartitionItem(
                    topic_id=key.topic_id,
                    partition=key.partition,
                    leader_epoch=partition.leader_epoch,
                    partition_epoch=partition.partition_epoch,
                    new_isr=members,
                ),
            ),
        )
        now = self.image.partition(key)
        (answer,) = self.commit([decide_alter_partition(image, request)])
        if answer.error_code is ErrorCode.NONE and answer.partitions[0].error_code is ErrorCode.NONE:
            after = self.image.partition(key)
            wanted = {member.node_id for member in members} & set(after.replicas)
            assert set(after.isr) == wanted
            assert now.partition_epoch == partition.partition_epoch or set(now.isr) == wanted

    @rule(data=st.data(), replicas=st.none() | st.lists(NODES, unique=True, max_size=4).map(tuple))
    def reassign(self, data, replicas):
        image = self.look()
        keys = sorted(key for key, _ in image.partitions())
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        before = self.image.partition(key)
        request = AlterPartitionReassignments(
            topics=(
                ReassignableTopic(
                    name=image.topics[key.topic_id].name,
                    partitions=(ReassignablePartition(partition=key.partition, replicas=replicas),),
                ),
            )
        )
        (answer,) = self.commit([decide_reassign(image, request)])
        (topic,) = answer.topics
        after = self.image.partition(key)
        if before is None or topic.partitions[0].error_code is not ErrorCode.NONE:
            return
        elected = before.leader == NO_NODE != after.leader
        assert set(after.isr) <= set(before.isr) or elected, "a reassignment alone puts nobody in sync"
        origin = [each for each in before.replicas if each not in before.adding]
        if replicas is None:
            assert set(origin) <= set(after.replicas)
            promised = self.image.defaults.min_insync_replicas
            assert len(after.isr) >= min(promised, len(origin), len(before.isr))
        else:
            assert target(after) == replicas == after.replicas[: len(replicas)]
            assert set(after.replicas) <= {*replicas, *before.replicas}
        assert set(before.replicas) <= set(after.replicas) or after.leader_epoch > before.leader_epoch

    @rule(name=NAMES, count=st.integers(0, 5))
    def grow(self, name, count):
        request = CreatePartitions(topics=(NewPartitions(name=name, count=count),))
        (answer,) = self.commit([decide_create_partitions(self.look(), request, random=self.random)])
        if answer.topics[0].error_code is ErrorCode.NONE:
            assert len(self.image.topic_by_name(name).partitions) >= count

    @rule(kind=st.sampled_from(ElectionType))
    def elect(self, kind):
        (answer,) = self.commit([decide_elect_leaders(self.look(), ElectLeaders(election_type=kind))])
        for topic in answer.topics:
            for each in topic.partitions:
                if each.error_code is ErrorCode.NONE:
                    partition = self.image.topic_by_name(topic.name).partitions[each.partition]
                    assert partition.leader != NO_NODE
                    assert kind is ElectionType.UNCLEAN or partition.leader == partition.replicas[0]

    @rule(percentage=st.sampled_from([0, 10, 50, 100]))
    def keep_balance(self, percentage):
        commands = tuple(balance(self.look(), percentage=percentage))
        self.commit([Decision(commands=commands, respond=lambda _: None)])

    @rule()
    def prefer(self):
        commands = tuple(preferred_leader_changes(self.look()))
        self.commit([Decision(commands=commands, respond=lambda _: None)])

    @rule()
    def restart_the_copy(self):
        self.copy = snapshot.decode(snapshot.encode(self.copy))

    @invariant()
    def replicas_are_equal(self):
        assert self.copy == self.image

    @invariant()
    def every_partition_is_sound(self):
        image = self.image
        check(image)
        for key, partition in image.partitions():
            if partition.leader == NO_NODE:
                continue
            # I2: one leader per leader epoch, over the whole history.
            epoch = (key.topic_id, key.partition, partition.leader_epoch)
            assert self.leaders.setdefault(epoch, partition.leader) == partition.leader


TestReplicas = Replicas.TestCase
TestReplicas.settings = settings(max_examples=80, stateful_step_count=40)
