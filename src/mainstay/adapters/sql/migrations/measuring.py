"""What is in a live database: how large tables are, and how many rows a change would meet that it cannot take.

Rows are told by their ids, never by their values. Whatever takes longer than the database's bound on a statement is
left open, and said to be.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from decimal import Decimal as Number
from typing import Any, NamedTuple

import sqlalchemy as sa

from mainstay.adapters.sql.migrations.recording import Note
from mainstay.adapters.sql.types import ColumnType

SAMPLES = 5
"""How many ids are told of rows that are in the way."""

MANY = 5_000_000
"""Rows of a table from which on the server's own estimate is taken instead of a count."""


class Size(NamedTuple):
    """Rows of a table, and its bytes with its indexes (of a SQLite file: all of it); None if not told in time."""

    rows: int | None
    bytes: int | None
    exact: bool = True


class Breach(NamedTuple):
    """Rows that a change does not take: how many (None: not counted in time), a few of their ids, and why.

    ``stops`` says that it fails on them, and not only takes something from them.
    """

    why: str
    rows: int | None
    ids: tuple[str, ...] = ()
    stops: bool = True


class Live:
    """A live database that is only looked at, each table once."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection.execution_options(compiled_cache=None)  # each statement is run once
        self._inspector = sa.inspect(connection)
        self._sizes: dict[str, Size | None] = {}

    @property
    def dialect(self) -> str:
        """The name of its dialect."""
        return self._connection.dialect.name

    def size(self, table: str) -> Size | None:
        """Return the size of a table, or None where it is not there."""
        if table not in self._sizes:
            self._sizes[table] = self._measured(table) if self._inspector.has_table(table) else None
        return self._sizes[table]

    def has(self, table: str, columns: Iterable[str] = ()) -> bool:
        """Whether there is such a table with such columns."""
        if not self._inspector.has_table(table):
            return False
        return set(columns) <= {column["name"] for column in self._inspector.get_columns(table)}

    def _measured(self, table: str) -> Size:
        name = self.quoted(table) if self.dialect == "postgresql" else table
        estimate = self._number(_ESTIMATES.get(self.dialect), table=name)
        size = self._number(_BYTES.get(self.dialect), table=name)
        if estimate is not None and estimate > MANY:
            return Size(estimate, size, exact=False)
        counted = self.asked(sa.select(sa.func.count()).select_from(sa.table(table)))
        return Size(counted[0][0] if counted else None, size)

    def _number(self, statement: str | None, **values: str) -> int | None:
        found = None if statement is None else self.asked(sa.text(statement).bindparams(**values))
        return None if not found or found[0][0] is None else int(found[0][0])

    def quoted(self, name: str) -> str:
        """Return a name as it stands in a statement."""
        return self._connection.dialect.identifier_preparer.quote(name)

    def asked(self, statement: sa.Executable) -> list[Any] | None:
        """Return the rows of a statement, or None where the database gave it up: it took too long."""
        nested = self._connection.begin_nested()
        try:
            found = list(self._connection.execute(statement))
        except sa.exc.DBAPIError as error:
            nested.rollback()
            if not _took_too_long(error):
                raise
            return None
        nested.rollback()
        return found

    def counted(self, why: str, table: str, where: Any) -> Breach | None:
        """Return the rows for which a condition holds, or None where there are none."""
        rows = sa.select(sa.func.count()).select_from(sa.table(table)).where(where)
        found = self.asked(rows)
        if found is None:
            return Breach(why, None)
        if not found[0][0]:
            return None
        return Breach(why, int(found[0][0]), self._ids(table, where))

    def _ids(self, table: str, where: Any) -> tuple[str, ...]:
        if not self.has(table, ("id",)):
            return ()
        ids = sa.select(self._id(table)).select_from(sa.table(table)).where(where).limit(SAMPLES)
        return tuple(_shown(row[0]) for row in self.asked(ids) or ())

    def _id(self, table: str) -> sa.ColumnElement[Any]:
        kind = next(each["type"] for each in self._inspector.get_columns(table) if each["name"] == "id")
        return sa.column("id", kind)

    def looked_through(
        self, why: str, table: str, column: str, kind: ColumnType, fits: Callable[[Any], bool]
    ) -> Breach | None:
        """Return the rows whose value does not fit, found by reading all of them, a few at a time."""
        field = sa.column(column, kind)
        statement = sa.select(self._id(table), field).select_from(sa.table(table)).where(field.is_not(None))
        bad, ids = 0, list[str]()
        for row in self._streamed(statement):
            if not fits(row[1]):
                bad += 1
                if len(ids) < SAMPLES:
                    ids.append(_shown(row[0]))
        return Breach(why, bad, tuple(ids)) if bad else None

    def _streamed(self, statement: sa.Select[Any]) -> Iterator[Any]:
        nested = self._connection.begin_nested()
        try:
            with self._connection.execution_options(yield_per=1000).execute(statement) as rows:
                yield from rows
        finally:
            self._connection.execution_options(yield_per=None, stream_results=False)
            nested.rollback()


_ESTIMATES = {"postgresql": "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(:table)"}
_BYTES = {
    "postgresql": "SELECT pg_total_relation_size(to_regclass(:table))",
    "mysql": "SELECT data_length + index_length FROM information_schema.tables"
    " WHERE table_schema = database() AND table_name = :table",
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size WHERE :table <> ''",  # of all
}


def _took_too_long(error: sa.exc.DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    number = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return state == "57014" or number in (1969, 3024)


def _shown(identity: Any) -> str:
    return identity.hex() if isinstance(identity, bytes) else str(identity)


def breach(note: Note, live: Live, defaults: Collection[tuple[str, str]]) -> Breach | None:
    """Return the rows that an operation would meet and cannot take, or None where there are none, or not yet.

    ``defaults`` are the new columns, by table, that all rows get the same value of.
    """
    if not live.has(note.table):
        return None
    if note.kind == "add unique":
        return _repeated(note, live, defaults)
    if not live.has(note.table, note.columns):
        return None
    match note.kind:
        case "forbid null":
            return live.counted("they hold no value", note.table, sa.column(note.columns[0]).is_(None))
        case "add reference":
            return _orphans(note, live)
        case "add check":
            condition: Any = sa.literal_column(f"NOT ({note.facts['condition']})")
            return live.counted("the rule refuses them", note.table, condition)
        case "change type":
            return _converted(note, live)
    return None


def _repeated(note: Note, live: Live, defaults: Collection[tuple[str, str]]) -> Breach | None:
    why = "they hold a value that another row holds too"
    if not live.has(note.table, note.columns):
        size = live.size(note.table)
        alike = all((note.table, name) in defaults for name in note.columns)
        if size is None or not alike or (size.rows or 0) < 2:
            return None
        return Breach("they all get the same default", size.rows)
    columns: list[Any] = [sa.column(name) for name in note.columns]
    present = [column.is_not(None) for column in columns]
    several = sa.select(*columns).select_from(sa.table(note.table)).where(*present).group_by(*columns)
    # A table by itself: MariaDB would look for the groups anew for each row, which takes the square of their number.
    repeated = several.having(sa.func.count() > 1).subquery("repeated")
    subject: Any = columns[0] if len(columns) == 1 else sa.tuple_(*columns)
    return live.counted(why, note.table, subject.in_(sa.select(*repeated.c)))


def _orphans(note: Note, live: Live) -> Breach | None:
    why = f"they refer to rows that are not in {note.facts['target']}"
    own: Any = sa.column(note.columns[0])
    if not live.has(note.facts["target"], ("id",)):
        return live.counted(why, note.table, own.is_not(None))
    target = sa.table(note.facts["target"], sa.column("id")).alias("target")
    outer: Any = sa.literal_column(f"{live.quoted(note.table)}.{live.quoted(note.columns[0])}")
    return live.counted(why, note.table, sa.and_(own.is_not(None), ~sa.exists().where(target.c.id == outer)))


def _converted(note: Note, live: Live) -> Breach | None:
    old, new = note.facts["old"], note.facts["new"]
    if not isinstance(old, ColumnType) or not isinstance(new, ColumnType):
        return None
    fits = _fitting(old, new)
    if fits is None:
        return None
    cut = old.kind not in _TEXTS
    why = "digits of their value are cut off" if cut and new.kind != "boolean" else f"their value is no {new.kind}"
    found = live.looked_through(why, note.table, note.columns[0], old, fits)
    return None if found is None else found._replace(stops=not cut)


_TEXTS = frozenset({"text", "enum"})


def _fitting(old: ColumnType, new: ColumnType) -> Callable[[Any], bool] | None:
    """Return what says whether a value of one type is one of another as it is, or None where each is."""
    if new.kind in ("integer", "decimal") and old.kind in ("decimal", "float"):
        step = Number(1).scaleb(-getattr(new, "places", 0))
        return lambda value: Number(str(value)) % step == 0
    if new.kind == "boolean":
        return lambda value: value in (0, 1)
    if old.kind in _TEXTS and new.kind in ("uuid", "datetime", "date", "time"):
        decode = new.decoder()
        return lambda value: _is_decoded(decode, value)
    return None


def _is_decoded(decode: Callable[[Any], Any], value: Any) -> bool:
    try:
        decode(value)
    except (ValueError, TypeError):
        return False
    return True
