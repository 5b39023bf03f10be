"""What the table of operations holds per operation. Floor 2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from raftkafka.model.zookeeper.requests import Answer, Done, Request
from raftkafka.wire.zookeeper.jute import Reader
from raftkafka.wire.zookeeper.op_codes import OpCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How one operation is read and written. Writers take nothing but the type that stands beside them."""

    code: OpCode
    request: type[Any]
    read_request: Callable[[Reader], Request]
    write_request: Callable[[Any], bytes]
    answer: type[Any]
    read_answer: Callable[[Reader], Answer]
    write_answer: Callable[[Any], bytes]


def empty(_: object) -> bytes:
    """The body of what has none."""
    return b""


def done(_: Reader) -> Answer:
    return Done()
