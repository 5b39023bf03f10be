"""ZooKeeper's client protocol: jute records in frames, a table of operations, one session per connection."""
