"""Blocks of producer ids: each id is given once, whoever asks and whatever went stale."""

from __future__ import annotations

from raftkafka.metadata import snapshot
from raftkafka.metadata.decide.producers import decide_allocate_producer_ids
from raftkafka.model.api.producers import PRODUCER_ID_BLOCK, AllocateProducerIds
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import BrokerEpoch, NodeId


def ask(cluster, node, *, epoch=None):
    request = AllocateProducerIds(
        broker_id=NodeId(node),
        broker_epoch=cluster.image.brokers[node].epoch if epoch is None else BrokerEpoch(epoch),
    )
    return decide_allocate_producer_ids(cluster.image, request)


def allocate(cluster, node):
    decision = ask(cluster, node)
    cluster.apply(*decision.commands)
    return decision.respond(cluster.image)


def test_blocks_follow_each_other(cluster):
    answers = [allocate(cluster, node) for node in (1, 2, 1)]
    assert [each.producer_id_start for each in answers] == [0, PRODUCER_ID_BLOCK, 2 * PRODUCER_ID_BLOCK]
    assert {each.producer_id_len for each in answers} == {PRODUCER_ID_BLOCK}


def test_a_stale_decision_gives_nothing(cluster):
    one, two = ask(cluster, 1), ask(cluster, 2)
    cluster.apply(*one.commands)
    cluster.apply(*two.commands, expect=ErrorCode.INVALID_UPDATE_VERSION)
    assert one.respond(cluster.image).producer_id_start == 0
    assert two.respond(cluster.image).error_code is ErrorCode.INVALID_UPDATE_VERSION
    assert allocate(cluster, 2).producer_id_start == PRODUCER_ID_BLOCK


def test_only_a_registration_in_force_gets_ids(cluster):
    stale = ask(cluster, 1, epoch=99)
    assert stale.commands == ()
    assert stale.respond(cluster.image).error_code is ErrorCode.STALE_BROKER_EPOCH
    request = AllocateProducerIds(broker_id=NodeId(9), broker_epoch=BrokerEpoch(1))
    unknown = decide_allocate_producer_ids(cluster.image, request)
    assert unknown.respond(cluster.image).error_code is ErrorCode.BROKER_ID_NOT_REGISTERED


def test_a_snapshot_keeps_what_was_given(cluster):
    allocate(cluster, 1)
    assert snapshot.decode(snapshot.encode(cluster.image)) == cluster.image
    assert cluster.image.next_producer_id == PRODUCER_ID_BLOCK
