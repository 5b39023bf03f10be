"""Decisions about producer ids (KIP-730).

Floor 1, pure. A block is the broker's as soon as the command is committed; one whose answer was lost stays unused.
"""

from __future__ import annotations

from raftkafka.metadata.commands import AllocateProducerIdBlock
from raftkafka.metadata.decide import Decision
from raftkafka.metadata.image import Image
from raftkafka.model.api.producers import PRODUCER_ID_BLOCK, AllocateProducerIds, AllocateProducerIdsResponse
from raftkafka.model.errors import ErrorCode


def decide_allocate_producer_ids(image: Image, request: AllocateProducerIds) -> Decision:
    """The next block of ids for a broker.

    Answers with BROKER_ID_NOT_REGISTERED, STALE_BROKER_EPOCH, and INVALID_UPDATE_VERSION where another broker got
    these ids meanwhile: ask again.
    """
    broker = image.brokers.get(request.broker_id)
    if broker is None:
        return _refused(ErrorCode.BROKER_ID_NOT_REGISTERED)
    if broker.epoch != request.broker_epoch:
        return _refused(ErrorCode.STALE_BROKER_EPOCH)
    start = image.next_producer_id
    command = AllocateProducerIdBlock(
        node_id=request.broker_id, epoch=request.broker_epoch, start=start, count=PRODUCER_ID_BLOCK
    )

    def respond(after: Image) -> AllocateProducerIdsResponse:
        broker = after.brokers.get(request.broker_id)
        if broker is None or broker.epoch != request.broker_epoch or broker.producer_id_block != start:
            return AllocateProducerIdsResponse(error_code=ErrorCode.INVALID_UPDATE_VERSION)
        return AllocateProducerIdsResponse(producer_id_start=start, producer_id_len=PRODUCER_ID_BLOCK)

    return Decision(commands=(command,), respond=respond)


def _refused(code: ErrorCode) -> Decision:
    return Decision(respond=lambda _: AllocateProducerIdsResponse(error_code=code))
