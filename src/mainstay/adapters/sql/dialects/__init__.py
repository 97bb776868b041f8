"""What differs between the databases: how values are stored and bound, and the words of a few expressions."""

from mainstay.adapters.sql.dialect import Dialect
from mainstay.adapters.sql.dialects.mysql import MysqlDialect
from mainstay.adapters.sql.dialects.postgres import PostgresDialect
from mainstay.adapters.sql.dialects.sqlite import SqliteDialect

__all__ = ["MysqlDialect", "PostgresDialect", "SqliteDialect", "dialect_named"]


def dialect_named(name: str) -> Dialect:
    """Return the ways of a database by the name that SQLAlchemy has for it. Raises ``LookupError``."""
    for dialect in (SqliteDialect, PostgresDialect, MysqlDialect):
        if dialect.name == name:
            return dialect()
    raise LookupError(f"there is no dialect for {name}")
