"""What the watches of Kafka's nodes hear: exactly what a client would see differ if it read all nodes before and after."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from raftkafka.metadata.apply import apply_all
from raftkafka.metadata.changes import Changes
from raftkafka.metadata.commands import AddPartitions, AlterTopicConfigs, DeleteTopic, TakeOffice
from raftkafka.metadata.image import Image
from raftkafka.metadata.znodes import view
from raftkafka.metadata.znodes.commands import ChangeZnodes
from raftkafka.metadata.znodes.rendered_events import rendered_events
from raftkafka.model.ids import NodeId, RaftIndex
from raftkafka.model.zookeeper import paths
from raftkafka.model.zookeeper.acl import OPEN_ACL, READ, Acl
from raftkafka.model.zookeeper.events import EventType
from raftkafka.model.zookeeper.ops import Create, SetAcl

CREATED, DELETED = EventType.NODE_CREATED, EventType.NODE_DELETED
DATA_CHANGED, CHILDREN_CHANGED = EventType.NODE_DATA_CHANGED, EventType.NODE_CHILDREN_CHANGED


def everything(image: Image, path: str = "/"):
    """Each node that a client finds by going down from the root."""
    found = view.find(image, path)
    assert found is not None, path
    nodes = {path: found}
    for name in view.children(image, path):
        nodes |= everything(image, paths.join(path, name))
    assert view.below(image, path) == len(nodes) - 1
    assert found.stat.num_children == len(view.children(image, path)), path
    return nodes


def events_of(before: Image, after: Image, changes: Changes):
    events = [*changes.znode_events, *rendered_events(before, after, changes)]
    for event in events:
        # Who hears of it: who may read the node, as it is or as it was.
        nodes = [node for image in (before, after) if (node := view.find(image, event.path)) is not None]
        assert not nodes or event.acl in [node.acl for node in nodes], event
    return [(event.kind, event.path) for event in events]


def check_events(before: Image, after: Image, changes: Changes) -> None:
    """Every difference has its event and every event a difference."""
    old, new = everything(before), everything(after)
    events = set(events_of(before, after, changes))
    for path in old.keys() | new.keys():
        was, now = old.get(path), new.get(path)
        heard = {kind for kind, about in events if about == path}
        if was is None or now is None:
            assert (CREATED if was is None else DELETED) in heard, path
            continue
        if was.stat.czxid != now.stat.czxid and DATA_CHANGED not in heard:
            assert {CREATED, DELETED} <= heard, path
        elif was.stat.mzxid != now.stat.mzxid:
            assert DATA_CHANGED in heard, path
        else:
            assert was.data == now.data, path
            assert was.stat.version == now.stat.version, path
            assert not heard - {CHILDREN_CHANGED}, path
        assert (was.stat.pzxid != now.stat.pzxid) == (CHILDREN_CHANGED in heard) or was.stat.czxid != now.stat.czxid


@settings(max_examples=150)
@given(data=st.data())
def test_watches_hear_what_differs_and_nothing_else(any_command, data):
    image = Image.empty()
    for index in range(1, data.draw(st.integers(2, 14))):
        commands = data.draw(st.lists(any_command, min_size=1, max_size=3))
        # A topic that came and went within one entry is nothing that anybody can see.
        applied = apply_all(image, RaftIndex(index), commands)
        changes = applied.changes
        if not changes.topics_created & changes.topics_deleted:
            check_events(image, applied.image, changes)
        image = applied.image


def test_a_topics_life_is_told_in_the_order_in_which_kafka_writes_it(cluster):
    def told(*commands, create=None):
        before = cluster.image
        if create:
            cluster.create("t", *create)
            changes = Changes.between(before, cluster.image)
        else:
            changes = cluster.apply(*commands).changes
        return [f"{event.kind.name[5:]} {event.path}" for event in rendered_events(before, cluster.image, changes)]

    created = told(create=[(1, 2)])
    assert [each for each in created if each.startswith("CREATED")] == [
        "CREATED /config/topics/t",
        "CREATED /brokers/topics/t",
        "CREATED /brokers/topics/t/partitions",
        "CREATED /brokers/topics/t/partitions/0",
        "CREATED /brokers/topics/t/partitions/0/state",
    ]
    topic_id = cluster.image.topic_ids["t"]
    assert told(AlterTopicConfigs(topic_id=topic_id, configs={"retention.ms": "5"})) == [
        "DATA_CHANGED /config/topics/t"
    ]
    assert told(AddPartitions(topic_id=topic_id, first=1, partitions=((NodeId(1),),))) == [
        "DATA_CHANGED /brokers/topics/t",
        "CREATED /brokers/topics/t/partitions/1",
        "CHILDREN_CHANGED /brokers/topics/t/partitions",
        "CREATED /brokers/topics/t/partitions/1/state",
        "CHILDREN_CHANGED /brokers/topics/t/partitions/1",
    ]
    deleted = told(DeleteTopic(topic_id=topic_id))
    assert [each for each in deleted if each.startswith("DELETED")] == [
        "DELETED /brokers/topics/t/partitions/0/state",
        "DELETED /brokers/topics/t/partitions/0",
        "DELETED /brokers/topics/t/partitions/1/state",
        "DELETED /brokers/topics/t/partitions/1",
        "DELETED /brokers/topics/t/partitions",
        "DELETED /brokers/topics/t",
        "DELETED /config/topics/t",
    ]


def test_a_fenced_broker_is_gone_with_its_leaderships(cluster):
    cluster.create("t", (1, 2))
    before = cluster.image
    changes = cluster.fence(1).changes
    assert [(event.kind, event.path) for event in rendered_events(before, cluster.image, changes)] == [
        (DATA_CHANGED, "/brokers/topics/t/partitions/0/state"),
        (DELETED, "/brokers/ids/1"),
        (CHILDREN_CHANGED, "/brokers/ids"),
    ]


def test_who_may_not_read_a_directory_hears_nothing_of_what_is_in_it(cluster):
    closed = (Acl(perms=READ, scheme="digest", id="bob:x"),)
    for path in ("/brokers/topics", "/brokers/ids"):
        cluster.apply(ChangeZnodes(operation=SetAcl(path=path, acl=closed)))
    before = cluster.image
    cluster.create("t", (1,))
    events = list(rendered_events(before, cluster.image, Changes.between(before, cluster.image)))
    assert {event.path for event in events if event.acl == OPEN_ACL} == {"/config/topics", "/config/topics/t"}
    assert {event.acl for event in events if event.path.startswith("/brokers/topics")} == {closed}
    before = cluster.image
    cluster.fence(1)
    assert all(
        event.acl == closed for event in rendered_events(before, cluster.image, Changes.between(before, cluster.image))
    )


def test_a_config_that_was_there_before_its_topic_is_changed_and_not_created(cluster):
    cluster.apply(ChangeZnodes(operation=Create(path="/config/topics/t", data=b"{}", acl=OPEN_ACL)))
    before = cluster.image
    cluster.create("t", (1,))
    heard = events_of(before, cluster.image, Changes.between(before, cluster.image))
    assert (DATA_CHANGED, "/config/topics/t") in heard
    assert (CREATED, "/config/topics/t") not in heard


def test_a_new_controller_is_an_event_of_its_nodes(cluster):
    cluster.apply(TakeOffice(node_id=NodeId(1), epoch=1))
    before = cluster.image
    changes = cluster.apply(TakeOffice(node_id=NodeId(2), epoch=2)).changes
    heard = events_of(before, cluster.image, changes)
    assert heard == [
        (DELETED, "/controller"),
        (CHILDREN_CHANGED, "/"),
        (CREATED, "/controller"),
        (CHILDREN_CHANGED, "/"),
        (DATA_CHANGED, "/controller_epoch"),
    ]
