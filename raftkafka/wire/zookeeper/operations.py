"""The one table of operations. Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.zookeeper.ops import Create
from raftkafka.model.zookeeper.requests import GetChildren, Request, SetWatches, Unknown
from raftkafka.wire.zookeeper import changes, connection, multi, reads, watches
from raftkafka.wire.zookeeper.op_codes import OpCode
from raftkafka.wire.zookeeper.rows import Row

ROWS: Final[dict[int, Row]] = {
    row.code: row for row in (*changes.ROWS, *reads.ROWS, *multi.ROWS, *watches.ROWS, *connection.ROWS)
}
_CODE_OF: Final[dict[type, OpCode]] = {row.request: row.code for row in reversed(ROWS.values())}


def code_of(request: Request) -> int:
    """Where several codes ask for the same thing, the oldest that carries all of `request`."""
    if isinstance(request, Create):
        return changes.create_code(request)
    if isinstance(request, GetChildren):
        return OpCode.GET_CHILDREN2 if request.with_stat else OpCode.GET_CHILDREN
    if isinstance(request, SetWatches):
        return watches.set_watches_code(request)
    return request.op_code if isinstance(request, Unknown) else _CODE_OF[type(request)]


def name_of(op_code: int) -> str:
    """For logs and metrics; the set of names is bounded whatever a peer sends."""
    return OpCode(op_code).name if op_code in ROWS else "UNKNOWN"
