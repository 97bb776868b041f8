"""Redis: a stream a topic, and in it a group of consumers for each group of members."""
