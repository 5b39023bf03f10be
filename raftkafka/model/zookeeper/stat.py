"""What ZooKeeper tells about a node beside its data. Floor 0."""

from __future__ import annotations

from raftkafka.model.passing import passing_value


@passing_value
class Stat:
    """Zxids are of the changes that made the node, its data and its children as they are; times are milliseconds, UTC."""

    czxid: int = 0
    mzxid: int = 0
    ctime_ms: int = 0
    mtime_ms: int = 0
    version: int = 0
    cversion: int = 0
    aversion: int = 0
    ephemeral_owner: int = 0
    """The session of an ephemeral node; 0 for all others, containers and TTL nodes too (as ZooKeeper 3.8 shows them)."""
    data_length: int = 0
    num_children: int = 0
    pzxid: int = 0
