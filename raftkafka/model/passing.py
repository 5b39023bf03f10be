"""The decorator of values that pass through the hot path: one or more are made for every request.

Floor 0. They are frozen as every value of the house is, and mypy holds everybody to it; only the interpreter does not. A frozen
dataclass sets each field through `object.__setattr__`: 2.6 µs for nine fields instead of 0.4, a sixth of a broker's time for a
small produce. Use it where a profile says so, `dataclass(frozen=True, slots=True, kw_only=True)` everywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def passing_value(cls: type[_T]) -> type[_T]:
    """A slotted, keyword-only dataclass that counts as frozen: equal and hashed by its fields, never to be changed."""
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)
