"""What an ASGI scope says of a request, in the door's terms."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from mainstay.inbound.http.mounts import Scope
from mainstay.inbound.http.options import HttpOptions
from mainstay.inbound.http.problems import HeadersTooLarge
from mainstay.inbound.http.request import add_field

_PATH_SAFE = "/%:@!$&'()*+,;=-._~"


def target_of(scope: Scope) -> tuple[bytes, str]:
    """Return the request target as it came, without the path that the application is mounted at, and that path.

    Where the client escaped the path of the mount in another way, the rest is what the server has decoded.
    """
    root: str = scope.get("root_path", "").rstrip("/")
    raw = scope.get("raw_path") or quote(scope["path"], safe=_PATH_SAFE.replace("%", "")).encode()
    prefix = quote(root, safe=_PATH_SAFE)
    if prefix:
        if _is_below(raw, prefix.encode()):
            raw = raw[len(prefix) :] or b"/"
        elif _is_below(scope["path"].encode(), root.encode()):
            raw = quote(scope["path"][len(root) :], safe=_PATH_SAFE.replace("%", "")).encode() or b"/"
    query = scope.get("query_string", b"")
    return (raw + b"?" + query if query else raw), prefix


def _is_below(path: bytes, prefix: bytes) -> bool:
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in (b"", b"/")


def merge_fields(fields: Any, headers: dict[bytes, bytes], options: HttpOptions) -> None:
    """Join fields of one name. Raises the Problem of a head over its bounds."""
    size = 0
    for count, (name, value) in enumerate(fields, 1):
        size += len(name) + len(value) + 4
        if size > options.max_header_bytes or count > options.max_headers:
            raise HeadersTooLarge
        name = name.lower()
        if name in headers:
            add_field(headers, name, value)
        else:
            headers[name] = value
