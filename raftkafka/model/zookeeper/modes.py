"""How a node is created and when it goes, by the numbers of ZooKeeper's `CreateMode` and `EphemeralType`.

Floor 0. The owner field of a Stat says what kind of node it is: 0 for a persistent one, a session for an ephemeral one, and
two ranges that no session id has for containers and for nodes with a time to live.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class CreateMode(IntEnum):
    PERSISTENT = 0
    EPHEMERAL = 1
    PERSISTENT_SEQUENTIAL = 2
    EPHEMERAL_SEQUENTIAL = 3
    CONTAINER = 4
    PERSISTENT_WITH_TTL = 5
    PERSISTENT_SEQUENTIAL_WITH_TTL = 6

    @property
    def ephemeral(self) -> bool:
        """Goes with its session."""
        return self in {CreateMode.EPHEMERAL, CreateMode.EPHEMERAL_SEQUENTIAL}

    @property
    def sequential(self) -> bool:
        """Its name gets a number of ten digits, counted per parent."""
        return self in {
            CreateMode.PERSISTENT_SEQUENTIAL,
            CreateMode.EPHEMERAL_SEQUENTIAL,
            CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL,
        }

    @property
    def container(self) -> bool:
        """Goes when its last child has gone."""
        return self is CreateMode.CONTAINER

    @property
    def ttl(self) -> bool:
        """Goes when it had no children and was not changed for its time to live."""
        return self in {CreateMode.PERSISTENT_WITH_TTL, CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL}


CONTAINER_OWNER: Final = -(1 << 63)
"""What stands in the place of an owner for a container (`EphemeralType.CONTAINER_EPHEMERAL_OWNER`)."""
TTL_MAX_MS: Final = (1 << 40) - 1
"""The longest time to live: what 40 bits hold (`EphemeralType.TTL`)."""
_TTL_MARK: Final = 0xFF << 56
_SIGN: Final = 1 << 63


def ttl_owner(ttl_ms: int) -> int:
    """What stands in the place of an owner for a node with a time to live, from 1 to TTL_MAX_MS: 0xff, 16 reserved bits, 40 bits of it."""
    if not 0 < ttl_ms <= TTL_MAX_MS:
        raise ValueError(f"a time to live is from 1 to {TTL_MAX_MS} ms, not {ttl_ms}")
    return (_TTL_MARK | ttl_ms) - (_SIGN << 1)
