"""Registration, fencing, controlled shutdown: who is let in, who is refused, and what they are told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from raftkafka.metadata.commands import ENTRY_BYTES_MAX, encode
from raftkafka.metadata.decide.brokers import (
    DIRECTORIES_MAX,
    HELD_MAX,
    decide_controlled_shutdown,
    decide_defaults,
    decide_fence,
    decide_initialize_cluster,
    decide_register,
    decide_unfence,
)
from raftkafka.metadata.image import Defaults, Image
from raftkafka.model.api.broker_lifecycle import BrokerRegistration, HeldLogs, ListenerEndpoint
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import BrokerEpoch, NodeId, PartitionIndex, TopicId


@pytest.fixture
def request_of(make_endpoint):
    def build(node_id, *, incarnation=9, cluster_id="c", port=None, **facts):
        listener = make_endpoint(port if port is not None else node_id)
        return BrokerRegistration(
            broker_id=NodeId(node_id),
            cluster_id=cluster_id,
            incarnation_id=bytes([incarnation]) * 16,
            listeners=(listener,),
            rack="r",
            **facts,
        )

    return build


def carry_out(cluster, decision):
    if decision.commands:
        cluster.apply(*decision.commands)
    return decision.respond(cluster.image)


def register(cluster, request, *, alive=False):
    return carry_out(cluster, decide_register(cluster.image, request, alive=alive))


def test_the_cluster_is_initialized_once(new_cluster):
    cluster = new_cluster()
    assert carry_out(cluster, decide_initialize_cluster(Image.empty(), "c", feature_level=1)).cluster_id == "c"
    assert decide_initialize_cluster(cluster.image, "d", feature_level=1).commands == ()


def test_a_new_broker_gets_the_index_as_its_epoch(cluster, request_of):
    answer = register(cluster, request_of(4))
    assert (answer.error_code, answer.broker_epoch, answer.cluster_id) == (ErrorCode.NONE, cluster.index, "c")
    broker = cluster.image.brokers[NodeId(4)]
    assert (broker.fenced, broker.rack) == (True, "r")


def test_a_broker_that_knows_no_cluster_yet_is_told(cluster, request_of):
    assert register(cluster, request_of(4, cluster_id="")).cluster_id == "c"


def test_a_broker_of_another_cluster_is_refused(cluster, request_of):
    answer = register(cluster, request_of(4, cluster_id="d"))
    assert answer.error_code is ErrorCode.INCONSISTENT_CLUSTER_ID
    assert NodeId(4) not in cluster.image.brokers


def test_the_same_incarnation_is_answered_as_before(cluster, request_of):
    first = register(cluster, request_of(4))
    before = cluster.image
    assert register(cluster, request_of(4), alive=True) == first
    assert cluster.image is before


def test_a_restart_takes_a_higher_epoch(cluster, request_of):
    before = cluster.epoch(1)
    assert register(cluster, request_of(1)).broker_epoch > before


def test_an_id_in_use_is_refused_with_the_address(cluster, request_of):
    answer = register(cluster, request_of(1, port=77), alive=True)
    assert answer.error_code is ErrorCode.DUPLICATE_BROKER_REGISTRATION
    assert "PLAINTEXT://127.0.0.1:9001" in answer.error_message
    assert cluster.image.brokers[NodeId(1)].incarnation_id == bytes(16)


def test_an_endpoint_in_use_is_refused_naming_both(cluster, request_of):
    answer = register(cluster, request_of(4, port=2))
    assert answer.error_code is ErrorCode.INVALID_REQUEST
    assert "broker 4 advertises 127.0.0.1:9002, which broker 2" in answer.error_message
    cluster.fence(2)
    assert register(cluster, request_of(4, port=2)).error_code is ErrorCode.NONE


def test_malformed_registrations_are_refused(cluster, request_of):
    good = request_of(4)
    bad = [
        replace(good, broker_id=NodeId(-1)),
        replace(good, incarnation_id=b"short"),
        replace(good, listeners=()),
        replace(good, rack="r" * 256),
        replace(good, listeners=(ListenerEndpoint(name="P", host="h" * 256, port=1),)),
        replace(good, listeners=(ListenerEndpoint(name="P", host="h", port=0),)),
        replace(good, listeners=tuple(ListenerEndpoint(name="P", host="h", port=each) for each in range(17))),
    ]
    for request in bad:
        assert register(cluster, request).error_code is ErrorCode.INVALID_REQUEST


def test_the_brokers_of_a_cluster_are_limited(cluster, request_of):
    for node_id in range(4, 1_001):
        assert register(cluster, request_of(node_id)).error_code is ErrorCode.NONE
    assert register(cluster, request_of(1_001)).error_code is ErrorCode.POLICY_VIOLATION
    assert register(cluster, request_of(1_000, incarnation=8)).error_code is ErrorCode.NONE


def test_of_two_starts_at_the_same_time_one_is_refused(cluster, request_of):
    one, two = request_of(4, incarnation=1), request_of(4, incarnation=2)
    first = decide_register(cluster.image, one, alive=False)
    second = decide_register(cluster.image, two, alive=False)
    assert carry_out(cluster, first).error_code is ErrorCode.NONE
    cluster.apply(*second.commands, expect=ErrorCode.DUPLICATE_BROKER_REGISTRATION)
    # An earlier life of the same broker may have come between: only asking again will tell, so this is not final.
    assert second.respond(cluster.image).error_code is ErrorCode.INVALID_UPDATE_VERSION


def test_unfencing_and_fencing(cluster, request_of):
    epoch = register(cluster, request_of(4)).broker_epoch
    assert not carry_out(cluster, decide_unfence(cluster.image, NodeId(4), epoch)).is_fenced
    assert decide_unfence(cluster.image, NodeId(4), epoch).commands == ()
    assert carry_out(cluster, decide_fence(cluster.image, NodeId(4), epoch)).is_fenced
    assert decide_fence(cluster.image, NodeId(4), epoch).commands == ()


def test_a_former_registration_is_neither_fenced_nor_unfenced(cluster):
    stale = BrokerEpoch(0)
    for decision in (decide_fence(cluster.image, NodeId(1), stale), decide_unfence(cluster.image, NodeId(1), stale)):
        assert decision.commands == ()
        assert decision.respond(cluster.image).error_code is ErrorCode.STALE_BROKER_EPOCH
    unknown = decide_fence(cluster.image, NodeId(9), stale)
    assert unknown.respond(cluster.image).error_code is ErrorCode.BROKER_ID_NOT_REGISTERED


def test_who_shuts_down_leads_nothing_any_more(cluster):
    cluster.create("a", (1, 2), (1,))
    answer = carry_out(cluster, decide_controlled_shutdown(cluster.image, NodeId(1)))
    assert answer.should_shut_down
    assert not list(cluster.image.led_by(NodeId(1)))
    assert decide_controlled_shutdown(cluster.image, NodeId(1)).commands == ()
    assert decide_unfence(cluster.image, NodeId(1), cluster.epoch(1)).commands == ()
    assert decide_controlled_shutdown(cluster.image, NodeId(9)).commands == ()


# Log directories


def directories(*numbers):
    return tuple(bytes([number]) * 16 for number in numbers)


def test_a_broker_that_misses_one_of_its_directories_has_to_name_its_logs(cluster, request_of):
    register(cluster, request_of(1, incarnation=1, directories=directories(1, 2)))
    missing = request_of(1, incarnation=2, directories=directories(2, 3))
    decision = decide_register(cluster.image, missing, alive=False)
    assert decision.commands == ()
    assert decision.respond(cluster.image).error_code is ErrorCode.LOG_DIR_NOT_FOUND
    held = (HeldLogs(topic_id=TopicId(bytes(16)), partitions=(PartitionIndex(0),)),)
    assert register(cluster, replace(missing, held=held)).error_code is ErrorCode.NONE
    assert cluster.image.brokers[NodeId(1)].directories == directories(2, 3)


@pytest.mark.parametrize("now", [(2, 1), (1, 2, 3), (3,)], ids=["the same", "one more", "another disk"])
def test_a_broker_with_all_or_none_of_its_directories_need_not(cluster, request_of, now):
    register(cluster, request_of(1, incarnation=1, directories=directories(1, 2)))
    answer = register(cluster, request_of(1, incarnation=2, directories=directories(*now)))
    assert answer.error_code is ErrorCode.NONE


def test_facts_about_disks_are_bounded(cluster, request_of):
    many = request_of(1, directories=tuple(number.to_bytes(16, "big") for number in range(DIRECTORIES_MAX + 1)))
    assert register(cluster, many).error_code is ErrorCode.INVALID_REQUEST
    held = (HeldLogs(topic_id=TopicId(bytes(16)), partitions=tuple(map(PartitionIndex, range(HELD_MAX)))),)
    assert register(cluster, request_of(1, held=held)).error_code is ErrorCode.INVALID_REQUEST


def test_the_largest_registration_fits_into_one_entry(cluster, request_of):
    topics = HELD_MAX // 5
    held = tuple(
        HeldLogs(topic_id=TopicId(number.to_bytes(16, "big")), partitions=(PartitionIndex(99_999),))
        for number in range(topics)
    )
    (command,) = decide_register(cluster.image, request_of(1, held=held), alive=False).commands
    assert len(encode([command])) < ENTRY_BYTES_MAX


def test_a_new_controller_makes_the_cluster_agree_on_its_settings(cluster):
    defaults = Defaults(min_insync_replicas=2, unclean_leader_election=True)
    carry_out(cluster, decide_defaults(cluster.image, defaults))
    assert cluster.image.defaults == defaults
    assert decide_defaults(cluster.image, defaults).commands == ()
