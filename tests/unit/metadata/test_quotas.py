"""Client quotas in the image: who may have one, and which one counts."""

from __future__ import annotations

import pytest

from raftkafka.metadata import quotas, snapshot
from raftkafka.metadata.changes import Changes
from raftkafka.metadata.commands import AlterClientQuotas
from raftkafka.metadata.image import ANY_NAME, NO_NAME, QuotaEntity
from raftkafka.model.errors import ErrorCode

RATE = quotas.PRODUCER_BYTE_RATE
IN_ORDER = [
    QuotaEntity("ann", "app"),
    QuotaEntity("ann", ANY_NAME),
    QuotaEntity("ann", NO_NAME),
    QuotaEntity(ANY_NAME, "app"),
    QuotaEntity(ANY_NAME, ANY_NAME),
    QuotaEntity(ANY_NAME, NO_NAME),
    QuotaEntity(NO_NAME, "app"),
    QuotaEntity(NO_NAME, ANY_NAME),
]
"""Kafka's order of precedence."""


@pytest.mark.parametrize("first", range(len(IN_ORDER)))
def test_the_quota_that_is_told_most_exactly_counts(first):
    every = {entity: {RATE: float(at + 1)} for at, entity in enumerate(IN_ORDER) if at >= first}
    found = quotas.quota_of(every, RATE, "ann", "app")
    assert found is not None
    assert found.rate == first + 1


def test_what_says_nothing_of_this_rate_does_not_count():
    every = {IN_ORDER[0]: {quotas.CONSUMER_BYTE_RATE: 1.0}, IN_ORDER[7]: {RATE: 2.0}}
    assert quotas.quota_of(every, RATE, "ann", "app") == (2.0, QuotaEntity(NO_NAME, "app"))
    assert quotas.quota_of({IN_ORDER[0]: {RATE: 1.0}}, RATE, "bob", "app") is None


def test_clients_of_a_user_share_what_is_the_users_and_a_default_is_everybodys_own():
    def shares(entity, user="ann", client_id="app"):
        found = quotas.quota_of({entity: {RATE: 1.0}}, RATE, user, client_id)
        assert found is not None
        return found.shares

    assert shares(QuotaEntity("ann", NO_NAME)) == shares(QuotaEntity("ann", NO_NAME), client_id="other")
    assert shares(QuotaEntity(ANY_NAME, NO_NAME)) != shares(QuotaEntity(ANY_NAME, NO_NAME), user="bob")
    assert shares(QuotaEntity(NO_NAME, ANY_NAME)) == shares(QuotaEntity(NO_NAME, ANY_NAME), user="bob")
    assert shares(QuotaEntity(NO_NAME, ANY_NAME)) != shares(QuotaEntity(NO_NAME, ANY_NAME), client_id="other")


def test_quotas_are_set_and_taken_away(cluster):
    applied = cluster.apply(
        AlterClientQuotas(user=None, client_id="app", quotas={RATE: 5.0, "request_percentage": 0.5})
    )
    assert applied.changes.client_quotas
    entity = QuotaEntity(None, "app")
    assert cluster.image.client_quotas == {entity: {RATE: 5.0, "request_percentage": 0.5}}
    assert snapshot.decode(snapshot.encode(cluster.image)) == cluster.image
    before = cluster.image
    cluster.apply(AlterClientQuotas(user=None, client_id="app", quotas={RATE: None, "request_percentage": None}))
    assert cluster.image.client_quotas == {}
    assert Changes.between(before, cluster.image).client_quotas
    assert not cluster.apply(AlterClientQuotas(user=None, client_id="app", quotas={RATE: None})).changes


@pytest.mark.parametrize(
    "command",
    [
        AlterClientQuotas(user=None, client_id=None, quotas={RATE: 5.0}),
        AlterClientQuotas(user="x" * 256, client_id=None, quotas={RATE: 5.0}),
        AlterClientQuotas(user="ann", client_id=None, quotas={RATE: 0.0}),
        AlterClientQuotas(user="ann", client_id=None, quotas={RATE: 1.5}),
        AlterClientQuotas(user="ann", client_id=None, quotas={RATE: float("inf")}),
        AlterClientQuotas(user="ann", client_id=None, quotas={RATE: 1e19}),
        AlterClientQuotas(user="ann", client_id=None, quotas={RATE: 5.0, "speed": 5.0}),
    ],
)
def test_what_is_no_quota_is_refused_as_a_whole(cluster, command):
    before = cluster.image
    cluster.apply(command, expect=ErrorCode.INVALID_REQUEST)
    assert cluster.image is before
