"""RabbitMQ as a broker: a topic exchange, and a quorum queue for each group."""
