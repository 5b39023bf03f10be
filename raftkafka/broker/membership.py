"""This broker's place in the cluster: it registers, it sends heartbeats, it knows whether it may still lead.

Floor 3. The lease: a leader that has not reached the controller for longer than the session time-out stops
acknowledging, because the controller may have fenced it and elected another (I2).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Protocol

from raftkafka.broker import background
from raftkafka.broker.controller_channel import ControllerChannel
from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.metadata.changes import Changes
from raftkafka.metadata.image import Image
from raftkafka.model.api.broker_lifecycle import (
    BrokerHeartbeat,
    BrokerHeartbeatResponse,
    BrokerRegistration,
    BrokerRegistrationResponse,
    HeldLogs,
    ListenerEndpoint,
    OfflineReplica,
)
from raftkafka.model.errors import ApiError, ErrorCode, StartupError
from raftkafka.model.features import SUPPORTED, FeatureRange
from raftkafka.model.ids import NO_BROKER_EPOCH, BrokerEpoch, DirectoryId, NodeId
from raftkafka.model.settings.values import ControllerSettings

_log = logging.getLogger("raftkafka.membership")

RETRY_S = 0.05
"""Between tries while nobody leads Raft, and between heartbeats until the first one unfences this broker."""

GIVE_UP_S = 1.0

_FATAL = frozenset(
    {
        ErrorCode.INCONSISTENT_CLUSTER_ID,
        ErrorCode.DUPLICATE_BROKER_REGISTRATION,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.UNSUPPORTED_VERSION,
    }
)


class Disks(Protocol):
    """What this start found on the disks, as the registration tells it (see `model.api.broker_lifecycle`)."""

    @property
    def previous_broker_epoch(self) -> BrokerEpoch: ...

    @property
    def were_synced(self) -> bool: ...

    @property
    def directory_ids(self) -> tuple[DirectoryId, ...]: ...

    def held(self) -> tuple[HeldLogs, ...]: ...


class Membership:
    """Keeps this broker registered. `on_fatal` is told when the cluster will not have it."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        cluster_id: str,
        incarnation_id: bytes,
        rack: str | None,
        disks: Disks,
        channel: ControllerChannel,
        store: MetadataStore,
        settings: ControllerSettings,
        offline_replicas: Callable[[], tuple[OfflineReplica, ...]],
        on_registered: Callable[[str, BrokerEpoch], None],
        on_fatal: Callable[[StartupError], None],
        features: FeatureRange = SUPPORTED,
    ) -> None:
        self._node_id = node_id
        self._cluster_id = cluster_id
        self._incarnation_id = incarnation_id
        self._rack = rack
        self._disks = disks
        self._names_held = False
        self._channel = channel
        self._store = store
        self._heartbeat_s = settings.broker_heartbeat_interval_ms / 1000
        self._session_s = settings.broker_session_timeout_ms / 1000
        self._timeout_s = settings.request_timeout_ms / 1000
        self._offline_replicas = offline_replicas
        self._on_registered = on_registered
        self._on_fatal = on_fatal
        self._features = features
        self._now = asyncio.get_running_loop().time
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._last_contact: float | None = None
        self._shutting_down = False
        self._may_stop = asyncio.Event()
        self.broker_epoch: BrokerEpoch = NO_BROKER_EPOCH
        self.fenced = True
        self.last_error = "not registered yet"
        store.subscribe(self._on_change)

    def start(self, listeners: tuple[ListenerEndpoint, ...]) -> None:
        self._task = background.start(self._run(listeners), name="membership")

    def has_lease(self) -> bool:
        """True while the controller has said, within the session time-out, that this broker is not fenced."""
        return (
            not self.fenced and self._last_contact is not None and self._now() - self._last_contact <= self._session_s
        )

    def _on_change(self, image: Image, changes: Changes) -> None:
        """Who reads in the image that it was fenced has no lease any more, and asks at once to be let in again."""
        own = image.brokers.get(self._node_id) if self._node_id in changes.brokers else None
        if own is not None and own.fenced and own.epoch == self.broker_epoch and not self.fenced:
            self.fenced = True
            _log.info("this broker was fenced")
            self._wake.set()

    def report_soon(self) -> None:
        """There is news for the controller, or a new controller that wants to hear from everybody."""
        self._wake.set()

    async def leave(self, *, timeout_s: float) -> bool:
        """Controlled shutdown: ask to have the leaderships moved away; True when they have been.

        It gives up when no controller has answered for GIVE_UP_S: where a whole cluster stops, the last nodes have none.
        """
        if self._task is None or self.broker_epoch == NO_BROKER_EPOCH:
            return False
        self._shutting_down = True
        self._wake.set()
        began = self._now()
        while not self._may_stop.is_set():
            heard = max(began, self._last_contact or began)
            if self._now() - heard > GIVE_UP_S or self._now() - began > timeout_s:
                return False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_S):
                    await self._may_stop.wait()
        return True

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, listeners: tuple[ListenerEndpoint, ...]) -> None:
        while True:
            self._wake.clear()
            registered = self.broker_epoch != NO_BROKER_EPOCH
            ok = await self._heartbeat() if registered else await self._register(listeners)
            settled = ok and registered and (not self.fenced) and not self._shutting_down
            await self._pause(self._heartbeat_s if settled else RETRY_S)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _register(self, listeners: tuple[ListenerEndpoint, ...]) -> bool:
        request = BrokerRegistration(
            broker_id=self._node_id,
            cluster_id=self._cluster_id,
            incarnation_id=self._incarnation_id,
            listeners=listeners,
            rack=self._rack,
            previous_broker_epoch=self._disks.previous_broker_epoch,
            logs_synced=self._disks.were_synced,
            directories=self._disks.directory_ids,
            held=self._disks.held() if self._names_held else None,
            feature_level_min=self._features.lowest,
            feature_level_max=self._features.highest,
        )
        began = self._now()
        try:
            answer = await self._channel.ask(request, timeout_s=self._timeout_s)
        except ApiError as error:
            self._note(str(error))
            return False
        assert isinstance(answer, BrokerRegistrationResponse)
        if answer.error_code in _FATAL:
            self._on_fatal(
                StartupError(f"the cluster refuses this broker: {answer.error_message or answer.error_code.name}")
            )
            return False
        if answer.error_code is not ErrorCode.NONE:
            self._names_held = answer.error_code is ErrorCode.LOG_DIR_NOT_FOUND
            self._note(answer.error_message or answer.error_code.name)
            return False
        self.broker_epoch = answer.broker_epoch
        self._cluster_id = answer.cluster_id
        self._last_contact = began
        self._on_registered(answer.cluster_id, answer.broker_epoch)
        _log.info("registered with cluster %s, broker epoch %d", answer.cluster_id, answer.broker_epoch)
        return True

    async def _heartbeat(self) -> bool:
        request = BrokerHeartbeat(
            broker_id=self._node_id,
            broker_epoch=self.broker_epoch,
            applied_index=self._store.applied_index,
            want_shut_down=self._shutting_down,
            offline_replicas=self._offline_replicas(),
        )
        # The lease counts from when the question was sent: the controller cannot have heard of us earlier.
        began = self._now()
        try:
            answer = await self._channel.ask(request, timeout_s=self._timeout_s)
        except ApiError as error:
            self._note(str(error))
            return False
        assert isinstance(answer, BrokerHeartbeatResponse)
        if answer.error_code in (ErrorCode.STALE_BROKER_EPOCH, ErrorCode.BROKER_ID_NOT_REGISTERED):
            _log.warning(
                "the controller does not know this registration (%s), registering again", answer.error_code.name
            )
            self.broker_epoch = NO_BROKER_EPOCH
            self.fenced = True
            self._last_contact = None
            return False
        if answer.error_code is not ErrorCode.NONE:
            self._note(answer.error_code.name)
            return False
        self._last_contact = began
        self.last_error = ""
        if answer.is_fenced != self.fenced:
            self.fenced = answer.is_fenced
            _log.info("this broker is %s", "fenced" if self.fenced else "unfenced and may lead")
        if answer.should_shut_down and self._shutting_down:
            self._may_stop.set()
        return True

    def _note(self, problem: str) -> None:
        if problem != self.last_error:
            self.last_error = problem
            _log.info("waiting for the controller: %s", problem)
