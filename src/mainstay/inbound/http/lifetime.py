"""What an answer says of an operation that is on its way out: Deprecation (RFC 9745), Sunset (RFC 8594) and Link."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date
from email.utils import format_datetime
from urllib.parse import quote

from mainstay.model.operation import Operation, moment_of

_URI_SAFE = "/%:@!$&'()*+,;=?#[]-._~"


class Lifetime:
    """The header lines of an operation that is on its way out.

    ``successor`` is the path of what follows it, with names in braces that stand in the operation's own path too.
    """

    __slots__ = ("_fixed", "_successor")

    def __init__(self, fixed: bytes, successor: str | None = None) -> None:
        self._fixed = fixed
        self._successor = successor

    def lines(self, arguments: Mapping[str, str], root: str) -> bytes:
        """Return the lines of the answer to a call with these names in its path, below the path ``root``."""
        if self._successor is None:
            return self._fixed
        path = self._successor
        for name, value in arguments.items():
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        return self._fixed + f"Link: {successor_link(root + path)}\r\n".encode("ascii")


def successor_link(uri: str) -> str:
    """Return the value of a Link to what is to be used instead (RFC 5829)."""
    return f'<{quote(uri, safe=_URI_SAFE)}>; rel="successor-version"'


def lifetime_of(operation: Operation) -> Lifetime | None:
    """Return the lifetime of an operation: None where it is not deprecated."""
    if not operation.deprecated:
        return None
    fixed = lifetime_lines(operation.deprecated, operation.sunset)
    return Lifetime(
        fixed if operation.successor is None else fixed + f"Link: {successor_link(operation.successor)}\r\n".encode()
    )


def lifetime_lines(deprecated: bool | date, sunset: date | None) -> bytes:
    """Return the lines that say since when something is deprecated, and when it ends.

    RFC 9745 knows no deprecation without a date; where none was given it is the epoch, which only says that it is past.
    """
    since = int(moment_of(deprecated).timestamp()) if isinstance(deprecated, date) else 0
    lines = f"Deprecation: @{since}\r\n"
    if sunset is not None:
        lines += f"Sunset: {format_datetime(moment_of(sunset).astimezone(UTC), usegmt=True)}\r\n"
    return lines.encode("ascii")
