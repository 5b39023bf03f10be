"""InitProducerId (22) and AllocateProducerIds (67). Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.producers import (
    AllocateProducerIds,
    AllocateProducerIdsResponse,
    InitProducerId,
    InitProducerIdResponse,
)
from raftkafka.wire.native.fields import COUNT, ERROR, INT16, OFFSET, STRING, Shape, nullable
from raftkafka.wire.native.rows import without_records

INIT_PRODUCER_ID: Final = without_records(
    Shape(
        InitProducerId,
        transactional_id=nullable(STRING),
        transaction_timeout_ms=COUNT,
        producer_id=OFFSET,
        producer_epoch=INT16,
    ),
    Shape(
        InitProducerIdResponse,
        error_code=ERROR,
        error_message=nullable(STRING),
        producer_id=OFFSET,
        producer_epoch=INT16,
        throttle_time_ms=COUNT,
    ),
)
ALLOCATE_PRODUCER_IDS: Final = without_records(
    Shape(AllocateProducerIds, broker_id=COUNT, broker_epoch=OFFSET),
    Shape(AllocateProducerIdsResponse, error_code=ERROR, producer_id_start=OFFSET, producer_id_len=COUNT),
)
