"""Decisions and answers about client quotas: AlterClientQuotas and DescribeClientQuotas (KIP-546).

Floor 1, pure. Each entity of a request is decided by itself. Codes and messages are Kafka's where tools may read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from raftkafka.metadata.commands import AlterClientQuotas as Alter
from raftkafka.metadata.decide import Decision
from raftkafka.metadata.image import ANY_NAME, NO_NAME, Image, QuotaEntity
from raftkafka.metadata.quotas import ENTITIES_MAX, why_not_entity, why_not_value
from raftkafka.model.api.quotas import (
    CLIENT_ID,
    USER,
    AlterClientQuotas,
    AlterClientQuotasResponse,
    AlteredQuota,
    DescribeClientQuotas,
    DescribeClientQuotasResponse,
    DescribedQuota,
    QuotaAlteration,
    QuotaEntityPart,
    QuotaFilter,
    QuotaMatch,
    QuotaValue,
)
from raftkafka.model.errors import ApiError, ErrorCode

ENTRIES_PER_REQUEST_MAX: Final = 1_000


def decide_alter_quotas(image: Image, request: AlterClientQuotas) -> Decision:
    """Set and take away quotas, or with `validate_only` say whether that is possible."""
    commands: list[Alter] = []
    answers: list[AlteredQuota] = []
    seen: set[QuotaEntity] = set()
    known = set(image.client_quotas)
    for entry in request.entries:
        code, message = ErrorCode.NONE, None
        try:
            if len(request.entries) > ENTRIES_PER_REQUEST_MAX:
                raise ApiError(
                    ErrorCode.INVALID_REQUEST, f"One request may alter the quotas of at most {ENTRIES_PER_REQUEST_MAX}."
                )
            command = _command(entry)
            entity = QuotaEntity(command.user, command.client_id)
            if entity in seen:
                raise ApiError(ErrorCode.INVALID_REQUEST, "Each entity must appear at most once.")
            seen.add(entity)
            if any(value is not None for value in command.quotas.values()):
                known.add(entity)
            if len(known) > ENTITIES_MAX:
                raise ApiError(ErrorCode.POLICY_VIOLATION, f"At most {ENTITIES_MAX} users and client ids have quotas.")
            if command.quotas:
                commands.append(command)
        except ApiError as refusal:
            code, message = refusal.code, refusal.message
        answers.append(AlteredQuota(entity=entry.entity, error_code=code, error_message=message))
    return Decision(
        commands=() if request.validate_only else tuple(commands),
        respond=lambda _: AlterClientQuotasResponse(entries=tuple(answers)),
    )


def _command(entry: QuotaAlteration) -> Alter:
    entity = entity_of(entry.entity)
    quotas: dict[str, float | None] = {}
    for each in entry.operations:
        if each.key in quotas:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Quota {each.key} is named twice.")
        # A quota that is not known may be taken away: it is not there.
        wrong = None if each.remove else why_not_value(each.key, each.value)
        if wrong is not None:
            raise ApiError(ErrorCode.INVALID_REQUEST, wrong)
        quotas[each.key] = None if each.remove else each.value
    return Alter(user=entity.user, client_id=entity.client_id, quotas=quotas)


def entity_of(parts: Iterable[QuotaEntityPart]) -> QuotaEntity:
    """The entity that these components name; raises ApiError where nobody is named."""
    names: dict[str, str] = {}
    for part in parts:
        if part.entity_type not in (USER, CLIENT_ID):
            raise ApiError(
                ErrorCode.INVALID_REQUEST,
                f"Unhandled client quota entity type: {part.entity_type}; there are user and client-id",
            )
        if part.entity_type in names:
            raise ApiError(
                ErrorCode.INVALID_REQUEST, f"Invalid client quota entity: {part.entity_type} is named twice."
            )
        if part.entity_name == "":
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Empty {part.entity_type} not supported")
        names[part.entity_type] = ANY_NAME if part.entity_name is None else part.entity_name
    entity = QuotaEntity(names.get(USER, NO_NAME), names.get(CLIENT_ID, NO_NAME))
    wrong = why_not_entity(entity)
    if wrong is not None:
        raise ApiError(ErrorCode.INVALID_REQUEST, f"Invalid client quota entity: {wrong}")
    return entity


def parts_of(entity: QuotaEntity) -> tuple[QuotaEntityPart, ...]:
    """The components of an entity as they are written in answers."""
    named = ((USER, entity.user), (CLIENT_ID, entity.client_id))
    return tuple(
        [QuotaEntityPart(entity_type=kind, entity_name=name or None) for kind, name in named if name is not NO_NAME]
    )


def describe_quotas(image: Image, request: DescribeClientQuotas) -> DescribeClientQuotasResponse:
    """The quotas that the request asks for, in the order of their entities; raises ApiError for a question without sense."""
    filters: dict[str, QuotaFilter] = {}
    for each in request.components:
        if each.entity_type not in (USER, CLIENT_ID):
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Custom entity type '{each.entity_type}' not supported")
        if each.entity_type in filters:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"Duplicate filter component: {each.entity_type}")
        if each.match_type not in tuple(QuotaMatch) or (each.match_type == QuotaMatch.EXACT) != (
            each.match is not None
        ):
            raise ApiError(
                ErrorCode.INVALID_REQUEST, f"{each.entity_type}: a name comes with an exact match, and only then"
            )
        filters[each.entity_type] = each
    found = [entity for entity in image.client_quotas if _meets(entity, filters, strict=request.strict)]
    return DescribeClientQuotasResponse(
        entries=tuple(
            DescribedQuota(entity=parts_of(entity), values=_values(image.client_quotas[entity]))
            for entity in sorted(found, key=lambda each: (each.user or "", each.client_id or "", each.user is None))
        )
    )


def _meets(entity: QuotaEntity, filters: Mapping[str, QuotaFilter], *, strict: bool) -> bool:
    for kind, name in ((USER, entity.user), (CLIENT_ID, entity.client_id)):
        wanted = filters.get(kind)
        if wanted is None:
            if strict and name is not NO_NAME:
                return False
        elif (
            name is NO_NAME
            or (wanted.match_type == QuotaMatch.EXACT and name != wanted.match)
            or (wanted.match_type == QuotaMatch.DEFAULT and name != ANY_NAME)
        ):
            return False
    return True


def _values(quotas: Mapping[str, float]) -> tuple[QuotaValue, ...]:
    return tuple([QuotaValue(key=key, value=value) for key, value in sorted(quotas.items())])
