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
    """Whether an Accept field lets this media type be given."""
    return best(field, (media,)) is not None


def best(field: str, offers: Sequence[str]) -> str | None:
    """Return the media type that an Accept field wants most, the first of those wanted alike; None where it wants none.

    The most specific range that fits a type decides on its weight; ``q=0`` refuses it.
    """
    ranges = [split_media(part) for part in field.split(",")]
    weighed = [(_weight(ranges, media), media) for media in offers]
    weight, media = max(weighed, key=lambda one: one[0])
    return media if weight > 0 else None


def _weight(ranges: Sequence[tuple[str, dict[str, str]]], media: str) -> float:
    rank_found, weight = -1, 0.0
    for pattern, parameters in ranges:
        if not pattern or not matches(pattern, media):
            continue
        rank = 0 if pattern == "*/*" else 1 if pattern.endswith("/*") else 2
        q = quality(parameters.get("q", "1"))
        if rank > rank_found or (rank == rank_found and q > weight):
            rank_found, weight = rank, q
    return weight


def quality(text: str) -> float:
    """Return a weight (RFC 9110, section 12.4.2); one that is malformed refuses."""
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 <= value <= 1 else 0.0
