"""F1: record batch v2 - header, CRC32C, building and iterating. Pure."""
