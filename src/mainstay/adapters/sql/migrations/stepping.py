"""Steps that each commit by themselves: a step that is done is found to be, one that meets a lock lets others by.

A revision with a phase is carried out so on a server that others work on. Whoever is killed between two steps, or in
one, is followed by a runner that begins the revision anew and passes over what is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import sqlalchemy as sa
from alembic.ddl.impl import DefaultImpl
from alembic.migration import MigrationContext

from mainstay.adapters.sql.migrations.files import MigrationFault

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 4.0
"""Seconds between two tries for a lock: those that had queued behind the first work off their calls."""

BATCH = 2000
"""Rows of a batch: what one of them locks, it locks for some milliseconds."""

_OPTION = "mainstay_stepper"
_BUSY = frozenset({"55P03", "40P01", "40001"})  # of PostgreSQL: a lock not had in time, a deadlock, a conflict
_MYSQL_BUSY = frozenset({1205, 1213})  # of MariaDB and MySQL: the same

Work = Callable[[], Any]


def never() -> bool:
    """Say that a step is to be done in any case: to do it twice is to do it once."""
    return False


def is_busy(error: sa.exc.DBAPIError) -> bool:
    """Whether a statement was given up because others hold what it needs: it may be tried again."""
    number = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return getattr(error.orig, "sqlstate", None) in _BUSY or (isinstance(number, int) and number in _MYSQL_BUSY)


def pauses() -> Iterator[float]:
    """Yield the seconds to pause before each new try."""
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE)


class Stepper:
    """Carries out steps on a connection, each for ``wait_seconds`` at most.

    Between two of them a transaction is open in which nothing has happened: Alembic would begin one of its own.
    """

    def __init__(self, connection: sa.Connection, wait_seconds: float) -> None:
        self.connection = connection
        self._wait_seconds = wait_seconds

    def step(self, work: Work, done: Callable[[], bool] = never) -> None:
        """Do work in a transaction and commit it, where it is not done; again where a lock was not had in time.

        Raises ``MigrationFault`` where it never was. What was committed before stays.
        """

        def committed() -> None:
            if not done():
                work()
            self.connection.commit()

        self._tried(committed)
        self.connection.begin()

    def outside(self, work: Work) -> None:
        """Do work outside of any transaction, for statements that cannot be in one, or should not be; again likewise.

        It has to find out by itself how far it has come.
        """
        self.connection.commit()
        self.connection.execution_options(isolation_level="AUTOCOMMIT")
        try:
            self._tried(work)
        finally:
            self.connection.rollback()
            self.connection.execution_options(isolation_level=self.connection.default_isolation_level)
        self.connection.begin()

    def _tried(self, work: Work) -> None:
        deadline = time.monotonic() + self._wait_seconds
        for pause in pauses():
            try:
                work()
            except sa.exc.DBAPIError as error:
                self.connection.rollback()
                if not is_busy(error):
                    raise
                if time.monotonic() + pause > deadline:
                    raise self._gave_up(error) from error
            else:
                return
            time.sleep(pause)

    def _gave_up(self, error: sa.exc.DBAPIError) -> MigrationFault:
        statement = " ".join((error.statement or "a statement").split())
        return MigrationFault(
            f"a lock was not to be had within {self._wait_seconds:g} s, for: {statement[:200]}: what was done before "
            "stays done; end the transaction that works on that table for long, and run this again"
        )


def stepper_of(context: MigrationContext) -> Stepper | None:
    """Return the stepper of a run, or None where the whole revision is one transaction."""
    found: Stepper | None = context.opts.get(_OPTION)
    return found


def stepping_options(stepper: Stepper | None) -> dict[str, Any]:
    """Return the options of Alembic's context by which operations find the stepper."""
    return {} if stepper is None else {_OPTION: stepper}


Stepping = Callable[[Work], None]
"""Carries out a part of a change of rows, and commits it."""

BESIDE = "mainstay_beside"
"""Where a connection tells how it does so beside what it notes of the statements of a revision."""


def change_rows(
    connection: sa.Connection, stepper: Stepper | None, table: str, values: Mapping[str, str], where: str
) -> None:
    """Set columns to SQL expressions in the rows that a condition names: in batches, where these can be committed.

    With a stepper the batches are the change. Where they are committed beside a journal, what they have left to do is
    done by one statement, which the journal knows.
    """
    keys = sa.inspect(connection).get_pk_constraint(table)["constrained_columns"]
    changed = sa.table(table, *(sa.column(name) for name in values))
    update = sa.update(changed).values({name: sa.literal_column(text) for name, text in values.items()})
    update = update.where(sa.literal_column(f"({where})"))
    beside: Stepping | None = connection.info.get(BESIDE)
    if len(keys) == 1 and stepper is not None:
        connection.commit()
        _in_batches(connection, keys[0], update, stepper.step)
        return
    if len(keys) == 1 and beside is not None:
        _in_batches(connection, keys[0], update, beside)
    connection.execute(update)


