"""What an answer says of an operation that is on its way out: Deprecation (RFC 9745), Sunset (RFC 8594) and Link."""

from __future__ import annotations

from datetime import UTC
from email.utils import format_datetime
from urllib.parse import quote

from mainstay.model.operation import Operation, moment_of

_URI_SAFE = "/%:@!$&'()*+,;=?#[]-._~"


def lifetime_lines(operation: Operation) -> bytes:
    """Return the header lines of an operation: none where it is not deprecated.

    RFC 9745 knows no deprecation without a date; where none was given it is the epoch, which only says that it is past.
    """
    if not operation.deprecated:
        return b""
    since = 0 if operation.deprecated is True else int(moment_of(operation.deprecated).timestamp())
    lines = [f"Deprecation: @{since}"]
    if operation.sunset is not None:
        lines.append(f"Sunset: {format_datetime(moment_of(operation.sunset).astimezone(UTC), usegmt=True)}")
    if operation.successor is not None:
        lines.append(f'Link: <{quote(operation.successor, safe=_URI_SAFE)}>; rel="successor-version"')
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")
