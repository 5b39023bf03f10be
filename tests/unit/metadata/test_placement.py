"""Placement: even leaders, distinct replicas, and no rack twice before every rack has one."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from raftkafka.metadata.image import Broker
from raftkafka.metadata.placement import place, place_after
from raftkafka.model.ids import BrokerEpoch, NodeId


def broker(node_id: int, rack: str | None = None, *, fenced: bool = False) -> Broker:
    return Broker(
        node_id=NodeId(node_id), epoch=BrokerEpoch(1), incarnation_id=bytes(16), listeners=(), rack=rack, fenced=fenced
    )


@given(
    racks=st.lists(st.sampled_from([None, "a", "b", "c"]), min_size=1, max_size=9),
    fenced=st.sets(st.integers(0, 8)),
    partitions=st.integers(1, 40),
    data=st.data(),
    seed=st.integers(0, 1 << 32),
)
def test_every_placement_is_sound(racks, fenced, partitions, data, seed):
    brokers = [broker(at, rack, fenced=at in fenced and at != 0) for at, rack in enumerate(racks)]
    factor = data.draw(st.integers(1, len(brokers)))
    placed = place(brokers, partitions=partitions, replication_factor=factor, random=Random(seed))
    assert len(placed) == partitions
    active = {each.node_id for each in brokers if each.active}
    rack_of = {each.node_id: each.rack for each in brokers}
    for replicas in placed:
        assert len(set(replicas)) == len(replicas) == factor
        live = [each for each in replicas if each in active]
        assert replicas[0] in active
        assert len(live) == min(factor, len(active))
        distinct = len({rack_of[each] for each in active})
        assert len({rack_of[each] for each in live}) == min(len(live), distinct)
    leaders = Counter(replicas[0] for replicas in placed)
    counts = [leaders[each] for each in active]
    assert max(counts) - min(counts) <= 1


@given(
    racks=st.integers(1, 5),
    brokers_per_rack=st.lists(st.integers(1, 4), min_size=5, max_size=5),
    first=st.integers(1, 30),
    added=st.integers(1, 30),
    data=st.data(),
    seed=st.integers(0, 1 << 32),
)
def test_a_topic_that_grows_stays_as_even_as_if_it_had_been_created_so(
    racks, brokers_per_rack, first, added, data, seed
):
    rack_of = [f"r{rack}" for rack in range(racks) for _ in range(brokers_per_rack[rack])]
    brokers = [broker(at, rack) for at, rack in enumerate(rack_of)]
    factor = data.draw(st.integers(1, racks))
    random = Random(seed)
    placed = place(brokers, partitions=first, replication_factor=factor, random=random)
    more = place_after(
        brokers, first=placed[0][0], there=first, partitions=added, replication_factor=factor, random=random
    )
    assert len(more) == added
    leaders = Counter({each.node_id: 0 for each in brokers})
    for replicas in (*placed, *more):
        assert len({rack_of[each] for each in replicas}) == factor, "with enough racks no two replicas share one"
        leaders[replicas[0]] += 1
    assert max(leaders.values()) - min(leaders.values()) <= 1


def test_a_topic_grows_on_other_brokers_where_its_first_one_is_gone():
    brokers = [broker(1, fenced=True), broker(2), broker(3)]
    placed = place_after(brokers, first=NodeId(1), there=3, partitions=4, replication_factor=2, random=Random(1))
    assert sorted(each[0] for each in placed) == [2, 2, 3, 3]
    assert all(set(each) == {2, 3} for each in placed)


def test_fenced_brokers_of_racks_without_a_replica_fill_up_first():
    brokers = [broker(1, "a"), broker(2, "a", fenced=True), broker(3, "b", fenced=True), broker(4, "c", fenced=True)]
    for replicas in place(brokers, partitions=8, replication_factor=3, random=Random(2)):
        assert set(replicas) == {1, 3, 4}


def test_followers_of_one_leader_are_spread():
    brokers = [broker(each) for each in range(5)]
    placed = place(brokers, partitions=100, replication_factor=2, random=Random(1))
    assert len({replicas[1] for replicas in placed if replicas[0] == 0}) == 4


def test_the_start_is_random():
    brokers = [broker(each) for each in range(5)]
    starts = {place(brokers, partitions=1, replication_factor=1, random=Random(seed))[0][0] for seed in range(40)}
    assert starts == {0, 1, 2, 3, 4}


def test_fenced_brokers_fill_up_only_where_active_ones_lack():
    brokers = [broker(1), broker(2), broker(3, fenced=True), broker(4, fenced=True)]
    assert all(set(each) == {1, 2} for each in place(brokers, partitions=8, replication_factor=2, random=Random(2)))
    placed = place(brokers, partitions=8, replication_factor=3, random=Random(2))
    assert {each[2] for each in placed} == {3, 4}
