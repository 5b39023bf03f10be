"""The image as bytes, whole: what a Raft snapshot carries.

Floor 1, pure. The round trip is exact. `[version, cluster id, feature level, defaults, configured defaults, broker configs, client
quotas, time, [broker...], next producer id, controller epoch, znodes, [topic...]]` in CBOR; a version that is not known stops the
node, as an unknown command does.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any, Final

from raftkafka.metadata.commands import UnknownCommandError
from raftkafka.metadata.image import Broker, Defaults, Event, Growth, Image, Partition, QuotaEntity, Stamp, Topic
from raftkafka.metadata.znodes import snapshot as znodes
from raftkafka.model import cbor
from raftkafka.model.api.broker_lifecycle import ListenerEndpoint
from raftkafka.model.errors import CorruptionError, ProtocolError
from raftkafka.model.features import FeatureRange
from raftkafka.model.ids import PartitionIndex

VERSION: Final = 1
SNAPSHOT_BYTES_MAX: Final = 256 << 20


PARTITIONS_PER_PIECE: Final = 200
"""Packed and encoded in about a millisecond."""


def encode(image: Image) -> bytes:
    """About 16 bytes per partition of three replicas with small epochs."""
    return b"".join(pieces(image))


def pieces(image: Image) -> Iterator[bytes]:
    """The bytes of `encode`, a piece at a time: whoever shares an event loop gives it back in between."""
    yield _array_header(13) + b"".join(
        map(
            cbor.encode,
            (
                VERSION,
                image.cluster_id,
                image.feature_level,
                _packed_defaults(image.defaults),
                _packed_defaults(image.configured_defaults),
                [(node_id, dict(configs)) for node_id, configs in image.broker_configs.items()],
                [(*entity, dict(quotas)) for entity, quotas in image.client_quotas.items()],
                image.time_ms,
            ),
        )
    )
    yield cbor.encode([_packed_broker(broker) for broker in image.brokers.values()])
    yield cbor.encode(int(image.next_producer_id)) + cbor.encode(image.controller_epoch)
    yield from znodes.pieces(image.znodes, _array_header)
    gathered = [_array_header(len(image.topics))]
    count = 0
    for topic in image.topics.values():
        gathered += [
            _array_header(5),
            *map(cbor.encode, (topic.name, topic.topic_id, dict(topic.configs), _packed_stamps(topic))),
        ]
        gathered.append(_array_header(len(topic.partitions)))
        for first in range(0, len(topic.partitions), PARTITIONS_PER_PIECE):
            some = topic.partitions[first : first + PARTITIONS_PER_PIECE]
            gathered += [cbor.encode(_packed_partition(each)) for each in some]
            count += len(some)
            if count >= PARTITIONS_PER_PIECE:
                yield b"".join(gathered)
                gathered, count = [], 0
    yield b"".join(gathered)


def _array_header(length: int) -> bytes:
    """CBOR's head of an array of `length` items that follow (RFC 8949, 3: major type 4, a length of four bytes)."""
    return b"\x9a" + length.to_bytes(4, "big")


