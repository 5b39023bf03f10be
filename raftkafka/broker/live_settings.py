"""The settings in force on this node: what its file says, and the dynamic configs of the metadata on top (KIP-226).

Floor 3. Made before everything that reads it, so that it is the first to hear of a new image.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from raftkafka.broker.metadata_store import MetadataStore
from raftkafka.metadata.changes import Changes
from raftkafka.metadata.image import ALL_BROKERS, Image
from raftkafka.model.settings.dynamic import overlaid
from raftkafka.model.settings.values import LogSettings, ReplicaSettings, Settings

_log = logging.getLogger("raftkafka.settings")


class LiveSettings:
    """Read `log` and `replica` each time; `on_change` is called after they have changed, before others hear of the image."""

    def __init__(self, settings: Settings, store: MetadataStore) -> None:
        self.file = settings
        """What the node was started with."""
        self.log: LogSettings = settings.log
        self.replica: ReplicaSettings = settings.replica
        self.on_change: list[Callable[[], None]] = []
        store.subscribe(self._on_change)

    def _on_change(self, image: Image, changes: Changes) -> None:
        if not changes.broker_configs:
            return
        of_all, own = image.broker_configs.get(ALL_BROKERS, {}), image.broker_configs.get(self.file.node_id, {})
        settings = overlaid(self.file, {**of_all, **own})
        if (settings.log, settings.replica) == (self.log, self.replica):
            return
        _log.info("dynamic configs in force: %s", ", ".join(f"{k}={v}" for k, v in {**of_all, **own}.items()) or "none")
        self.log, self.replica = settings.log, settings.replica
        for tell in self.on_change:
            tell()
