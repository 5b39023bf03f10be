from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raftkafka.client.cluster import ClusterView
from raftkafka.model.api.cluster import BrokerEndpoint, MetadataResponse, PartitionMetadata, TopicMetadata
from raftkafka.model.errors import ErrorCode

ID, OTHER_ID = b"i" * 16, b"o" * 16
BROKERS = tuple(BrokerEndpoint(node_id=node, host="h", port=node) for node in (1, 2, 3))


def answer(leader: int, epoch: int, *, topic_id: bytes = ID) -> MetadataResponse:
    partition = PartitionMetadata(partition=0, leader_id=leader, leader_epoch=epoch)
    topic = TopicMetadata(name="t", topic_id=topic_id, partitions=(partition,))
    return MetadataResponse(brokers=BROKERS, cluster_id="c", controller_id=1, topics=(topic,))


def gone() -> MetadataResponse:
    topic = TopicMetadata(name="t", error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    return MetadataResponse(brokers=BROKERS, cluster_id="c", controller_id=1, topics=(topic,))


@given(st.lists(st.tuples(st.sampled_from(["answer", "hint", "gone"]), st.integers(-1, 3), st.integers(0, 9))))
def test_the_leader_epoch_never_goes_back(events):
    view = ClusterView()
    epoch = -1
    for kind, leader, number in events:
        if kind == "answer":
            view.apply(answer(leader, number))
        elif kind == "hint":
            view.hint(ID, 0, leader, number)
        else:
            view.apply(gone())
        known = view.leadership("t", 0)
        if known is not None:
            assert known.leader_epoch >= epoch
            epoch = known.leader_epoch


def test_a_topic_that_seems_gone_has_no_leader_until_it_is_seen_again():
    view = ClusterView()
    view.apply(answer(1, 5))
    view.apply(gone())
    assert view.leadership("t", 0).leader == -1
    assert view.error("t") is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    view.apply(answer(1, 4))
    assert view.leadership("t", 0).leader == -1
    view.apply(answer(1, 5))
    assert view.leadership("t", 0).leader == 1
    assert view.error("t") is ErrorCode.NONE


def test_a_topic_created_anew_starts_its_epochs_again():
    view = ClusterView()
    view.apply(answer(1, 5))
    assert view.apply(answer(2, 0, topic_id=OTHER_ID))
    assert (view.leadership("t", 0).leader, view.leadership("t", 0).leader_epoch) == (2, 0)
    assert view.name_of(ID) is None
    assert view.name_of(OTHER_ID) == "t"


def test_a_hint_needs_a_known_broker_and_a_newer_epoch():
    view = ClusterView()
    view.apply(answer(1, 5))
    assert not view.hint(ID, 0, 2, 5)
    assert not view.hint(ID, 0, 9, 6)
    assert not view.hint(OTHER_ID, 0, 2, 6)
    assert view.hint(ID, 0, 2, 6)
    assert view.leadership("t", 0).leader == 2


def test_only_led_partitions_are_offered():
    view = ClusterView()
    view.apply(answer(-1, 5))
    assert list(view.topic("t").led_partitions()) == []
    view.forget_except(())
    assert view.topic("t") is None
