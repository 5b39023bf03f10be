"""How much of everything a run does, and where."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`scale` 1.0 is the published size; `directory` holds the nodes' files."""

    runs: int
    scale: float
    directory: Path
    limits: dict[str, float] = field(default_factory=dict)

    def number(self, full: int) -> int:
        """`full`, scaled; at least one."""
        return max(1, round(full * self.scale))
