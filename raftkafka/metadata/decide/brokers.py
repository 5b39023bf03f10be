"""Decisions about brokers: registration, fencing, controlled shutdown.

Floor 1, pure. Whether a broker is alive is soft state of the controller and comes as an argument; what follows from a broker
that comes or goes is worked out when the command is applied. Sources: KIP-631, KIP-841, KIP-966.
"""

from __future__ import annotations

from typing import Final

from raftkafka.metadata.commands import (
    BeginControlledShutdown,
    FenceBroker,
    InitializeCluster,
    RegisterBroker,
    SetDefaults,
    TakeOffice,
    UnfenceBroker,
)
from raftkafka.metadata.decide import Decision
from raftkafka.metadata.image import Broker, Defaults, Image
from raftkafka.metadata.znodes.formats import parsed_controller
from raftkafka.metadata.znodes.kafka_nodes import CONTROLLER
from raftkafka.model.api.broker_lifecycle import (
    BrokerHeartbeatResponse,
    BrokerRegistration,
    BrokerRegistrationResponse,
    ListenerEndpoint,
)
from raftkafka.model.errors import ErrorCode
from raftkafka.model.features import FeatureRange
from raftkafka.model.ids import NO_BROKER_EPOCH, BrokerEpoch, DirectoryId, NodeId, Term

BROKERS_MAX: Final = 1_000
LISTENERS_MAX: Final = 16
NAME_CHARS_MAX: Final = 255
"""Of a listener's name, a host (RFC 1035), a rack."""
INCARNATION_ID_BYTES: Final = 16
DIRECTORIES_MAX: Final = 256
HELD_MAX: Final = 150_000
"""Of the partitions and, at four each, the topics that a registration names: keeps its command below the cap of a Raft entry."""


def decide_initialize_cluster(image: Image, cluster_id: str, *, feature_level: int) -> Decision:
    """Name the cluster, once: what a new controller asks for while `image.cluster_id` is empty."""
    commands = () if image.cluster_id else (InitializeCluster(cluster_id=cluster_id, feature_level=feature_level),)
    return Decision(commands=commands, respond=lambda after: BrokerRegistrationResponse(cluster_id=after.cluster_id))


def decide_defaults(image: Image, defaults: Defaults) -> Decision:
    """Make the cluster agree on the settings of a new controller."""
    commands: tuple[SetDefaults, ...] = ()
    if image.configured_defaults != defaults:
        commands = (
            SetDefaults(
                min_insync_replicas=defaults.min_insync_replicas,
                unclean_leader_election=defaults.unclean_leader_election,
            ),
        )
    return Decision(commands=commands, respond=lambda after: BrokerRegistrationResponse(cluster_id=after.cluster_id))


def decide_take_office(image: Image, node_id: NodeId, term: Term) -> Decision:
    """Say who the controller is, unless that is said already."""
    commands: tuple[TakeOffice, ...] = ()
    if is_vacant(image, node_id, term):
        commands = (TakeOffice(node_id=node_id, epoch=max(term, image.controller_epoch + 1)),)
    return Decision(commands=commands, respond=lambda after: BrokerRegistrationResponse(cluster_id=after.cluster_id))


def is_vacant(image: Image, node_id: NodeId, term: Term) -> bool:
    """Whether this node has not said yet that it is the controller of this term, or a client has asked for another one since."""
    node = image.znodes.get(CONTROLLER)
    return image.controller_epoch < term or node is None or parsed_controller(node.data) != node_id


