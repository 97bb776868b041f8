"""Kafka as a broker: a topic for each topic, and a consumer group for each group."""
