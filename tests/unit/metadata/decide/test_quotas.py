"""AlterClientQuotas and DescribeClientQuotas: one clear line for every bad value, and answers to every question."""

from __future__ import annotations

import pytest

from raftkafka.metadata.decide.quotas import ENTRIES_PER_REQUEST_MAX, decide_alter_quotas, describe_quotas
from raftkafka.model.api.quotas import (
    AlterClientQuotas,
    DescribeClientQuotas,
    QuotaAlteration,
    QuotaEntityPart,
    QuotaFilter,
    QuotaMatch,
    QuotaOperation,
)
from raftkafka.model.errors import ApiError, ErrorCode

RATE = "producer_byte_rate"


def entity(**parts):
    return tuple(QuotaEntityPart(entity_type=kind.replace("_", "-"), entity_name=name) for kind, name in parts.items())


def entry(parts, *operations):
    return QuotaAlteration(
        entity=parts,
        operations=tuple(
            QuotaOperation(key=key, value=value or 0.0, remove=value is None) for key, value in operations
        ),
    )


def alter(cluster, *entries, **fields):
    decision = decide_alter_quotas(cluster.image, AlterClientQuotas(entries=entries, **fields))
    if decision.commands:
        cluster.apply(*decision.commands)
    return [(each.error_code, each.error_message) for each in decision.respond(cluster.image).entries]


OK = (ErrorCode.NONE, None)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (entry((), (RATE, 5.0)), "a user, a client id, or both"),
        (entry(entity(ip="1.2.3.4"), (RATE, 5.0)), "Unhandled client quota entity type: ip"),
        (entry(entity(user=""), (RATE, 5.0)), "Empty user not supported"),
        (entry((*entity(user="a"), *entity(user="b")), (RATE, 5.0)), "user is named twice"),
        (entry(entity(user="a"), ("speed", 5.0)), "Unknown quota speed"),
        (entry(entity(user="a"), (RATE, -5.0)), "must be greater than 0"),
        (entry(entity(user="a"), (RATE, 0.5)), "whole number of bytes"),
        (entry(entity(user="a"), (RATE, 5.0), (RATE, None)), "named twice"),
        (entry(entity(user="x" * 256), (RATE, 5.0)), "at most 255 characters"),
    ],
)
def test_every_bad_value_gets_one_clear_line(cluster, bad, said):
    refused, fine = alter(cluster, bad, entry(entity(user="fine"), (RATE, 5.0)))
    assert refused[0] is ErrorCode.INVALID_REQUEST
    assert said in refused[1]
    assert "\n" not in refused[1]
    assert fine == OK
    assert len(cluster.image.client_quotas) == 1


def test_an_entity_may_be_named_once_and_a_request_is_bounded(cluster):
    twice = entry(entity(user="a"), (RATE, 5.0))
    assert alter(cluster, twice, twice) == [OK, (ErrorCode.INVALID_REQUEST, "Each entity must appear at most once.")]
    many = [entry(entity(user=str(each)), (RATE, 5.0)) for each in range(ENTRIES_PER_REQUEST_MAX + 1)]
    assert {code for code, _ in alter(cluster, *many)} == {ErrorCode.INVALID_REQUEST}


def test_validate_only_changes_nothing(cluster):
    assert alter(cluster, entry(entity(user="a"), (RATE, 5.0)), validate_only=True) == [OK]
    assert cluster.image.client_quotas == {}


@pytest.fixture
def quotas(cluster):
    assert (
        alter(
            cluster,
            entry(entity(user="ann"), (RATE, 1.0)),
            entry(entity(user=None), (RATE, 2.0)),
            entry(entity(user="ann", client_id="app"), (RATE, 3.0)),
            entry(entity(client_id="app"), (RATE, 4.0)),
            entry(entity(client_id=None), (RATE, 5.0)),
        )
        == [OK] * 5
    )
    return cluster.image


def described(image, *filters, strict=False):
    components = tuple(QuotaFilter(entity_type=kind, match_type=match, match=name) for kind, match, name in filters)
    answer = describe_quotas(image, DescribeClientQuotas(components=components, strict=strict))
    return [each.values[0].value for each in answer.entries]


EXACT, DEFAULT, ANY = QuotaMatch


@pytest.mark.parametrize(
    ("filters", "strict", "found"),
    [
        ((), False, {1, 2, 3, 4, 5}),
        ((("user", EXACT, "ann"),), False, {1, 3}),
        ((("user", EXACT, "ann"),), True, {1}),
        ((("user", ANY, None),), True, {1, 2}),
        ((("user", DEFAULT, None),), False, {2}),
        ((("user", EXACT, "ann"), ("client-id", EXACT, "app")), True, {3}),
        ((("client-id", ANY, None),), True, {4, 5}),
        ((("client-id", DEFAULT, None),), True, {5}),
        ((("user", EXACT, "nobody"),), False, set()),
    ],
)
def test_quotas_are_found_by_their_entity(quotas, filters, strict, found):
    assert set(described(quotas, *filters, strict=strict)) == found


@pytest.mark.parametrize(
    "filters",
    [
        (("ip", ANY, None),),
        (("user", ANY, None), ("user", ANY, None)),
        (("user", EXACT, None),),
        (("user", ANY, "ann"),),
        (("user", 7, None),),
    ],
)
def test_questions_without_sense_are_refused(quotas, filters):
    with pytest.raises(ApiError) as refused:
        described(quotas, *filters)
    assert refused.value.code is ErrorCode.INVALID_REQUEST
