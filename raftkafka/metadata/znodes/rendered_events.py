"""What the watches of rendered nodes have to hear of a change of the image.

Floor 1, pure. Worked out from the two images and what differs, when somebody watches: nobody pays for it otherwise. The order is that in
which Kafka's controller would have written the nodes: parents are created before and deleted after what is below them. Stored nodes
have events of their own, `Changes.znode_events`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from raftkafka.metadata.changes import Changes
from raftkafka.metadata.image import Image, Topic
from raftkafka.metadata.znodes.draft import WatchEvent
from raftkafka.metadata.znodes.view import IDS, TOPIC_CONFIGS, TOPICS, acl_of, state_stamp
from raftkafka.model.ids import TopicId
from raftkafka.model.zookeeper import paths
from raftkafka.model.zookeeper.acl import OPEN_ACL
from raftkafka.model.zookeeper.events import EventType

_CREATED, _DELETED = EventType.NODE_CREATED, EventType.NODE_DELETED
_DATA_CHANGED, _CHILDREN_CHANGED = EventType.NODE_DATA_CHANGED, EventType.NODE_CHILDREN_CHANGED


def rendered_events(before: Image, after: Image, changes: Changes) -> Iterator[WatchEvent]:
    """In order, all of the entry that led from `before` to `after`, of which `changes` tells."""
    acls = {directory: acl_of(after, directory) for directory in (IDS, TOPICS, TOPIC_CONFIGS)}
    closed = {f"{directory}/": acl for directory, acl in acls.items() if acl != OPEN_ACL}
    for events in (_of_topics, _of_partitions, _of_brokers):
        for event in events(before, after, changes):
            if closed:
                inside = (acl for directory, acl in closed.items() if f"{event.path}/".startswith(directory))
                yield event._replace(acl=next(inside, OPEN_ACL))
            else:
                yield event


def _of_topics(before: Image, after: Image, changes: Changes) -> Iterator[WatchEvent]:
    for topic in _named(before, changes.topics_deleted):
        for index in range(len(topic.partitions)):
            yield from _gone(f"{TOPICS}/{topic.name}/partitions/{index}/state")
            yield from _gone(f"{TOPICS}/{topic.name}/partitions/{index}")
        yield from _gone(f"{TOPICS}/{topic.name}/partitions")
        yield from _gone(f"{TOPICS}/{topic.name}")
        yield from _gone(f"{TOPIC_CONFIGS}/{topic.name}")
    for topic in _named(after, changes.topics_created):
        configs = f"{TOPIC_CONFIGS}/{topic.name}"
        if before.znodes.get(configs) is None:
            yield from _new(configs)
        else:
            # A client had written it before there was the topic.
            yield WatchEvent(_DATA_CHANGED, configs)
        yield from _new(f"{TOPICS}/{topic.name}")
        yield from _new(f"{TOPICS}/{topic.name}/partitions")
        yield from _new_partitions(topic, range(len(topic.partitions)))
    for topic in _named(after, changes.configs):
        yield WatchEvent(_DATA_CHANGED, f"{TOPIC_CONFIGS}/{topic.name}")


def _of_partitions(before: Image, after: Image, changes: Changes) -> Iterator[WatchEvent]:
    touched: dict[TopicId, list[int]] = {}
    for topic_id, index in changes.partitions:
        if topic_id in before.topics and topic_id in after.topics:
            touched.setdefault(topic_id, []).append(index)
    for topic_id, indexes in sorted(touched.items()):
        old, new = before.topics[topic_id], after.topics[topic_id]
        if old.assigned != new.assigned:
            yield WatchEvent(_DATA_CHANGED, f"{TOPICS}/{new.name}")
        there = len(old.partitions)
        for at in sorted(indexes):
            if at < there and state_stamp(old.partitions[at], old) != state_stamp(new.partitions[at], new):
                yield WatchEvent(_DATA_CHANGED, f"{TOPICS}/{new.name}/partitions/{at}/state")
        yield from _new_partitions(new, range(there, len(new.partitions)))


def _of_brokers(before: Image, after: Image, changes: Changes) -> Iterator[WatchEvent]:
    for node_id in sorted(changes.brokers):
        old, new = before.brokers.get(node_id), after.brokers.get(node_id)
        was = None if old is None or old.fenced else old.unfenced
        now = None if new is None or new.fenced else new.unfenced
        if was != now:
            if was is not None:
                yield from _gone(f"{IDS}/{node_id}")
            if now is not None:
                yield from _new(f"{IDS}/{node_id}")


def _named(image: Image, topic_ids: Iterable[TopicId]) -> list[Topic]:
    """Of these, those that there are, by name. One that came and went in between is in neither image."""
    found = [image.topics[topic_id] for topic_id in topic_ids if topic_id in image.topics]
    return sorted(found, key=lambda topic: topic.name)


def _new_partitions(topic: Topic, indexes: Iterable[int]) -> Iterator[WatchEvent]:
    for index in indexes:
        yield from _new(f"{TOPICS}/{topic.name}/partitions/{index}")
        yield from _new(f"{TOPICS}/{topic.name}/partitions/{index}/state")


def _new(path: str) -> Iterator[WatchEvent]:
    yield WatchEvent(_CREATED, path)
    yield WatchEvent(_CHILDREN_CHANGED, paths.parent(path))


def _gone(path: str) -> Iterator[WatchEvent]:
    yield WatchEvent(_DELETED, path)
    yield WatchEvent(_CHILDREN_CHANGED, paths.parent(path))
