"""The native protocol's bodies: a module per API family, one table (`apis`) that lists them all."""
