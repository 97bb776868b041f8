"""Conditional requests (RFC 9110, section 13): validators made of a row's version and of what of it is shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b

from mainstay.inbound.http.problems import HeaderMalformed

NEVER = -1
"""A version that no row has: stands for tags that name no version of ours, so that the comparison fails."""

_TAG = re.compile(r'\s*(W/)?"([!#-~\x80-\xff]*)"\s*(?:,|$)')
_OURS = re.compile(r"([0-9]{1,19})-[0-9a-f]{8}(?:-[a-z]{2,8})?")


def representation(view: str, media: str) -> str:
    """Return eight hex digits that name what of a row is shown, and how."""
    return blake2b(f"{media}\0{view}".encode(), digest_size=4).hexdigest()


def entity_tag(version: int, shown: str) -> str:
    """Return the strong validator of a version of a row in a representation."""
    return f'"{version}-{shown}"'


def content_tag(body: bytes, shown: str) -> str:
    """Return the strong validator of an answer that has no version: a digest of its bytes."""
    return f'"{blake2b(body, digest_size=8).hexdigest()}.{shown}"'


def coded(tag: str, coding: str) -> str:
    """Return the validator of a representation in a content coding: other bytes have another strong validator."""
    return f'{tag[:-1]}-{coding}"'


def tags_of(field: str, name: str) -> list[tuple[bool, str]] | None:
    """Return (weak, opaque text) of each tag in a list, None for ``*``. Raises ``HeaderMalformed``."""
    if field.strip() == "*":
        return None
    tags, position = [], 0
    while position < len(field):
        found = _TAG.match(field, position)
        if found is None:
            break
        tags.append((found[1] is not None, found[2]))
        position = found.end()
    if not tags or position < len(field):
        raise HeaderMalformed(f'{name}: expected * or a list of entity tags, for example "3-1f2e3d4c"')
    return tags


def if_match_versions(field: str) -> tuple[int, ...]:
    """Return the versions that If-Match names: () is ``*``; what cannot match under strong comparison is ``NEVER``."""
    tags = tags_of(field, "If-Match")
    if tags is None:
        return ()
    found = (None if weak else _OURS.fullmatch(opaque) for weak, opaque in tags)
    return tuple(int(one[1]) for one in found if one is not None) or (NEVER,)


def known_tag(field: str, tags: Sequence[str]) -> str | None:
    """Return the first of ``tags`` that If-None-Match names (weak comparison), or None where it names none of them."""
    named = tags_of(field, "If-None-Match")
    if named is None:
        return tags[0]
    held = {f'"{opaque}"' for _, opaque in named}
    return next((tag for tag in tags if tag in held), None)


def modified_since(field: bytes, modified: datetime) -> bool:
    """Whether If-Modified-Since holds for a time; a field that is no date is ignored (RFC 9110, section 13.1.3)."""
    from email.utils import parsedate_to_datetime

    try:
        since = parsedate_to_datetime(field.decode("latin-1"))
    except (ValueError, IndexError, OverflowError):
        return True
    if since.tzinfo is None:
        return True
    return modified.replace(microsecond=0) > since
