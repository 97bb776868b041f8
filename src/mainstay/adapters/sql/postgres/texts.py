"""Statements as the driver takes them: numbered signs for values, and several writes as one statement."""

# ruff: noqa: S608 - the parts were written by the statements of entities

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import TypeVar

K = TypeVar("K")

ONE = "count(*)"
"""Of a statement that meets one row at most: that it has met one."""

ALL = "(count(*) = ?)::int"
"""That a statement has met so many rows."""

_KEPT = 4096


class Texts:
    """Statements that were made once. They are written with ``?``; PostgreSQL takes ``$1``, ``$2`` and so on."""

    def __init__(self) -> None:
        self._numbered: dict[str, str] = {}
        self._combined: dict[tuple[tuple[str, str], ...], str] = {}

    def numbered(self, statement: str) -> str:
        """Return a statement with numbers for its values."""
        found = self._numbered.get(statement)
        if found is None:
            numbers = count(1)
            first, *rest = statement.split("?")
            found = first + "".join(f"${next(numbers)}{part}" for part in rest)
            _keep(self._numbered, statement, found)
        return found

    def combined(self, parts: Sequence[tuple[str, str]]) -> str:
        """Return one statement that carries out several, all or none: each with what must not be 0 of the rows it met.

        That is ``ONE`` or ``ALL``, whose value comes behind all others, or nothing. Where it is 0, the whole is undone
        by a division by zero (22012). No part sees what another does, so none may touch another's rows.
        """
        key = tuple(parts)
        found = self._combined.get(key)
        if found is None:
            named = [
                f"w{number} AS ({text}{' RETURNING 1' if must_be else ''})"
                for number, (text, must_be) in enumerate(parts)
            ]
            met = [f"(SELECT 1 / {must_be} FROM w{n})" for n, (_, must_be) in enumerate(parts) if must_be]
            found = self.numbered(f"WITH {', '.join(named)} SELECT {', '.join(met) or '1'}")
            _keep(self._combined, key, found)
        return found


def _keep(kept: dict[K, str], key: K, text: str) -> None:
    if len(kept) >= _KEPT:
        del kept[next(iter(kept))]
    kept[key] = text
