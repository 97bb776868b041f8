"""How long texts and byte strings may be that an index of MariaDB or MySQL holds.

A revision file says that a column is a text. That an index needs a bound is these databases' own matter, and the bound
is the model's ``max_length``: it is brought to the columns beside the revisions, so that the files stay the same for
every database, and a longer ``max_length`` needs none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mainstay.adapters.sql.dialects.mysql import BOUND, MysqlDialect
from mainstay.model.schema import FieldKind
from mainstay.ports.store import Table

if TYPE_CHECKING:
    import sqlalchemy as sa

    from mainstay.adapters.sql.types import ColumnType

_TEXTS = frozenset({FieldKind.STRING, FieldKind.ENUM})


class _Found(NamedTuple):
    """A column as the catalog has it. ``length``: characters or bytes, None for what has no bound of its own."""

    table: str
    column: str
    length: int | None
    nullable: bool
    default: str | None
    has_index: bool


class Bounds:
    """The bounds of a model's columns by table and column; None where a column has none."""

    QUERY = """
        SELECT c.table_name, c.column_name,
            CASE WHEN c.data_type IN ('varchar', 'varbinary') THEN c.character_maximum_length END,
            c.is_nullable = 'YES',
            CASE WHEN c.column_default IS NULL OR version() LIKE '%MariaDB%' THEN c.column_default
                WHEN c.extra LIKE '%DEFAULT_GENERATED%' THEN concat('(', replace(c.column_default, '\\''', ''''), ')')
                ELSE quote(c.column_default) END,
            EXISTS (SELECT 1 FROM information_schema.statistics s WHERE s.table_schema = c.table_schema
                AND s.table_name = c.table_name AND s.index_name = concat('ix_', c.table_name, '_', c.column_name))
        FROM information_schema.columns c
        WHERE c.table_schema = DATABASE() AND c.data_type IN ('varchar', 'varbinary', 'longtext', 'longblob')
        ORDER BY c.table_name, c.ordinal_position
    """

    def __init__(self, tables: Sequence[Table]) -> None:
        dialect = MysqlDialect()
        attributes = [(table.name, each) for table in tables for each in table.shape.attributes]
        self._kinds = {(table, each.name): each.kind for table, each in attributes}
        self._known = {(table, each.name): dialect.bound(each) for table, each in attributes}
        self._bounded = {key for key, kind in self._kinds.items() if kind in _TEXTS or kind is FieldKind.BYTES}

    def typed(self, table: str, column: str, kind: Any, *, indexed: bool = False) -> Any:
        """Return the type of a column with its bound: a file's own, the model's, or what an index needs."""
        from mainstay.adapters.sql.types import Bytes, Text

        if not isinstance(kind, Text | Bytes) or kind.length is not None:
            return kind
        stored = self._kinds.get((table, column))
        same = stored is FieldKind.BYTES if isinstance(kind, Bytes) else stored in _TEXTS
        bound = self._known[table, column] if same else None
        return type(kind)(BOUND if bound is None and indexed else bound)

    def too_short(self, rows: Sequence[Sequence[Any]]) -> list[str]:
        """Return the columns that do not hold what the model allows, of the rows of ``QUERY``."""
        return [
            f"room in {found.table}.{found.column} (it holds {found.length} of {bound or 'any number'})"
            for found, bound in self._differing(rows)
            if found.length is not None
        ]

    def _differing(self, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[_Found, int | None]]:
        """Give the columns that hold less than the model allows, or are not bounded where it has a bound."""
        for row in rows:
            found = _Found(*row)
            key = (found.table, found.column)
            if key in self._bounded:
                bound = self._known[key]
                if found.length != bound and (found.length is None or bound is None or found.length < bound):
                    yield found, bound

    def fit(self, connection: sa.Connection, *, longer: bool = False) -> None:
        """Give the columns that are there the model's bounds. Nothing is made shorter than it was declared.

        With ``longer`` only those that hold too little get more room: others may be written by an older version yet.
        """
        rows = connection.exec_driver_sql(self.QUERY.replace("%", "%%")).fetchall()
        unique = {(table, column) for table, column in connection.exec_driver_sql(_UNIQUE).fetchall()}
        for found, bound in self._differing(rows):
            if longer and found.length is None:
                continue
            if bound is not None or (found.table, found.column) not in unique:
                connection.exec_driver_sql(self._statement(connection, found, bound).replace("%", "%%"))

    def _statement(self, connection: sa.Connection, found: _Found, bound: int | None) -> str:
        quote = connection.dialect.identifier_preparer.quote
        column = quote(found.column)
        kind = self._type(found, bound).mysql_text
        parts = [f"MODIFY {column} {kind} {'NULL' if found.nullable else 'NOT NULL'}"]
        if found.default is not None:
            parts[0] += f" DEFAULT {found.default}"
        if found.has_index:
            index = quote(f"ix_{found.table}_{found.column}")
            room = "" if bound is not None else f"({BOUND})"
            parts = [f"DROP INDEX {index}", *parts, f"ADD INDEX {index} ({column}{room}, id)"]
        return f"ALTER TABLE {quote(found.table)} {', '.join(parts)}"

    def _type(self, found: _Found, bound: int | None) -> ColumnType:
        from mainstay.adapters.sql.types import Bytes, Text

        return (Bytes if self._kinds[found.table, found.column] is FieldKind.BYTES else Text)(bound)


_UNIQUE = """
    SELECT table_name, column_name FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND non_unique = 0
"""
"""Columns of which an index holds the whole: they cannot lose their bound before it is gone."""
