"""Media types: whether what is sent can be read, and whether what can be given is wanted (RFC 9110, section 12)."""

from __future__ import annotations

from collections.abc import Sequence

_UTF8 = frozenset({"utf-8", "utf8", "us-ascii"})
JSON = "application/json"


def split_media(field: str) -> tuple[str, dict[str, str]]:
    """Return the type without parameters, in lower case, and the parameters."""
    essence, *rest = field.split(";")
    parameters = {}
    for part in rest:
        name, _, value = part.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"')
    return essence.strip().lower(), parameters


def matches(pattern: str, media: str) -> bool:
    """Whether a media type is of a pattern: ``*/*``, ``type/*`` or ``type/subtype``."""
    return pattern in ("*/*", media) or (pattern.endswith("/*") and media.startswith(pattern[:-1]))


def readable(accepts: Sequence[str], field: str) -> bool:
    """Whether a body with this Content-Type can be read by an operation that accepts these types."""
    if not field and "*/*" in accepts:
        return True  # the sender may leave the type unsaid (RFC 9110, section 8.3), and here it does not matter
    media, parameters = split_media(field)
    if "/" not in media or not any(matches(pattern, media) for pattern in accepts):
        return False
    return not media.endswith("json") or parameters.get("charset", "utf-8").lower() in _UTF8


def acceptable(field: str, media: str) -> bool:
    """Whether an Accept field lets this media type be given. The most specific range decides; ``q=0`` refuses."""
    best, quality = -1, 0.0
    for part in field.split(","):
        pattern, parameters = split_media(part)
        if not pattern or not matches(pattern, media):
            continue
        rank = 0 if pattern == "*/*" else 1 if pattern.endswith("/*") else 2
        q = _quality(parameters.get("q", "1"))
        if rank > best or (rank == best and q > quality):
            best, quality = rank, q
    return quality > 0


def _quality(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 <= value <= 1 else 0.0
