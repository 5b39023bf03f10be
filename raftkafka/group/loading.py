"""A partition of `__consumer_offsets` read from its beginning: what is left of it are groups.

Floor 1, pure. Of every key the last record counts; a tombstone leaves nothing.
"""

from __future__ import annotations

from raftkafka.group.effects import GroupLimits, Now
from raftkafka.group.group import Group
from raftkafka.group.membership import Membership
from raftkafka.group.records import OffsetRecord, StoredGroup, decode
from raftkafka.model.errors import ProtocolError
from raftkafka.model.ids import GroupId


class LoadedGroups:
    """Fed with records in the order of the log. `unreadable` counts those that are none of ours, or damaged."""

    def __init__(self, limits: GroupLimits) -> None:
        self.unreadable = 0
        self.offsets = 0
        self._limits = limits
        self._stored: dict[GroupId, StoredGroup] = {}
        self._groups: dict[GroupId, Group] = {}

    def feed(self, key: bytes | None, value: bytes | None) -> None:
        try:
            record = decode(key or b"", value)
        except ProtocolError:
            self.unreadable += 1
            return
        if record is None:
            return
        if isinstance(record, OffsetRecord):
            self._group(record.group_id).offsets.apply(record)
        elif record.value is not None:
            self._stored[record.group_id] = record.value
        else:
            self._stored.pop(record.group_id, None)

    def groups(self, now: Now) -> dict[GroupId, Group]:
        """All that is there, members with fresh sessions."""
        for group_id, stored in self._stored.items():
            self._group(group_id).membership = Membership.restored(self._limits, stored, now)
        found = {
            group_id: group for group_id, group in self._groups.items() if group_id in self._stored or group.offsets
        }
        self.offsets = sum(len(group.offsets) for group in found.values())
        return found

    def _group(self, group_id: GroupId) -> Group:
        group = self._groups.get(group_id)
        if group is None:
            group = self._groups[group_id] = Group(group_id, self._limits)
        return group
