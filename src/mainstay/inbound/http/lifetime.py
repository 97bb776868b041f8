"""What an answer says of an operation that is on its way out: Deprecation (RFC 9745), Sunset (RFC 8594) and Link."""

from __future__ import annotations

from datetime import UTC, date
from email.utils import format_datetime
from urllib.parse import quote

from mainstay.model.operation import Operation, moment_of

_URI_SAFE = "/%:@!$&'()*+,;=?#[]-._~"


class Lifetime:
    """The header lines of an operation that is on its way out; ``follows`` is (its prefix, that of its successor)."""

    __slots__ = ("_fixed", "_follows")

    def __init__(self, fixed: bytes, follows: tuple[str, str] | None = None) -> None:
        self._fixed = fixed
        self._follows = follows

    def lines(self, path: bytes, root: str) -> bytes:
        """Return the lines of the answer to a request; what follows is at the same path below another prefix."""
        if self._follows is None:
            return self._fixed
        own, next_ = self._follows
        return self._fixed + successor_line(root + next_ + quote(path[len(own) :], safe=_URI_SAFE))


def successor_line(uri: str) -> bytes:
    """Return the Link to what is to be used instead (RFC 5829)."""
    return f'Link: <{quote(uri, safe=_URI_SAFE)}>; rel="successor-version"\r\n'.encode("ascii")


def lifetime_of(operation: Operation) -> Lifetime | None:
    """Return the lifetime of an operation: None where it is not deprecated."""
    if not operation.deprecated:
        return None
    fixed = lifetime_lines(operation.deprecated, operation.sunset)
    return Lifetime(fixed if operation.successor is None else fixed + successor_line(operation.successor))


def lifetime_lines(deprecated: bool | date, sunset: date | None) -> bytes:
    """Return the lines that say since when something is deprecated, and when it ends.

    RFC 9745 knows no deprecation without a date; where none was given it is the epoch, which only says that it is past.
    """
    since = int(moment_of(deprecated).timestamp()) if isinstance(deprecated, date) else 0
    lines = f"Deprecation: @{since}\r\n"
    if sunset is not None:
        lines += f"Sunset: {format_datetime(moment_of(sunset).astimezone(UTC), usegmt=True)}\r\n"
    return lines.encode("ascii")
