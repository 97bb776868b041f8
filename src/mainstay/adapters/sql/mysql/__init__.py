"""The statement-level engine for MariaDB and MySQL: connections and claims. It knows nothing of entities."""

from mainstay.adapters.sql.mysql.engine import MysqlEngine
from mainstay.adapters.sql.mysql.link import Link
from mainstay.adapters.sql.mysql.options import Options

__all__ = ["Link", "MysqlEngine", "Options"]
