"""F4: one connection shell that drives any session; HTTP for metrics and health."""
