"""Operations of revision files on PostgreSQL, where they are not what the file says by itself."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic.ddl.postgresql import PostgresqlImpl

from mainstay.adapters.sql.migrations.conversions import using
from mainstay.adapters.sql.types import ColumnType


class MainstayImpl(PostgresqlImpl):
    """Alembic's, with the conversions of values and with indexes in which null comes first.

    A page is sorted so, on every database; an index that is sorted otherwise would not be used for it.
    """

    __dialect__ = "postgresql"

    def alter_column(self, table_name: str, column_name: str, **given: Any) -> None:
        """Alter a column, and convert its values to the new type."""
        old, new = given.get("existing_type"), given.get("type_")
        if isinstance(old, ColumnType) and isinstance(new, ColumnType):
            quoted = self.dialect.identifier_preparer.quote(column_name)
            given["postgresql_using"] = using(old, new).format(quoted)
        super().alter_column(table_name, column_name, **given)

    def create_index(self, index: sa.Index, **given: Any) -> None:
        """Create an index; a field of it that may be null is sorted with null first, where it gives an order."""
        table, connection = index.table, self.connection
        assert table is not None
        assert connection is not None
        columns = sa.inspect(connection).get_columns(table.name)
        nullable = {column["name"] for column in columns if column["nullable"]}
        fields = list(index.columns)
        if not index.unique and any(field.name in nullable for field in fields):
            bare = sa.Table(table.name, sa.MetaData(), *(sa.Column(c.name, c.type) for c in table.columns))
            placed = [_placed(bare.c[field.name], nullable=field.name in nullable) for field in fields]
            index = sa.Index(index.name, *placed)
        super().create_index(index, **given)


def _placed(column: sa.Column[Any], *, nullable: bool) -> Any:
    return column.asc().nulls_first() if nullable else column
