"""Policies that look at a call and at what is known of its caller: time, door, network, delegation, attributes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import time, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Any

from mainstay.model.circumstances import Circumstances
from mainstay.model.policy import CallPolicy, Policy
from mainstay.model.principal import Principal

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_NARROWEST = 64  # bits of an IPv6 network: a call knows no more of an address


class CircumstancePolicy(CallPolicy, frozen=True):
    """A leaf that looks at the circumstances of the call. The service itself has none, and is allowed."""

    @property
    def circumstantial(self) -> bool:
        return True

    def allows(self, who: Principal) -> bool:
        if who.is_system:
            return True
        if who.circumstances is None:
            raise LookupError(f"{self!r} asks for the circumstances of a call, and this caller has none")
        return self.fits(who.circumstances)

    def fits(self, circumstances: Circumstances) -> bool:  # noqa: ARG002 - for the leaves
        """Say whether a call in these circumstances is allowed."""
        raise TypeError(f"{type(self).__name__} does not say what it allows")


class Between(CircumstancePolicy, frozen=True):
    """Calls in a span of the day, by the clocks of a place; one that ends before it begins goes on over midnight.

    A call after midnight belongs to the day on which its span began.
    """

    start: time
    end: time
    zone: ZoneInfo
    days: frozenset[int]  # 0 is Monday

    def fits(self, circumstances: Circumstances) -> bool:
        there = circumstances.at.astimezone(self.zone)
        now, today = there.time(), there.weekday()
        if self.start < self.end:
            return self.start <= now < self.end and today in self.days
        if now >= self.start:
            return today in self.days
        return now < self.end and (there - timedelta(days=1)).weekday() in self.days

    def __repr__(self) -> str:
        days = "" if len(self.days) == len(DAYS) else f", days={' '.join(DAYS[day] for day in sorted(self.days))!r}"
        return f"between({self.start:%H:%M}, {self.end:%H:%M}, {self.zone.key!r}{days})"


class Protocols(CircumstancePolicy, frozen=True):
    """Calls that came by one of these doors."""

    names: frozenset[str]

    def fits(self, circumstances: Circumstances) -> bool:
        return circumstances.protocol in self.names

    def __repr__(self) -> str:
        return f"protocol({', '.join(map(repr, sorted(self.names)))})"


class Networks(CircumstancePolicy, frozen=True):
    """Calls from an address in one of these networks."""

    networks: tuple[IPv4Network | IPv6Network, ...]

    def fits(self, circumstances: Circumstances) -> bool:
        try:
            found: Any = ip_network(circumstances.address)
        except ValueError:
            return False  # what came over no network is in none
        return any(one.version == found.version and found.subnet_of(one) for one in self.networks)

    def __repr__(self) -> str:
        return f"network({', '.join(repr(str(one)) for one in self.networks)})"


class Delegated(CallPolicy, frozen=True):
    """Calls in which somebody acts for the caller."""

    def allows(self, who: Principal) -> bool:
        return who.actor is not None

    def __repr__(self) -> str:
        return "delegated"


class Known(CallPolicy, frozen=True):
    """Callers of whom something is known: a claim of their credentials, or an attribute that the service has."""

    source: str  # "claim" or "attribute"
    name: str
    values: tuple[Any, ...]

    def allows(self, who: Principal) -> bool:
        if who.is_system:
            return True
        held = (who.claims if self.source == "claim" else who.attributes).get(self.name)
        members = held if isinstance(held, list | tuple | set | frozenset) else (held,)
        return any(type(member) is type(value) and member == value for member in members for value in self.values)

    def __repr__(self) -> str:
        return f"{self.source}({self.name!r}, {', '.join(map(repr, self.values))})"


def between(start: str, end: str, zone: str = "UTC", *, days: str | Sequence[str] = DAYS) -> Policy:
    """Allow calls from ``start`` until before ``end``: ``between("08:00", "18:00", "Europe/Berlin", days="mon-fri")``.

    ``days`` are names (``"sat sun"``) or a span of them. Raises ``ValueError`` for what is no time, zone or day.
    """
    begins, ends = _time_of(start), _time_of(end)
    if begins == ends:
        raise ValueError(f"between({start!r}, {end!r}): it begins when it ends; leave it out for all day")
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # a third of a megabyte

    try:
        place = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"between: {zone!r} is no zone that this machine knows (pip install tzdata)") from None
    return Between(begins, ends, place, _days_of(days))


def protocol(*names: str) -> Policy:
    """Allow calls that came by one of these doors: ``protocol("rest")``; consumers are called by ``"event"``."""
    return Protocols(frozenset(names))


def network(*networks: str) -> Policy:
    """Allow calls from an address in one of these networks: ``network("10.0.0.0/8", "2001:db8::/32")``.

    The address is the client's, as far as the listed proxies are believed (``http.trusted_proxies``). Raises
    ``ValueError`` for what is no network, and for an IPv6 network of more than 64 bits: a call knows no more.
    """
    found = tuple(ip_network(one) for one in networks)
    narrow = [one for one in found if one.version == 6 and one.prefixlen > _NARROWEST]
    if narrow:
        raise ValueError(f"network({str(narrow[0])!r}): an IPv6 address is known by its /{_NARROWEST}, no further")
    return Networks(found)


def claim(name: str, *values: Any) -> Policy:
    """Allow a caller whose credentials carry one of the values in this claim, alone or in a list."""
    return _known("claim", name, values)


def attribute(name: str, *values: Any) -> Policy:
    """Allow a caller of whom the service itself knows one of the values (``service.attributes``)."""
    return _known("attribute", name, values)


delegated: Policy = Delegated()
"""Calls in which somebody acts for the caller (``Principal.actor``)."""


def _known(source: str, name: str, values: tuple[Any, ...]) -> Policy:
    if not values:
        raise ValueError(f"{source}({name!r}): name the values that it may have")
    return Known(source, name, values)


def _time_of(text: str) -> time:
    found = _CLOCK_TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"between: {text!r} is no time of the day, for example 08:00")
    return time(int(found[1]), int(found[2]))


def _days_of(days: str | Sequence[str]) -> frozenset[int]:
    """Return the numbers of days that are named one by one, or by a span: ``"mon-fri"``, ``"sat mon"``."""
    found: set[int] = set()
    for word in days.split() if isinstance(days, str) else days:
        first, dash, last = word.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise ValueError(f"between: {word!r} is no day: {', '.join(DAYS)}")
        begins, ends = DAYS.index(first), DAYS.index(last if dash else first)
        found |= {day % len(DAYS) for day in range(begins, ends + (len(DAYS) if ends < begins else 0) + 1)}
    if not found:
        raise ValueError("between: days= names none")
    return frozenset(found)