def decide_register(image: Image, request: BrokerRegistration, *, alive: bool) -> Decision:
    """Register a broker that has started.

    `alive`: the earlier incarnation of this id is known to run still, then nobody else gets the id. Answers with
    INCONSISTENT_CLUSTER_ID, DUPLICATE_BROKER_REGISTRATION, INVALID_REQUEST, and with INVALID_UPDATE_VERSION where another
    start came between, LOG_DIR_NOT_FOUND where it matters what is held: ask again. The same incarnation again is answered
    as before.
    """
    known = image.brokers.get(request.broker_id)
    refusal = _why_not_register(image, request, known, alive=alive)
    if refusal is not None:
        return Decision(respond=lambda _: refusal)
    if known is not None and known.incarnation_id == request.incarnation_id:
        return Decision(respond=lambda after: _registered(after, request))
    command = RegisterBroker(
        node_id=request.broker_id,
        incarnation_id=request.incarnation_id,
        listeners=request.listeners,
        rack=request.rack,
        replaces=NO_BROKER_EPOCH if known is None else known.epoch,
        previous_broker_epoch=request.previous_broker_epoch,
        logs_synced=request.logs_synced,
        directories=request.directories,
        held=request.held,
        features=_features(request),
    )
    return Decision(commands=(command,), respond=lambda after: _registered(after, request))


def decide_fence(image: Image, node_id: NodeId, epoch: BrokerEpoch, *, silent: bool = True) -> Decision:
    """Fence the registration `epoch` of a broker that has not been heard of; a later one, or a fenced one, stays as it is."""
    broker = image.brokers.get(node_id)
    commands: tuple[FenceBroker, ...] = ()
    if broker is not None and broker.epoch == epoch and not broker.fenced:
        commands = (FenceBroker(node_id=node_id, epoch=epoch, silent=silent),)
    return Decision(commands=commands, respond=lambda after: heartbeat_response(after, node_id, epoch))


def decide_unfence(image: Image, node_id: NodeId, epoch: BrokerEpoch) -> Decision:
    """Unfence a broker whose heartbeat has shown that it has applied its own registration (`applied_index` >= `epoch`)."""
    broker = image.brokers.get(node_id)
    commands: tuple[UnfenceBroker, ...] = ()
    if broker is not None and broker.epoch == epoch and broker.fenced and not broker.in_controlled_shutdown:
        commands = (UnfenceBroker(node_id=node_id, epoch=epoch),)
    return Decision(commands=commands, respond=lambda after: heartbeat_response(after, node_id, epoch))


def decide_controlled_shutdown(image: Image, node_id: NodeId) -> Decision:
    """Let a broker that wants to stop hand over its leaderships."""
    broker = image.brokers.get(node_id)
    epoch = NO_BROKER_EPOCH if broker is None else broker.epoch
    commands: tuple[BeginControlledShutdown, ...] = ()
    if broker is not None and not broker.in_controlled_shutdown:
        commands = (BeginControlledShutdown(node_id=node_id, epoch=epoch),)
    return Decision(commands=commands, respond=lambda after: heartbeat_response(after, node_id, epoch))


def heartbeat_response(image: Image, node_id: NodeId, epoch: BrokerEpoch) -> BrokerHeartbeatResponse:
    """The state of a registration as the image has it; `should_shut_down` once it leads nothing any more."""
    broker = image.brokers.get(node_id)
    if broker is None:
        return BrokerHeartbeatResponse(error_code=ErrorCode.BROKER_ID_NOT_REGISTERED)
    if broker.epoch != epoch:
        return BrokerHeartbeatResponse(error_code=ErrorCode.STALE_BROKER_EPOCH)
    # Beginning a controlled shutdown takes every leadership away in the same command, see `apply`.
    return BrokerHeartbeatResponse(is_fenced=broker.fenced, should_shut_down=broker.in_controlled_shutdown)


