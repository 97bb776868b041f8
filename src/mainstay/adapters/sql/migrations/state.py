"""The revision and the columns of a database, read without Alembic: a service asks for them at every start."""

from __future__ import annotations

from pathlib import Path

import apsw

from mainstay.adapters.sql.migrations.files import MigrationFault, Revision

VERSION_TABLE = "mainstay_migration"
"""The table that holds the name of the revision that the database is at."""

BUSY_MS = 5000
"""How long a database that another process holds is waited for."""

_COLUMNS = (
    "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c"
    " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
)


def read_schema(database: Path) -> dict[str, set[str]]:
    """Return the columns of each table that is there. Raises ``MigrationFault`` where they cannot be read."""
    try:
        # It must be able to write: whoever comes after a migration that was killed takes back what its journal holds.
        connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READWRITE)
    except apsw.Error as error:
        raise MigrationFault(f"{database} cannot be opened: {error}") from None
    try:
        connection.set_busy_timeout(BUSY_MS)
        rows = connection.execute(_COLUMNS).fetchall()
    except apsw.BusyError:
        raise MigrationFault(f"{database} is held by another process: end what works on it alone") from None
    except apsw.Error as error:
        raise MigrationFault(f"{database} is no database that can be read: {error}") from None
    finally:
        connection.close()
    schema: dict[str, set[str]] = {}
    for table, column in rows:
        schema.setdefault(str(table), set()).add(str(column))
    return schema


def read_revision(database: Path) -> str | None:
    """Return the revision that a database is at. Raises ``MigrationFault`` where the file is no database."""
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(BUSY_MS)
        found = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall()  # noqa: S608 - a constant
    except apsw.NotADBError as error:
        raise MigrationFault(f"{database} is no SQLite database") from error
    except apsw.SQLError:
        return None  # there is no such table
    finally:
        connection.close()
    return str(found[0][0]) if found else None


def pending_of(chain: list[Revision], current: str | None) -> list[str] | None:
    """Return the revisions that a database lacks, or None where it is at one that the chain does not have."""
    names = [revision.name for revision in chain]
    if current is None:
        return names
    return names[names.index(current) + 1 :] if current in names else None
