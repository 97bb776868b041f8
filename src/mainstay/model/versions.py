"""Versions of a service's contract: which there are, and which operations belong to each.

A service with versions serves each operation below the prefix of every version that has it: ``/v1/orders``. An
operation belongs to all of them, or from ``since`` to ``until``, both included. One name may be declared several times
for ranges that do not meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import msgspec

from mainstay.model.operation import Operation


class Version(msgspec.Struct, frozen=True):
    """One version: ``Version("1", deprecated=date(2026, 3, 1), sunset=date(2027, 3, 1))``.

    ``deprecated`` (since a date, or True) and ``sunset`` are told in each of its answers. One that has ``ended`` is
    answered with 410 and where to go on.
    """

    name: str
    deprecated: bool | date = False
    sunset: date | None = None
    ended: bool = False

    @property
    def prefix(self) -> str:
        """What stands before every path: ``/v1``."""
        return f"/v{self.name}"


def versions_of(given: Sequence[str | Version]) -> tuple[Version, ...]:
    """Return versions as declared, the oldest first."""
    return tuple(Version(one) if isinstance(one, str) else one for one in given)


def span_of(since: str | None, until: str | None, versions: Sequence[Version]) -> range:
    """Return the places of the versions that have something, from ``since`` to ``until``.

    Of a service without versions it is ``range(1)``. A name that is unknown, which is a fault, bounds nothing.
    """
    names = [one.name for one in versions]
    first = names.index(since) if since in names else 0
    last = names.index(until) if until in names else max(0, len(names) - 1)
    return range(first, last + 1)


def labels(operations: Sequence[Operation], versions: Sequence[Version]) -> list[str]:
    """Return a name of its own for each operation: of several with one name, the later ones say since when they are."""
    earliest: dict[str, int] = {}
    firsts = [span_of(one.since, one.until, versions).start for one in operations]
    for one, first in zip(operations, firsts, strict=True):
        earliest[one.name] = min(first, earliest.get(one.name, first))
    return [
        one.name if first == earliest[one.name] else f"{one.name}@{one.since}"
        for one, first in zip(operations, firsts, strict=True)
    ]
