"""What other servers do not keep of the settings: told by name, so that nobody relies on it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

UNKEPT: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "native": {},
        "uvicorn": {
            "http.header_seconds": "a head may take any time",
            "http.first_byte_seconds": "a new connection is not closed for saying nothing",
            "http.min_body_rate": "only the time without a byte is bounded (http.body_seconds)",
            "http.write_seconds": "a client that takes no byte of its answer is waited for",
            "http.min_write_rate": "a client may take its answer as slowly as it likes",
            "http.max_header": "refused by 431 when all of the head has been read",
            "http.max_target": "refused by 414 when all of the head has been read",
            "http.max_connections": "connections are not counted",
            "http.max_connections_per_address": "connections are not counted",
        },
        "granian": {
            "http.first_byte_seconds": "a new connection has http.header_seconds for its first head",
            "http.idle_seconds": "a connection at rest is closed after http.header_seconds",
            "http.min_body_rate": "only the time without a byte is bounded (http.body_seconds)",
            "http.write_seconds": "a client that takes no byte of its answer is waited for",
            "http.min_write_rate": "a client may take its answer as slowly as it likes",
            "http.max_connections": "connections are not counted",
            "http.max_connections_per_address": "connections are not counted",
            "http.tls.handshake_seconds": "a handshake of TLS may take any time",
            "http.tls.watch_seconds": "new certificates are told of, and taken at SIGHUP",
        },
    }
)
"""For each server, the settings that it does not keep, and what it does instead."""
