"""Applying configs: of topics, of brokers, of all brokers; and what they mean for partitions.

Floor 1, pure. As `apply`, total: configs that a topic or broker may not have are refused, whoever decided them. When rules of
eligibility change, every partition that goes by them is looked at in the same step (I4): `election.reviewed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from raftkafka.metadata import assignments, election
from raftkafka.metadata.commands import AlterBrokerConfigs, AlterTopicConfigs, SetDefaults
from raftkafka.metadata.draft import Draft
from raftkafka.metadata.election import MIN_INSYNC_CONFIG, UNCLEAN_CONFIG, Rules
from raftkafka.metadata.image import ALL_BROKERS, Defaults, Topic
from raftkafka.metadata.topic_configs import why_invalid, why_not_together
from raftkafka.metadata.znodes import kafka_nodes
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NodeId, RaftIndex
from raftkafka.model.settings import dynamic

_NONE: Final[Mapping[str, str]] = {}


def altered(before: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """The configs after the changes; None takes one away."""
    after = dict(before)
    for name, value in changes.items():
        if value is None:
            after.pop(name, None)
        else:
            after[name] = value
    return after


def why_not_for_topic(configs: Mapping[str, str]) -> str | None:
    """Why a topic may not have these configs; None when it may."""
    wrong = (why_invalid(name, value) for name, value in configs.items())
    return next((each for each in wrong if each is not None), None) or why_not_together(configs)


def why_not_for_broker(configs: Mapping[str, str], node_id: NodeId) -> str | None:
    """Why a broker (or ALL_BROKERS) may not have these dynamic configs; None when it may."""
    fixed = dynamic.not_dynamic(configs)
    if fixed is not None:
        return fixed
    for name, value in configs.items():
        if name in dynamic.CLUSTER_WIDE and node_id != ALL_BROKERS:
            return f"{name} holds for the whole cluster: alter it as the default of all brokers"
        wrong = dynamic.why_invalid(name, value)
        if wrong is not None:
            return wrong
    return dynamic.why_not_together(configs)


def in_force(configured: Defaults, configs: Mapping[str, str]) -> Defaults:
    """The rules for topics that do not say otherwise, by the controller's file and by the dynamic configs of all brokers."""
    least, unclean = configs.get(MIN_INSYNC_CONFIG), configs.get(UNCLEAN_CONFIG)
    return Defaults(
        min_insync_replicas=configured.min_insync_replicas if least is None else int(least),
        unclean_leader_election=configured.unclean_leader_election if unclean is None else unclean.lower() == "true",
    )


def alter_topic(draft: Draft, _: RaftIndex, command: AlterTopicConfigs) -> ErrorCode:
    topic = draft.topics.get(command.topic_id)
    if topic is None:
        return ErrorCode.UNKNOWN_TOPIC_ID
    after = altered(topic.configs, command.configs)
    if why_not_for_topic(after) is not None:
        return ErrorCode.INVALID_CONFIG
    if after != topic.configs:
        _review(draft, draft.configure_topic(command.topic_id, after))
    return ErrorCode.NONE


def alter_broker(draft: Draft, _: RaftIndex, command: AlterBrokerConfigs) -> ErrorCode:
    node_id = command.node_id
    if node_id != ALL_BROKERS and node_id not in draft.brokers:
        return ErrorCode.BROKER_ID_NOT_REGISTERED
    before = draft.broker_configs.get(node_id, _NONE)
    after = altered(before, command.configs)
    if why_not_for_broker(after, node_id) is not None:
        return ErrorCode.INVALID_CONFIG
    if after != before:
        draft.configure_broker(node_id, after)
        kafka_nodes.broker_configured(draft, node_id, after)
        _review_all(draft)
    elif draft.znodes.get(kafka_nodes.broker_configs_path(node_id)) is None:
        # A tool that knows ZooKeeper creates the node first, and the configs in it afterwards.
        kafka_nodes.broker_configured(draft, node_id, after)
    return ErrorCode.NONE


def set_defaults(draft: Draft, _: RaftIndex, command: SetDefaults) -> ErrorCode:
    if command.min_insync_replicas < 1:
        return ErrorCode.INVALID_REQUEST
    draft.configured_defaults = Defaults(
        min_insync_replicas=command.min_insync_replicas, unclean_leader_election=command.unclean_leader_election
    )
    _review_all(draft)
    return ErrorCode.NONE


def _review_all(draft: Draft) -> None:
    before = draft.defaults
    draft.defaults = in_force(draft.configured_defaults, draft.broker_configs.get(ALL_BROKERS, _NONE))
    if draft.defaults != before:
        for topic in draft.topics.values():
            _review(draft, topic)


def _review(draft: Draft, topic: Topic) -> None:
    """The rules of this topic may have changed."""
    rules = Rules.of(topic.configs, draft.defaults)
    for partition in draft.partitions(topic.topic_id):
        assignments.put(draft, topic.topic_id, partition, election.reviewed(partition, rules, draft.active))
