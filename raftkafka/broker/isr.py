"""ISR moves of the partitions that this broker leads: collected, proposed to the controller, one request at a time.

Floor 3. A proposal is counted for the high watermark from the moment it is made (I5); what was decided is learnt from
the image and from nowhere else, so that a lost answer cannot leave a leader with an ISR of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from raftkafka.broker import background
from raftkafka.broker.controller_channel import ControllerChannel
from raftkafka.broker.partition import Partition
from raftkafka.model.api.broker_lifecycle import AlterPartition, AlterPartitionItem, AlterPartitionResponse
from raftkafka.model.errors import ApiError, ErrorCode
from raftkafka.model.ids import BrokerEpoch, NodeId
from raftkafka.ports.probe import Probe

_log = logging.getLogger("raftkafka.isr")

RETRY_S = 0.1
PARTITIONS_MAX = 1_000
"""Partitions in one AlterPartition request."""


class IsrProposer:
    """`consider` is cheap and may be called on every fetch; proposals leave with the next turn of the loop."""

    def __init__(
        self,
        *,
        node_id: NodeId,
        broker_epoch: Callable[[], BrokerEpoch],
        is_eligible: Callable[[NodeId], bool],
        channel: ControllerChannel,
        probe: Probe,
        timeout_s: float,
    ) -> None:
        self._node_id = node_id
        self._broker_epoch = broker_epoch
        self._is_eligible = is_eligible
        self._channel = channel
        self._probe = probe
        self._timeout_s = timeout_s
        self._candidates: dict[Partition, None] = {}
        self._task: asyncio.Task[None] | None = None

    def consider(self, partition: Partition) -> None:
        """Something happened that may move this partition's ISR."""
        leader = partition.leader
        if leader is None or leader.proposed_isr is not None or partition in self._candidates:
            return
        proposal = leader.isr_proposal(asyncio.get_running_loop().time(), self._is_eligible)
        if proposal is None:
            return
        self._candidates[partition] = None
        if self._task is None:
            self._task = background.start(self._run(), name="ISR proposals")

    def sweep(self, partitions: Iterable[Partition]) -> None:
        """Look for followers that have fallen behind; called every half `replica.lag.time.max.ms`."""
        for partition in partitions:
            self.consider(partition)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._candidates:
                chosen = list(self._candidates)[:PARTITIONS_MAX]
                for partition in chosen:
                    del self._candidates[partition]
                proposals = self._propose(chosen)
                if proposals:
                    await self._ask(proposals)
        finally:
            self._task = None

    def _propose(self, chosen: list[Partition]) -> list[tuple[Partition, AlterPartitionItem]]:
        now = asyncio.get_running_loop().time()
        proposals: list[tuple[Partition, AlterPartitionItem]] = []
        for partition in chosen:
            leader = partition.leader
            members = None if leader is None else leader.isr_proposal(now, self._is_eligible)
            if leader is None or members is None:
                continue
            leader.on_isr_proposed(members)
            self._probe.isr_change(shrink=len(members) < len(leader.isr))
            _log.info("%s: proposing ISR %s", partition, [int(member.node_id) for member in members])
            item = AlterPartitionItem(
                topic_id=partition.topic_partition.topic_id,
                partition=partition.topic_partition.partition,
                leader_epoch=partition.leader_epoch,
                partition_epoch=leader.partition_epoch,
                new_isr=members,
            )
            proposals.append((partition, item))
        return proposals

    async def _ask(self, proposals: list[tuple[Partition, AlterPartitionItem]]) -> None:
        """Repeat until the controller has decided each one; the compare-and-set key makes repetition harmless."""
        while proposals:
            request = AlterPartition(
                broker_id=self._node_id,
                broker_epoch=self._broker_epoch(),
                partitions=tuple(item for _, item in proposals),
            )
            try:
                answer = await self._channel.ask(request, timeout_s=self._timeout_s)
            except ApiError as error:
                _log.info("ISR proposals wait: %s", error)
                answer = None
            if isinstance(answer, AlterPartitionResponse) and answer.error_code is ErrorCode.NONE:
                if self._decided(proposals, answer):
                    # The next fetch would propose the same again, as fast as the controller answers.
                    await asyncio.sleep(RETRY_S)
                return
            await asyncio.sleep(RETRY_S)
            proposals = [(partition, item) for partition, item in proposals if _still_open(partition, item)]

    def _decided(self, proposals: list[tuple[Partition, AlterPartitionItem]], answer: AlterPartitionResponse) -> bool:
        """True when any of them was refused."""
        refused = False
        for (partition, item), result in zip(proposals, answer.partitions, strict=True):
            done = (ErrorCode.NONE, ErrorCode.NEW_LEADER_ELECTED)
            if result.error_code in done or not _still_open(partition, item):
                continue
            _log.info("%s: the controller refused the ISR with %s", partition, result.error_code.name)
            # Where the image has moved on in between, it reaches this node through Raft and ends the proposal.
            partition.isr_refused(result.partition_epoch)
            refused = True
        return refused


def _still_open(partition: Partition, item: AlterPartitionItem) -> bool:
    leader = partition.leader
    return leader is not None and (partition.leader_epoch, leader.partition_epoch) == (
        item.leader_epoch,
        item.partition_epoch,
    )
