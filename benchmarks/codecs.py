"""Both record codecs of one installation: the compiled one, where there is one, and the one in Python."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from raftkafka.record import build, compiled, iterate

_NAMES: Final[dict[Any, tuple[str, ...]]] = {
    build: ("lay_out_values", "lay_out_records"),
    iterate: ("read_values", "read_records"),
}

CODECS: Final = ("compiled", "Python") if compiled.IS_COMPILED else ("Python",)


@contextmanager
def using(codec: str) -> Iterator[None]:
    """This process encodes and decodes by `codec`, one of CODECS, while it lasts."""
    before = [(module, name, getattr(module, name)) for module, names in _NAMES.items() for name in names]
    if codec == "Python":
        for module, name, _ in before:
            setattr(module, name, lambda *_: None)
    try:
        yield
    finally:
        for module, name, function in before:
            setattr(module, name, function)
