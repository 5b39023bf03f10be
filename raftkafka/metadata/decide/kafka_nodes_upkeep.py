"""What the controller has to put right in Kafka's nodes: reassignments that go on or are over, elections and deletions that are done.

Floor 1, pure. Tools watch for these nodes to shrink and to go; nothing depends on when. Kafka's counterparts are in `KafkaController`
(2.4): `maybeRemoveFromZkReassignment`, `removePartitionsFromPreferredReplicaElection`, `TopicDeletionManager`.
"""

from __future__ import annotations

from collections.abc import Iterator

from raftkafka.metadata import reassignment
from raftkafka.metadata.commands import Command, DeleteTopic
from raftkafka.metadata.decide.kafka_nodes import DELETE_TOPICS, ELECT, REASSIGN, unfinished
from raftkafka.metadata.image import Image
from raftkafka.metadata.znodes import formats
from raftkafka.metadata.znodes.commands import ChangeZnodes
from raftkafka.metadata.znodes.tree import Znode
from raftkafka.model.zookeeper import paths
from raftkafka.model.zookeeper.errors import ZkError
from raftkafka.model.zookeeper.ops import Delete, SetData


def upkeep(image: Image, *, delete_topic_enable: bool) -> Iterator[Command]:
    """The commands; a few look-ups where there is nothing to do."""
    node = image.znodes.get(REASSIGN)
    if node is not None:
        yield from _reassignment(image, node)
    node = image.znodes.get(ELECT)
    if node is not None and not node.child_count:
        # The election has been committed together with the node.
        yield _gone(ELECT, node)
    for name in image.znodes.children(DELETE_TOPICS):
        path = paths.join(DELETE_TOPICS, name)
        node = image.znodes.get(path)
        topic = image.topic_by_name(name)
        if topic is not None and delete_topic_enable:
            yield DeleteTopic(topic_id=topic.topic_id)
        if node is not None and not node.child_count:
            yield _gone(path, node)


def _reassignment(image: Image, node: Znode) -> Iterator[Command]:
    left = {(name, int(each.index)): reassignment.target(each) for name, each in unfinished(image, node.data)}
    if not left:
        if not node.child_count:
            yield _gone(REASSIGN, node)
        return
    try:
        named = formats.parsed_reassignment(node.data)
    except ZkError:
        named = {}
    if left != named:
        data = formats.reassignment(left)
        yield ChangeZnodes(operation=SetData(path=REASSIGN, data=data, version=node.version))


def _gone(path: str, node: Znode) -> Command:
    return ChangeZnodes(operation=Delete(path=path, version=node.version))
