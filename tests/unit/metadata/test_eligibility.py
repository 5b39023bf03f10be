"""I4 under any sequence of starts, losses and ISR changes: who is eligible has every committed record.

The model knows what the image cannot: how many of the committed records each disk really has. Its leader commits as
`replica.leader` does, by a view of the partition that may be older than the image, and by a `min.insync.replicas` of its own that
need not be the controller's.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from raftkafka.metadata.commands import AlterBrokerConfigs, AlterTopicConfigs, DeleteTopic
from raftkafka.metadata.image import ALL_BROKERS
from raftkafka.model.ids import NO_NODE
from tests.unit.metadata.conftest import Cluster
from tests.unit.metadata.soundness import check

NODES = st.integers(1, 3)


def rules(least, unclean):
    """Both configs that eligibility goes by; None takes one away."""
    return {
        "min.insync.replicas": None if least is None else str(least),
        "unclean.leader.election.enable": None if unclean is None else str(unclean).lower(),
    }


class Eligibility(RuleBasedStateMachine):
    @initialize(controllers=st.integers(1, 3), leaders=st.integers(1, 3), unclean=st.booleans())
    def begin(self, controllers, leaders, unclean):
        self.cluster = Cluster()
        self.unclean_by = {"topic": None, "all brokers": None, "file": unclean}
        self.leaders_least = leaders
        self.disks = {1: 1, 2: 2, 3: 3}
        self.cluster.defaults(min_insync_replicas=controllers, unclean=unclean)
        for node in self.disks:
            self.cluster.register(node)
            self.cluster.unfence(node)
        self.cluster.create("a", (1, 2, 3))
        self.committed = 0
        self.has = dict.fromkeys(self.disks, 0)
        self.learn()

    @property
    def unclean(self):
        """The topic goes before the default of all brokers, that before the controller's file."""
        return next(each for each in self.unclean_by.values() if each is not None)

    def learn(self):
        self.view, self.proposed = self.partition, set()

    @property
    def partition(self):
        return self.cluster.partition("a")

    @property
    def eligible(self):
        return {*self.partition.isr, *self.partition.elr}

    def carry_out(self, change):
        """Apply, and let an unclean election make its leader's log the truth, to which everybody truncates."""
        before, eligible = self.partition, self.eligible
        change()
        after = self.partition
        if after.leader not in (NO_NODE, before.leader) and after.leader not in eligible:
            assert self.unclean
            self.truncate(self.has[after.leader])

    def truncate(self, end):
        self.committed = end
        self.has = {node: min(has, end) for node, has in self.has.items()}

    # What the leader does

    @rule()
    def the_leader_learns(self):
        self.learn()

    @rule(records=st.integers(1, 3))
    def the_leader_commits(self, records):
        view = self.view
        deposed = view.leader_epoch != self.partition.leader_epoch
        if view.leader == NO_NODE or deposed or len(view.isr) < self.leaders_least or view.elr:
            return
        self.committed += records
        for node in {*view.isr, *self.proposed}:
            self.has[node] = self.committed

    @rule(chosen=st.sets(NODES))
    def the_leader_alters_the_isr(self, chosen):
        partition = self.partition
        if partition.leader == NO_NODE:
            return
        self.learn()
        active = self.cluster.image.active()
        members = tuple(node for node in partition.replicas if node in chosen & active or node == partition.leader)
        for node in members:
            self.has[node] = self.committed
        self.proposed = set(members)
        self.cluster.change("a", isr=self.cluster.isr(*members))

    # What happens to brokers and disks

    @rule(node=NODES)
    def it_is_fenced(self, node):
        self.carry_out(lambda: self.cluster.fence(node))

    @rule(node=NODES)
    def it_is_unfenced(self, node):
        if not self.cluster.image.brokers[node].in_controlled_shutdown:
            self.carry_out(lambda: self.cluster.unfence(node))

    @rule(node=NODES)
    def it_shuts_down(self, node):
        self.carry_out(lambda: self.cluster.shut_down(node))

    @rule(node=NODES, orderly=st.booleans())
    def it_starts_again(self, node, orderly):
        previous = self.cluster.epoch(node) if orderly else -1
        self.register(node, previous=previous, synced=not orderly)

    @rule(node=NODES, lost=st.integers(0, 4))
    def it_starts_again_without_what_was_not_synced(self, node, lost):
        self.has[node] = max(0, self.has[node] - lost)
        if self.eligible == {node}:
            # Nobody has more that counts: this is what the promise of the other flush policies costs.
            self.truncate(self.has[node])
        self.register(node, synced=False)

    @rule(node=NODES)
    def it_starts_again_with_an_empty_disk(self, node):
        self.has[node] = 0
        self.disks[node] += 10
        self.register(node)

    def register(self, node, **facts):
        self.carry_out(lambda: self.cluster.register(node, disks=(self.disks[node],), **facts))

    @rule(node=NODES, damaged=st.booleans())
    def its_log_is_lost(self, node, damaged):
        if not self.cluster.image.is_active(node):
            return
        others = self.eligible - {node}
        if damaged and (others or self.unclean):
            self.has[node] = 0
        self.carry_out(lambda: self.cluster.lose("a", node, damaged=damaged))
        if damaged and self.eligible == {node}:
            # The last eligible one stays, so that nobody else passes for it: it serves nothing that is damaged.
            self.truncate(self.has[node])

    # What the operator does

    @rule(least=st.integers(1, 3))
    def the_leader_hears_of_another_least_isr(self, least):
        self.leaders_least = least

    @rule(least=st.none() | st.integers(1, 3), unclean=st.none() | st.booleans())
    def the_topic_is_configured(self, least, unclean):
        self.unclean_by["topic"] = unclean
        topic_id = self.cluster.image.topic_ids["a"]
        command = AlterTopicConfigs(topic_id=topic_id, configs=rules(least, unclean))
        self.carry_out(lambda: self.cluster.apply(command))

    @rule(least=st.none() | st.integers(1, 3), unclean=st.none() | st.booleans())
    def all_brokers_are_configured(self, least, unclean):
        self.unclean_by["all brokers"] = unclean
        command = AlterBrokerConfigs(node_id=ALL_BROKERS, configs=rules(least, unclean))
        self.carry_out(lambda: self.cluster.apply(command))

    @rule(least=st.integers(1, 3), unclean=st.booleans())
    def the_defaults_change(self, least, unclean):
        self.unclean_by["file"] = unclean
        self.carry_out(lambda: self.cluster.defaults(min_insync_replicas=least, unclean=unclean))

    @precondition(lambda self: not self.eligible)
    @rule()
    def the_topic_is_made_anew(self):
        topic_id = self.cluster.image.topic_by_name("a").topic_id
        self.cluster.apply(DeleteTopic(topic_id=topic_id))
        self.cluster.create("a", (1, 2, 3))
        self.unclean_by["topic"] = None
        self.truncate(0)
        self.learn()

    @invariant()
    def who_is_eligible_has_every_committed_record(self):
        for node in self.eligible:
            assert self.has[node] == self.committed

    @invariant()
    def the_image_is_sound(self):
        check(self.cluster.image)


TestEligibility = Eligibility.TestCase
TestEligibility.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
