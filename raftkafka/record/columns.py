"""The records of a batch as columns: what both ways of reading give and all public forms are put together from.

Floor 1, pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

Headers = tuple[tuple[str, bytes | None], ...]


class Columns(NamedTuple):
    """One entry per record in each column; a column that is None stands for the commonest value in every place."""

    offsets: Sequence[int]
    time_deltas: Sequence[int] | None  # None: all zero
    keys: Sequence[bytes | None] | None  # None: all null
    values: Sequence[bytes | None]
    headers: Sequence[Headers] | None  # None: no record has any
