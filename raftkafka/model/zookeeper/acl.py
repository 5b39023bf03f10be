"""Who may do what to a node: ZooKeeper's permissions and its access control lists. Floor 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

READ: Final = 1
WRITE: Final = 2
CREATE: Final = 4
DELETE: Final = 8
ADMIN: Final = 16
ALL: Final = READ | WRITE | CREATE | DELETE | ADMIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Acl:
    """`perms` are granted to `id` under `scheme`: `world:anyone`, `digest:user:hash`, `ip:10.0.0.0/8`, `auth:`."""

    perms: int
    scheme: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Identity:
    """What a session has proved, or is known by: its address under `ip`, each digest it has sent under `digest`."""

    scheme: str
    id: str


OPEN_ACL: Final = (Acl(perms=ALL, scheme="world", id="anyone"),)
READ_ACL: Final = (Acl(perms=READ, scheme="world", id="anyone"),)
CREATOR_ALL_ACL: Final = (Acl(perms=ALL, scheme="auth", id=""),)
