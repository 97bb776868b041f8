"""Operations of revision files on MariaDB and MySQL, where they are not what the file says by itself.

How many statements an operation is, and their first words, rest on the file alone: a run that was stopped goes on by
their numbers.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic.ddl.mysql import MySQLImpl

from mainstay.adapters.sql.dialects.mysql import BOUND, MysqlDialect
from mainstay.adapters.sql.migrations.conversions import COLLATIONS, Way, mysql_holds, mysql_way
from mainstay.adapters.sql.migrations.files import MigrationFault
from mainstay.adapters.sql.migrations.mysql_bounds import Bounds
from mainstay.adapters.sql.types import Bytes, ColumnType, Text

_UNBOUNDED = ("LONGTEXT", "LONGBLOB")


class MainstayImpl(MySQLImpl):
    """Alembic's, with the bounds of texts, the order of code points, and the conversions of values."""

    __dialect__ = "mysql"

    @property
    def _open(self) -> sa.Connection:
        assert self.connection is not None
        return self.connection

    @property
    def _bounds(self) -> Bounds:
        found: Bounds = self._open.info.get(Bounds) or Bounds(())
        return found

    def _quote(self, name: str) -> str:
        return str(self.dialect.identifier_preparer.quote(name))

    def create_table(self, table: sa.Table, **given: Any) -> None:
        """Create a table as the store would."""
        unique = {
            column.name
            for each in table.constraints
            if isinstance(each, sa.UniqueConstraint)
            for column in each.columns
        }
        for column in table.columns:
            column.type = self._bounds.typed(table.name, column.name, column.type, indexed=column.name in unique)
        mariadb: bool = getattr(self.dialect, "is_mariadb", True)
        options = MysqlDialect("utf8mb4_nopad_bin" if mariadb else "utf8mb4_0900_bin").table_options
        table.primary_key.name = None  # it is called PRIMARY, and the server would say so each time
        for name, held in options.items():
            table.dialect_options["mysql"].setdefault(name.removeprefix("mysql_"), held)
        super().create_table(table, **given)

    def version_table_impl(self, **given: Any) -> sa.Table:
        """Return the table of the revision."""
        table = super().version_table_impl(**given)
        table.primary_key.name = None
        return table

    def add_column(self, table_name: str, column: sa.Column[Any], **given: Any) -> None:
        """Add a column."""
        column.type = self._bounds.typed(table_name, column.name, column.type, indexed=bool(column.unique))
        super().add_column(table_name, column, **given)

    def create_index(self, index: sa.Index, **given: Any) -> None:
        """Create an index: over the beginning of what has no bound."""
        assert index.table is not None
        there = self._columns(index.table.name)
        lengths = {
            column.name: BOUND
            for column in index.columns
            if column.name in there and str(there[column.name]["type"]).startswith(_UNBOUNDED)
        }
        if lengths and not index.unique:
            index.dialect_options["mysql"]["length"] = lengths
        super().create_index(index, **given)

    def drop_index(self, index: sa.Index, **given: Any) -> None:  # noqa: ARG002 - the form that operations call
        """Drop an index. A reference that rests on it gets one of its own."""
        assert index.table is not None
        self._drop_index(index.table.name, str(index.name))

    def drop_constraint(self, const: Any, **given: Any) -> None:
        """Drop a constraint, and with a reference the index that the server, or ``drop_index``, has made for it."""
        table, name = const.table.name, str(const.name)
        if isinstance(const, sa.UniqueConstraint):
            self._drop_index(table, name)
        elif isinstance(const, sa.ForeignKeyConstraint):
            own = name in {index["name"] for index in sa.inspect(self._open).get_indexes(table)}
            parts = [f"DROP FOREIGN KEY {self._quote(name)}", *([f"DROP INDEX {self._quote(name)}"] if own else ())]
            self._exec(_verbatim(f"ALTER TABLE {self._quote(table)} {', '.join(parts)}"))
        else:
            super().drop_constraint(const, **given)

    def _drop_index(self, table: str, name: str) -> None:
        inspector = sa.inspect(self._open)
        indexes: dict[Any, Any] = {index["name"]: index["column_names"] for index in inspector.get_indexes(table)}
        mine = indexes.pop(name, [])
        others = [*indexes.values(), inspector.get_pk_constraint(table)["constrained_columns"]]
        parts = [f"DROP INDEX {self._quote(name)}"]
        for reference in inspector.get_foreign_keys(table):
            columns = reference["constrained_columns"]
            if mine[: len(columns)] == columns and not any(each[: len(columns)] == columns for each in others):
                listed = ", ".join(map(self._quote, columns))
                parts.append(f"ADD INDEX {self._quote(str(reference['name']))} ({listed})")
        self._exec(_verbatim(f"ALTER TABLE {self._quote(table)} {', '.join(parts)}"))

    def add_constraint(self, const: Any, **given: Any) -> None:
        """Add a constraint. What is to be unique gets a bound in the same statement, where it has none."""
        table = const.table.name
        there = self._columns(table) if isinstance(const, sa.UniqueConstraint) else {}
        parts = [
            f"MODIFY {self._quote(column.name)} {self._spec(table, column.name, there[column.name])}"
            for column in const.columns
            if column.name in there and str(there[column.name]["type"]).startswith(_UNBOUNDED)
        ]
        if not parts:
            super().add_constraint(const, **given)
            return
        columns = ", ".join(self._quote(column.name) for column in const.columns)
        parts.append(f"ADD CONSTRAINT {self._quote(str(const.name))} UNIQUE ({columns})")
        self._exec(_verbatim(f"ALTER TABLE {self._quote(table)} {', '.join(parts)}"))

    def _spec(self, table: str, column: str, there: Any) -> str:
        kind = Bytes() if str(there["type"]).startswith("LONGBLOB") else Text()
        bounded = self._bounds.typed(table, column, kind, indexed=True)
        text = type(kind)(bounded.length or BOUND).mysql_text
        default = "" if there["default"] is None else f" DEFAULT {there['default']}"
        return f"{text} {'NULL' if there['nullable'] else 'NOT NULL'}{default}"

    def alter_column(self, table_name: str, column_name: str, **given: Any) -> None:
        """Alter a column, and convert its values to the new type. What is not said stays as it is."""
        there = self._columns(table_name)[column_name]
        old, new = given.get("existing_type"), given.get("type_")
        if given.get("nullable") is None:
            given["nullable"] = given.get("existing_nullable")
            if given["nullable"] is None:
                given["nullable"] = there["nullable"]
        if new is None:
            given["existing_type"] = _plain(there["type"])
            if given.get("server_default", False) is False and there["default"] is not None:
                given["existing_server_default"] = sa.DefaultClause(sa.text(there["default"].replace(":", "\\:")))
        else:
            indexed = column_name in self._indexed(
                table_name
            )  # without a bound none would hold it: that is taken later
            given["type_"] = self._bounds.typed(table_name, column_name, new, indexed=indexed)
            if isinstance(old, ColumnType) and isinstance(new, ColumnType):
                self._convert(table_name, column_name, mysql_way(old, new), there)
        super().alter_column(table_name, column_name, **given)

    def _convert(self, table: str, column: str, way: Way, there: Any) -> None:
        """Bring values over to what the new type reads, by way of a column that holds both."""
        named, quoted = self._quote(table), self._quote(column)
        if way.form and isinstance(there["type"], sa.Text | sa.String):  # not yet under way
            refused = f"SELECT count(*) FROM {named} WHERE NOT {quoted} REGEXP '{way.form}'"  # noqa: S608 - our words
            number = self._open.execute(_verbatim(refused)).scalar()
            if number:
                raise MigrationFault(
                    f"{number} values of {table}.{column} are not what its new type reads: mend them first"
                )
        if way.through:
            null = "NULL" if there["nullable"] else "NOT NULL"
            self._exec(_verbatim(f"ALTER TABLE {named} MODIFY {quoted} {way.through} {null}"))
        for expression in way.expressions:
            self._exec(_verbatim(f"UPDATE {named} SET {quoted} = {expression.format(quoted)}"))  # noqa: S608 - as above

    def _columns(self, table: str) -> dict[str, Any]:
        return {column["name"]: column for column in sa.inspect(self._open).get_columns(table)}

    def _indexed(self, table: str) -> set[str | None]:
        return {name for index in sa.inspect(self._open).get_indexes(table) for name in index["column_names"]}

    def compare_type(self, inspector_column: sa.Column[Any], metadata_column: sa.Column[Any]) -> bool:
        """Whether a column is of another type than the model's. One that holds longer texts will do."""
        return not mysql_holds(self.dialect, inspector_column.type, metadata_column.type)


def _plain(there: Any) -> Any:
    """Return a type of the catalog without the collation, where it is that of our tables."""
    if getattr(there, "collation", None) not in COLLATIONS:
        return there
    return Text(there.length if isinstance(there, sa.VARCHAR) else None)


def _verbatim(statement: str) -> sa.TextClause:
    """Return a statement in which no colon names a value."""
    return sa.text(statement.replace(":", "\\:"))
