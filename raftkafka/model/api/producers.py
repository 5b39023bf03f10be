"""InitProducerId (22), for idempotent producers, and AllocateProducerIds (67), from brokers to the controller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from raftkafka.model.api.keys import ApiKey
from raftkafka.model.errors import ErrorCode
from raftkafka.model.ids import NO_PRODUCER_ID, BrokerEpoch, NodeId, ProducerId

PRODUCER_ID_BLOCK: Final = 1_000
"""Producer ids that a broker gets at a time (KIP-730)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitProducerId:
    """A producer asks for an id of its own.

    `transactional_id` None: an idempotent producer, which needs no more. The last three fields are those of
    transactional producers (KIP-360).
    """

    api_key: ClassVar[ApiKey] = ApiKey.INIT_PRODUCER_ID

    transactional_id: str | None = None
    transaction_timeout_ms: int = 0
    producer_id: ProducerId = NO_PRODUCER_ID
    producer_epoch: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class InitProducerIdResponse:
    """An id that nobody has had before, with epoch 0.

    COORDINATOR_LOAD_IN_PROGRESS while no controller hands out ids: ask again. UNSUPPORTED_VERSION for a transactional id.
    """

    error_code: ErrorCode = ErrorCode.NONE
    error_message: str | None = None
    producer_id: ProducerId = NO_PRODUCER_ID
    producer_epoch: int = -1
    throttle_time_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocateProducerIds:
    """A broker asks for the next block of ids (KIP-730)."""

    api_key: ClassVar[ApiKey] = ApiKey.ALLOCATE_PRODUCER_IDS

    broker_id: NodeId
    broker_epoch: BrokerEpoch


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocateProducerIdsResponse:
    """The ids from `producer_id_start` on, `producer_id_len` of them, are the broker's."""

    error_code: ErrorCode = ErrorCode.NONE
    producer_id_start: ProducerId = NO_PRODUCER_ID
    producer_id_len: int = 0
