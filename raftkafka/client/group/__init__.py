"""Membership in consumer groups, as consumers have it: Kafka's classic protocol from the client's side. Floor 3."""
