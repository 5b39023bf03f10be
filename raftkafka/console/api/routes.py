"""One row of the route table: what a request may carry, what is answered, and who does it. Floor 4."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from raftkafka.console.api.schema import Natural, Range, Size
from raftkafka.console.context import Context
from raftkafka.ports.access import Caller

Method = Literal["GET", "POST", "PATCH", "DELETE"]
Q = TypeVar("Q")
B = TypeVar("B")

INT32_MAX: Final = (1 << 31) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class NoQuery:
    """Nothing may be asked for in the query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """An empty object, or no body at all."""


class EventStream:
    """The kind of an answer that is a stream of server-sent events."""


PATH_PARAMETERS: Final[Mapping[str, Any]] = {
    "topic": Annotated[str, Size(1, 1_000)],
    "group": Annotated[str, Size(1, 4_000)],
    "partition": Annotated[int, Range(0, INT32_MAX)],
    "offset": Natural,
    "broker": Annotated[int, Range(0, INT32_MAX)],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[Q, B]):
    """A request that is well-formed. `path` holds what stands at the names of the route's path, by `PATH_PARAMETERS`."""

    context: Context
    caller: Caller
    path: Mapping[str, Any]
    query: Q
    body: B


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`path` is below /api/v1, with `{names}`. `answer` None: there is no body. `refusals` are what it answers beside what every route may."""

    method: Method
    path: str
    summary: str
    handler: Callable[[Call[Any, Any]], Awaitable[Any]]
    query: type = NoQuery
    body: type | None = None
    answer: Any = None
    status: HTTPStatus = HTTPStatus.OK
    refusals: tuple[HTTPStatus, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(re.findall(r"{(\w+)}", self.path))
