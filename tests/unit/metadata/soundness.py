"""The invariants that the docstrings of `raftkafka.metadata.image` and `znodes.tree` name, as assertions."""

from __future__ import annotations

from raftkafka.metadata.election import Rules
from raftkafka.metadata.image import Image
from raftkafka.metadata.znodes.tree import Znodes, is_reapable, path_of, size_of
from raftkafka.model.ids import NO_NODE
from raftkafka.model.zookeeper import paths


def check(image: Image) -> None:
    """The invariants that `image` names."""
    check_tree(image.znodes)
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


def check_tree(tree: Znodes) -> None:
    """The invariants that `znodes.tree` names."""
    every = {path_of(key): node for key, node in tree.nodes.items()}
    below: dict[str, set[str]] = {path: set() for path in every}
    for path in every.keys() - {paths.ROOT}:
        below[paths.parent(path)].add(paths.name(path))
    for path, node in every.items():
        assert node.child_count == len(below[path])
        assert list(tree.children(path)) == sorted(below[path])
        assert not (node.ephemeral and below[path])
        assert node.czxid <= node.mzxid
        assert node.czxid <= node.pzxid
    owned = {(node.owner, path) for path, node in every.items() if node.ephemeral}
    assert set(tree.ephemerals) == owned
    assert {session for session, _ in owned} <= set(tree.sessions)
    assert set(tree.reapable) == {path for path, node in every.items() if is_reapable(node.owner)}
    assert tree.bytes == sum(size_of(path, node.data, node.acl) for path, node in every.items())
