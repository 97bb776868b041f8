"""HTTP/1.1: bytes to a call, an outcome to bytes. The door owns what only HTTP knows."""