def _why_not_register(
    image: Image, request: BrokerRegistration, known: Broker | None, *, alive: bool
) -> BrokerRegistrationResponse | None:
    if request.cluster_id and image.cluster_id and request.cluster_id != image.cluster_id:
        return _refused(
            ErrorCode.INCONSISTENT_CLUSTER_ID,
            f"broker {request.broker_id} belongs to cluster {request.cluster_id}, this is cluster {image.cluster_id}",
            image,
        )
    if image.cluster_id and image.feature_level not in _features(request):
        return _refused(
            ErrorCode.UNSUPPORTED_VERSION,
            f"the cluster's metadata has feature level {image.feature_level}, "
            f"broker {request.broker_id} knows {_features(request)}",
            image,
        )
    if request.broker_id < 0 or len(request.incarnation_id) != INCARNATION_ID_BYTES:
        return _refused(
            ErrorCode.INVALID_REQUEST, "a broker id >= 0 and an incarnation id of 16 bytes are needed", image
        )
    if not 0 < len(request.listeners) <= LISTENERS_MAX:
        return _refused(ErrorCode.INVALID_REQUEST, f"1 to {LISTENERS_MAX} advertised listeners are needed", image)
    names = [request.rack or "", *(name for each in request.listeners for name in (each.name, each.host))]
    if max(map(len, names)) > NAME_CHARS_MAX or not all(0 < each.port < 1 << 16 for each in request.listeners):
        return _refused(
            ErrorCode.INVALID_REQUEST,
            f"a rack, listener or host is longer than {NAME_CHARS_MAX} characters, or a port is none",
            image,
        )
    if len(request.directories) > DIRECTORIES_MAX:
        return _refused(ErrorCode.INVALID_REQUEST, f"at most {DIRECTORIES_MAX} log directories are possible", image)
    if request.held is not None and sum(len(each.partitions) + 4 for each in request.held) > HELD_MAX:
        return _refused(ErrorCode.INVALID_REQUEST, f"more than {HELD_MAX} logs cannot be named", image)
    if known is not None and request.held is None and _some_are_missing(known.directories, request.directories):
        return _refused(
            ErrorCode.LOG_DIR_NOT_FOUND,
            f"broker {request.broker_id} had other log directories before: it has to name the logs that it holds",
            image,
        )
    if known is None and len(image.brokers) >= BROKERS_MAX:
        return _refused(ErrorCode.POLICY_VIOLATION, f"the cluster takes at most {BROKERS_MAX} brokers", image)
    if known is not None and known.incarnation_id != request.incarnation_id and alive:
        return _refused(
            ErrorCode.DUPLICATE_BROKER_REGISTRATION,
            f"broker id {known.node_id} is in use by the broker at {_addresses(known.listeners)}",
            image,
        )
    for other in image.brokers.values():
        if other.node_id == request.broker_id or other.fenced:
            continue
        for endpoint in request.listeners:
            if any((each.host, each.port) == (endpoint.host, endpoint.port) for each in other.listeners):
                return _refused(
                    ErrorCode.INVALID_REQUEST,
                    f"broker {request.broker_id} advertises {endpoint.host}:{endpoint.port}, "
                    f"which broker {other.node_id} advertises already",
                    image,
                )
    return None


def _some_are_missing(before: tuple[DirectoryId, ...], now: tuple[DirectoryId, ...]) -> bool:
    """False also where all are missing: then nothing is held that anybody would have to name."""
    return not set(before) <= set(now) and not set(before).isdisjoint(now)


def _features(request: BrokerRegistration) -> FeatureRange:
    return FeatureRange(lowest=request.feature_level_min, highest=request.feature_level_max)


def _registered(image: Image, request: BrokerRegistration) -> BrokerRegistrationResponse:
    broker = image.brokers.get(request.broker_id)
    if broker is None or broker.incarnation_id != request.incarnation_id:
        # Not final: the other start may be an earlier life of the same broker, whose request was still under way when it
        # died. Who asks again is judged by the registration that is in force then.
        return _refused(
            ErrorCode.INVALID_UPDATE_VERSION,
            f"broker id {request.broker_id} was registered by another start at the same time",
            image,
        )
    return BrokerRegistrationResponse(broker_epoch=broker.epoch, cluster_id=image.cluster_id)


def _refused(code: ErrorCode, message: str, image: Image) -> BrokerRegistrationResponse:
    return BrokerRegistrationResponse(error_code=code, error_message=message, cluster_id=image.cluster_id)


def _addresses(listeners: tuple[ListenerEndpoint, ...]) -> str:
    return ", ".join(f"{each.name}://{each.host}:{each.port}" for each in listeners)
