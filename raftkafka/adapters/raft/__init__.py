"""F4: Raft. pysyncobj's algorithm on our event loop, with our journal, snapshots, links and mends (docs/adr/0002)."""
