"""The compiled step of a producer where the package was built with a compiler, else the one in Python. Floor 3."""

from __future__ import annotations

from typing import Final

try:
    from raftkafka.client._fast import Appender, Filling, Room, Sticky

    IS_COMPILED: Final = True
except ImportError:  # no compiler was there, or none for this interpreter
    from raftkafka.client.appending import Appender, Filling, Room, Sticky

    IS_COMPILED: Final = False  # type: ignore[misc]

__all__ = ["IS_COMPILED", "Appender", "Filling", "Room", "Sticky"]
