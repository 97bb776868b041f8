"""What of a revision is done already, where the database has no transaction for it.

MariaDB and MySQL commit at every change of a schema, so a revision that is stopped half-way leaves the half that was
done. Each of its statements is written into a table before it is run, with a fingerprint of the schema as it was, and
marked when it is done. Rows are changed in one transaction with that mark. A change of the schema whose mark is missing
has been made where the schema is not as it was: these servers make each one whole or not at all (MariaDB 10.6, MySQL
8.0). So the next runner goes on behind the last statement that was done, wherever the one before it was killed.
"""

# ruff: noqa: S608 - names and constants
from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from mainstay.adapters.sql.migrations.files import MigrationFault
from mainstay.adapters.sql.migrations.state import VERSION_TABLE

if TYPE_CHECKING:
    import sqlalchemy as sa

TABLE = "mainstay_migration_step"
"""The journal: there only while a revision is run, and after one that was stopped."""

_MAKE = f"""
    CREATE TABLE IF NOT EXISTS {TABLE} (
        number INT NOT NULL PRIMARY KEY, statement LONGTEXT NOT NULL, schema_before CHAR(32) NOT NULL,
        done TINYINT NOT NULL
    ) ENGINE=InnoDB CHARACTER SET utf8mb4
"""
_REVISION = 0
"""The number under which the revision stands, before those of its statements."""
_READING = re.compile(
    r"[\s(]*(?:(?:SELECT|SHOW|DESC|DESCRIBE|EXPLAIN|VALUES|TABLE|SET|SAVEPOINT|RELEASE|ROLLBACK)\b|WITH\b(?!.*\b(?:UPDATE|DELETE)\b))",
    re.IGNORECASE | re.DOTALL,
)
_VERSION = re.compile(rf"\s*(?P<verb>CREATE TABLE|INSERT INTO|UPDATE|DELETE FROM) `?{VERSION_TABLE}\b", re.IGNORECASE)
_COUNTER = re.compile(r" AUTO_INCREMENT=\d+")
_ROUTINES = """
    SELECT routine_type, routine_name, routine_definition FROM information_schema.routines
    WHERE routine_schema = DATABASE()
"""


def revision_in_journal(connection: sa.Connection) -> str:
    """Return the revision that was stopped, and which way, as it was told to the journal; empty where there is none."""
    if not _is_there(connection):
        return ""
    statement = f"SELECT statement FROM {TABLE} WHERE number = {_REVISION}"
    return str(connection.exec_driver_sql(statement).scalar() or "")


def _is_there(connection: sa.Connection) -> bool:
    found = connection.exec_driver_sql(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s", (TABLE,)
    )
    return found.fetchone() is not None


