"""The statements of one entity: what a ``Rows`` is asked for, as the text of its shape and the bindings."""

# ruff: noqa: S608 - names are looked up in the model and quoted, values are bound
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from mainstay.adapters.sql.codec import Codec, codec
from mainstay.adapters.sql.columns import Columns, UnknownField
from mainstay.adapters.sql.compile import ALL, StatementCache, led_by, predicate, where_clause
from mainstay.adapters.sql.dialect import Dialect
from mainstay.adapters.sql.figures import figures
from mainstay.adapters.sql.layout import references_of
from mainstay.adapters.sql.outline import Outline, outline
from mainstay.adapters.sql.told import Teller, teller
from mainstay.model.conditions import TRUE, Condition
from mainstay.model.inputs import Sort
from mainstay.ports.rows import Aggregate, Merge, Query
from mainstay.ports.store import Table
from mainstay.ports.uniqueness import Uniqueness, uniqueness

Bound = tuple[str, Sequence[Any]]
"""A statement and its bindings."""

PARTIAL = 32
"""The codecs of rows read without some fields that are kept for one entity: each takes a millisecond to make."""


class Link(NamedTuple):
    """A field that refers to a row of another entity, its place among the columns, and the read that finds that row."""

    field: str
    place: int
    exists: str


class Statements:
    """All statements of one entity, each written at the first use of its shape, those of every call at start-up."""

    def __init__(self, table: Table, dialect: Dialect) -> None:
        self.table = table
        self.name = table.shape.name
        self.columns = Columns(table.shape, dialect, table=table.name)
        self.codec: Codec = codec(self.columns)
        self.one = self.codec.one
        self.unique: Uniqueness = uniqueness(table.shape)
        self.links: tuple[Link, ...] = ()
        self.others: Mapping[str, Statements] = {}
        self.selectable: Any = None  # of the language that `Sql` is asked in, made by it
        self._cache = StatementCache()
        self._partial: dict[tuple[str, ...], Codec] = {}
        self._teller: tuple[Teller | None] | None = None
        self.source = dialect.quoted(table.name)
        self._all = ", ".join(column.sql for column in self.columns.by_name.values())
        self._read = _listed(self.columns)
        places = ", ".join("?" * len(self.columns.by_name))
        self.insert = f"INSERT INTO {self.source} ({self._all}) VALUES ({places})"
        storages = [column.storage for column in self.columns.by_name.values()]
        self.insert_many: str | None = dialect.insert_many(self.source, self._all, storages)
        self.referenced = False  # by other entities
        self._key, self._encode_key = self.columns["id"].sql, self.columns["id"].encode
        self._version = self.columns["version"].sql
        self._get_any = self._get(True)
        self._there = Columns(table.shape, dialect, f"{self.source}.", table.name)

    def link(self, others: Mapping[str, Statements]) -> None:
        """Note the references of this entity. ``others`` are all entities of the store by table name."""
        self.others = others
        names = list(self.columns.by_name)
        found = list(references_of(self.table, [each.table for each in others.values()]))
        for _, target in found:
            others[target.name].referenced = True
        self.links = tuple(
            Link(
                attribute.name,
                names.index(attribute.name),
                f"SELECT 1 FROM {others[target.name].source} WHERE {self._key} = ?",
            )
            for attribute, target in sorted(found, key=lambda each: each[0].name)
        )

    def get(self, id_: UUID, where: Condition) -> Bound:
        """Return the read of one row by its id."""
        if where is TRUE:
            return self._get_any, (self._encode_key(id_),)
        bound: list[Any] = [self._encode_key(id_)]
        return self._get(outline(where, self.columns, bound)), bound

    @property
    def teller(self) -> Teller | None:
        """What tells rows without entities, made at its first use, or None where they cannot be told so."""
        if self._teller is None:
            self._teller = (teller(self.columns),)
        return self._teller[0]

    def select(self, query: Query, *, kept: bool = False) -> Bound:
        """Return the read of rows in order; with ``kept`` of rows that may be told without entities."""
        bound: list[Any] = []
        shape = outline(query.where, self.columns, bound)
        limited = query.limit is not None
        if limited:
            bound.append(query.limit)
        sort, per, unread = query.sort, query.per, query.unread

        def make() -> str:
            if per is not None:
                return self._select_per(shape, sort, limited, per)
            listed = _listed(self.columns, unread, kept=kept)
            return f"{self._from(listed, shape)}{self._order(sort)}{_limit(limited)}"

        return self._cache.get(("select", shape, sort, limited, per, unread, kept), make), bound

    def codec_of(self, query: Query) -> Codec:
        """Return what builds the rows of a read."""
        if not query.unread or query.per is not None:
            return self.codec
        found = self._partial.get(query.unread)
        if found is None:
            if len(self._partial) >= PARTIAL:
                del self._partial[next(iter(self._partial))]
            found = self._partial[query.unread] = codec(self.columns, query.unread)
        return found

    def count(self, where: Condition) -> Bound:
        """Return the count of rows."""
        return self._look("count(*)", where, "")

    def exists(self, where: Condition) -> Bound:
        """Return a read that has a row where there is one."""
        return self._look("1", where, " LIMIT 1")

    def aggregate(self, aggregate: Aggregate) -> tuple[Bound, Callable[[tuple[Any, ...]], tuple[Any, ...]]]:
        """Return the read of figures, and what turns one of its rows into values."""
        bound: list[Any] = []
        shape = outline(aggregate.where, self.columns, bound)
        limited = aggregate.limit is not None
        if limited:
            bound.append(aggregate.limit)
        wanted = figures(self.columns, aggregate)

        def make() -> str:
            by = ", ".join(self.columns.comparable(name).sql for name in aggregate.by)
            grouped = f" GROUP BY {by}{self._order(tuple(map(Sort, aggregate.by)))}" if by else ""
            return f"{self._from(', '.join(wanted.selected), shape)}{grouped}{_limit(limited)}"

        statement = self._cache.get(("aggregate", aggregate.measures, aggregate.by, shape, limited), make)
        return (statement, bound), wanted.decode

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

        def make() -> str:
            values = [f"{self.columns[name].sql} = ?" for name in names]
            if bump:
                values.append(f"{self._version} = {self._version} + 1")
            return f"UPDATE {self.source} SET {', '.join(values)}{self._versioned(shape, version is not None)}"

        return self._cache.get(("update", names, shape, version is not None, bump), make), bound

    def own(self, shape: Outline, make: Callable[[], str]) -> str:
        """Return a statement that one kind of server alone has, written now where it was not."""
        return self._cache.get(shape, make)

    def on_conflict(self, merge: Merge[Any]) -> Bound:
        """Return what follows the insertion of rows that change those that have their values of a unique field.

        It gives the rows that were added or changed. Names stand for the row that is there; what was to be inserted
        is ``excluded``.
        """
        bound: list[Any] = []
        there = self._there
        shape = outline(merge.where, there, bound)
        on, changes, kept = merge.on, merge.changes, merge.kept

        def make() -> str:
            names = [self.columns[name].sql for name in changes]
            values = [f"{name} = excluded.{name}" for name in names]
            values.append(f"{self._version} = {there['version'].sql} + 1")
            only = where_clause(*(self._kept(name) for name in kept), predicate(shape, there))
            return (
                f" ON CONFLICT ({self.columns[on].sql}) DO UPDATE SET {', '.join(values)}{only} "
                f"RETURNING {_listed(there)}"
            )

        return self._cache.get(("merge", on, changes, kept, shape), make), bound

    def delete(self, where: Condition, version: int | None) -> Bound:
        """Return the deletion of the rows that a condition is true of."""
        bound: list[Any] = []
        shape = outline(where, self.columns, bound)
        if version is not None:
            bound.append(version)

        def make() -> str:
            return f"DELETE FROM {self.source}{self._versioned(shape, version is not None)}"

        return self._cache.get(("delete", shape, version is not None), make), bound

    def _kept(self, name: str) -> str:
        """Return the expression that the row that is there has the value already that was to be inserted."""
        there = self._there[name]
        return self.columns.dialect.same(there.sql, f"excluded.{self.columns[name].sql}", there.attribute)

    def _get(self, shape: Outline) -> str:
        def make() -> str:
            by_id = where_clause(f"{self._key} = ?", predicate(shape, self.columns))
            return f"SELECT {self._read} FROM {self.source}{by_id}"

        return self._cache.get(("get", shape), make)

    def _select_per(self, shape: Outline, sort: tuple[Sort, ...], limited: bool, per: str) -> str:
        """Number the rows of each value of ``per`` in their order, and take the first of each."""
        order = self._order(sort)
        over = f"PARTITION BY {self.columns.comparable(per).sql}{order}"
        numbered = f"{self._all}, row_number() OVER ({over}) AS mainstay_row"
        inner = f"SELECT {numbered} FROM {self.source}{where_clause(led_by(per, shape, self.columns))}"
        within = " WHERE mainstay_row <= ?" if limited else ""
        return f"SELECT {self._read} FROM ({inner}) AS numbered{within}{order}"

    def _order(self, sort: tuple[Sort, ...]) -> str:
        named = [self._ordered(by.field, by.descending) for by in sort]
        return f" ORDER BY {', '.join(named)}" if named else ""

    def _ordered(self, field: str, descending: bool) -> str:
        column = self.columns.comparable(field)
        dialect = self.columns.dialect
        return dialect.ordered(column.sql, descending=descending, optional=column.attribute.optional)

    def _look(self, what: str, where: Condition, end: str) -> Bound:
        bound: list[Any] = []
        shape = outline(where, self.columns, bound)
        return self._cache.get((what, shape), lambda: self._from(what, shape) + end), bound

    def _from(self, what: str, shape: Outline) -> str:
        return f"SELECT {what} FROM {self.source}{where_clause(predicate(shape, self.columns))}"

    def _encoded(self, name: str, value: Any) -> Any:
        column = self.columns[name]
        if name == "id":
            raise UnknownField(f"{self.name}.id is not changed: add another row")
        return None if value is None else column.encode(value)

    def _versioned(self, shape: Outline, versioned: bool) -> str:
        return where_clause(predicate(shape, self.columns), f"{self._version} = ?" if versioned else ALL)


def _listed(columns: Columns, unread: tuple[str, ...] = (), *, kept: bool = False) -> str:
    """Return what is selected of columns to read their values."""
    read = (column for column in columns.by_name.values() if column.name not in unread)
    form = columns.dialect.kept if kept else columns.dialect.selected
    return ", ".join(form(column.sql, column.attribute) for column in read)


def _limit(limited: bool) -> str:
    return " LIMIT ?" if limited else ""
