"""The compiled record codec where the package was built with a compiler, else functions that leave everything to Python.

Floor 1, pure. Each function gives what the Python code gives, or None: then ask the Python code, which does the work or raises
the right error (malformed bytes, numbers beyond 64 bits, objects of unusual types). So the Python code is the reference, the
fallback, and the only place that explains what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from raftkafka.record.layout import RecordFields

_Record = TypeVar("_Record", bound=tuple[object, ...])

try:
    from raftkafka.record._codec import lay_out_records, lay_out_values, read_records, read_values

    IS_COMPILED: Final = True
except ImportError:  # no compiler was there, or none for this interpreter
    IS_COMPILED: Final = False  # type: ignore[misc]

    def lay_out_values(values: Sequence[bytes], /) -> bytearray | None:
        """Room for the header, then null-keyed records of the values, all of one time."""
        return None

    def lay_out_records(records: Sequence[RecordFields], /) -> tuple[bytearray, int, int] | None:
        """Room for the header, then the records; the first and the largest time."""
        return None

    def read_values(
        section: bytes | memoryview, at: int, end: int, count: int, last_delta: int, /
    ) -> list[bytes | None] | None:
        """The values of the records in `section[at:end]`."""
        return None

    def read_records(  # noqa: PLR0917 - as the compiled one
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
    ) -> list[_Record] | None:
        """The records in `section[at:end]`; `append_time` is the time of all of them where there is one."""
        return None


__all__ = ["IS_COMPILED", "lay_out_records", "lay_out_values", "read_records", "read_values"]
