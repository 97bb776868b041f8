"""Conditional requests for what is not a row: an entity tag, a date, and their order (RFC 9110, section 13)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

from mainstay.inbound.http.conditional import known_tag, tags_of
from mainstay.model.problem import PreconditionFailed

_SETTLED = timedelta(seconds=2)
"""What was changed less long ago may change again in the same second, so that its date tells nothing."""


class Validators:
    """What tells the present state of something: its tag, in quotes, and when it was changed (None: not known)."""

    __slots__ = ("_now", "etag", "modified")

    def __init__(self, etag: str, modified: datetime | None, now: datetime) -> None:
        self.etag = etag
        self.modified = None if modified is None else modified.astimezone(UTC).replace(microsecond=0)
        self._now = now

    @property
    def lines(self) -> bytes:
        """The header lines."""
        lines = f"ETag: {self.etag}\r\n"
        if self.modified is not None:
            told = min(self.modified, self._now.replace(microsecond=0))  # not in the future (RFC 9110, section 8.8.2.1)
            lines += f"Last-Modified: {format_datetime(told, usegmt=True)}\r\n"
        return lines.encode("latin-1")

    def known(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the client has it already, for 304. Raises ``PreconditionFailed`` where it asked for another state.

        In the order of RFC 9110, section 13.2.2: a tag is looked at before a date, what must hold before the rest.
        """
        if_match = headers.get(b"if-match")
        if if_match is not None:
            if not self._matches(if_match.decode("latin-1")):
                raise PreconditionFailed("it is none of those that If-Match names")
        elif self._changed_since(headers.get(b"if-unmodified-since")) is True:
            raise PreconditionFailed("it was changed after the time of If-Unmodified-Since")
        if_none_match = headers.get(b"if-none-match")
        if if_none_match is not None:
            return known_tag(if_none_match.decode("latin-1"), (self.etag,)) is not None
        return self._changed_since(headers.get(b"if-modified-since")) is False

    def _matches(self, field: str) -> bool:
        """Whether If-Match holds: strong comparison, and * for anything that is there."""
        tags = tags_of(field, "If-Match")
        return tags is None or any(not weak and f'"{opaque}"' == self.etag for weak, opaque in tags)

    def _changed_since(self, field: bytes | None) -> bool | None:
        """Whether it was changed after a time; None where that cannot be told, and the field is ignored."""
        since = _date(field)
        return None if since is None or self.modified is None else self.modified > since

    def same(self, field: bytes | None) -> bool:
        """Whether If-Range lets a part be sent: it is the strong tag, or the exact date of what has long been so."""
        if field is None:
            return True
        text = field.decode("latin-1").strip()
        if text.startswith(('"', "W/")):
            return text == self.etag
        since = _date(field)
        return since is not None and since == self.modified and self._now - since >= _SETTLED


def _date(field: bytes | None) -> datetime | None:
    """Return the time of an HTTP date, or None where it is none."""
    if field is None:
        return None
    try:
        found = parsedate_to_datetime(field.decode("latin-1"))
    except (ValueError, IndexError, OverflowError):
        return None
    return None if found.tzinfo is None else found
