"""Busy polling on the system's clock and scheduler. Floor 3."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Final

from raftkafka.model.errors import ConfigurationError
from raftkafka.wire.busy_poll import BusyPoll

BUSY_POLL_US: Final = 500
"""Longer than a node does it (`socket.busy.poll.us`): who waits for an answer has asked for it, and an answer that waits for
a sync of a fast disk takes 400 µs."""


BUSY_POLL_MAX_US: Final = 10_000


def checked_busy_poll(max_us: int) -> int:
    """`max_us`, as an application gave it.

    Raises:
        ConfigurationError: it is no whole number from 0 to 10,000.
    """
    if isinstance(max_us, bool) or not isinstance(max_us, int) or not 0 <= max_us <= BUSY_POLL_MAX_US:
        raise ConfigurationError(f"busy_poll_us is a whole number from 0 to {BUSY_POLL_MAX_US}, not {max_us!r}")
    return max_us


def busy_poll(max_us: int) -> BusyPoll | None:
    """For the running event loop; None where it is to sleep at once, or no scheduler can be asked to let others run."""
    give_way = getattr(os, "sched_yield", None)
    if max_us <= 0 or give_way is None:
        return None
    return BusyPoll(
        max_s=max_us / 1e6, call_soon=asyncio.get_running_loop().call_soon, now=time.perf_counter, give_way=give_way
    )
