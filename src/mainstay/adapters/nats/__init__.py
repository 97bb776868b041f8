"""NATS JetStream: one stream for a family of services, a subject a topic, and a consumer for each group and topic."""