def _in_batches(connection: sa.Connection, name: str, update: sa.Update, step: Stepping) -> None:
    table = str(update.table.description)
    kind = next(each["type"] for each in sa.inspect(connection).get_columns(table) if each["name"] == name)
    key: sa.ColumnElement[Any] = sa.column(name, kind)
    ids = sa.select(key).select_from(update.table).order_by(key).offset(BATCH - 1).limit(1)
    last: Any = None
    while True:
        behind = [] if last is None else [key > last]
        bound = connection.execute(ids.where(*behind)).scalar()
        within = behind if bound is None else [*behind, key <= bound]
        step(partial(connection.execute, update.where(*within)))
        if bound is None:
            return
        last = bound


class SteppingImpl(DefaultImpl):
    """Operations that are steps where there is a stepper: each looks whether it is done, and is committed by itself.

    A dialect's own operations inherit from this before Alembic's, and may do more where the engine has online forms.
    """

    @property
    def stepper(self) -> Stepper | None:
        """The stepper of this run."""
        found: Stepper | None = self.context_opts.get(_OPTION)
        return found

    def step(self, work: Work, done: Callable[[], bool] = never) -> None:
        """Do work: as a step, or within the transaction of the revision."""
        if self.stepper is None:
            work()
        else:
            self.stepper.step(work, done)

    def inspector(self) -> sa.Inspector:
        """Return what looks at the schema as it is now."""
        assert self.connection is not None
        return sa.inspect(self.connection)

    def column(self, table: str, name: str) -> dict[str, Any] | None:
        """Return what the schema says of a column, or None where there is no such one."""
        inspector = self.inspector()
        if not inspector.has_table(table):
            return None
        return next((dict(each) for each in inspector.get_columns(table) if each["name"] == name), None)

    def constraints(self, table: str) -> set[str]:
        """Return the names of the unique constraints and the references of a table."""
        inspector = self.inspector()
        if not inspector.has_table(table):
            return set()
        named = (*inspector.get_unique_constraints(table), *inspector.get_foreign_keys(table))
        return {str(each["name"]) for each in named}

    def indexes(self, table: str) -> set[str]:
        """Return the names of the indexes of a table."""
        inspector = self.inspector()
        return {str(each["name"]) for each in inspector.get_indexes(table)} if inspector.has_table(table) else set()

    def create_table(self, table: sa.Table, **given: Any) -> None:
        create = super().create_table
        self.step(lambda: create(table, **given), lambda: self.inspector().has_table(table.name))

    def drop_table(self, table: sa.Table, **given: Any) -> None:
        drop = super().drop_table
        self.step(lambda: drop(table, **given), lambda: not self.inspector().has_table(table.name))

    def add_column(self, table_name: str, column: sa.Column[Any], **given: Any) -> None:
        add = super().add_column
        self.step(
            lambda: add(table_name, column, **given), lambda: self.column(table_name, str(column.name)) is not None
        )

    def drop_column(self, table_name: str, column: sa.Column[Any], **given: Any) -> None:
        drop = super().drop_column
        self.step(lambda: drop(table_name, column, **given), lambda: self.column(table_name, str(column.name)) is None)

    def create_index(self, index: sa.Index, **given: Any) -> None:
        create, table = super().create_index, _table_of(index)
        self.step(lambda: create(index, **given), lambda: str(index.name) in self.indexes(table))

    def drop_index(self, index: sa.Index, **given: Any) -> None:
        drop, table = super().drop_index, _table_of(index)
        self.step(lambda: drop(index, **given), lambda: str(index.name) not in self.indexes(table))

    def add_constraint(self, const: Any, **given: Any) -> None:
        add, table = super().add_constraint, _table_of(const)
        self.step(lambda: add(const, **given), lambda: str(const.name) in self.constraints(table))

    def drop_constraint(self, const: sa.Constraint, **given: Any) -> None:
        drop, table = super().drop_constraint, _table_of(const)
        self.step(lambda: drop(const, **given), lambda: str(const.name) not in self.constraints(table))

    def alter_column(self, table_name: str, column_name: str, **given: Any) -> None:
        alter = super().alter_column
        self.step(lambda: alter(table_name, column_name, **given))


def _table_of(part: Any) -> str:
    table = part.table
    assert table is not None
    return str(table.name)
