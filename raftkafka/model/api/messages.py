"""The unions of all requests and of all responses: a new API has a line in each. Floor 0."""

from __future__ import annotations

from raftkafka.model.api.broker_lifecycle import (
    AlterPartition,
    AlterPartitionResponse,
    BrokerHeartbeat,
    BrokerHeartbeatResponse,
    BrokerRegistration,
    BrokerRegistrationResponse,
)
from raftkafka.model.api.cluster import (
    ApiVersions,
    ApiVersionsResponse,
    DescribeCluster,
    DescribeClusterResponse,
    DescribeQuorum,
    DescribeQuorumResponse,
    Metadata,
    MetadataResponse,
)
from raftkafka.model.api.committed_offsets import (
    OffsetCommit,
    OffsetCommitResponse,
    OffsetDelete,
    OffsetDeleteResponse,
    OffsetFetch,
    OffsetFetchResponse,
)
from raftkafka.model.api.configs import (
    DescribeConfigs,
    DescribeConfigsResponse,
    IncrementalAlterConfigs,
    IncrementalAlterConfigsResponse,
)
from raftkafka.model.api.delete_records import DeleteRecords, DeleteRecordsResponse
from raftkafka.model.api.elections import ElectLeaders, ElectLeadersResponse
from raftkafka.model.api.features import UpdateFeatures, UpdateFeaturesResponse
from raftkafka.model.api.fetch import Fetch, FetchResponse
from raftkafka.model.api.groups import (
    DeleteGroups,
    DeleteGroupsResponse,
    DescribeGroups,
    DescribeGroupsResponse,
    FindCoordinator,
    FindCoordinatorResponse,
    ListGroups,
    ListGroupsResponse,
)
from raftkafka.model.api.history import DescribePartitionHistory, DescribePartitionHistoryResponse
from raftkafka.model.api.log_dirs import DescribeLogDirs, DescribeLogDirsResponse
from raftkafka.model.api.membership import (
    Heartbeat,
    HeartbeatResponse,
    JoinGroup,
    JoinGroupResponse,
    LeaveGroup,
    LeaveGroupResponse,
    SyncGroup,
    SyncGroupResponse,
)
from raftkafka.model.api.offsets import (
    ListOffsets,
    ListOffsetsResponse,
    OffsetForLeaderEpoch,
    OffsetForLeaderEpochResponse,
)
from raftkafka.model.api.partitions import CreatePartitions, CreatePartitionsResponse
from raftkafka.model.api.produce import Produce, ProduceResponse
from raftkafka.model.api.producers import (
    AllocateProducerIds,
    AllocateProducerIdsResponse,
    InitProducerId,
    InitProducerIdResponse,
)
from raftkafka.model.api.quorum import AddRaftVoter, AddRaftVoterResponse, RemoveRaftVoter, RemoveRaftVoterResponse
from raftkafka.model.api.quotas import (
    AlterClientQuotas,
    AlterClientQuotasResponse,
    DescribeClientQuotas,
    DescribeClientQuotasResponse,
)
from raftkafka.model.api.reassignments import (
    AlterPartitionReassignments,
    AlterPartitionReassignmentsResponse,
    ListPartitionReassignments,
    ListPartitionReassignmentsResponse,
)
from raftkafka.model.api.sasl import SaslAuthenticate, SaslAuthenticateResponse, SaslHandshake, SaslHandshakeResponse
from raftkafka.model.api.topics import CreateTopics, CreateTopicsResponse, DeleteTopics, DeleteTopicsResponse
from raftkafka.model.api.znodes import (
    AlterZkSession,
    AlterZkSessionResponse,
    ChangeZnodes,
    ChangeZnodesResponse,
    TouchZkSessions,
    TouchZkSessionsResponse,
)

Request = (
    Produce
    | Fetch
    | ListOffsets
    | OffsetForLeaderEpoch
    | OffsetCommit
    | OffsetFetch
    | OffsetDelete
    | FindCoordinator
    | JoinGroup
    | SyncGroup
    | Heartbeat
    | LeaveGroup
    | ListGroups
    | DescribeGroups
    | DeleteGroups
    | Metadata
    | ApiVersions
    | CreateTopics
    | DeleteTopics
    | DeleteRecords
    | DescribeConfigs
    | IncrementalAlterConfigs
    | DescribeLogDirs
    | DescribeClientQuotas
    | DescribePartitionHistory
    | AlterClientQuotas
    | CreatePartitions
    | AlterPartitionReassignments
    | ListPartitionReassignments
    | ElectLeaders
    | DescribeCluster
    | DescribeQuorum
    | BrokerRegistration
    | BrokerHeartbeat
    | AlterPartition
    | InitProducerId
    | AllocateProducerIds
    | UpdateFeatures
    | AddRaftVoter
    | RemoveRaftVoter
    | SaslHandshake
    | SaslAuthenticate
    | AlterZkSession
    | ChangeZnodes
    | TouchZkSessions
)
Response = (
    ProduceResponse
    | FetchResponse
    | ListOffsetsResponse
    | OffsetForLeaderEpochResponse
    | OffsetCommitResponse
    | OffsetFetchResponse
    | OffsetDeleteResponse
    | FindCoordinatorResponse
    | JoinGroupResponse
    | SyncGroupResponse
    | HeartbeatResponse
    | LeaveGroupResponse
    | ListGroupsResponse
    | DescribeGroupsResponse
    | DeleteGroupsResponse
    | MetadataResponse
    | ApiVersionsResponse
    | CreateTopicsResponse
    | DeleteTopicsResponse
    | DeleteRecordsResponse
    | DescribeConfigsResponse
    | IncrementalAlterConfigsResponse
    | DescribeLogDirsResponse
    | DescribeClientQuotasResponse
    | DescribePartitionHistoryResponse
    | AlterClientQuotasResponse
    | CreatePartitionsResponse
    | AlterPartitionReassignmentsResponse
    | ListPartitionReassignmentsResponse
    | ElectLeadersResponse
    | DescribeClusterResponse
    | DescribeQuorumResponse
    | BrokerRegistrationResponse
    | BrokerHeartbeatResponse
    | AlterPartitionResponse
    | InitProducerIdResponse
    | AllocateProducerIdsResponse
    | UpdateFeaturesResponse
    | AddRaftVoterResponse
    | RemoveRaftVoterResponse
    | SaslHandshakeResponse
    | SaslAuthenticateResponse
    | AlterZkSessionResponse
    | ChangeZnodesResponse
    | TouchZkSessionsResponse
)

__all__ = ["Request", "Response"]
