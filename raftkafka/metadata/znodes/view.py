"""Kafka's nodes as ZooKeeper's clients see them, and everything else in the tree: what reads are answered from.

Floor 1, pure. Rendered from the image and stored nowhere: registrations of brokers, topics with their partitions and states, and the
configs of topics. Whatever happens to few (the controller, its epoch, the cluster's id, configs of brokers, quotas) is written into the
tree by `apply`, see `kafka_nodes`. Rules of a rendered node:
- mzxid and times are those of the entry that changed what it shows, and of no other;
- its version is how far its mzxid lies behind its czxid: 0 at first, another one with every change, never lower;
- its access control list is that of the directory that it stands in, and it is changed by `decide.znodes` alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from raftkafka.metadata.image import Broker, Image, Partition, Stamp, Topic
from raftkafka.metadata.znodes import formats
from raftkafka.metadata.znodes.tree import Znode
from raftkafka.model.ids import BrokerEpoch, NodeId
from raftkafka.model.zookeeper.acl import OPEN_ACL, Acl
from raftkafka.model.zookeeper.stat import Stat

IDS: Final = "/brokers/ids"
TOPICS: Final = "/brokers/topics"
TOPIC_CONFIGS: Final = "/config/topics"
CONTROLLER: Final = "/controller"
RENDERED: Final = (f"{IDS}/", f"{TOPICS}/", f"{TOPIC_CONFIGS}/")
"""What begins so is rendered, unless it is stored."""

_BROKER_SESSIONS: Final = 1 << 62
"""Above it are the sessions that own the nodes of brokers: no client ever has one."""


class Found(NamedTuple):
    """A node, stored or rendered."""

    data: bytes | None
    acl: tuple[Acl, ...]
    stat: Stat


def find(image: Image, path: str) -> Found | None:
    """The node at `path`; None where there is none."""
    node = image.znodes.get(path)
    if node is not None:
        return Found(node.data, node.acl, _stat_of(image, path, node))
    found, directory = None, IDS
    if path.startswith("/brokers/ids/"):
        broker = _broker(image, path.removeprefix("/brokers/ids/"))
        found = None if broker is None else _rendered_broker(broker)
    elif path.startswith("/brokers/topics/"):
        directory = TOPICS
        name, *below = path.removeprefix("/brokers/topics/").split("/")
        topic = image.topic_by_name(name)
        found = None if topic is None else _below_topic(topic, below)
    elif path.startswith("/config/topics/"):
        directory = TOPIC_CONFIGS
        topic = image.topic_by_name(path.removeprefix("/config/topics/"))
        if topic is not None:
            found = _rendered(formats.configs(topic.configs), topic.growth[0].stamp, topic.configured)
    return None if found is None else found._replace(acl=acl_of(image, directory))


def acl_of(image: Image, path: str) -> tuple[Acl, ...]:
    """The access control list of a stored node; open where there is none."""
    node = image.znodes.get(path)
    return OPEN_ACL if node is None else node.acl


def children(image: Image, path: str) -> list[str] | None:
    """The names of the children, sorted; None where there is no such node."""
    if image.znodes.get(path) is not None:
        stored = list(image.znodes.children(path))
        if path in _RENDERED_BELOW:
            return sorted({*stored, *_names(image, path)})
        return stored
    if not path.startswith("/brokers/topics/"):
        return None if find(image, path) is None else []
    name, *below = path.removeprefix("/brokers/topics/").split("/")
    topic = image.topic_by_name(name)
    if topic is None:
        return None
    if not below:
        return ["partitions"]
    if _below_topic(topic, below) is None:
        return None
    if below == ["partitions"]:
        return sorted(str(index) for index in range(len(topic.partitions)))
    return ["state"] if len(below) == 2 else []


def below(image: Image, path: str) -> int | None:
    """How many nodes there are below this one, at any depth; None where there is no such node."""
    if image.znodes.get(path) is None:
        names = children(image, path)
        if names is None:
            return None
        inner = (below(image, f"{path}/{name}") for name in names)
        return len(names) + sum(each or 0 for each in inner)
    count = image.znodes.below(path)
    prefix = "/" if path == "/" else f"{path}/"
    for above in _RENDERED_BELOW:
        if above == path or above.startswith(prefix):
            count += _count_below(image, above)
    return count


def ephemerals_of_broker(image: Image, session_id: int) -> list[str]:
    """What such a session owns, sorted: of interest to `dump`."""
    owned = [f"{IDS}/{each.node_id}" for each in _visible(image) if session_of(each.epoch) == session_id]
    return sorted(owned)


def session_of(epoch: BrokerEpoch) -> int:
    """The session that owns the nodes of a broker with this epoch."""
    return _BROKER_SESSIONS | epoch


def state_stamp(partition: Partition, topic: Topic) -> Stamp:
    """When leader, leader epoch or ISR changed last."""
    return partition.history[-1].stamp if partition.history else created(topic, partition.index)


def created(topic: Topic, index: int) -> Stamp:
    """When this partition of the topic came."""
    return next(each.stamp for each in reversed(topic.growth) if each.first <= index)


_RENDERED_BELOW: Final = (IDS, TOPICS, TOPIC_CONFIGS)


def _names(image: Image, path: str) -> Iterator[str]:
    if path == IDS:
        return (str(each.node_id) for each in _visible(image))
    return iter(image.topic_ids)


def _visible(image: Image) -> Iterator[Broker]:
    return (each for each in image.brokers.values() if not each.fenced)


def _count(image: Image, path: str) -> int:
    return sum(1 for _ in _visible(image)) if path == IDS else len(image.topic_ids)


def _count_below(image: Image, above: str) -> int:
    if above == TOPICS:
        return sum(2 + 2 * len(topic.partitions) for topic in image.topics.values())
    return _count(image, above)


def _stat_of(image: Image, path: str, node: Znode) -> Stat:
    stat = node.stat()
    if path in _RENDERED_BELOW:
        # `creations` counts the rendered children too, see `Draft`: what is missing is that they are there.
        rendered = _count(image, path)
        return replace(stat, num_children=stat.num_children + rendered, cversion=stat.cversion - rendered)
    if path == CONTROLLER:
        broker = image.brokers.get(_controller_of(node))
        return replace(stat, ephemeral_owner=session_of(BrokerEpoch(0) if broker is None else broker.epoch))
    return stat


def _controller_of(node: Znode) -> NodeId:
    return formats.parsed_controller(node.data)


def _broker(image: Image, name: str) -> Broker | None:
    if not (name.isascii() and name.isdigit() and len(name) <= 10) or (name[0] == "0" and name != "0"):
        return None
    broker = image.brokers.get(NodeId(int(name)))
    return None if broker is None or broker.fenced else broker


def _rendered_broker(broker: Broker) -> Found:
    found = _rendered(formats.broker(broker), broker.unfenced, broker.unfenced)
    return found._replace(stat=replace(found.stat, ephemeral_owner=session_of(broker.epoch)))


def _below_topic(topic: Topic, below: list[str]) -> Found | None:
    born = topic.growth[0].stamp
    if not below:
        return _rendered(formats.topic(topic), born, topic.assigned, children=1)
    if below[0] != "partitions" or len(below) > 3:
        return None
    if len(below) == 1:
        grown = topic.growth[-1].stamp
        return _rendered(None, born, born, children=len(topic.partitions), pzxid=grown.zxid)
    name = below[1]
    if not (name.isascii() and name.isdigit() and len(name) <= 9) or str(int(name)) != name:
        return None
    partition = topic.partition(int(name))
    if partition is None:
        return None
    came = created(topic, partition.index)
    if len(below) == 2:
        return _rendered(None, came, came, children=1)
    if below[2] != "state":
        return None
    last = partition.history[-1] if partition.history else None
    return _rendered(formats.state(partition, last), came, state_stamp(partition, topic))


def _rendered(data: bytes | None, born: Stamp, changed: Stamp, *, children: int = 0, pzxid: int | None = None) -> Found:
    stat = Stat(
        czxid=born.zxid,
        mzxid=changed.zxid,
        ctime_ms=born.time_ms,
        mtime_ms=changed.time_ms,
        version=changed.zxid - born.zxid & 0x7FFF_FFFF,
        cversion=children,
        data_length=len(data or b""),
        num_children=children,
        pzxid=born.zxid if pzxid is None else pzxid,
    )
    return Found(data, OPEN_ACL, stat)
