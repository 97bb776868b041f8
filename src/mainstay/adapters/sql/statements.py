"""The statements of one entity: what a ``Rows`` is asked for, as text of a compiled shape and its bindings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from mainstay.adapters.sql.codec import Codec, codec
from mainstay.adapters.sql.columns import Columns, UnknownField
from mainstay.adapters.sql.compile import Binds, Statement, StatementCache, compiled, plain, predicate
from mainstay.adapters.sql.figures import figures
from mainstay.adapters.sql.outline import Outline, outline
from mainstay.adapters.sql.values import text_of
from mainstay.model.conditions import TRUE, Condition
from mainstay.model.inputs import Sort
from mainstay.ports.rows import Aggregate, Query
from mainstay.ports.store import Table

Bound = tuple[str, Sequence[Any]]
"""A statement and its bindings."""


class Link(NamedTuple):
    """A field that refers to a row of another entity, its place among the columns, and the read that finds that row."""

    field: str
    place: int
    exists: str


class Statements:
    """All statements of one entity, each compiled at the first use of its shape, those of every call at start-up."""

    def __init__(self, table: Table, built: sa.Table) -> None:
        self.table = table
        self.name = table.shape.name
        self.columns = Columns(table.shape, built)
        self.codec: Codec = codec(self.columns)
        self.links: tuple[Link, ...] = ()
        self._built = built
        self._cache = StatementCache()
        self._selected = [plain(c.column).label(c.name) for c in self.columns.by_name.values()]
        binds = Binds()
        values = {name: binds.next() for name in self.columns.by_name}
        self.insert = compiled(sa.insert(built).values(values)).sql
        self._get_any = self._get(True).sql

    def link(self, others: Mapping[str, Statements]) -> None:
        """Note the references of this entity. ``others`` are by table name."""
        links, names = [], list(self.columns.by_name)
        for key in sorted(self._built.foreign_keys, key=lambda each: each.parent.name):
            target = others[key.column.table.name]
            there: Any = sa.select(sa.literal_column("1")).where(plain(target._built.c.id) == Binds().next())
            field = str(key.parent.name)  # a plain string: the name of a column is one that no encoder knows
            links.append(Link(field, names.index(field), compiled(there).sql))
        self.links = tuple(links)

    def get(self, id_: UUID, where: Condition) -> Bound:
        """Return the read of one row by its id."""
        if where is TRUE:
            return self._get_any, (text_of(id_),)
        bound: list[Any] = [text_of(id_)]
        statement = self._get(outline(where, self.columns, bound))
        return statement.sql, statement.bindings(bound)

    def select(self, query: Query) -> Bound:
        """Return the read of rows in order."""
        bound: list[Any] = []
        shape = outline(query.where, self.columns, bound)
        limited = query.limit is not None
        if limited:
            bound.append(query.limit)
        sort, per = query.sort, query.per

        def make() -> Any:
            return self._select(shape, sort, limited) if per is None else self._select_per(shape, sort, limited, per)

        statement = self._cache.get(("select", shape, sort, limited, per), make)
        return statement.sql, statement.bindings(bound)

    def count(self, where: Condition) -> Bound:
        """Return the count of rows."""
        return self._look("count", where, lambda: sa.select(sa.func.count()).select_from(self._built))

    def exists(self, where: Condition) -> Bound:
        """Return a read that has a row where there is one."""
        limit = sa.text("LIMIT 1")
        return self._look(
            "exists", where, lambda: sa.select(sa.literal_column("1")).select_from(self._built).suffix_with(limit)
        )

    def aggregate(self, aggregate: Aggregate) -> tuple[Bound, Callable[[tuple[Any, ...]], tuple[Any, ...]]]:
        """Return the read of figures, and what turns one of its rows into values."""
        bound: list[Any] = []
        shape = outline(aggregate.where, self.columns, bound)
        limited = aggregate.limit is not None
        if limited:
            bound.append(aggregate.limit)
        wanted = figures(self.columns, aggregate)

        def make() -> Any:
            binds = Binds()
            by = [self.columns.comparable(name).column for name in aggregate.by]
            made = sa.select(*wanted.selected).select_from(self._built)
            made = made.where(predicate(shape, self.columns, binds)).group_by(*by).order_by(*by)
            return _limited(made, binds) if limited else made

        statement = self._cache.get(("aggregate", aggregate.measures, aggregate.by, shape, limited), make)
        return (statement.sql, statement.bindings(bound)), wanted.decode

    def update(self, where: Condition, changes: Mapping[str, Any], version: int | None, *, bump: bool) -> Bound:
        """Return the update of the rows that a condition is true of.

        With ``bump`` their versions go up by one, where the changes do not say otherwise.
        """
        bump = bump and "version" not in changes
        names = tuple(changes)
        bound = [self._encoded(name, value) for name, value in changes.items()]
        shape = outline(where, self.columns, bound)
        if version is not None:
            bound.append(version)

        def make() -> Any:
            binds = Binds()
            values: dict[str, Any] = {name: binds.next() for name in names}
            if bump:
                values["version"] = plain(self._built.c.version).op("+")(sa.literal_column("1"))
            return self._versioned(sa.update(self._built).values(values), shape, version is not None, binds)

        statement = self._cache.get(("update", names, shape, version is not None, bump), make)
        return statement.sql, statement.bindings(bound)

    def delete(self, where: Condition, version: int | None) -> Bound:
        """Return the deletion of the rows that a condition is true of."""
        bound: list[Any] = []
        shape = outline(where, self.columns, bound)
        if version is not None:
            bound.append(version)

        def make() -> Any:
            return self._versioned(sa.delete(self._built), shape, version is not None, Binds())

        statement = self._cache.get(("delete", shape, version is not None), make)
        return statement.sql, statement.bindings(bound)

    def _get(self, shape: Outline) -> Statement:
        def make() -> Any:
            binds = Binds()
            by_id = plain(self._built.c.id) == binds.next()
            return sa.select(*self._selected).where(by_id, predicate(shape, self.columns, binds))

        return self._cache.get(("get", shape), make)

    def _select(self, shape: Outline, sort: tuple[Sort, ...], limited: bool) -> Any:
        binds = Binds()
        made = sa.select(*self._selected).where(predicate(shape, self.columns, binds))
        made = made.order_by(*self._order(sort, self._built.c))
        return _limited(made, binds) if limited else made

    def _select_per(self, shape: Outline, sort: tuple[Sort, ...], limited: bool, per: str) -> Any:
        binds = Binds()
        number = sa.func.row_number().over(
            partition_by=self.columns.comparable(per).column, order_by=self._order(sort, self._built.c) or None
        )
        inner = sa.select(*self._selected, number.label("mainstay_row"))
        within = inner.where(predicate(shape, self.columns, binds)).subquery()
        made = sa.select(*[within.c[name] for name in self.columns.by_name])
        if limited:
            made = made.where(within.c.mainstay_row <= binds.next())
        return made.order_by(*self._order(sort, within.c))

    def _order(self, sort: tuple[Sort, ...], columns: Any) -> list[Any]:
        """SQLite sorts null before every value, as is asked for."""
        named = [(columns[self.columns.comparable(by.field).name], by.descending) for by in sort]
        return [column.desc() if descending else column.asc() for column, descending in named]

    def _look(self, what: str, where: Condition, made: Callable[[], Any]) -> Bound:
        bound: list[Any] = []
        shape = outline(where, self.columns, bound)
        statement = self._cache.get((what, shape), lambda: made().where(predicate(shape, self.columns, Binds())))
        return statement.sql, statement.bindings(bound)

    def _encoded(self, name: str, value: Any) -> Any:
        column = self.columns[name]
        if name == "id":
            raise UnknownField(f"{self.name}.id is not changed: add another row")
        return None if value is None else column.encode(value)

    def _versioned(self, statement: Any, shape: Outline, versioned: bool, binds: Binds) -> Any:
        statement = statement.where(predicate(shape, self.columns, binds))
        return statement.where(plain(self._built.c.version) == binds.next()) if versioned else statement


def _limited(made: Any, binds: Binds) -> Any:
    """LIMIT as a suffix: SQLAlchemy's own brings OFFSET along for SQLite, with a value of its own."""
    return made.suffix_with(sa.text(f"LIMIT :{binds.name()}"))
