"""What a cluster under test cannot do, and what happened to it. Floor 6."""

from __future__ import annotations

from raftkafka.model.errors import RaftKafkaError


class ClusterError(RaftKafkaError):
    """The test asked for what this cluster cannot do, or a node ended that nobody had ended."""