class Journal:
    """The journal of one run: it stands between SQLAlchemy and the driver, and sees every statement.

    ``revision`` is the one that is run, and which way.
    """

    def __init__(self) -> None:
        self.revision = ""
        self._number = 0
        self._stored: dict[int, tuple[str, str, bool]] = {}
        self._made = False
        self._beside = False

    def beside(self, work: Callable[[], Any]) -> None:
        """Do what prepares the next statement: changes of rows that can be done twice, each committed by itself.

        They have no numbers. Where that statement is done, there is nothing to prepare.
        """
        if self._stored.get(self._number + 1, ("", "", False))[2]:
            return
        self._beside = True
        try:
            work()
        finally:
            self._beside = False

    @property
    def told(self) -> str:
        """How much is done of the revision that was stopped."""
        done = sum(done for number, (_, _, done) in self._stored.items() if number != _REVISION)
        return (
            f"{done} statements of the revision are done, and will not be run again"
            if done
            else "nothing of it is done"
        )

    @property
    def lies_open(self) -> bool:
        """Whether a revision was stopped half-way."""
        return bool(self._stored)

    @contextmanager
    def kept(self, connection: sa.Connection) -> Iterator[None]:
        """Keep the journal of what a connection runs. It is gone behind a run that came to its end."""
        from sqlalchemy import event

        engine = connection.engine
        heard = {"do_execute": self._execute, "do_executemany": self._execute_many}
        for name, function in heard.items():
            event.listen(engine, name, function)
        try:
            yield
        finally:
            for name, function in heard.items():
                event.remove(engine, name, function)
        self.sweep(connection)

    def sweep(self, connection: sa.Connection) -> None:
        """Take the table away, where nothing stands in it any more."""
        if self._made and not self._stored:
            connection.exec_driver_sql(f"DROP TABLE {TABLE}")

    def read(self, connection: sa.Connection) -> None:
        """Look at what a run before has left."""
        self._made = _is_there(connection)
        if self._made:
            rows = connection.exec_driver_sql(f"SELECT number, statement, schema_before, done FROM {TABLE}").fetchall()
            self._stored = {number: (statement, before, bool(done)) for number, statement, before, done in rows}

    def _execute(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        return self._take(
            context, statement, lambda: context.dialect.do_execute(cursor, statement, parameters, context)
        )

    def _execute_many(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        return self._take(
            context, statement, lambda: context.dialect.do_executemany(cursor, statement, parameters, context)
        )

    def _take(self, context: Any, statement: str, run: Any) -> bool:
        """Run a statement, unless it is done; return True: SQLAlchemy is not to run it."""
        wire = _Wire(context.root_connection.connection)
        version = _VERSION.match(statement)
        if version is not None:
            run()
            if version["verb"].upper() != "CREATE TABLE":
                self._end_revision(wire)
        elif _READING.match(statement):
            run()
        elif self._beside:
            run()
            wire.commit()
        else:
            self._number += 1
            if not self._is_done(wire, statement):
                self._run(wire, statement, run)
        return True

    def _end_revision(self, wire: _Wire) -> None:
        """The revision is done: what is known of its statements goes in the transaction that says so."""
        if self._made:
            wire.change(f"DELETE FROM {TABLE}")
        wire.commit()
        self._number, self._stored = 0, {}

    def _is_done(self, wire: _Wire, statement: str) -> bool:
        stored, before, done = self._stored.get(self._number, ("", "", False))
        if not stored or (not done and before == wire.fingerprint()):
            return False
        if _name(stored) != _name(statement):
            raise MigrationFault(
                f"a migration was stopped behind {_name(stored)} ..., in the place of which is {_name(statement)} ... "
                "now: run again what was stopped (mainstay db migrate, or rollback), with the files that it had"
            )
        if not done:
            self._mark(wire, stored, before)
        return True

    def _run(self, wire: _Wire, statement: str, run: Any) -> None:
        if not self._made:
            wire.change(_MAKE)
            self._made = True
        before = wire.fingerprint()
        wire.change(
            f"REPLACE INTO {TABLE} VALUES ({_REVISION}, %s, '', 1), (%s, %s, %s, 0)",
            (self.revision, self._number, statement, before),
        )
        wire.commit()
        self._stored[self._number] = (statement, before, False)
        run()
        self._mark(wire, statement, before)

    def _mark(self, wire: _Wire, statement: str, before: str) -> None:
        wire.change(f"UPDATE {TABLE} SET done = 1 WHERE number = %s", (self._number,))
        wire.commit()
        self._stored[self._number] = (statement, before, True)


class _Wire:
    """The connection below SQLAlchemy: what is asked there is not in the journal."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def change(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        cursor = self._connection.cursor()
        try:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            cursor.close()

    def commit(self) -> None:
        self._connection.commit()

    def fingerprint(self) -> str:
        """Return what stands for the whole schema, the journal left out."""
        tables = [row[0] for row in self.change("SHOW TABLES") if row[0] != TABLE]
        made = [self.change(f"SHOW CREATE TABLE `{name.replace('`', '``')}`")[0][1] for name in sorted(tables)]
        triggers = [row[:5] for row in self.change("SHOW TRIGGERS")]  # the rest tells who made it, and when
        others = sorted(map(str, (*triggers, *self.change(_ROUTINES))))
        return blake2b(_COUNTER.sub("", "\n".join([*made, *others])).encode(), digest_size=16).hexdigest()


def _name(statement: str) -> str:
    """Return the words that say what a statement is about: what is behind them may rest on what was done since."""
    return " ".join(statement.split()[:3])
