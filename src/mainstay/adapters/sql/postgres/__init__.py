"""The statement-level engine for PostgreSQL: connections, pools and claims. It knows nothing of entities."""

from mainstay.adapters.sql.postgres.engine import PostgresEngine, ServerUnfit
from mainstay.adapters.sql.postgres.errors import (
    ConnectionLost,
    DatabaseAway,
    PoolExhausted,
    StaleStatement,
    away,
    commit_unknown,
    in_doubt,
    rolled_back,
)
from mainstay.adapters.sql.postgres.link import Link
from mainstay.adapters.sql.postgres.options import Options
from mainstay.adapters.sql.postgres.pool import Pool

__all__ = [
    "ConnectionLost",
    "DatabaseAway",
    "Link",
    "Options",
    "Pool",
    "PoolExhausted",
    "PostgresEngine",
    "ServerUnfit",
    "StaleStatement",
    "away",
    "commit_unknown",
    "in_doubt",
    "rolled_back",
]
