"""What a transaction that was begun for reading says to writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainstay.adapters.sql.codec import Row
from mainstay.adapters.sql.statements import Statements
from mainstay.adapters.sql.upserts import Upsert
from mainstay.adapters.sql.writes import reads_only
from mainstay.ports.rows import Change


class ReadOnly:
    """The writes of a query: all of them are refused."""

    __slots__ = ()

    def queue_insert(self, statements: Statements, rows: Sequence[Any]) -> None:  # noqa: ARG002 - refused
        """Refuse to write."""
        raise reads_only(statements)

    def queue_change(self, statements: Statements, change: Change) -> None:  # noqa: ARG002 - refused
        """Refuse to write."""
        raise reads_only(statements)

    async def apply(self, statements: Statements, change: Change) -> int:  # noqa: ARG002 - refused
        """Refuse to write."""
        raise reads_only(statements)

    async def merge(self, upsert: Upsert) -> list[Row]:
        """Refuse to write."""
        raise reads_only(upsert.statements)
