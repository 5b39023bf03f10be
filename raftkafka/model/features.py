"""The feature level of the metadata: which commands the nodes of a cluster may use, because all of them know them.

Floor 0. A node knows the levels of a range. A new cluster begins with the highest that its first controller knows; later the
level rises when an operator says so, and only as far as every registered broker can follow (KIP-584, `metadata.version`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

METADATA_VERSION: Final = "metadata.version"
"""Kafka's name of the feature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRange:
    """Levels from `lowest` to `highest`, both included."""

    lowest: int
    highest: int

    def __contains__(self, level: int) -> bool:
        return self.lowest <= level <= self.highest

    def __str__(self) -> str:
        return f"{self.lowest} to {self.highest}"


SUPPORTED: Final = FeatureRange(lowest=1, highest=1)
"""What this version knows. A new command raises `highest` and stands in `metadata.commands.LEVELS` with it."""
