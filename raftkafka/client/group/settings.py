"""The settings of a member, checked. Floor 3, pure."""

from __future__ import annotations

from dataclasses import dataclass

from raftkafka.client.backoff import Backoff
from raftkafka.client.group.assignors import Assignor
from raftkafka.model.errors import ConfigurationError
from raftkafka.model.ids import GroupId


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSettings:
    group_id: GroupId
    group_instance_id: str | None
    assignors: tuple[Assignor, ...]
    session_timeout_ms: int
    heartbeat_interval_ms: int
    max_poll_interval_ms: int
    enable_auto_commit: bool
    auto_commit_interval_ms: int
    exclude_internal_topics: bool
    metadata_max_age_s: float
    request_timeout_s: float
    api_timeout_s: float
    backoff: Backoff

    def __post_init__(self) -> None:
        for name in ("group_id", "group_instance_id"):
            given = getattr(self, name)
            if not isinstance(given, str) and (given is not None or name == "group_id"):
                raise ConfigurationError(f"{name} is a str, not {type(given).__name__}")
        if not self.group_id:
            raise ConfigurationError("group_id is empty")
        if self.group_instance_id == "":
            raise ConfigurationError("group_instance_id is empty; leave it out for a dynamic member")
        for name in ("session_timeout_ms", "heartbeat_interval_ms", "max_poll_interval_ms", "auto_commit_interval_ms"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name} is {getattr(self, name)}, but it must be positive")
        if self.heartbeat_interval_ms >= self.session_timeout_ms:
            raise ConfigurationError(
                f"heartbeat_interval_ms, {self.heartbeat_interval_ms}, must be smaller than session_timeout_ms, "
                f"{self.session_timeout_ms}"
            )

    @property
    def cooperative(self) -> bool:
        """What all its assignors have in common, since any of them may be chosen (KIP-429)."""
        return all(assignor.cooperative for assignor in self.assignors)
