"""The decorators of values that pass through the hot path: one or more are made for every request.

Floor 0. They are frozen as every value of the house is, and mypy holds everybody to it; only the interpreter does not. A frozen
dataclass sets each field through `object.__setattr__`: 2.6 µs for nine fields instead of 0.4, a sixth of a broker's time for a
small produce. Use them where a profile says so, `dataclass(frozen=True, slots=True, kw_only=True)` and `NamedTuple` everywhere else.

Where the package was built with a compiler, calling such a class runs no Python code at all (`_passing.c`): a fifth of the time that
`__init__` takes, or the `__new__` of a named tuple. Which of both made a value nobody can tell.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Final, TypeVar, dataclass_transform

try:
    from raftkafka.model._passing import quicken

    IS_COMPILED: Final = True
except ImportError:  # no compiler was there, or none for this interpreter
    IS_COMPILED: Final = False  # type: ignore[misc]

_T = TypeVar("_T")
_Tuple = TypeVar("_Tuple", bound=tuple[object, ...])


@dataclass_transform(frozen_default=True, kw_only_default=True)
def passing_value(cls: type[_T]) -> type[_T]:
    """A slotted, keyword-only dataclass that counts as frozen: equal and hashed by its fields, never to be changed."""
    made = dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)
    each = fields(made)  # type: ignore[arg-type]
    if IS_COMPILED and each and _only_stores(made):
        quicken(made, tuple([one.name for one in each]), 0, tuple([one.default for one in each]), MISSING)
    return made


def passing_tuple(cls: type[_Tuple]) -> type[_Tuple]:
    """For a `NamedTuple`: the same, made faster."""
    if IS_COMPILED and cls.__base__ is tuple:  # what derives from a named tuple may make itself in its own way
        names: tuple[str, ...] = cls._fields  # type: ignore[attr-defined]
        standard: dict[str, object] = cls._field_defaults  # type: ignore[attr-defined]
        quicken(cls, names, len(names), tuple([standard.get(name, MISSING) for name in names]), MISSING)
    return cls


def _only_stores(made: type) -> bool:
    """What is done beyond that when one is made would not be done by a call that runs nothing of the class."""
    each = fields(made)
    if not all(one.init and one.default_factory is MISSING for one in each) or hasattr(made, "__post_init__"):
        return False
    # An `__init__` written by hand is left alone by `dataclass`; an InitVar is an argument that is no field.
    init = getattr(vars(made).get("__init__"), "__code__", None)
    given = () if init is None else init.co_varnames[1 : 1 + init.co_kwonlyargcount]
    is_generated = init is not None and init.co_filename == "<string>" and given == tuple([one.name for one in each])
    inherits = all(getattr(made, name) is getattr(object, name) for name in ("__new__", "__setattr__"))
    return is_generated and inherits and type(made) is type
