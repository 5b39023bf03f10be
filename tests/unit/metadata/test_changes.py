"""What differs between images."""

from __future__ import annotations

from raftkafka.metadata.changes import Changes
from raftkafka.metadata.image import Image
from raftkafka.model.ids import NodeId, PartitionIndex, TopicPartition


def test_nothing_differs(cluster):
    assert not Changes.between(cluster.image, cluster.image)
    assert not Changes()


def test_from_nothing_to_everything_and_back(cluster):
    topic_id = cluster.create("a", (1, 2), (2, 3))
    forth = Changes.between(Image.empty(), cluster.image)
    keys = {TopicPartition(topic_id, PartitionIndex(0)), TopicPartition(topic_id, PartitionIndex(1))}
    assert (forth.topics_created, forth.topics_deleted, forth.partitions) == ({topic_id}, set(), keys)
    assert (forth.brokers, forth.cluster) == ({1, 2, 3}, True)
    back = Changes.between(cluster.image, Image.empty())
    assert (back.topics_created, back.topics_deleted, back.partitions) == (set(), {topic_id}, keys)


def test_merged_changes_name_what_either_named(cluster):
    one = Changes(brokers={NodeId(1)})
    two = Changes(brokers={NodeId(2)}, cluster=True)
    assert one.merged(two) == Changes(brokers={NodeId(1), NodeId(2)}, cluster=True)


def test_only_the_partition_that_differs_is_named(cluster):
    topic_id = cluster.create("a", (1, 2), (2, 3), (3, 1))
    before = cluster.image
    applied = cluster.change("a", isr=cluster.isr(2), index=1)
    wanted = {TopicPartition(topic_id, PartitionIndex(1))}
    assert Changes.between(before, cluster.image).partitions == wanted == applied.changes.partitions
