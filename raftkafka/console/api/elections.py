"""Elections of preferred leaders. Floor 4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from raftkafka.client.types import TopicPartition
from raftkafka.console.api.routes import Call, NoQuery, Route
from raftkafka.console.api.schema import Range, Says, Size
from raftkafka.model.api.elections import ElectedPartition, ElectionType
from raftkafka.model.errors import ErrorCode

PARTITIONS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionName:
    topic: Annotated[str, Size(1, 249)]
    partition: Annotated[int, Range(0, (1 << 31) - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Election:
    partitions: Annotated[
        Annotated[tuple[PartitionName, ...], Size(0, PARTITIONS_MAX)] | None, Says("null: all that have need of one")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectionResult:
    topic: str
    partition: int
    error: Annotated[str | None, Says("why the preferred replica does not lead; null where it does")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectionResults:
    results: tuple[ElectionResult, ...]


async def elect_preferred(call: Call[NoQuery, Election]) -> ElectionResults:
    admin = await call.context.clients.admin()
    wanted = call.body.partitions
    outcome = await admin.elect_leaders(
        ElectionType.PREFERRED,
        None if wanted is None else [TopicPartition(each.topic, each.partition) for each in wanted],
    )
    return ElectionResults(
        results=tuple(
            [
                ElectionResult(topic=each.topic, partition=each.partition, error=_refusal(elected))
                for each, elected in sorted(outcome.items())
            ]
        )
    )


def _refusal(elected: ElectedPartition) -> str | None:
    # What was asked for is so: whether by this election or before it makes no difference to who asked.
    if elected.error_code in {ErrorCode.NONE, ErrorCode.ELECTION_NOT_NEEDED}:
        return None
    return elected.error_message or elected.error_code.name


ROUTES: Final = (
    Route(
        method="POST",
        path="/elections/preferred",
        summary="Let preferred leaders lead again",
        handler=elect_preferred,
        body=Election,
        answer=ElectionResults,
    ),
)
