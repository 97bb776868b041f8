"""Asking a database for the plans of statements, and for the sizes of the tables in them."""

# ruff: noqa: S608 - tables are named as the dialect quotes them
from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from mainstay.adapters.sql.dialect import Dialect
from mainstay.adapters.sql.plans.advice import Advice, advise
from mainstay.adapters.sql.plans.mysql import MysqlExplaining
from mainstay.adapters.sql.plans.plan import Explaining, Plan
from mainstay.adapters.sql.plans.postgres import PostgresExplaining
from mainstay.adapters.sql.plans.sqlite import SqliteExplaining
from mainstay.adapters.sql.rows import Found
from mainstay.adapters.sql.statements import Bound, Statements
from mainstay.model.structs import Entity
from mainstay.ports.statements import Statement
from mainstay.ports.store import Table

_WAYS: Mapping[str, type[Explaining]] = MappingProxyType(
    {"sqlite": SqliteExplaining, "postgresql": PostgresExplaining, "mysql": MysqlExplaining}
)


class Explained(Protocol):
    """What is needed of a transaction: those of SQL stores have it."""

    dialect: Dialect

    def read(self, statement: str, bindings: Sequence[Any]) -> Found:
        """Run a read that is written with ``?``."""

    def run(self, statement: str, bindings: Sequence[Any]) -> Found:
        """Run a read that is written in the driver's own signs."""

    def statements(self, entity: type[Entity]) -> Statements:
        """Return the statements of an entity."""


class Planner:
    """Plans on one transaction, which changes nothing."""

    def __init__(self, transaction: Explained, tables: Sequence[Table]) -> None:
        self._transaction = transaction
        self._tables = {table.name: table for table in tables}
        self._way = _WAYS[transaction.dialect.name]()
        self._sizes: dict[str, int] = {}

    def text(self, statement: Statement) -> str:
        """Return the SQL of a statement."""
        if statement.entity is None:
            return str(statement.asked[0])
        return _bound(self._transaction.statements(statement.entity), statement)[0]

    async def plan(self, statement: Statement, *, analyze: bool = False) -> Plan | None:
        """Return the plan of a statement, or None of an insert, which has none.

        ``analyze`` runs a read for it, where the database can tell more then.
        """
        if statement.action in ("insert", "merge"):
            return None
        analyze = analyze and statement.reads
        if statement.entity is None:
            text, bindings = statement.asked
            rows = await self._rows(self._transaction.run(self._way.statement(text, analyze=analyze), bindings))
        else:
            text, bindings = _bound(self._transaction.statements(statement.entity), statement)
            rows = await self._rows(self._transaction.read(self._way.statement(text, analyze=analyze), bindings))
        return self._way.read(rows)

    async def advise(self, statement: Statement, plan: Plan) -> list[Advice]:
        """Return what is slow in a plan, and what to do, by the sizes of its tables."""
        for step in plan.steps:
            if step.table in self._tables and step.table not in self._sizes:
                self._sizes[step.table] = await self._size(step.table)
        return advise(statement, plan, self._sizes, self._tables)

    def size(self, table: str) -> int | None:
        """Return how many rows a table of a plan has, as far as it was asked for."""
        return self._sizes.get(table)

    async def _size(self, name: str) -> int:
        source = self._transaction.dialect.quoted(name)
        text, bindings, exact = self._way.size(source, name)
        rows = await self._rows(self._transaction.run(text, bindings))
        found = int(rows[0][0]) if rows and rows[0][0] is not None else -1
        if found < 0 and not exact:
            found = int((await self._rows(self._transaction.run(f"SELECT count(*) FROM {source}", ())))[0][0])
        return found

    @staticmethod
    async def _rows(found: Found) -> Sequence[Sequence[Any]]:
        return found if isinstance(found, list) else await found


def _bound(statements: Statements, statement: Statement) -> Bound:
    """Return the SQL of a statement and its bindings, as the store itself writes it."""
    asked = statement.asked
    match statement.action:
        case "get":
            return statements.get(*asked)
        case "count":
            return statements.count(asked)
        case "aggregate":
            return statements.aggregate(asked)[0]
        case "update":
            return statements.update(asked.where, asked.changes, asked.version, bump=False)
        case "delete":
            return statements.delete(asked.where, asked.version)
        case "insert":
            return statements.insert, ()
        case _:
            return statements.select(asked)
