"""Rules that bind several settings together.

Floor 0. `validate` refuses what cannot work or would be unsafe; `advise` names what works and will surprise. Both are pure, so
that settings built in code (tests, embedding) pass through the same door as those from a file.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from raftkafka.model.errors import ConfigurationError
from raftkafka.model.settings.values import Listener, Settings

Where = Callable[[str], str]
"""From a key to what stands before a message about it: `server.properties:12: `, or nothing."""


def is_loopback(host: str) -> bool:
    """True for `localhost` and loopback addresses. A name that would have to be resolved first is not taken for one."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_every_interface(host: str) -> bool:
    return host in {"", "0.0.0.0", "::"}


def controller_listener(settings: Settings) -> Listener | None:
    """Where Raft listens on this node: as configured, else at the node's own entry among the voters; None when alone."""
    if settings.controller_listener is not None:
        return settings.controller_listener
    for voter in settings.voters:
        if voter.node_id == settings.node_id:
            return Listener(name="CONTROLLER", host=voter.host, port=voter.port)
    return None


def validate(settings: Settings, *, where: Where = lambda _: "") -> None:
    """Refuse settings that contradict each other.

    Raises:
        ConfigurationError: with one clear line.
    """
    for check in (_check_listeners, check_exposure, _check_voters, _check_sizes, _check_times):
        for key, problem in check(settings):
            raise ConfigurationError(f"{where(key)}{problem}")


def _check_listeners(settings: Settings) -> Iterator[tuple[str, str]]:
    names = [listener.name for listener in settings.listeners]
    if len(set(names)) < len(names):
        yield "listeners", "listeners: each listener needs a name of its own"
    ports = [listener.port for listener in settings.listeners if listener.port]
    if len(set(ports)) < len(ports):
        yield "listeners", "listeners: each listener needs a port of its own"
    for advertised in settings.advertised_listeners:
        if advertised.name not in names:
            yield (
                "advertised.listeners",
                f"advertised.listeners: {advertised.name} is not among the listeners ({', '.join(names)})",
            )
        if is_every_interface(advertised.host) and advertised.host:
            yield "advertised.listeners", f"advertised.listeners: nobody can connect to {advertised.host}; name a host"
    if not settings.advertised_listeners:
        for listener in settings.listeners:
            if is_every_interface(listener.host) and listener.host:
                yield (
                    "listeners",
                    f"listeners: nobody can connect to {listener.host}; set advertised.listeners to an address of this host",
                )


def check_exposure(settings: Settings) -> Iterator[tuple[str, str]]:
    """Pairs of key and sentence about listeners that others can reach although nobody has to prove anything there."""
    if settings.allow_insecure_listeners:
        return
    exposed = [("listeners", listener) for listener in settings.listeners]
    if settings.http_listener is not None:
        exposed.append(("http.listener", settings.http_listener))
    if settings.zookeeper.listener is not None:
        exposed.append(("zookeeper.listener", settings.zookeeper.listener))
    raft = controller_listener(settings)
    if raft is not None:
        key = "controller.quorum.voters" if settings.controller_listener is None else "controller.listener"
        exposed.append((key, raft))
    for key, listener in exposed:
        if not is_loopback(listener.host):
            yield (
                key,
                (
                    f"{key}: {listener} is reachable from other hosts, and listeners do not encrypt or authenticate clients yet; "
                    "bind it to localhost, or accept the risk with allow.insecure.listeners=true"
                ),
            )


def _check_voters(settings: Settings) -> Iterator[tuple[str, str]]:
    key = "controller.quorum.voters"
    ids = [voter.node_id for voter in settings.voters]
    addresses = [(voter.host, voter.port) for voter in settings.voters]
    if len(set(ids)) < len(ids):
        yield key, f"{key}: a node id appears twice"
    if len(set(addresses)) < len(addresses):
        yield key, f"{key}: two voters have the same address"
    if (
        (len(ids) > 1 or (ids and settings.node_id not in ids))
        and not settings.cluster_secret
        and settings.cluster_secret_file is None
    ):
        yield key, f"{key}: a cluster of more than one node needs cluster.secret.file, the same secret on every node"


def _check_sizes(settings: Settings) -> Iterator[tuple[str, str]]:
    message, request = settings.log.message_max_bytes, settings.network.request_max_bytes
    if message > request:
        yield "message.max.bytes", f"message.max.bytes={message} exceeds socket.request.max.bytes={request}"
    if settings.metadata_log_dir is None and not settings.log_dirs:
        yield "log.dirs", "log.dirs: must name at least one directory"


def _check_times(settings: Settings) -> Iterator[tuple[str, str]]:
    controller, replica = settings.controller, settings.replica
    groups = settings.groups
    if groups.min_session_timeout_ms > groups.max_session_timeout_ms:
        yield (
            "group.min.session.timeout.ms",
            (
                f"group.min.session.timeout.ms={groups.min_session_timeout_ms} exceeds "
                f"group.max.session.timeout.ms={groups.max_session_timeout_ms}: no member could join a group"
            ),
        )
    zookeeper = settings.zookeeper
    if zookeeper.min_session_timeout_ms > zookeeper.max_session_timeout_ms:
        yield (
            "zookeeper.min.session.timeout.ms",
            (
                f"zookeeper.min.session.timeout.ms={zookeeper.min_session_timeout_ms} exceeds "
                f"zookeeper.max.session.timeout.ms={zookeeper.max_session_timeout_ms}: no client could have a session"
            ),
        )
    if controller.broker_heartbeat_interval_ms * 2 > controller.broker_session_timeout_ms:
        yield (
            "broker.heartbeat.interval.ms",
            (
                f"broker.heartbeat.interval.ms={controller.broker_heartbeat_interval_ms} must be at most half of "
                f"broker.session.timeout.ms={controller.broker_session_timeout_ms}, or one lost heartbeat fences the broker"
            ),
        )
    # pysyncobj asks for more than three times; so does whoever wants to lose two heartbeats before an election.
    if controller.raft_heartbeat_ms * 3 >= controller.election_timeout_min_ms:
        yield (
            "controller.quorum.election.timeout.ms",
            (
                f"controller.quorum.election.timeout.ms={controller.election_timeout_min_ms} must be more than three times "
                f"controller.quorum.heartbeat.interval.ms={controller.raft_heartbeat_ms}, or voters never rest"
            ),
        )
    if replica.fetch_wait_max_ms > replica.lag_time_max_ms:
        yield (
            "replica.fetch.wait.max.ms",
            (
                f"replica.fetch.wait.max.ms={replica.fetch_wait_max_ms} exceeds "
                f"replica.lag.time.max.ms={replica.lag_time_max_ms}: followers would leave the ISR while they wait"
            ),
        )


def advise(settings: Settings) -> Iterator[tuple[str, str]]:
    """Pairs of key and sentence about settings that are legal and will surprise."""
    voters, replicas = len(settings.voters) or 1, settings.default_replication_factor
    if voters % 2 == 0:
        yield "controller.quorum.voters", f"{voters} voters survive no more failures than {voters - 1} would"
    if replicas > voters:
        yield (
            "default.replication.factor",
            f"default.replication.factor={replicas} exceeds the {voters} node(s): no topic is created automatically",
        )
    if settings.log.min_insync_replicas > replicas:
        yield (
            "min.insync.replicas",
            (
                f"min.insync.replicas={settings.log.min_insync_replicas} exceeds default.replication.factor={replicas}: "
                "topics made with the default accept no acks=all"
            ),
        )
