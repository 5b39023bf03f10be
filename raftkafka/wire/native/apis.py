"""The one table of APIs: adding an API touches one row here and one module beside it. Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.cluster import ApiVersionRange, ApiVersionsResponse
from raftkafka.model.api.keys import ApiKey
from raftkafka.wire.native.broker_lifecycle import ALTER_PARTITION, BROKER_HEARTBEAT, BROKER_REGISTRATION
from raftkafka.wire.native.cluster import API_VERSIONS, DESCRIBE_CLUSTER, DESCRIBE_QUORUM, METADATA
from raftkafka.wire.native.committed_offsets import OFFSET_COMMIT, OFFSET_DELETE, OFFSET_FETCH
from raftkafka.wire.native.delete_records import DELETE_RECORDS
from raftkafka.wire.native.features import UPDATE_FEATURES
from raftkafka.wire.native.fetch import FETCH
from raftkafka.wire.native.groups import DELETE_GROUPS, DESCRIBE_GROUPS, FIND_COORDINATOR, LIST_GROUPS
from raftkafka.wire.native.membership import HEARTBEAT, JOIN_GROUP, LEAVE_GROUP, SYNC_GROUP
from raftkafka.wire.native.offsets import LIST_OFFSETS, OFFSET_FOR_LEADER_EPOCH
from raftkafka.wire.native.partitions import (
    ALTER_PARTITION_REASSIGNMENTS,
    CREATE_PARTITIONS,
    ELECT_LEADERS,
    LIST_PARTITION_REASSIGNMENTS,
)
from raftkafka.wire.native.produce import PRODUCE
from raftkafka.wire.native.producers import ALLOCATE_PRODUCER_IDS, INIT_PRODUCER_ID
from raftkafka.wire.native.quorum import ADD_RAFT_VOTER, REMOVE_RAFT_VOTER
from raftkafka.wire.native.rows import Api
from raftkafka.wire.native.sasl import SASL_AUTHENTICATE, SASL_HANDSHAKE
from raftkafka.wire.native.topics import CREATE_TOPICS, DELETE_TOPICS

APIS: Final[dict[int, Api]] = {
    ApiKey.PRODUCE: PRODUCE,
    ApiKey.FETCH: FETCH,
    ApiKey.LIST_OFFSETS: LIST_OFFSETS,
    ApiKey.METADATA: METADATA,
    ApiKey.OFFSET_COMMIT: OFFSET_COMMIT,
    ApiKey.OFFSET_FETCH: OFFSET_FETCH,
    ApiKey.FIND_COORDINATOR: FIND_COORDINATOR,
    ApiKey.JOIN_GROUP: JOIN_GROUP,
    ApiKey.HEARTBEAT: HEARTBEAT,
    ApiKey.LEAVE_GROUP: LEAVE_GROUP,
    ApiKey.SYNC_GROUP: SYNC_GROUP,
    ApiKey.DESCRIBE_GROUPS: DESCRIBE_GROUPS,
    ApiKey.LIST_GROUPS: LIST_GROUPS,
    ApiKey.SASL_HANDSHAKE: SASL_HANDSHAKE,
    ApiKey.API_VERSIONS: API_VERSIONS,
    ApiKey.CREATE_TOPICS: CREATE_TOPICS,
    ApiKey.DELETE_TOPICS: DELETE_TOPICS,
    ApiKey.DELETE_RECORDS: DELETE_RECORDS,
    ApiKey.INIT_PRODUCER_ID: INIT_PRODUCER_ID,
    ApiKey.OFFSET_FOR_LEADER_EPOCH: OFFSET_FOR_LEADER_EPOCH,
    ApiKey.SASL_AUTHENTICATE: SASL_AUTHENTICATE,
    ApiKey.CREATE_PARTITIONS: CREATE_PARTITIONS,
    ApiKey.DELETE_GROUPS: DELETE_GROUPS,
    ApiKey.ELECT_LEADERS: ELECT_LEADERS,
    ApiKey.ALTER_PARTITION_REASSIGNMENTS: ALTER_PARTITION_REASSIGNMENTS,
    ApiKey.LIST_PARTITION_REASSIGNMENTS: LIST_PARTITION_REASSIGNMENTS,
    ApiKey.OFFSET_DELETE: OFFSET_DELETE,
    ApiKey.DESCRIBE_QUORUM: DESCRIBE_QUORUM,
    ApiKey.ALTER_PARTITION: ALTER_PARTITION,
    ApiKey.UPDATE_FEATURES: UPDATE_FEATURES,
    ApiKey.DESCRIBE_CLUSTER: DESCRIBE_CLUSTER,
    ApiKey.BROKER_REGISTRATION: BROKER_REGISTRATION,
    ApiKey.BROKER_HEARTBEAT: BROKER_HEARTBEAT,
    ApiKey.ALLOCATE_PRODUCER_IDS: ALLOCATE_PRODUCER_IDS,
    ApiKey.ADD_RAFT_VOTER: ADD_RAFT_VOTER,
    ApiKey.REMOVE_RAFT_VOTER: REMOVE_RAFT_VOTER,
}

API_VERSIONS_RESPONSE: Final = ApiVersionsResponse(
    api_keys=tuple(
        ApiVersionRange(api_key=int(key), min_version=api.min_version, max_version=api.max_version)
        for key, api in sorted(APIS.items())
    )
)
