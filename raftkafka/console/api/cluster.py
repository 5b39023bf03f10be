"""The cluster at one glance: brokers, Raft, counts. Floor 4."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from raftkafka.console.api.routes import Call, NoQuery, Route
from raftkafka.console.api.schema import Says
from raftkafka.console.context import Context, or_none
from raftkafka.console.sizes import broker_sizes
from raftkafka.metadata.election import Rules
from raftkafka.metadata.image import Image
from raftkafka.model.api.cluster import DescribeQuorumResponse
from raftkafka.model.ids import NO_NODE, NodeId

GLANCE_S: Final = 3.0
"""What an overview waits for others; what is not known then is null."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaftState:
    term: int
    leader_id: int | None
    commit_index: int
    voters: tuple[int, ...]
    observers: tuple[int, ...]
    lag: Annotated[
        Mapping[str, int], Says("entries that a node lacks, by its id; without those of which nothing is known")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerState:
    id: int
    host: str
    port: int
    rack: str | None
    state: Literal["online", "fenced", "offline"]
    leaders: int
    replicas: int
    size_bytes: Annotated[int | None, Says("of its logs; null where it does not say")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    topics: int
    partitions: int
    under_replicated: int
    under_min_isr: int
    offline: int
    groups: Annotated[int | None, Says("null where not every broker says")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    cluster_id: str
    controller_id: int | None
    raft: RaftState
    brokers: tuple[BrokerState, ...]
    counts: Counts


async def get_cluster(call: Call[NoQuery, None]) -> Cluster:
    context = call.context
    quorum, groups, sizes = await asyncio.gather(quorum_of(context), _groups(context), broker_sizes(context))
    image = context.image
    consensus = context.node.consensus
    leader = consensus.leader_id
    return Cluster(
        cluster_id=image.cluster_id,
        controller_id=leader,
        raft=RaftState(
            term=consensus.term,
            leader_id=leader,
            commit_index=consensus.commit_index,
            voters=tuple(sorted(each.node_id for each in consensus.voters())),
            observers=() if quorum is None else tuple(sorted(each.node_id for each in quorum.observers)),
            lag={} if quorum is None else _lag(quorum),
        ),
        brokers=brokers_of(image, quorum, sizes),
        counts=counts_of(image, groups),
    )


def brokers_of(
    image: Image, quorum: DescribeQuorumResponse | None, sizes: Mapping[NodeId, int]
) -> tuple[BrokerState, ...]:
    leaders: Counter[NodeId] = Counter()
    replicas: Counter[NodeId] = Counter()
    for _, partition in image.partitions():
        leaders[partition.leader] += 1
        replicas.update(partition.replicas)
    connected = (
        set() if quorum is None else {each.node_id for each in (*quorum.voters, *quorum.observers) if each.connected}
    )
    return tuple(
        BrokerState(
            id=node_id,
            host=broker.listeners[0].host,
            port=broker.listeners[0].port,
            rack=broker.rack,
            state="online" if not broker.fenced else "fenced" if node_id in connected else "offline",
            leaders=leaders[node_id],
            replicas=replicas[node_id],
            size_bytes=sizes.get(node_id),
        )
        for node_id, broker in sorted(image.brokers.items())
    )


def counts_of(image: Image, groups: int | None) -> Counts:
    partitions = under_replicated = under_min_isr = offline = 0
    for topic in image.topics.values():
        rules = Rules.of(topic.configs, image.defaults)
        for partition in topic.partitions:
            partitions += 1
            # As in Kafka, replicas that a reassignment adds are missing to nobody before they are there.
            under_replicated += len(partition.isr) < len(partition.replicas) - len(partition.adding)
            under_min_isr += len(partition.isr) < rules.least(partition.replicas)
            offline += partition.leader == NO_NODE
    return Counts(
        topics=len(image.topics),
        partitions=partitions,
        under_replicated=under_replicated,
        under_min_isr=under_min_isr,
        offline=offline,
        groups=groups,
    )


async def quorum_of(context: Context) -> DescribeQuorumResponse | None:
    admin = await context.admin()
    return await or_none(asyncio.wait_for(admin.describe_quorum(), GLANCE_S))


async def _groups(context: Context) -> int | None:
    admin = await context.admin()
    found = await or_none(asyncio.wait_for(admin.list_consumer_groups(), GLANCE_S))
    return None if found is None else len(found)


def _lag(quorum: DescribeQuorumResponse) -> dict[str, int]:
    return {
        str(each.node_id): max(0, quorum.commit_index - each.log_end_index)
        for each in (*quorum.voters, *quorum.observers)
        if each.log_end_index >= 0
    }


ROUTES: Final = (
    Route(
        method="GET",
        path="/cluster",
        summary="Brokers, Raft and how many of everything there are",
        handler=get_cluster,
        answer=Cluster,
    ),
)
