"""The statement-level engine for PostgreSQL: connections and claims. It knows nothing of entities."""

from mainstay.adapters.sql.postgres.engine import PostgresEngine
from mainstay.adapters.sql.postgres.link import Link
from mainstay.adapters.sql.postgres.options import Options

__all__ = ["Link", "Options", "PostgresEngine"]
