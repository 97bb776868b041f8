"""Whether a connection goes on after a request (RFC 9112, section 9.3)."""

from __future__ import annotations

from collections.abc import Mapping


def persists(headers: Mapping[bytes, bytes], *, http10: bool) -> bool:
    """Whether the client lets the connection go on: ``close`` in its list of options ends it, whatever else is there.

    In HTTP/1.0 only ``keep-alive`` keeps it.
    """
    field = headers.get(b"connection")
    if field is None:
        return not http10
    options = {option.strip(b" \t") for option in field.lower().split(b",")}
    return b"close" not in options and (not http10 or b"keep-alive" in options)
