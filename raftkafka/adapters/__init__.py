"""F4: the only owners of real I/O - disk, Raft, peers, metrics."""
