"""Consumer groups: membership, offsets, and the bytes that groups leave in logs and messages. Floor 1, pure."""
