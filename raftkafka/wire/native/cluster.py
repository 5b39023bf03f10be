"""ApiVersions (18), DescribeQuorum (55), DescribeCluster (60). Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.cluster import (
    ApiVersionRange,
    ApiVersions,
    ApiVersionsResponse,
    DescribeCluster,
    DescribeClusterResponse,
    DescribedBroker,
    DescribeQuorum,
    DescribeQuorumResponse,
    QuorumReplica,
)
from raftkafka.wire.native.fields import (
    BOOL,
    COUNT,
    ERROR,
    ID,
    INT16,
    OFFSET,
    PORT,
    STRING,
    Shape,
    array,
    integer,
    nullable,
)
from raftkafka.wire.native.rows import without_records

_TERM: Final = integer("term", 0, (1 << 63) - 1)

_API_VERSION_RANGE: Final = Shape(ApiVersionRange, api_key=INT16, min_version=INT16, max_version=INT16)
API_VERSIONS: Final = without_records(
    Shape(ApiVersions, client_software_name=STRING, client_software_version=STRING),
    Shape(ApiVersionsResponse, error_code=ERROR, api_keys=array(_API_VERSION_RANGE.field), throttle_time_ms=COUNT),
)

_DESCRIBED_BROKER: Final = Shape(
    DescribedBroker, node_id=ID, host=STRING, port=PORT, rack=nullable(STRING), fenced=BOOL
)
DESCRIBE_CLUSTER: Final = without_records(
    Shape(DescribeCluster),
    Shape(
        DescribeClusterResponse,
        error_code=ERROR,
        cluster_id=STRING,
        controller_id=ID,
        brokers=array(_DESCRIBED_BROKER.field),
        feature_level=COUNT,
        throttle_time_ms=COUNT,
    ),
)

_QUORUM_REPLICA: Final = Shape(QuorumReplica, node_id=ID, log_end_index=OFFSET, connected=BOOL)
DESCRIBE_QUORUM: Final = without_records(
    Shape(DescribeQuorum),
    Shape(
        DescribeQuorumResponse,
        error_code=ERROR,
        leader_id=ID,
        term=_TERM,
        commit_index=OFFSET,
        voters=array(_QUORUM_REPLICA.field),
        observers=array(_QUORUM_REPLICA.field),
    ),
)
