"""F4: the HTTP listener - connections within bounds, who may ask, metrics and health; the rest is the console's."""
