"""What to do about a request: pure functions from an image and a request to commands and an answer, a module per family.

Floor 1. `decide` never changes anything: the commands do, once Raft has committed them. They are guarded, so a decision that
has become stale in between is refused by `apply`, and the answer, which is made from the image after it, tells so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from raftkafka.metadata.commands import Command
from raftkafka.metadata.image import Image
from raftkafka.model.api import Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`respond` makes the answer from the image after `commands` have been applied; without commands, from any image.

    It looks at what the image says of the commands' objects, never at the decision alone: what Raft committed counts.
    """

    commands: tuple[Command, ...] = ()
    respond: Callable[[Image], Response]
