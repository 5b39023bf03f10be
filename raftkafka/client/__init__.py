"""F3: the asyncio client - connection, routing, producer, consumer, admin."""
