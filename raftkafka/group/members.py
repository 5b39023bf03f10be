"""The members of one group, and how they vote for a protocol.

Floor 1, pure. Invariant: `_votes` counts, for each protocol, the members that support it, and `_joining` those
whose join waits, so that to ask whether all do costs no walk over the members: thousands may join one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from raftkafka.group.effects import Ticket
from raftkafka.group.records import StoredMember
from raftkafka.model.api.membership import JoinGroupMember, JoinGroupProtocol
from raftkafka.model.ids import MemberId

NEVER: Final = float("inf")


@dataclass(slots=True, kw_only=True)
class Member:
    """`join`, `sync`: its requests that wait. `deadline_s`: when it counts as gone unless heard of, by the loop's clock."""

    member_id: MemberId
    group_instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocols: tuple[JoinGroupProtocol, ...]
    assignment: bytes = b""
    join: Ticket | None = None
    sync: Ticket | None = None
    is_new: bool = False
    must_sync: bool = False
    deadline_s: float = NEVER

    @property
    def expires_s(self) -> float:
        """As `deadline_s`, but who waits for our answer cannot send heartbeats. A new member has no id yet to send them
        with, and may have gone away and come again as another one."""
        waits = self.join is not None or self.sync is not None
        return NEVER if waits and not self.is_new else self.deadline_s

    def metadata(self, protocol: str) -> bytes:
        return next((each.metadata for each in self.protocols if each.name == protocol), b"")

    def stored(self, protocol: str, assignment: bytes) -> StoredMember:
        return StoredMember(
            member_id=self.member_id,
            group_instance_id=self.group_instance_id,
            client_id=self.client_id,
            client_host=self.client_host,
            rebalance_timeout_ms=self.rebalance_timeout_ms,
            session_timeout_ms=self.session_timeout_ms,
            subscription=self.metadata(protocol),
            assignment=assignment,
        )


class Members:
    """In the order in which they came: one history is one outcome. `Member.join` changes through here alone."""

    __slots__ = ("_joining", "_members", "_static", "_votes")

    def __init__(self) -> None:
        self._members: dict[MemberId, Member] = {}
        self._static: dict[str, MemberId] = {}
        self._votes: dict[str, int] = {}
        self._joining = 0

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self._members.values()))

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, member_id: MemberId) -> bool:
        return member_id in self._members

    def get(self, member_id: MemberId) -> Member | None:
        return self._members.get(member_id)

    def of_instance(self, group_instance_id: str) -> MemberId | None:
        return self._static.get(group_instance_id)

    def add(self, member: Member) -> None:
        assert member.member_id not in self._members
        self._members[member.member_id] = member
        if member.group_instance_id is not None:
            self._static[member.group_instance_id] = member.member_id
        self._count(member, 1)
        self._joining += member.join is not None

    def remove(self, member_id: MemberId) -> Member:
        member = self._members.pop(member_id)
        if member.group_instance_id is not None:
            self._static.pop(member.group_instance_id, None)
        self._count(member, -1)
        self._joining -= member.join is not None
        return member

    @property
    def joining(self) -> int:
        """How many of them wait for the next generation."""
        return self._joining

    def begin_join(self, member: Member, ticket: Ticket) -> None:
        self._joining += member.join is None
        member.join = ticket

    def end_join(self, member: Member) -> Ticket | None:
        ticket, member.join = member.join, None
        self._joining -= ticket is not None
        return ticket

    def rename(self, old: MemberId, new: MemberId) -> Member:
        """A static member goes on under another id."""
        member = self._members.pop(old)
        member.member_id = new
        self._members[new] = member
        assert member.group_instance_id is not None
        self._static[member.group_instance_id] = new
        return member

    def set_protocols(self, member: Member, protocols: tuple[JoinGroupProtocol, ...]) -> None:
        self._count(member, -1)
        member.protocols = protocols
        self._count(member, 1)

    def _count(self, member: Member, by: int) -> None:
        for name in dict.fromkeys(each.name for each in member.protocols):
            votes = self._votes.get(name, 0) + by
            if votes:
                self._votes[name] = votes
            else:
                del self._votes[name]

    def support_all(self, protocols: tuple[JoinGroupProtocol, ...]) -> bool:
        """True when one of these is known to every member."""
        return any(self._votes.get(each.name) == len(self._members) for each in protocols)

    def elect_protocol(self) -> str:
        """Each member votes for the first in its list that all know; the most votes win, of equals the first one voted for."""
        candidates = {name for name, votes in self._votes.items() if votes == len(self._members)}
        ballot: dict[str, int] = {}
        for member in self._members.values():
            choice = next(each.name for each in member.protocols if each.name in candidates)
            ballot[choice] = ballot.get(choice, 0) + 1
        return max(ballot, key=lambda name: ballot[name])

    def described(self, protocol: str) -> tuple[JoinGroupMember, ...]:
        """What the leader is told of all members."""
        return tuple(
            [
                JoinGroupMember(
                    member_id=each.member_id,
                    group_instance_id=each.group_instance_id,
                    metadata=each.metadata(protocol),
                )
                for each in self._members.values()
            ]
        )
