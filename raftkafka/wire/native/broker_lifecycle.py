"""AlterPartition (56), BrokerRegistration (62), BrokerHeartbeat (63). Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.broker_lifecycle import (
    AlteredPartition,
    AlterPartition,
    AlterPartitionItem,
    AlterPartitionResponse,
    BrokerHeartbeat,
    BrokerHeartbeatResponse,
    BrokerRegistration,
    BrokerRegistrationResponse,
    HeldLogs,
    IsrMember,
    ListenerEndpoint,
    OfflineReplica,
)
from raftkafka.wire.native.fields import (
    BOOL,
    COUNT,
    ERROR,
    ID,
    OFFSET,
    PORT,
    STRING,
    UUID,
    Shape,
    array,
    nullable,
)
from raftkafka.wire.native.rows import without_records

_LISTENER_ENDPOINT: Final = Shape(ListenerEndpoint, name=STRING, host=STRING, port=PORT)
BROKER_REGISTRATION: Final = without_records(
    Shape(
        BrokerRegistration,
        broker_id=COUNT,
        cluster_id=STRING,
        incarnation_id=UUID,
        listeners=array(_LISTENER_ENDPOINT.field),
        rack=nullable(STRING),
        previous_broker_epoch=OFFSET,
        logs_synced=BOOL,
        directories=array(UUID),
        held=nullable(array(Shape(HeldLogs, topic_id=UUID, partitions=array(COUNT)).field)),
        feature_level_min=COUNT,
        feature_level_max=COUNT,
    ),
    Shape(
        BrokerRegistrationResponse,
        error_code=ERROR,
        error_message=nullable(STRING),
        broker_epoch=OFFSET,
        cluster_id=STRING,
    ),
)

BROKER_HEARTBEAT: Final = without_records(
    Shape(
        BrokerHeartbeat,
        broker_id=COUNT,
        broker_epoch=OFFSET,
        applied_index=OFFSET,
        want_shut_down=BOOL,
        offline_replicas=array(Shape(OfflineReplica, topic_id=UUID, partition=COUNT, damaged=BOOL).field),
    ),
    Shape(BrokerHeartbeatResponse, error_code=ERROR, is_fenced=BOOL, should_shut_down=BOOL),
)

_ISR_MEMBER: Final = Shape(IsrMember, node_id=COUNT, broker_epoch=OFFSET)
_ALTER_PARTITION_ITEM: Final = Shape(
    AlterPartitionItem,
    topic_id=UUID,
    partition=COUNT,
    leader_epoch=ID,
    partition_epoch=ID,
    new_isr=array(_ISR_MEMBER.field),
)
_ALTERED_PARTITION: Final = Shape(
    AlteredPartition,
    topic_id=UUID,
    partition=COUNT,
    error_code=ERROR,
    leader_id=ID,
    leader_epoch=ID,
    isr=array(ID),
    partition_epoch=ID,
)
ALTER_PARTITION: Final = without_records(
    Shape(AlterPartition, broker_id=COUNT, broker_epoch=OFFSET, partitions=array(_ALTER_PARTITION_ITEM.field)),
    Shape(AlterPartitionResponse, error_code=ERROR, partitions=array(_ALTERED_PARTITION.field)),
)
