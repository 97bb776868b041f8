"""Points in time as PostgreSQL has them on the wire: microseconds since 2000, in a datetime's range."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct, unpack

import msgspec

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_STEP = timedelta(microseconds=1)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_NUMBER = Struct(">q")
_SINCE_1970 = 946_684_800_000_000
_EXACT = (1 << 32) * 1_000_000  # so far from 1970 the nearest float of seconds is less than half a microsecond off
_BEFORE, _BEHIND = -_EXACT - _SINCE_1970, _EXACT - _SINCE_1970
_OF_NOW = bytes(range(0x0B))  # the second byte from 2000 to 2098, behind a zero: seen in a tenth of the time of bounds
_MANY = list[datetime]


def encode(moment: datetime) -> tuple[int]:
    """Return the number of a point in time. Raises ``TypeError`` for one without a zone, which names none."""
    return ((moment - _EPOCH) // _STEP,)


def decode(number: tuple[int]) -> datetime:
    """Return the point in time of a number. What lies beyond a datetime's years, infinities too, is their end."""
    try:
        return _EPOCH + _STEP * number[0]  # half the instructions of timedelta(microseconds=...)
    except OverflowError:
        return _LAST if number[0] > 0 else _FIRST


def read(cell: bytes) -> datetime:
    """Return the point in time of its 8 bytes."""
    return decode(_NUMBER.unpack(cell))


def read_many(cells: Sequence[bytes]) -> list[datetime]:
    """Return the points in time of a column.

    From 1833 to 2106 msgspec makes them, of seconds, in less than half the time of ``read``.
    """
    joined = b"".join(cells)
    numbers: tuple[int, ...] = unpack(f">{len(cells)}q", joined)
    of_now = not joined[::8].strip(b"\0") and not joined[1::8].translate(None, _OF_NOW)
    if of_now or (min(numbers) > _BEFORE and max(numbers) < _BEHIND):
        return msgspec.convert([(number + _SINCE_1970) / 1e6 for number in numbers], _MANY, strict=False)
    return list(map(read, cells))
