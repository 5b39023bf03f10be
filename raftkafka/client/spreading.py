"""A proposal where partitions could lie: spread evenly over chosen brokers, as Kafka's tool generates it. Floor 3."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from raftkafka.client.types import TopicPartition
from raftkafka.model.api.cluster import DescribedBroker, TopicMetadata
from raftkafka.model.errors import RaftKafkaError

Replicas = Sequence[int]


class SpreadError(RaftKafkaError):
    """Over these brokers the partitions cannot be spread; the message says why."""


def spread(
    topics: Iterable[TopicMetadata], brokers: Iterable[DescribedBroker], wanted: Sequence[int], *, rack_aware: bool
) -> dict[TopicPartition, Replicas]:
    """A proposal that spreads each topic's partitions evenly over the `wanted` brokers, and over their racks.

    Raises SpreadError: a broker is unknown or named twice, too few are named, or only some of them have a rack.
    """
    from random import Random

    from raftkafka.metadata.image import Broker
    from raftkafka.metadata.placement import place
    from raftkafka.model.ids import BrokerEpoch

    if not wanted or len(set(wanted)) != len(wanted):
        raise SpreadError("the broker list is empty, or contains duplicate entries")
    known = {int(each.node_id): each for each in brokers}
    if unknown := [each for each in wanted if each not in known]:
        raise SpreadError(f"unknown broker(s): {', '.join(map(str, unknown))}")
    racks = {each: known[each].rack if rack_aware else None for each in wanted}
    if None in racks.values() and len(set(racks.values())) > 1:
        raise SpreadError("not all brokers have rack information; leave racks out of account with --disable-rack-aware")
    chosen = [
        Broker(
            node_id=known[each].node_id,
            epoch=BrokerEpoch(0),
            incarnation_id=b"",
            listeners=(),
            rack=racks[each],
            fenced=False,  # a broker that somebody names may be on its way up
        )
        for each in wanted
    ]
    proposed: dict[TopicPartition, Replicas] = {}
    for topic in topics:
        factor = len(topic.partitions[0].replica_nodes)
        if factor > len(chosen):
            raise SpreadError(f"Replication factor: {factor} larger than available brokers: {len(chosen)}.")
        placed = place(chosen, partitions=len(topic.partitions), replication_factor=factor, random=Random())
        for index, nodes in enumerate(placed):
            proposed[TopicPartition(topic.name, index)] = list(nodes)
    return proposed
