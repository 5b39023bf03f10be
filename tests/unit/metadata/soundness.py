"""The invariants that the docstring of `raftkafka.metadata.image` names, as assertions."""

from __future__ import annotations

from raftkafka.metadata.election import Rules
from raftkafka.metadata.image import Image
from raftkafka.model.ids import NO_NODE


def check(image: Image) -> None:
    """The invariants that `image` names."""
    assert {topic.name: topic.topic_id for topic in image.topics.values()} == dict(image.topic_ids)
    for key, partition in image.partitions():
        rules = Rules.of(image.topics[key.topic_id].configs, image.defaults)
        eligible = (*partition.isr, *partition.elr)
        assert len(set(eligible)) == len(eligible)
        assert set(eligible) <= set(partition.replicas)
        assert all(map(image.is_active, partition.isr))
        assert not partition.elr or len(partition.isr) < rules.least(partition.replicas)
        assert len(set(partition.replicas)) == len(partition.replicas)
        assert {*partition.adding, *partition.removing} <= set(partition.replicas)
        if partition.adding or partition.removing:
            goal = set(partition.replicas) - set(partition.removing)
            assert goal
            assert not goal <= set(partition.isr), "a reassignment that is complete is still in progress"
        assert set(partition.emptied) <= set(partition.replicas) - set(eligible)
        if partition.leader != NO_NODE:
            assert partition.leader in partition.isr
            continue
        assert not partition.isr
        waiting = set(partition.replicas) - set(partition.emptied) if rules.unclean else partition.elr
        assert not any(map(image.is_active, waiting))
