"""The ZooKeeper port: one socket, its connections, and the answers to four-letter words."""
