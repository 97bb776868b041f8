"""What a request's head says: the parts of its target and the header fields that a call is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from mainstay.inbound.http.problems import HeaderMalformed, PathMalformed, QueryMalformed

Headers = Mapping[bytes, bytes]
"""Header fields by lower-case name. Fields of one name are joined as RFC 9110, section 5.2 has it."""

SINGLE = frozenset(
    {b"host", b"authorization", b"content-type", b"content-length", b"idempotency-key", b"if-modified-since"}
)
"""Fields of which a second one makes the request ambiguous."""

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-[!-~]*)?")
_KEY = re.compile(rb'"((?:[ !#-\[\]-~]|\\["\\]){1,255})"|([!#-+\--\[\]-~]{1,255})')
_ABSOLUTE = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)


def add_field(headers: dict[bytes, bytes], name: bytes, value: bytes) -> None:
    """Join a field to one of the same name. Raises ``HeaderMalformed`` where there may be one only."""
    if name in SINGLE:
        raise HeaderMalformed(f"{name.decode('latin-1')}: sent more than once")
    headers[name] = headers[name] + (b"; " if name == b"cookie" else b", ") + value


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Return path and query of a request target in origin-form or absolute-form. Raises ``PathMalformed``."""
    if target[:1] != b"/":
        found = _ABSOLUTE.match(target)
        if found is None:
            raise PathMalformed("the request target must begin with a slash")
        target = target[found.end() :]
        if target[:1] != b"/":
            target = b"/" + target
    if b"#" in target:
        raise PathMalformed("a request target has no fragment")
    path, _, query = target.partition(b"?")
    return path, query


def decode_segment(segment: bytes) -> str:
    """Decode one segment of a path. Raises ``PathMalformed``."""
    if b"%" not in segment:
        try:
            return segment.decode("ascii")
        except UnicodeDecodeError as error:
            raise PathMalformed from error
    if _BAD_ESCAPE.search(segment):
        raise PathMalformed
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError as error:
        raise PathMalformed from error


def decode_query(query: bytes) -> list[tuple[str, str]]:
    """Return the pairs of a query string, decoded, in order. Raises ``QueryMalformed``."""
    if _BAD_ESCAPE.search(query):
        raise QueryMalformed
    pairs = []
    try:
        for part in query.split(b"&"):
            if part:
                name, _, value = part.replace(b"+", b" ").partition(b"=")
                pairs.append((unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode()))
    except UnicodeDecodeError as error:
        raise QueryMalformed from error
    return pairs


def credentials_of(field: bytes) -> tuple[bytes | None, str | None]:
    """Return the bearer token (RFC 6750), or None and the name of the other scheme that was used."""
    scheme, _, rest = field.partition(b" ")
    if scheme == b"Bearer" or scheme.lower() == b"bearer":
        return rest.strip(), None
    return None, scheme.decode("latin-1")


def request_id_of(field: bytes | None) -> str | None:
    """Return the caller's request id where it is fit to be logged and sent back."""
    return field.decode() if field is not None and _REQUEST_ID.fullmatch(field) else None


def traceparent_of(field: bytes) -> str | None:
    """Return a valid ``traceparent`` (W3C Trace Context, level 1), else None: an invalid one is to be ignored."""
    found = _TRACEPARENT.fullmatch(field)
    if found is None or found[1] == b"ff" or not found[2].strip(b"0") or not found[3].strip(b"0"):
        return None
    return None if found[1] == b"00" and found[4] is not None else field.decode()


def idempotency_key_of(field: bytes) -> str:
    """Return the key: a string of RFC 9651, or the same without its quotes. Raises ``HeaderMalformed``."""
    found = _KEY.fullmatch(field.strip())
    if found is None:
        raise HeaderMalformed("Idempotency-Key: expected 1 to 255 visible characters in double quotes")
    quoted, bare = found.groups()
    return (bare if quoted is None else re.sub(rb"\\(.)", rb"\1", quoted)).decode()
