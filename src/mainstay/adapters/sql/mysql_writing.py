"""Writes carried out on one connection to MariaDB or MySQL, one after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mainstay.adapters.sql.codec import Row
from mainstay.adapters.sql.mysql import Link
from mainstay.adapters.sql.server_writing import Group, Writer
from mainstay.adapters.sql.statements import Statements
from mainstay.adapters.sql.writes import Insert, Write

MOST_ROWS = 500
MOST_VALUES = 60_000  # the protocol has room for 65,535
MOST_BYTES = 4 << 20  # a server takes 16 MiB in one packet, where nobody changed that
FEW_ROWS = 16
"""Insertions of up to so many rows are kept prepared, and those of the most rows."""


def grouped(writes: Sequence[Write]) -> Iterator[Group]:
    """Part writes, in their order, into single ones of a size that the server takes."""
    for write in writes:
        if isinstance(write, Insert):
            for rows in portions(write.rows):
                yield [Insert(write.statements, rows)]
        else:
            yield [write]


def portions(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Part rows into portions of a size that the server takes; one that is too large by itself it may refuse."""
    portion: list[Row] = []
    size = 0
    for row in rows:
        length = sum(len(value) for value in row if isinstance(value, str | bytes))
        if portion and (len(portion) == most_rows(len(row)) or size + length > MOST_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(row)
        size += length
    if portion:
        yield portion


def most_rows(columns: int) -> int:
    """Return how many rows of so many columns go into one statement."""
    return max(1, min(MOST_ROWS, MOST_VALUES // columns))


class MysqlWriter(Writer[Link]):
    """Carries writes out on a connection."""

    __slots__ = ()

    async def carry_out(self, group: Group) -> bool:
        for write in group:
            await self.one(write)
        return True

    def _text(self, statement: str) -> str:
        return statement

    async def _put(self, statements: Statements, rows: Sequence[Row]) -> None:
        count = len(rows)
        if count == 1:
            await self._link.change(statements.insert, rows[0], self._timeout)
            return
        width = len(rows[0])
        more = f", ({', '.join('?' * width)})" * (count - 1)
        kept = count <= FEW_ROWS or count == most_rows(width)
        values = [value for row in rows for value in row]
        await self._link.change(statements.insert + more, values, self._timeout, kept=kept)
