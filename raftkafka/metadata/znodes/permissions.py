"""Who may do what: ZooKeeper's access control lists.

Floor 1, pure. The rules are those of `PrepRequestProcessor.fixupACL` and `ZooKeeperServer.checkACL` (3.8), with the schemes that a client
can have here: `world`, `ip`, `digest`. `super`, which no client can prove, may do everything.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

from raftkafka.model.zookeeper.acl import OPEN_ACL, Acl, Identity
from raftkafka.model.zookeeper.errors import ZkError, ZkErrorCode

SUPER: Final = "super"
_ANYONE: Final = ("world", "anyone")


def granted(wanted: Iterable[Acl], identities: tuple[Identity, ...], path: str) -> tuple[Acl, ...]:
    """The list that a node gets: without repetitions, and with `auth` replaced by all that the session has proved.

    Raises:
        ZkError: INVALIDACL for an empty list, an unknown scheme, an id that the scheme does not have, and `auth` of a session that
            has proved nothing.
    """
    every: list[Acl] = []
    for each in dict.fromkeys(wanted):
        if (each.scheme, each.id) == _ANYONE:
            every.append(each)
        elif each.scheme == "auth":
            proved = [who for who in identities if who.scheme in ("digest", SUPER)]
            if not proved:
                raise ZkError(ZkErrorCode.INVALIDACL, f"{path}: the session has not authenticated")
            every += [Acl(perms=each.perms, scheme=who.scheme, id=who.id) for who in proved]
        elif _valid(each):
            every.append(each)
        else:
            raise ZkError(ZkErrorCode.INVALIDACL, f"{path}: there is no {each.scheme}:{each.id}")
    if not every:
        raise ZkError(ZkErrorCode.INVALIDACL, f"{path}: the list is empty")
    acl = tuple(every)
    return OPEN_ACL if acl == OPEN_ACL else acl


def check(acl: Iterable[Acl], permission: int, identities: tuple[Identity, ...], path: str) -> None:
    """Return where one of these identities has the permission.

    Raises:
        ZkError: NOAUTH.
    """
    if not allowed(acl, permission, identities):
        raise ZkError(ZkErrorCode.NOAUTH, path)


def allowed(acl: Iterable[Acl], permission: int, identities: tuple[Identity, ...]) -> bool:
    """True where one of these identities has the permission."""
    if any(who.scheme == SUPER for who in identities):
        return True
    for each in acl:
        if not each.perms & permission:
            continue
        if (each.scheme, each.id) == _ANYONE:
            return True
        if any(who.scheme == each.scheme and _matches(who, each) for who in identities):
            return True
    return False


def _valid(acl: Acl) -> bool:
    if acl.scheme == "digest":
        return acl.id.count(":") == 1
    return acl.scheme == "ip" and _network(acl.id) is not None


def _matches(who: Identity, acl: Acl) -> bool:
    if acl.scheme != "ip":
        return who.id == acl.id
    network = _network(acl.id)
    try:
        return network is not None and ipaddress.ip_address(who.id) in network
    except ValueError:
        return False


def _network(expression: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    _, slash, bits = expression.partition("/")
    if slash and not (bits.isascii() and bits.isdigit()):
        return None
    try:
        return ipaddress.ip_network(expression, strict=False)
    except ValueError:
        return None
