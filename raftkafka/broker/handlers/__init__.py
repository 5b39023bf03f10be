"""One module per API family, each listed once in `broker.dispatch`."""
