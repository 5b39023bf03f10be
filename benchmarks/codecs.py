"""Both record codecs of one installation: the compiled one, where there is one, and the one in Python.

The step of a producer for each record goes with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from raftkafka.client import appending, route
from raftkafka.record import build, compiled, iterate

_NAMES: Final[dict[Any, tuple[str, ...]]] = {
    build: ("lay_out_values", "lay_out_records"),
    iterate: ("read_values", "read_records"),
}

_STEP: Final = "Appender"

CODECS: Final = ("compiled", "Python") if compiled.IS_COMPILED else ("Python",)


@contextmanager
def using(codec: str) -> Iterator[None]:
    """This process encodes and decodes by `codec`, one of CODECS, while it lasts."""
    before: list[tuple[Any, str, Any]] = [
        (module, name, getattr(module, name)) for module, names in _NAMES.items() for name in names
    ]
    before.append((route, _STEP, getattr(route, _STEP)))
    if codec == "Python":
        for module, name, _ in before[:-1]:
            setattr(module, name, lambda *_: None)
        setattr(route, _STEP, appending.Appender)
    try:
        yield
    finally:
        for module, name, function in before:
            setattr(module, name, function)
