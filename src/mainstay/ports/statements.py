"""Statements: what a store was asked for, one by one, as values that tests, development and ``explain`` watch.

Nobody watches in production: a store is then used as it is, and nothing is made of what it is asked.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

import msgspec

from mainstay.model.structs import Entity

Action = Literal["get", "fetch", "stream", "count", "aggregate", "insert", "update", "delete", "merge", "sql"]
"""The verb of ``Rows`` that asked; ``sql`` is a statement of the port ``Sql``."""

READS: frozenset[str] = frozenset({"get", "fetch", "stream", "count", "aggregate", "sql"})
"""The actions that find rows, and change none."""


class Statement(msgspec.Struct, kw_only=True):
    """One statement that a store ran.

    ``asked`` is what the verb was given: the id and the condition of ``get``, a ``Query``, a condition, an
    ``Aggregate``, the rows of an insert, a ``Change``, a ``Merge``; the text and the bindings of ``sql``. ``words``
    says it with ``?`` in the place of values, the same for all stores, so that statements that differ in values only
    are alike. ``line`` is that of the use case, as ``file:line``, or None where no line of the service's own code
    asked. ``kept``: these are rows that the kernel keeps for itself. ``met`` is the number of rows that came, or were
    written or changed, once it is known.
    """

    action: Action
    entity: type[Entity] | None
    asked: Any
    words: str
    values: tuple[Any, ...] = ()
    line: str | None = None
    kept: bool = False
    met: int | None = None

    @property
    def reads(self) -> bool:
        """Whether it finds rows, and changes none."""
        return self.action in READS


class Watching(ABC):
    """Who hears of the statements of one transaction."""

    @abstractmethod
    def ran(self, statement: Statement) -> None:
        """Take a statement, in the order in which they run. How many rows it ``met`` is known later."""

    @abstractmethod
    def ended(self) -> None:
        """Be told that the transaction has ended."""


class Watch(ABC):
    """Who wants to know of transactions."""

    @abstractmethod
    def begun(self) -> Watching | None:
        """Return who hears of the transaction that begins now, or None where nobody wants to."""
