"""Who listens to observations: the structured log and the metrics."""
