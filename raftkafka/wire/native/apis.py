"""The one table of APIs: adding an API touches one row here and one module beside it. Floor 2.

A row's module is imported when the row is first asked for: a command that lists topics does not pay for forty APIs. A broker
imports `versions`, which asks for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from raftkafka.model.api.keys import ApiKey
from raftkafka.wire.native.rows import Api

HOMES: Final[Mapping[int, tuple[str, str]]] = {
    ApiKey.PRODUCE: ("produce", "PRODUCE"),
    ApiKey.FETCH: ("fetch", "FETCH"),
    ApiKey.LIST_OFFSETS: ("offsets", "LIST_OFFSETS"),
    ApiKey.METADATA: ("metadata", "METADATA"),
    ApiKey.OFFSET_COMMIT: ("committed_offsets", "OFFSET_COMMIT"),
    ApiKey.OFFSET_FETCH: ("committed_offsets", "OFFSET_FETCH"),
    ApiKey.FIND_COORDINATOR: ("groups", "FIND_COORDINATOR"),
    ApiKey.JOIN_GROUP: ("membership", "JOIN_GROUP"),
    ApiKey.HEARTBEAT: ("membership", "HEARTBEAT"),
    ApiKey.LEAVE_GROUP: ("membership", "LEAVE_GROUP"),
    ApiKey.SYNC_GROUP: ("membership", "SYNC_GROUP"),
    ApiKey.DESCRIBE_GROUPS: ("groups", "DESCRIBE_GROUPS"),
    ApiKey.LIST_GROUPS: ("groups", "LIST_GROUPS"),
    ApiKey.SASL_HANDSHAKE: ("sasl", "SASL_HANDSHAKE"),
    ApiKey.API_VERSIONS: ("cluster", "API_VERSIONS"),
    ApiKey.CREATE_TOPICS: ("topics", "CREATE_TOPICS"),
    ApiKey.DELETE_TOPICS: ("topics", "DELETE_TOPICS"),
    ApiKey.DELETE_RECORDS: ("delete_records", "DELETE_RECORDS"),
    ApiKey.INIT_PRODUCER_ID: ("producers", "INIT_PRODUCER_ID"),
    ApiKey.OFFSET_FOR_LEADER_EPOCH: ("offsets", "OFFSET_FOR_LEADER_EPOCH"),
    ApiKey.DESCRIBE_CONFIGS: ("configs", "DESCRIBE_CONFIGS"),
    ApiKey.DESCRIBE_LOG_DIRS: ("log_dirs", "DESCRIBE_LOG_DIRS"),
    ApiKey.SASL_AUTHENTICATE: ("sasl", "SASL_AUTHENTICATE"),
    ApiKey.CREATE_PARTITIONS: ("partitions", "CREATE_PARTITIONS"),
    ApiKey.DELETE_GROUPS: ("groups", "DELETE_GROUPS"),
    ApiKey.ELECT_LEADERS: ("partitions", "ELECT_LEADERS"),
    ApiKey.INCREMENTAL_ALTER_CONFIGS: ("configs", "INCREMENTAL_ALTER_CONFIGS"),
    ApiKey.ALTER_PARTITION_REASSIGNMENTS: ("partitions", "ALTER_PARTITION_REASSIGNMENTS"),
    ApiKey.LIST_PARTITION_REASSIGNMENTS: ("partitions", "LIST_PARTITION_REASSIGNMENTS"),
    ApiKey.OFFSET_DELETE: ("committed_offsets", "OFFSET_DELETE"),
    ApiKey.DESCRIBE_CLIENT_QUOTAS: ("quotas", "DESCRIBE_CLIENT_QUOTAS"),
    ApiKey.ALTER_CLIENT_QUOTAS: ("quotas", "ALTER_CLIENT_QUOTAS"),
    ApiKey.DESCRIBE_QUORUM: ("cluster", "DESCRIBE_QUORUM"),
    ApiKey.ALTER_PARTITION: ("broker_lifecycle", "ALTER_PARTITION"),
    ApiKey.UPDATE_FEATURES: ("features", "UPDATE_FEATURES"),
    ApiKey.DESCRIBE_CLUSTER: ("cluster", "DESCRIBE_CLUSTER"),
    ApiKey.BROKER_REGISTRATION: ("broker_lifecycle", "BROKER_REGISTRATION"),
    ApiKey.BROKER_HEARTBEAT: ("broker_lifecycle", "BROKER_HEARTBEAT"),
    ApiKey.ALLOCATE_PRODUCER_IDS: ("producers", "ALLOCATE_PRODUCER_IDS"),
    ApiKey.ADD_RAFT_VOTER: ("quorum", "ADD_RAFT_VOTER"),
    ApiKey.REMOVE_RAFT_VOTER: ("quorum", "REMOVE_RAFT_VOTER"),
    ApiKey.DESCRIBE_PARTITION_HISTORY: ("history", "DESCRIBE_PARTITION_HISTORY"),
    ApiKey.ALTER_ZK_SESSION: ("znodes", "ALTER_ZK_SESSION"),
    ApiKey.CHANGE_ZNODES: ("znodes", "CHANGE_ZNODES"),
    ApiKey.TOUCH_ZK_SESSIONS: ("znodes", "TOUCH_ZK_SESSIONS"),
}
"""The module of this package in which an API is described, and its name there."""


class _Apis(dict[int, Api]):
    def __missing__(self, key: int) -> Api:
        module, name = HOMES[key]
        api: Api = getattr(import_module(f"raftkafka.wire.native.{module}"), name)
        self[key] = api
        return api


APIS: Final = _Apis()
"""By API key: `APIS[key]` raises KeyError where there is no such API."""