def decode(data: bytes | memoryview) -> Image:
    """The image that `encode` was given.

    Raises:
        UnknownCommandError: a newer version wrote it.
        CorruptionError: not the bytes that any version writes.
    """
    try:
        version, *fields = cbor.decode(data, size_max=SNAPSHOT_BYTES_MAX)
        if version != VERSION:
            raise UnknownCommandError(f"metadata snapshot version {version} is unknown here: upgrade this node")
        cluster_id, feature_level, defaults, configured_defaults, broker_configs, client_quotas, time_ms, *lists = (
            fields
        )
        packed_brokers, next_producer_id, controller_epoch, packed_znodes, packed_topics = lists
        brokers = [_broker(*each) for each in packed_brokers]
        topics = [_topic(*each) for each in packed_topics]
        tree = znodes.unpacked(packed_znodes)
        in_force, configured = _defaults(*defaults), _defaults(*configured_defaults)
        configs = {node_id: MappingProxyType(dict(own)) for node_id, own in broker_configs}
        quotas = {QuotaEntity(user, client): MappingProxyType(dict(own)) for user, client, own in client_quotas}
    except (ProtocolError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise CorruptionError(f"a metadata snapshot of {len(data)} bytes is malformed: {error}") from error
    return Image(
        cluster_id=cluster_id,
        feature_level=feature_level,
        brokers=MappingProxyType({broker.node_id: broker for broker in brokers}),
        topics=MappingProxyType({topic.topic_id: topic for topic in topics}),
        topic_ids=MappingProxyType({topic.name: topic.topic_id for topic in topics}),
        defaults=in_force,
        configured_defaults=configured,
        broker_configs=MappingProxyType(configs),
        client_quotas=MappingProxyType(quotas),
        time_ms=time_ms,
        next_producer_id=next_producer_id,
        controller_epoch=controller_epoch,
        znodes=tree,
    )


def _packed_defaults(defaults: Defaults) -> tuple[object, ...]:
    return (defaults.min_insync_replicas, defaults.unclean_leader_election)


def _defaults(min_insync_replicas: Any, unclean: Any) -> Defaults:
    return Defaults(min_insync_replicas=min_insync_replicas, unclean_leader_election=unclean)


def _packed_broker(broker: Broker) -> tuple[object, ...]:
    return (
        broker.node_id,
        broker.epoch,
        broker.incarnation_id,
        [(endpoint.name, endpoint.host, endpoint.port) for endpoint in broker.listeners],
        broker.rack,
        broker.directories,
        (broker.features.lowest, broker.features.highest),
        broker.fenced,
        broker.in_controlled_shutdown,
        broker.producer_id_block,
        broker.unfenced,
    )


def _broker(*fields: Any) -> Broker:
    node_id, epoch, incarnation_id, listeners, rack, directories, *state = fields
    (low, high), fenced, in_controlled_shutdown, producer_id_block, unfenced = state
    return Broker(
        node_id=node_id,
        epoch=epoch,
        incarnation_id=incarnation_id,
        listeners=tuple([ListenerEndpoint(name=name, host=host, port=port) for name, host, port in listeners]),
        rack=rack,
        directories=tuple(directories),
        features=FeatureRange(lowest=low, highest=high),
        fenced=fenced,
        in_controlled_shutdown=in_controlled_shutdown,
        producer_id_block=producer_id_block,
        unfenced=Stamp(*unfenced),
    )


def _packed_partition(partition: Partition) -> tuple[object, ...]:
    return (
        partition.replicas,
        partition.isr,
        partition.leader,
        partition.leader_epoch,
        partition.partition_epoch,
        partition.adding,
        partition.removing,
        partition.elr,
        partition.last_known_leader,
        partition.emptied,
        partition.history,
    )


def _partition(index: int, *fields: Any) -> Partition:
    replicas, isr, leader, leader_epoch, partition_epoch, adding, removing, elr, *rest = fields
    last_known_leader, emptied, history = rest
    return Partition(
        index=PartitionIndex(index),
        replicas=tuple(replicas),
        isr=tuple(isr),
        leader=leader,
        leader_epoch=leader_epoch,
        partition_epoch=partition_epoch,
        adding=tuple(adding),
        removing=tuple(removing),
        elr=tuple(elr),
        last_known_leader=last_known_leader,
        emptied=tuple(emptied),
        history=tuple([_event(each) for each in history]),
    )


def _event(fields: Any) -> Event:
    time_ms, cause, node_id, leader, leader_epoch, isr, zxid, controller_epoch = fields
    return Event(time_ms, cause, node_id, leader, leader_epoch, tuple(isr), zxid, controller_epoch)


def _packed_stamps(topic: Topic) -> tuple[object, ...]:
    growth = [(each.first, *each.stamp) for each in topic.growth]
    return (growth, topic.assigned, topic.configured)


def _topic(name: Any, topic_id: Any, configs: Any, stamps: Any, partitions: Any) -> Topic:
    growth, assigned, configured = stamps
    return Topic(
        name=name,
        topic_id=topic_id,
        configs=MappingProxyType(configs),
        growth=tuple([Growth(first, Stamp(zxid, time_ms)) for first, zxid, time_ms in growth]),
        assigned=Stamp(*assigned),
        configured=Stamp(*configured),
        partitions=tuple([_partition(index, *fields) for index, fields in enumerate(partitions)]),
    )
