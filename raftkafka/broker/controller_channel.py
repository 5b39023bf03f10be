"""The way to the controller, wherever it is: a call on this node, or a request to the node that leads Raft.

Floor 3.
"""

from __future__ import annotations

from raftkafka.broker.controller import Controller
from raftkafka.model.api import Request, Response
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.ports.consensus import Consensus
from raftkafka.ports.peer import Peers, PeerUnavailableError


class ControllerChannel:
    """One try per call: who wants retries loops, because only the caller knows what a repetition may do."""

    def __init__(self, *, consensus: Consensus, controller: Controller, peers: Peers) -> None:
        self._consensus = consensus
        self._controller = controller
        self._peers = peers

    async def ask(self, request: Request, *, timeout_s: float, forward: bool = True, lane: str = "control") -> Response:
        """The controller's answer. What another node has forwarded is not forwarded again (`forward` False): two nodes
        with old news of who leads would hand it to and fro. What clients want travels on a `lane` of its own, so that it
        holds up nobody's heartbeat.

        Raises:
            ApiError: NOT_CONTROLLER (nobody leads, or the leader did not answer in time: for a change, its outcome is
                then unknown).
        """
        if self._controller.active or not forward:
            return await self._controller.handle(request)
        leader = self._consensus.leader_id
        if leader is None or leader == self._consensus.node_id:
            raise ApiError(ErrorCode.NOT_CONTROLLER, "no controller is elected at the moment")
        try:
            return await self._peers.request(leader, request, timeout_s=timeout_s, lane=lane)
        except PeerUnavailableError as error:
            raise ApiError(
                ErrorCode.NOT_CONTROLLER, f"the controller (node {leader}) did not answer: {error}"
            ) from error
