"""raftkafka: a Kafka-style distributed log in Python; every node embeds a Raft state machine, so there is no ZooKeeper."""

__version__ = "0.1.0"
