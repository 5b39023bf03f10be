"""Let preferred leaders lead again. Floor 4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from raftkafka.client.types import TopicPartition
from raftkafka.console.api.reassignments import MOVES_MAX, NamedPartition
from raftkafka.console.api.routes import Call, NoQuery, Route
from raftkafka.console.api.schema import Says, Size
from raftkafka.model.api.elections import ElectionType
from raftkafka.model.errors import ErrorCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Elect:
    partitions: Annotated[tuple[NamedPartition, ...] | None, Size(1, MOVES_MAX), Says("null: all that need it")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Elected:
    topic: str
    partition: int
    error: Annotated[str | None, Says("ELECTION_NOT_NEEDED, PREFERRED_LEADER_NOT_AVAILABLE, ...")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Elections:
    results: tuple[Elected, ...]


async def elect_preferred(call: Call[NoQuery, Elect]) -> Elections:
    context, wanted = call.context, call.body.partitions
    named = None
    if wanted is not None:
        for each in wanted:
            context.partition(each.topic, each.partition)
        named = [TopicPartition(each.topic, each.partition) for each in wanted]
    admin = await context.admin()
    outcomes = await admin.elect_leaders(ElectionType.PREFERRED, named)
    return Elections(
        results=tuple(
            Elected(
                topic=key.topic,
                partition=key.partition,
                error=None if each.error_code is ErrorCode.NONE else each.error_code.name,
            )
            for key, each in sorted(outcomes.items())
        )
    )


ROUTES: Final = (
    Route(
        method="POST",
        path="/elections/preferred",
        summary="Let the first replica of partitions lead, where it is in sync",
        handler=elect_preferred,
        body=Elect,
        answer=Elections,
    ),
)
