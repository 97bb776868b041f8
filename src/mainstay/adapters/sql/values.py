"""Values in their stored forms, and back: one function a kind, for what is not None."""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from mainstay.ports.documents import json_text

convert = msgspec.convert
text_of: Callable[[Any], str] = msgspec.to_builtins
"""The text of a UUID: four times as fast as ``str``."""

# A context of our own: a team may have changed the thread's. Every result must be exact, or the value is refused.
EXACT = decimal.Context(prec=60, traps=[decimal.Inexact, decimal.InvalidOperation, decimal.Overflow])
_MIDNIGHT = datetime(1, 1, 1, tzinfo=UTC)
NAIVE = datetime(1970, 1, 1)  # noqa: DTZ001 - for what a driver gives without a zone
AWARE = NAIVE.replace(tzinfo=UTC)
"""A value without a zone is read as ``AWARE + (value - NAIVE)``: ``replace`` takes several times as long."""
_UUIDS = list[UUID]
_WIDTH = len("2026-11-23T10:20:30.123456Z")


class Unstorable(ValueError):
    """A value that the column cannot hold exactly."""


def moment(value: datetime) -> str:
    """Return a point in time as fixed-width UTC text. Raises ``Unstorable`` where it has no zone."""
    if value.tzinfo is not UTC:
        if value.tzinfo is None:
            raise Unstorable("a datetime without a time zone names no point in time")
        value = value.astimezone(UTC)
    text: str = msgspec.to_builtins(value)
    return text if len(text) == _WIDTH else f"{text[:19]}.{value.microsecond:06}Z"


def in_utc(value: datetime) -> datetime:
    """Return a point in time in UTC. Raises ``Unstorable`` where it has no zone, ``OverflowError`` beyond the years."""
    if value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        raise Unstorable("a datetime without a time zone names no point in time")
    return value.astimezone(UTC)


def to_uuid(stored: str | bytes) -> UUID:
    """Return the UUID of its text, or of its 16 bytes."""
    return convert(stored, UUID)


def to_uuids(cells: Sequence[bytes]) -> list[UUID]:
    """Return the UUIDs of a column of 16 bytes each."""
    return convert(cells, _UUIDS)


def to_decimals(cells: Sequence[str]) -> list[Decimal]:
    """Return the decimal numbers of a column of texts."""
    return list(map(Decimal, cells))


def uuid_bytes(value: UUID) -> bytes:
    """Return the 16 bytes of a UUID, whose order is that of its text."""
    return value.bytes


def time_of_day(value: timedelta) -> time:
    """Return a time of day of the time since midnight."""
    return (_MIDNIGHT + value).time()


def clock_time(value: time) -> str:
    """Return a time of day as text of fixed width."""
    return value.isoformat(timespec="microseconds")


def scale(places: int) -> Callable[[Decimal | int], int]:
    """Return what turns a decimal number into an integer. It raises ``Unstorable`` rather than round."""

    def scaled(value: Decimal | int) -> int:
        try:
            return int(EXACT.to_integral_exact(EXACT.scaleb(value, places)))
        except (ArithmeticError, ValueError):
            raise Unstorable(f"a number must be finite and have at most {places} places: it is not rounded") from None

    return scaled


def exactly(places: int) -> Callable[[Decimal | int], Decimal]:
    """Return what lets a decimal number pass that has so many places. It raises ``Unstorable`` rather than round."""
    step = Decimal(1).scaleb(-places)

    def exact(value: Decimal | int) -> Decimal:
        try:
            return EXACT.quantize(Decimal(value), step)
        except (ArithmeticError, ValueError):
            raise Unstorable(f"a number must be finite and have at most {places} places: it is not rounded") from None

    return exact


def nearest(value: Any) -> float | None:
    """Return the float that is nearest to a number, or None where it is no number."""
    if not isinstance(value, int | float | Decimal):
        return None
    try:
        made = float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    return None if math.isnan(made) else made


def aware(value: datetime) -> datetime:
    """Return a point in time as it was. The driver stores the first and the last one as infinities, without a zone."""
    return value if value.tzinfo is not None else AWARE + (value - NAIVE)


def all_aware(cells: Sequence[datetime]) -> list[datetime]:
    """Return the points in time of a column that a driver gives without a zone."""
    return [AWARE + (cell - NAIVE) for cell in cells]


def without_zone(value: time) -> time:
    """Return a time of day. Raises ``Unstorable`` where it has a zone, which a column would lose."""
    if value.tzinfo is not None:
        raise Unstorable("a time of day with a zone cannot be stored: its day is not known")
    return value


def step_of(places: int) -> Decimal:
    """Return what one step of the integer that a decimal number is stored as is worth."""
    return Decimal(1).scaleb(-places)


def unscale(places: int) -> Callable[[int], Decimal]:
    """Return what turns the integer back."""
    step, multiply = step_of(places), EXACT.multiply
    return lambda stored: multiply(step, stored)


def member_value(value: Any) -> Any:
    """Return the value of a member of an enumeration; a plain value stays."""
    return value.value if isinstance(value, Enum) else value


def members_of(enumeration: type[Enum]) -> Mapping[Any, Enum]:
    """Return the members of an enumeration by value."""
    return MappingProxyType({member.value: member for member in enumeration})


def same(value: Any) -> Any:
    """Return the value."""
    return value


ENCODERS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "text": same,
        "integer": same,
        "float": float,
        "bytes": same,
        "boolean": int,
        "uuid": text_of,
        "datetime": moment,
        "date": date.isoformat,
        "time": clock_time,
        "json": json_text,
    }
)
DECODERS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "text": same,
        "integer": same,
        "float": same,
        "bytes": same,
        "boolean": bool,
        "uuid": to_uuid,
        "datetime": datetime.fromisoformat,
        "date": date.fromisoformat,
        "time": time.fromisoformat,
        "json": msgspec.json.decode,
    }
)
MYSQL: Mapping[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = MappingProxyType(
    {
        "boolean": (int, bool),
        "uuid": (uuid_bytes, to_uuid),
        "datetime": (in_utc, aware),
        "time": (without_zone, time_of_day),
    }
)
"""The kinds whose values the driver of MariaDB and MySQL takes or gives in another form: to it, and back."""
