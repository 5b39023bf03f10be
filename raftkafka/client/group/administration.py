"""Groups, for administrators: list, describe, delete, and change what they have committed. Floor 3.

What does it is loaded when it is first used: most commands of `rk` ask for topics alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random
from typing import TYPE_CHECKING

from raftkafka.client.routing import Router
from raftkafka.client.types import OffsetAndMetadata, TopicPartition

if TYPE_CHECKING:
    from raftkafka.client.group.descriptions import GroupDescription
    from raftkafka.client.group.groups import Groups
    from raftkafka.client.group.resets import OffsetReset
    from raftkafka.model.api.groups import ListedGroup


class GroupAdministration:
    """The part of `Admin` that concerns groups."""

    _router: Router
    _random: Random
    _timeout_s: float

    @property
    def _groups(self) -> Groups:
        from raftkafka.client.group.groups import Groups

        return Groups(router=self._router, random=self._random, timeout_s=self._timeout_s)

    async def list_consumer_groups(self, *, states: Iterable[str] = (), types: Iterable[str] = ()) -> list[ListedGroup]:
        """All groups, by name, in these states and of these types where any are named; each broker knows its own.

        Raises:
            ApiError: a broker did not answer: without it the list would not be whole.
        """
        return await self._groups.list_consumer_groups(states=states, types=types)

    async def describe_consumer_groups(
        self, group_ids: Iterable[str], *, include_history: bool = False
    ) -> list[GroupDescription]:
        """State, members and their shares; a group that does not exist is Dead. `include_history`: why it is so."""
        return await self._groups.describe_consumer_groups(group_ids, include_history=include_history)

    async def delete_consumer_groups(self, group_ids: Iterable[str]) -> None:
        """Delete groups with what they have committed.

        Raises:
            ApiError: NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND of the first group that was refused; the others may be deleted.
        """
        await self._groups.delete_consumer_groups(group_ids)

    async def list_consumer_group_offsets(
        self, group_id: str, partitions: Iterable[TopicPartition] | None = None
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """What the group has committed, of these partitions or of all; partitions without a commit are left out."""
        return await self._groups.list_consumer_group_offsets(group_id, partitions)

    async def alter_consumer_group_offsets(
        self, group_id: str, offsets: Mapping[TopicPartition, int | OffsetAndMetadata]
    ) -> None:
        """Commit in the group's name, while it has no members; a group that does not exist comes into being.

        Raises:
            ApiError: NON_EMPTY_GROUP, UNKNOWN_TOPIC_OR_PARTITION, ...
        """
        await self._groups.alter_consumer_group_offsets(group_id, offsets)

    async def delete_consumer_group_offsets(self, group_id: str, partitions: Iterable[TopicPartition]) -> None:
        """Forget what the group has committed in these partitions.

        Raises:
            ApiError: GROUP_SUBSCRIBED_TO_TOPIC while members want the topic, GROUP_ID_NOT_FOUND, UNKNOWN_TOPIC_OR_PARTITION, ...
        """
        await self._groups.delete_consumer_group_offsets(group_id, partitions)

    async def reset_consumer_group_offsets(
        self, group_id: str, partitions: Iterable[TopicPartition], reset: OffsetReset, *, dry_run: bool = False
    ) -> dict[TopicPartition, int]:
        """Move what the group has committed in these partitions; the offsets that it is (or with `dry_run` would be) moved to.

        Raises:
            ApiError: NON_EMPTY_GROUP while the group has members, INVALID_REQUEST where a partition has nothing to shift from, or
                the partitions cannot be had.
        """
        return await self._groups.reset_consumer_group_offsets(group_id, partitions, reset, dry_run=dry_run)
