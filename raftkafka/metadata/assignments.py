"""Applying what says on which brokers the replicas of a partition lie, and who of them leads although nobody may.

Floor 1, pure, total. `put` is the one place where a changed partition enters a draft, so that a reassignment is completed by
whichever change makes it complete: the ISR that its last member joins, a fenced broker, an election.
"""

from __future__ import annotations

from dataclasses import replace

from raftkafka.metadata import election, reassignment
from raftkafka.metadata.commands import AddPartitions, ElectUncleanLeader, ReassignPartition
from raftkafka.metadata.draft import Draft
from raftkafka.metadata.election import Rules
from raftkafka.metadata.history import event_of, is_worth_remembering, remembered
from raftkafka.metadata.image import Event, Partition
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_NODE, NodeId, PartitionIndex, RaftIndex, TopicId


def put(draft: Draft, topic_id: TopicId, before: Partition, after: Partition) -> None:
    """Replace `before` by `after` and what follows from it; nothing where they are the same object."""
    if after is before:
        return
    after = reassignment.settled(before, after, draft.active)
    if is_worth_remembering(before, after):
        # Nobody but this draft has the new value yet. To make another one takes as long as the election did, for each of the
        # thousands of partitions that a dead broker has led.
        object.__setattr__(after, "history", _history(draft, before, after))
    # Every step of a reassignment makes the list anew, even where it comes out the same.
    if after.replicas is not before.replicas:
        draft.reassigned(topic_id)
    draft.set_partition(topic_id, after)


def _history(draft: Draft, before: Partition | None, after: Partition) -> tuple[Event, ...]:
    # Of the thousands of partitions that one command concerns many become alike: they share the event.
    alike = (after.leader, after.leader_epoch, after.isr)
    event = draft.events.get(alike)
    if event is None:
        event = draft.events[alike] = event_of(
            before, after, command=draft.command, stamp=draft.stamp, controller_epoch=draft.controller_epoch
        )
    return remembered(() if before is None else before.history, event, draft.events_max)


def why_not_assigned(draft: Draft, replicas: tuple[NodeId, ...]) -> ErrorCode:
    """NONE for replicas that a partition may have: some, distinct, on registered brokers."""
    if not replicas or len(set(replicas)) != len(replicas) or any(each not in draft.brokers for each in replicas):
        return ErrorCode.INVALID_REPLICA_ASSIGNMENT
    return ErrorCode.NONE


def new_partition(draft: Draft, rules: Rules, index: PartitionIndex, replicas: tuple[NodeId, ...]) -> Partition:
    """All logs are empty: every active replica is in sync, and while those are too few to commit, all others are eligible."""
    active = tuple([each for each in replicas if each in draft.active])
    few = len(active) < rules.least(replicas)
    leader = active[0] if active else NO_NODE
    made = Partition(
        index=index,
        replicas=replicas,
        isr=active,
        leader=leader,
        elr=tuple([each for each in replicas if each not in active]) if few else (),
        last_known_leader=leader,
    )
    return replace(made, history=_history(draft, None, made))


def reassign(draft: Draft, _: RaftIndex, command: ReassignPartition) -> ErrorCode:
    partition = draft.partition(command.topic_id, command.partition)
    if partition is None:
        return ErrorCode.UNKNOWN_TOPIC_ID
    if command.partition_epoch != partition.partition_epoch:
        return ErrorCode.INVALID_UPDATE_VERSION
    rules = _rules(draft, command.topic_id)
    if command.replicas is None:
        if not reassignment.in_progress(partition):
            return ErrorCode.NO_REASSIGNMENT_IN_PROGRESS
        after = reassignment.reverted(partition, min_insync_replicas=rules.min_insync_replicas)
    else:
        error = why_not_assigned(draft, command.replicas)
        if error is not ErrorCode.NONE:
            return error
        after = reassignment.begun(partition, command.replicas)
    if after is not partition:
        # Where that is allowed, a replica that was added may lead uncleanly.
        after = election.elected(after, rules, draft.active)
    put(draft, command.topic_id, partition, after)
    return ErrorCode.NONE


def add_partitions(draft: Draft, _: RaftIndex, command: AddPartitions) -> ErrorCode:
    if command.topic_id not in draft.topics:
        return ErrorCode.UNKNOWN_TOPIC_ID
    there = len(draft.partitions(command.topic_id))
    if command.first != there:
        return ErrorCode.INVALID_UPDATE_VERSION
    if not command.partitions:
        return ErrorCode.INVALID_PARTITIONS
    for replicas in command.partitions:
        error = why_not_assigned(draft, replicas)
        if error is not ErrorCode.NONE:
            return error
    rules = _rules(draft, command.topic_id)
    draft.add_partitions(
        command.topic_id,
        [
            new_partition(draft, rules, PartitionIndex(index), replicas)
            for index, replicas in enumerate(command.partitions, start=there)
        ],
    )
    return ErrorCode.NONE


def elect_unclean(draft: Draft, _: RaftIndex, command: ElectUncleanLeader) -> ErrorCode:
    partition = draft.partition(command.topic_id, command.partition)
    if partition is None:
        return ErrorCode.UNKNOWN_TOPIC_ID
    if command.partition_epoch != partition.partition_epoch:
        return ErrorCode.INVALID_UPDATE_VERSION
    if partition.leader != NO_NODE:
        return ErrorCode.ELECTION_NOT_NEEDED
    rules = replace(_rules(draft, command.topic_id), unclean=True, by_hand=True)
    after = election.elected(partition, rules, draft.active)
    if after is partition:
        return ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE
    put(draft, command.topic_id, partition, after)
    return ErrorCode.NONE


def _rules(draft: Draft, topic_id: TopicId) -> Rules:
    return Rules.of(draft.topics[topic_id].configs, draft.defaults)
