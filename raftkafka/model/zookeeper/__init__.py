"""The values of ZooKeeper's protocol: what the tree, the broker and the wire speak of. Floor 0."""
