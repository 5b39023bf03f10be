"""What a client proves by `addauth`: ZooKeeper's schemes as far as a client can have them here.

Floor 3. `digest` is ZooKeeper's own (`DigestAuthenticationProvider`): base64 of SHA-1 of "user:password". It is what access control
lists hold, so no other hash would do; it keeps nobody out who has seen the list.
"""

from __future__ import annotations

import base64
import hashlib

from raftkafka.model.zookeeper.acl import Identity
from raftkafka.model.zookeeper.requests import Auth

IDENTITIES_MAX = 32
"""Of one connection: each change carries all of them."""


def by_address(host: str) -> Identity:
    """What a connection is before it proves anything."""
    return Identity(scheme="ip", id=host)


def proved(request: Auth) -> Identity | None:
    """Under `digest`; None for a scheme that nobody checks here, and for what is no text."""
    if request.scheme != "digest":
        return None
    try:
        user = request.auth.decode().partition(":")[0]
    except UnicodeDecodeError:
        return None
    hashed = hashlib.sha1(request.auth, usedforsecurity=False).digest()
    return Identity(scheme="digest", id=f"{user}:{base64.b64encode(hashed).decode()}")


def shown(identity: Identity) -> Identity:
    """As whoAmI shows it: the user without the hash."""
    if identity.scheme == "digest":
        return Identity(scheme="digest", id=identity.id.partition(":")[0])
    return identity
