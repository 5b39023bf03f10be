"""AddRaftVoter (80) and RemoveRaftVoter (81). Floor 2."""

from __future__ import annotations

from typing import Final

from raftkafka.model.api.quorum import AddRaftVoter, AddRaftVoterResponse, RemoveRaftVoter, RemoveRaftVoterResponse
from raftkafka.wire.native.fields import COUNT, ERROR, PORT, STRING, UUID, Shape, nullable
from raftkafka.wire.native.rows import without_records

ADD_RAFT_VOTER: Final = without_records(
    Shape(
        AddRaftVoter,
        voter_id=COUNT,
        host=STRING,
        port=PORT,
        voter_directory_id=UUID,
        cluster_id=nullable(STRING),
        timeout_ms=COUNT,
    ),
    Shape(AddRaftVoterResponse, error_code=ERROR, error_message=nullable(STRING), throttle_time_ms=COUNT),
)
REMOVE_RAFT_VOTER: Final = without_records(
    Shape(
        RemoveRaftVoter,
        voter_id=COUNT,
        voter_directory_id=UUID,
        cluster_id=nullable(STRING),
        timeout_ms=COUNT,
    ),
    Shape(RemoveRaftVoterResponse, error_code=ERROR, error_message=nullable(STRING), throttle_time_ms=COUNT),
)
