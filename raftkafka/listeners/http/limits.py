"""What one HTTP listener takes upon itself. Floor 4."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """`head_s`: from an open or free connection to the whole head of a request; it is closed sooner where nothing comes at all.
    `exchange_s`: from there to the end of the answer, its reading included. Event streams have no end and are counted instead."""

    head_max_bytes: int = 16 << 10
    discard_max_bytes: int = 32 << 20
    """Of a request that was refused before it had arrived: a connection that is cut with unread bytes loses its answer."""
    connections_max: int = 256
    refusals_max: int = 1_024
    """Connections beyond `connections_max` that are told so; those beyond are cut without a word."""
    head_s: float = 10.0
    exchange_s: float = 30.0
    idle_s: float = 5.0
    refusal_s: float = 1.0
