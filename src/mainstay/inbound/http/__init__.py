"""HTTP: bytes, route, Call; Reply, status, headers, bytes."""
