"""InitProducerId: an id for an idempotent producer. Floor 3."""

from __future__ import annotations

from raftkafka.broker.producer_ids import ProducerIds
from raftkafka.model.api.producers import InitProducerId, InitProducerIdResponse
from raftkafka.model.context import RequestContext
from raftkafka.model.errors import ApiError, ErrorCode


class ProducersHandler:
    def __init__(self, *, ids: ProducerIds) -> None:
        self._ids = ids

    async def init_producer_id(self, _: RequestContext, request: InitProducerId) -> InitProducerIdResponse:
        """Any broker answers. Who has an id already and asks again gets another one, as in Kafka."""
        if request.transactional_id is not None:
            # Not NOT_COORDINATOR: a client would look for the coordinator for ever.
            return InitProducerIdResponse(
                error_code=ErrorCode.UNSUPPORTED_VERSION,
                error_message="transactions are not supported: produce without a transactional id",
            )
        try:
            return InitProducerIdResponse(producer_id=await self._ids.take(), producer_epoch=0)
        except ApiError as error:
            return InitProducerIdResponse(error_code=error.code, error_message=error.message)
