"""Leaderboards in the service's own database: a row for each member, committed with what the call changes beside it."""

from __future__ import annotations

from decimal import Decimal
from hashlib import blake2b
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from mainstay.model.conditions import TRUE, Compare, Condition
from mainstay.model.fields import field
from mainstay.model.inputs import Sort
from mainstay.model.problem import SerializationConflict, UniqueConflict
from mainstay.model.structs import Entity
from mainstay.ports.leaderboard import (
    MAX_SCORE,
    PLACES,
    Leaderboard,
    Standing,
    checked_name,
    checked_number,
    checked_parts,
    member_of,
    parts_of,
    ranked,
    score_of,
)
from mainstay.ports.rows import Change, Query, Rows
from mainstay.ports.tenants import NoTenant
from mainstay.ports.unit_of_work import EntityPlan, Frame, UnitOfWork
from mainstay.ports.upserts import upsert
from mainstay.ports.writing import stamped

E = TypeVar("E", bound=Entity)

_HIGHEST = MAX_SCORE * PLACES
_DIGITS = 17  # of twice that: how a score is written where it is put in order
_BEHIND = "g"  # stands behind all hexadecimal digits


class Score(Entity):
    """The score of one member of one board.

    ``place`` is what the board is in order by: the board, how much is missing to the highest score, and the member, all
    as text of one length. So one index of one field answers everything, in every store.
    """

    board: str = field(max_length=600)
    member: UUID
    parts: int  # of the score: its ten-thousandths
    place: str = field(index=True, max_length=81)


SCORES = "mainstay_score"
"""The table of scores, where a use case asks for a leaderboard."""


def board_of(plan: EntityPlan, frame: Frame) -> str:
    """Return the name of an entity's board for the caller. Raises ``NoTenant`` where it has a tenant's, and none."""
    name = f"{plan.module}.{plan.shape.name}"
    if plan.tenancy is None:
        return name
    if plan.tenancy.of(frame.who) is None:
        raise NoTenant(f"a {plan.shape.name} belongs to a tenant, and the caller acts for none")
    return f"{name}@{frame.who.tenant}"


class StoredLeaderboard(Leaderboard[E]):
    """A leaderboard whose writes are part of the unit of work, and whose reads see them.

    To find a rank is to count those who stand before, along an index.
    """

    __slots__ = ("_board", "_prefix", "_unit")

    def __init__(self, unit: UnitOfWork, board: str) -> None:
        self._unit = unit
        self._board = board
        self._prefix = blake2b(board.encode(), digest_size=16).hexdigest()

    def of(self, name: str) -> StoredLeaderboard[E]:
        """Return another board of the same entity. Raises ``ValueError`` for a name that is none."""
        return StoredLeaderboard(self._unit, f"{self._board.partition('#')[0]}#{checked_name(name)}")

    async def add(self, member: E | UUID, score: int | Decimal) -> None:
        unit = self._unit
        unit.changing()
        row = self._row(member_of(member), parts_of(score))
        await upsert(unit, unit.frame.plans[Score], (row,), "id", ("parts", "place"), many=False)

    async def increment(self, member: E | UUID, by: int | Decimal = 1) -> Decimal:
        unit, rows = self._unit, self._rows()
        unit.changing()
        id_, more = self._id(member_of(member)), parts_of(by)
        old: Score | None = await rows.get(id_, TRUE, lock=True)
        row = self._row(member_of(member), checked_parts(more + (0 if old is None else old.parts)))
        if old is None:
            rows.insert([stamped(unit.frame, unit.frame.plans[Score], row)])
            try:
                await unit.flush()
            except UniqueConflict as conflict:  # it was added meanwhile: the command is run again, and finds it
                raise SerializationConflict("another call has added this score meanwhile") from conflict
            return score_of(row.parts)
        changes = {
            "parts": row.parts,
            "place": row.place,
            "version": old.version + 1,
            "updated_at": unit.frame.clock.now(),
        }
        same = Compare("id", "eq", id_)
        rows.enqueue(Change(where=same, changes=changes, id=id_, version=old.version, expected=1, before=old))
        return score_of(row.parts)

    async def rank(self, member: E | UUID) -> Standing | None:
        self._unit.several()
        row: Score | None = await self._rows().get(self._id(member_of(member)), TRUE)
        return (
            None
            if row is None
            else Standing(rank=await self._rank(row.parts), member=row.member, score=score_of(row.parts))
        )

    async def top(self, n: int) -> list[Standing]:
        first = Query(where=self._all(), sort=(Sort("place"),), limit=checked_number(n))
        return ranked([(row.member, row.parts) for row in await self._rows().fetch(first)], 0, 1)

    async def around(self, member: E | UUID, n: int) -> list[Standing]:
        checked_number(n, 0)
        self._unit.several()
        rows = self._rows()
        row: Score | None = await rows.get(self._id(member_of(member)), TRUE)
        if row is None:
            return []
        found = [row]
        if n:
            before = self._all() & Compare("place", "lt", row.place)
            behind = self._all() & Compare("place", "gt", row.place)
            above = await rows.fetch(Query(where=before, sort=(Sort("place", descending=True),), limit=n))
            found = [*reversed(above), row, *await rows.fetch(Query(where=behind, sort=(Sort("place"),), limit=n))]
        place = await rows.count(self._all() & Compare("place", "lt", found[0].place))
        return ranked([(one.member, one.parts) for one in found], place, await self._rank(found[0].parts))

    async def remove(self, member: E | UUID) -> bool:
        self._unit.changing()
        own = Compare("id", "eq", self._id(member_of(member)))
        return await self._rows().apply(Change(where=own, changes=None)) > 0

    async def clear(self) -> None:
        self._unit.changing()
        await self._rows().apply(Change(where=self._all(), changes=None))

    def _rows(self) -> Rows[Any]:
        return self._unit.transaction().rows(Score)

    def _id(self, member: UUID) -> UUID:
        """Return the id of a member's row on this board, the same each time."""
        return UUID(bytes=blake2b(member.bytes, key=bytes.fromhex(self._prefix), digest_size=16).digest(), version=5)

    def _row(self, member: UUID, parts: int) -> Score:
        row = Score(board=self._board, member=member, parts=parts, place=self._place(parts) + member.hex)
        return msgspec.structs.replace(row, id=self._id(member))

    def _place(self, parts: int) -> str:
        """Return what the places of all begin with who have this score."""
        return f"{self._prefix}{_HIGHEST - parts:0{_DIGITS}d}"

    def _all(self) -> Condition:
        return Compare("place", "gt", self._prefix) & Compare("place", "lt", self._prefix + _BEHIND)

    async def _rank(self, parts: int) -> int:
        higher = Compare("place", "gt", self._prefix) & Compare("place", "lt", self._place(parts))
        return 1 + await self._rows().count(higher)
