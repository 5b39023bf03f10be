from collections.abc import Sequence
from typing import TypeVar

from raftkafka.record.layout import RecordFields

_Record = TypeVar("_Record", bound=tuple[object, ...])

def lay_out_values(values: Sequence[bytes], /) -> bytearray | None: ...
def lay_out_records(records: Sequence[RecordFields], /) -> tuple[bytearray, int, int] | None: ...
def read_values(
    section: bytes | memoryview, at: int, end: int, count: int, last_delta: int, /
) -> list[bytes | None] | None: ...
def read_records(
    section: bytes | memoryview,
    at: int,
    end: int,
    count: int,
    last_delta: int,
    base_offset: int,
    base_timestamp: int,
    append_time: int | None,
    record_type: type[_Record],
    /,
) -> list[_Record] | None: ...
