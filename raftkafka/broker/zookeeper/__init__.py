"""ZooKeeper's clients on this node: their sessions, their watches, and what they read of the image."""
