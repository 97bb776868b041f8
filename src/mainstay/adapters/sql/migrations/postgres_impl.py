"""Operations of revision files on PostgreSQL, where they are not what the file says by itself.

As steps they take the forms by which others go on reading and writing: indexes are built concurrently, constraints are
added for new rows first and the rows that are there are looked at after it, and what locks a table out is momentary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic.ddl.postgresql import PostgresqlImpl

from mainstay.adapters.sql.migrations.conversions import has_type, using
from mainstay.adapters.sql.migrations.stepping import SteppingImpl
from mainstay.adapters.sql.types import ColumnType

ONLINE_SECONDS = 600
"""How long a statement waits that holds nobody up while it waits: for transactions that began before it."""

_VALID = sa.text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
_VALIDATED = sa.text("SELECT convalidated FROM pg_constraint WHERE conrelid = to_regclass(:table) AND conname = :name")


class MainstayImpl(SteppingImpl, PostgresqlImpl):
    """Alembic's, with the conversions of values and with indexes in which null comes first.

    A page is sorted so, on every database; an index that is sorted otherwise would not be used for it.
    """

    __dialect__ = "postgresql"

    def alter_column(self, table_name: str, column_name: str, **given: Any) -> None:
        """Alter a column, and convert its values to the new type."""
        old, new = given.get("existing_type"), given.get("type_")
        if isinstance(old, ColumnType) and isinstance(new, ColumnType):
            if self.stepper is not None and self._is_of(table_name, column_name, new):
                given["type_"] = None
            else:
                given["postgresql_using"] = using(old, new).format(self._quoted(column_name))
        if given.get("nullable") is False and self.stepper is not None:
            given["nullable"] = None
            self._fill_up(table_name, column_name)
        super().alter_column(table_name, column_name, **given)

    def create_index(self, index: sa.Index, **given: Any) -> None:
        """Create an index; a field of it that may be null is sorted with null first, where it gives an order."""
        table = index.table
        assert table is not None
        columns = self.inspector().get_columns(table.name)
        nullable = {column["name"] for column in columns if column["nullable"]}
        fields = list(index.columns)
        if not index.unique and any(field.name in nullable for field in fields):
            bare = sa.Table(table.name, sa.MetaData(), *(sa.Column(c.name, c.type) for c in table.columns))
            placed = [_placed(bare.c[field.name], nullable=field.name in nullable) for field in fields]
            index = sa.Index(index.name, *placed)
        if self.stepper is None or not self._has_rows(table.name):
            super().create_index(index, **given)
        else:
            self._build(index)

    def drop_index(self, index: sa.Index, **given: Any) -> None:
        if self.stepper is None:
            super().drop_index(index, **given)
        else:
            name = self._quoted(str(index.name))
            self._online(lambda: self._exec(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))

    def add_constraint(self, const: Any, **given: Any) -> None:
        table = const.table.name
        if self.stepper is None or const.name is None or not self._has_rows(table):
            super().add_constraint(const, **given)
        elif isinstance(const, sa.UniqueConstraint):
            self._add_unique(const)
        elif isinstance(const, sa.ForeignKeyConstraint | sa.CheckConstraint):
            const.dialect_options["postgresql"]["not_valid"] = True
            super().add_constraint(const, **given)
            self._validate(table, str(const.name))
        else:
            super().add_constraint(const, **given)

    def _add_unique(self, const: sa.UniqueConstraint) -> None:
        table, name = str(const.table.name), str(const.name)
        if name in self.constraints(table):
            return
        self._build(sa.Index(name, *(sa.column(c.name) for c in const.columns), unique=True, _table=const.table))
        self.step(
            lambda: self._exec(
                f"ALTER TABLE {self._quoted(table)} ADD CONSTRAINT {self._quoted(name)} "
                f"UNIQUE USING INDEX {self._quoted(name)}"
            ),
            lambda: name in self.constraints(table),
        )

    def _build(self, index: sa.Index) -> None:
        """Build an index while others write. One that a killed runner left half built is dropped, and built anew."""
        name = self._quoted(str(index.name))
        create = str(sa.schema.CreateIndex(index).compile(dialect=self.dialect))

        def build() -> None:
            there = self._scalar(_VALID, name=name)
            if there is False:
                self._exec(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            if not there:
                self._exec(create.replace("INDEX", "INDEX CONCURRENTLY", 1))

        self._online(build)

    def _fill_up(self, table: str, column: str) -> None:
        """Let a column be null no more: by a constraint for new rows, a look at all rows, and then at once."""
        name = f"nn_{table}_{column}"[:63]
        quoted, check, field = self._quoted(table), self._quoted(name), self._quoted(column)
        add = f"ALTER TABLE {quoted} ADD CONSTRAINT {check} CHECK ({field} IS NOT NULL) NOT VALID"

        def is_done() -> bool:
            found = self.column(table, column)
            return found is not None and not found["nullable"]

        if not is_done():
            self.step(
                lambda: self._exec(add),
                lambda: self._scalar(_VALIDATED, table=quoted, name=name) is not None,
            )
            self._validate(table, name)
            self.step(lambda: self._exec(f"ALTER TABLE {quoted} ALTER COLUMN {field} SET NOT NULL"), is_done)
        self.step(
            lambda: self._exec(f"ALTER TABLE {quoted} DROP CONSTRAINT {check}"),
            lambda: self._scalar(_VALIDATED, table=quoted, name=name) is None,
        )

    def _validate(self, table: str, name: str) -> None:
        """Look at the rows that are there, while others read and write them."""

        def validate() -> None:
            if self._scalar(_VALIDATED, table=self._quoted(table), name=name) is False:
                self._exec(f"ALTER TABLE {self._quoted(table)} VALIDATE CONSTRAINT {self._quoted(name)}")

        self._online(validate)

    def _online(self, work: Callable[[], Any]) -> None:
        """Do work outside of a transaction, which holds nobody up however long it waits and takes."""
        assert self.stepper is not None
        before = self._scalar(sa.text("SHOW lock_timeout"))

        def patiently() -> None:
            self._exec(f"SET lock_timeout = '{ONLINE_SECONDS}s'")
            try:
                work()
            finally:
                self._exec(f"SET lock_timeout = '{before}'")

        self.stepper.outside(patiently)

    def _is_of(self, table: str, column: str, kind: ColumnType) -> bool:
        found = self.column(table, column)
        return found is not None and has_type(self.dialect, found["type"], kind)

    def _has_rows(self, table: str) -> bool:
        """Whether an operation could hold somebody up, so that the longer way is worth it."""
        rows = f"SELECT EXISTS (SELECT FROM {self._quoted(table)})"  # noqa: S608 - a quoted name
        return bool(self._scalar(sa.text(rows)))

    def _scalar(self, statement: sa.TextClause, **values: Any) -> Any:
        assert self.connection is not None
        return self.connection.execute(statement, values).scalar()

    def _quoted(self, name: str) -> str:
        return self.dialect.identifier_preparer.quote(name)


def _placed(column: sa.Column[Any], *, nullable: bool) -> Any:
    return column.asc().nulls_first() if nullable else column
