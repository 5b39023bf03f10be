"""F1: Protocols for the outside world. Adapters and the simulator implement them."""
