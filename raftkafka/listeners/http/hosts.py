"""By which names a listener answers, and from which pages it takes changes. Floor 4, pure.

A web page may point a name of its own at this address (DNS rebinding); then the browser takes our answers for that page's. The name stands
in `Host`, so only known ones are answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from raftkafka.model.settings.validate import is_every_interface, is_loopback
from raftkafka.model.settings.values import Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedHosts:
    """`names` are lower-case and without port. On loopback all loopback names are allowed as well."""

    loopback: bool
    names: frozenset[str]
    every: bool = False

    def allow(self, host: str) -> bool:
        """Whether a `Host` header of this value is answered."""
        name = host_name(host)
        return self.every or name in self.names or (self.loopback and is_loopback(name))


def allowed_hosts(listener: Listener, *, given: Sequence[str], advertised: Iterable[str]) -> AllowedHosts:
    """`given` is `http.allowed.hosts`, which goes before everything else; `*` in it allows every name.

    Without it, loopback names on loopback; elsewhere the name that the listener is bound to, loopback's and the advertised ones.
    """
    loopback = is_loopback(listener.host)
    if given:
        names = frozenset(host_name(each) if "[" in each else each.lower() for each in given)
        return AllowedHosts(loopback=loopback, names=names, every="*" in names)
    if loopback:
        return AllowedHosts(loopback=True, names=frozenset())
    bound = () if is_every_interface(listener.host) else (listener.host,)
    return AllowedHosts(loopback=True, names=frozenset([each.lower() for each in (*bound, *advertised)]))


def host_name(host: str) -> str:
    """The name in a Host header, without port and brackets, in lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def is_same_origin(origin: str, host: str) -> bool:
    """Whether a page from `origin` is one that was served under `host`; a proxy in front may have added TLS."""
    scheme, separator, authority = origin.strip().lower().partition("://")
    return bool(separator) and scheme in {"http", "https"} and authority == host.strip().lower()
