"""Adding and removing voters, one at a time, and the conditions under which a leader may do so.

Floor 4. Safe by the Raft thesis, 4.1, with the correction of 2015 (docs/adr/0009). Invariants: a set is appended only by a leader that
has committed an entry of its own term, while the set before it is committed, and differs from it by one voter at most; the
conditions are looked at in the same turn of the loop in which the entry is appended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from raftkafka.adapters.raft.core import Outcome, RaftCore
from raftkafka.adapters.raft.library import COMMAND_VOTERS
from raftkafka.adapters.raft.network import Network
from raftkafka.adapters.raft.voters import VOTERS_MAX, Quorum, VoterSet, encode
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import NodeId
from raftkafka.ports.consensus import NotLeaderError, RaftVoter

_log = logging.getLogger("raftkafka.raft")

CAUGHT_UP_ENTRIES: Final = 100
"""An observer that is no further behind may become a voter: what is missing takes one message."""
LOOK_S: Final = 0.02
REACH_TIMEOUT_S: Final = 2.0


class VoterChanges:
    """`core` gives the library while this node runs, else None."""

    def __init__(self, *, quorum: Quorum, network: Network, core: Callable[[], RaftCore | None]) -> None:
        self._quorum = quorum
        self._book = quorum.book
        self._network = network
        self._core = core

    # What a change would be

    async def with_voter(self, voter: RaftVoter, *, timeout_s: float) -> RaftVoter:
        """Wait until the node has caught up and can be reached; the voter as it is to be added.

        Raises:
            ApiError, NotLeaderError: it is not to be.
        """
        if any(each.node_id == voter.node_id for each in self._book.current):
            raise ApiError(ErrorCode.DUPLICATE_VOTER, f"node {voter.node_id} is a voter already: remove it first")
        if len(self._book.current) >= VOTERS_MAX:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"there are at most {VOTERS_MAX} voters")
        await self._reached(voter)
        deadline = asyncio.get_running_loop().time() + timeout_s
        while (missing := self._missing(voter)) is not None:
            if asyncio.get_running_loop().time() > deadline:
                raise ApiError(ErrorCode.REQUEST_TIMED_OUT, f"not added within {timeout_s:g} s: {missing}")
            await asyncio.sleep(LOOK_S)
        return replace(voter, directory_id=self._network.directory_of(voter.node_id))

    @staticmethod
    async def _reached(voter: RaftVoter) -> None:
        """Voters with higher ids will dial it, so somebody has to listen there."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(REACH_TIMEOUT_S):
                transport, _ = await loop.create_connection(asyncio.Protocol, voter.host, voter.port)
        except (OSError, TimeoutError, ValueError, OverflowError) as error:
            raise ApiError(
                ErrorCode.INVALID_REQUEST,
                f"nobody answers at {voter.host}:{voter.port}: a voter needs controller.listener, and this address must reach it",
            ) from error
        transport.abort()

    def _missing(self, voter: RaftVoter) -> str | None:
        core = self._core()
        if core is None or not core.is_leader:
            raise NotLeaderError("this node leads no longer")
        found = self._network.directory_of(voter.node_id)
        if not found:
            return f"node {voter.node_id} is not connected as an observer"
        if voter.directory_id not in (b"", found):
            raise ApiError(
                ErrorCode.INVALID_VOTER_KEY,
                f"node {voter.node_id} has the Raft directory {found.hex()}, not {voter.directory_id.hex()}",
            )
        behind = core.commit_index - core.match_index(voter.node_id)
        return f"node {voter.node_id} is {behind} entries behind" if behind > CAUGHT_UP_ENTRIES else None

    def without(self, node_id: NodeId, directory_id: bytes) -> VoterSet:
        """Raises ApiError."""
        found = [each for each in self._book.current if each.node_id == node_id]
        if not found or directory_id not in (b"", found[0].directory_id):
            raise ApiError(ErrorCode.VOTER_NOT_FOUND, f"node {node_id} is no voter with this directory")
        rest = tuple([each for each in self._book.current if each.node_id != node_id])
        if not rest:
            raise ApiError(ErrorCode.INVALID_REQUEST, "the last voter cannot be removed")
        return rest

    def plus(self, voter: RaftVoter) -> VoterSet:
        """Raises ApiError."""
        if any(each.node_id == voter.node_id for each in self._book.current):
            raise ApiError(ErrorCode.DUPLICATE_VOTER, f"node {voter.node_id} is a voter already: remove it first")
        return tuple(sorted((*self._book.current, voter), key=lambda each: each.node_id))

    # Making it

    def under_way(self) -> bool:
        """Whether this leader has appended a set that is not committed yet."""
        core = self._core()
        return core is not None and core.is_leader and self._book.index > core.commit_index

    def append(self, voters: VoterSet, outcome: Outcome) -> None:
        """Append the entry, in this turn.

        Raises:
            ApiError, NotLeaderError: the conditions do not hold; nothing was appended.
        """
        core = self._core()
        refusal = self._why_not(core)
        if core is None or refusal is not None:
            raise NotLeaderError(refusal or "this node does not lead Raft")
        if self._book.index > core.commit_index:
            raise ApiError(ErrorCode.REQUEST_TIMED_OUT, "another change of the voters is under way")
        _check_one_differs(self._book.current, voters)
        if not self._stays_able(core, voters):
            raise ApiError(
                ErrorCode.INVALID_REQUEST,
                "of the voters that there would be, those that are connected and up to date are no majority",
            )
        core.append_own(bytes([COMMAND_VOTERS]) + encode(voters), outcome)

    @staticmethod
    def _why_not(core: RaftCore | None) -> str | None:
        if core is None or not core.is_leader:
            return "this node does not lead Raft"
        no_op = core.no_op_index()
        if no_op is None or core.applied_index < no_op:
            return "this leader has not committed anything in its own term yet"
        return None

    def _stays_able(self, core: RaftCore, voters: VoterSet) -> bool:
        """The set is in force at once: with one that cannot commit, nothing could be mended any more."""
        able = 0
        for each in voters:
            if each.node_id == self._quorum.node_id:
                able += 1
            else:
                found = self._network.directory_of(each.node_id)
                up_to_date = core.commit_index - core.match_index(each.node_id) <= CAUGHT_UP_ENTRIES
                able += bool(found) and each.directory_id in (b"", found) and up_to_date
        return 2 * able > len(voters)

    def adopt_directories(self) -> bool:
        """As leader, write down the disks of voters of the bootstrap set, once all are connected; True when it was done."""
        core = self._core()
        voters = self._book.current
        if core is None or self._why_not(core) is not None or self._book.index > core.commit_index:
            return False
        known = tuple([replace(each, directory_id=each.directory_id or self._directory_of(each)) for each in voters])
        if not all(each.directory_id and each.port for each in known) or known == voters:
            return False
        _log.info("noting the Raft directories of the voters %s", [each.node_id for each in known])
        core.append_own(bytes([COMMAND_VOTERS]) + encode(known), lambda result, reason: None)
        return True

    def _directory_of(self, voter: RaftVoter) -> bytes:
        if voter.node_id == self._quorum.node_id:
            return self._quorum.directory_id()
        return self._network.directory_of(voter.node_id)


def _check_one_differs(before: VoterSet, after: VoterSet) -> None:
    """Two majorities share a voter only if the sets differ by one; the disk is part of who a voter is."""
    old = {(each.node_id, each.directory_id) for each in before}
    new = {(each.node_id, each.directory_id) for each in after}
    if len(old ^ new) != 1:
        raise ApiError(ErrorCode.INVALID_REQUEST, "voters are added and removed one at a time")
