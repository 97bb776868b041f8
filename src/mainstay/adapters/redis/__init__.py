"""Redis: a broker on its streams, and what replicas share: limits, a cache, signals, leaderboards."""
