"""A leaderboard: members by their score, the highest first.

**Ties.** Members of one score have one rank, and the ranks behind are as if they had several: 1, 2, 2, 4. Among
themselves they stand in the order of their ids.

**Scores** are exact: an ``int`` or a ``Decimal`` of at most four decimal places, from -900,000,000,000 to
900,000,000,000. Every store counts in ten-thousandths, which a whole number of 64 bits and Redis' doubles hold alike. A
``float`` is refused, as it says what is not exact: ``Decimal(str(seconds))``. Where less is better, keep the negative.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from decimal import Decimal
from typing import Generic, TypeVar
from uuid import UUID

import msgspec

from mainstay.model.problem import Fault, Invalid
from mainstay.model.structs import Entity

E = TypeVar("E", bound=Entity)

MAX_SCORE = 900_000_000_000
PLACES = 10_000
"""In how many parts a score of one is counted."""

_SMALLEST = Decimal("0.0001")

MAX_STANDINGS = 1000
"""How many members are told of at once."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a member stands: its rank, from 1 on, and its score."""

    rank: int
    member: UUID
    score: Decimal


class ScoreOutOfRange(Invalid):
    """A score has at most four decimal places, and lies between -900,000,000,000 and 900,000,000,000."""


class Leaderboard(ABC, Generic[E]):
    """Scores of the rows of one entity, which are named by themselves or by their ids.

    An entity whose rows belong to tenants has a board for each of them, and a caller sees its own. Row policies are not
    asked: a board tells ids and scores to whoever may call the use case, and ``Repository[E]`` what else may be seen.
    A row that is deleted stays on its boards until it is removed there.
    """

    @abstractmethod
    def of(self, name: str) -> Leaderboard[E]:
        """Return another board of the same entity: ``players.of("2026-W48")``, of 1 to 100 visible ASCII characters."""

    @abstractmethod
    async def add(self, member: E | UUID, score: int | Decimal) -> None:
        """Give a member this score, whatever it had. Raises ``ScoreOutOfRange``."""

    @abstractmethod
    async def increment(self, member: E | UUID, by: int | Decimal = 1) -> Decimal:
        """Add to a member's score, which is 0 where it has none, and return it. Raises ``ScoreOutOfRange``."""

    @abstractmethod
    async def rank(self, member: E | UUID) -> Standing | None:
        """Return where a member stands; None where it is not on the board."""

    @abstractmethod
    async def top(self, n: int) -> list[Standing]:
        """Return the best ``n``, 1 to 1000 of them."""

    @abstractmethod
    async def around(self, member: E | UUID, n: int) -> list[Standing]:
        """Return a member with at most ``n`` before it and ``n`` behind it, in order; none where it is not there."""

    @abstractmethod
    async def remove(self, member: E | UUID) -> bool:
        """Take a member off the board; return whether it was there."""

    @abstractmethod
    async def clear(self) -> None:
        """Take all members off the board."""


def member_of(member: Entity | UUID) -> UUID:
    """Return the id of a member."""
    return member if isinstance(member, UUID) else member.id


def parts_of(score: int | Decimal) -> int:
    """Return a score in ten-thousandths. Raises ``ScoreOutOfRange``, and ``TypeError`` for a float."""
    if isinstance(score, bool) or not isinstance(score, int | Decimal):
        raise TypeError(f"a score is an int or a Decimal, and not a {type(score).__name__}: Decimal(str(score))")
    exact = Decimal(score)
    if not exact.is_finite() or abs(exact) > MAX_SCORE or exact != exact.quantize(_SMALLEST):
        raise out_of_range()
    return int(exact * PLACES)


def checked_parts(parts: int) -> int:
    """Return a sum of scores in ten-thousandths. Raises ``ScoreOutOfRange``."""
    if abs(parts) > MAX_SCORE * PLACES:
        raise out_of_range()
    return parts


def out_of_range() -> ScoreOutOfRange:
    """Return the problem of a score that cannot be kept."""
    return ScoreOutOfRange(faults=[Fault("out_of_range", "is no score that can be kept", pointer="/score")])


def score_of(parts: int) -> Decimal:
    """Return the score of ten-thousandths, in its shortest form."""
    whole, rest = divmod(parts, PLACES)
    return Decimal(whole) if rest == 0 else (Decimal(parts) / PLACES).normalize()


def checked_number(n: int, least: int = 1) -> int:
    """Return how many standings are asked for. Raises ``ValueError``."""
    if not least <= n <= MAX_STANDINGS:
        raise ValueError(f"a leaderboard tells of {least} to {MAX_STANDINGS} members at once, not of {n}")
    return n


def checked_name(name: str) -> str:
    """Return the name of a board. Raises ``ValueError``."""
    if not 1 <= len(name) <= 100 or not all("!" <= each <= "~" for each in name):
        raise ValueError("the name of a leaderboard is 1 to 100 visible ASCII characters")
    return name


def ranked(rows: list[tuple[UUID, int]], place: int, rank: int) -> list[Standing]:
    """Return rows that stand in order, each as (member, ten-thousandths), as standings.

    ``place`` is that of the first, from 0 on, and ``rank`` its rank.
    """
    standings: list[Standing] = []
    before = None
    for number, (member, parts) in enumerate(rows, place):
        if before is not None and parts != before:
            rank = number + 1
        before = parts
        standings.append(Standing(rank=rank, member=member, score=score_of(parts)))
    return standings
