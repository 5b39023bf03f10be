"""The replicated image on this node: applies what Raft commits, and tells the node what changed.

Floor 3. Invariant I16: the image moves only in `apply` and `restore`, in the order of the Raft log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

from raftkafka.metadata import snapshot
from raftkafka.metadata.apply import apply_all
from raftkafka.metadata.changes import Changes
from raftkafka.metadata.commands import UnknownCommandError, decode
from raftkafka.metadata.image import Image
from raftkafka.metadata.znodes.draft import Outcome
from raftkafka.model.errors import ErrorCode
from raftkafka.model.features import SUPPORTED, FeatureRange
from raftkafka.model.ids import RaftIndex

_log = logging.getLogger("raftkafka.metadata")

Listener = Callable[[Image, Changes], None]
OutcomeListener = Callable[[RaftIndex, tuple[Outcome, ...]], None]


class MetadataStore:
    """Implements `ports.consensus.StateMachine`; `image` is immutable and replaced as a whole."""

    def __init__(self, *, features: FeatureRange = SUPPORTED) -> None:
        self._features = features
        self.image: Image = Image.empty()
        self.applied_index = RaftIndex(0)
        self._listeners: list[Listener] = []
        self._outcome_listeners: list[OutcomeListener] = []
        self._waiters: list[tuple[Callable[[Image], bool], asyncio.Future[None]]] = []

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` with the new image and what changed, after every command that changed something."""
        self._listeners.append(listener)

    def subscribe_outcomes(self, listener: OutcomeListener) -> None:
        """Call `listener` with what came of the operations of ZooKeeper's clients, after all listeners have heard what changed."""
        self._outcome_listeners.append(listener)

    def apply(self, index: RaftIndex, command: bytes) -> ErrorCode:
        """Apply one Raft entry (a list of metadata commands); the first refusal among them is the result."""
        applied = apply_all(self.image, index, decode(command))
        self._check_level(applied.image)
        self.image = applied.image
        self.applied_index = index
        if applied.error is not ErrorCode.NONE:
            _log.info("metadata entry %d: a command was refused with %s", index, applied.error.name)
        if applied.changes:
            self._publish(applied.changes)
        if applied.outcomes:
            for listener in self._outcome_listeners:
                listener(index, applied.outcomes)
        return applied.error

    def snapshot(self) -> Iterator[bytes]:
        return snapshot.pieces(self.image)

    def restore(self, index: RaftIndex, data: bytes) -> None:
        restored = snapshot.decode(data)
        self._check_level(restored)
        old, self.image = self.image, restored
        self.applied_index = index
        self._publish(Changes.between(old, self.image))

    def _check_level(self, image: Image) -> None:
        """What comes behind a level that this node does not know may mean anything: it must stop before it guesses.

        Raises:
            UnknownCommandError: so it is.
        """
        if image.cluster_id and image.feature_level not in self._features:
            raise UnknownCommandError(
                f"the cluster's metadata has feature level {image.feature_level}, "
                f"this node knows {self._features}: upgrade this node"
            )

    async def wait_for(self, condition: Callable[[Image], bool], *, timeout_s: float) -> bool:
        """Wait until the image on this node meets `condition`; False when it has not after `timeout_s`."""
        if condition(self.image):
            return True
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((condition, waiter))
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        except TimeoutError:
            return False
        finally:
            self._waiters = [entry for entry in self._waiters if entry[1] is not waiter]
        return True

    def _publish(self, changes: Changes) -> None:
        for listener in self._listeners:
            listener(self.image, changes)
        for condition, waiter in self._waiters:
            if not waiter.done() and condition(self.image):
                waiter.set_result(None)
