"""F2: bytes to requests and responses to bytes, without I/O."""
