"""Settings of a node: frozen values (`values`), and how `server.properties` becomes them."""
