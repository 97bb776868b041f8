"""What a revision would do, without doing it: its file is run on operations that take notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic.ddl.impl import DefaultImpl
from alembic.migration import MigrationContext
from alembic.operations import Operations

from mainstay.adapters.sql.migrations.operating import operating

_OPTION = "mainstay_recorder"


class Note(NamedTuple):
    """One operation: its kind, its table, the columns it is about, and what else is to be known of it."""

    kind: str
    table: str
    columns: tuple[str, ...]
    facts: Mapping[str, Any]


class Recorder:
    """Takes notes, in the order of the operations."""

    def __init__(self) -> None:
        self.notes: list[Note] = []

    def note(self, kind: str, table: str, *columns: str, **facts: Any) -> None:
        """Take a note."""
        self.notes.append(Note(kind, str(table), columns, facts))  # SQLAlchemy's names are texts of their own class


def recorder_of(context: MigrationContext) -> Recorder | None:
    """Return the recorder of a run, or None where it is carried out."""
    found: Recorder | None = context.opts.get(_OPTION)
    return found


def recording_options(recorder: Recorder) -> dict[str, Any]:
    """Return the options of Alembic's context by which steps find the recorder."""
    return {_OPTION: recorder}


class RecordingImpl(DefaultImpl):
    """Alembic's operations, noted."""

    def __init__(self, recorder: Recorder, of: DefaultImpl) -> None:
        super().__init__(of.dialect, of.connection, False, False, None, of.context_opts)
        self._note = recorder.note

    def create_table(self, table: sa.Table, **_: Any) -> None:
        self._note("create table", table.name)

    def drop_table(self, table: sa.Table, **_: Any) -> None:
        self._note("drop table", table.name)

    def rename_table(self, old_table_name: str, new_table_name: Any, *_: Any, **__: Any) -> None:
        self._note("rename table", old_table_name, new=str(new_table_name))

    def add_column(self, table_name: str, column: sa.Column[Any], **_: Any) -> None:
        self._note("add column", table_name, str(column.name), added=column)

    def drop_column(self, table_name: str, column: sa.Column[Any], **_: Any) -> None:
        self._note("drop column", table_name, str(column.name))

    def create_index(self, index: sa.Index, **_: Any) -> None:
        assert index.table is not None
        columns = (str(column.name) for column in index.columns)
        self._note("create index", index.table.name, *columns, name=str(index.name), unique=bool(index.unique))

    def drop_index(self, index: sa.Index, **_: Any) -> None:
        assert index.table is not None
        self._note("drop index", index.table.name, name=str(index.name))

    def add_constraint(self, const: Any, **_: Any) -> None:
        columns = tuple(str(column.name) for column in getattr(const, "columns", ()))
        name = str(const.name)
        match const:
            case sa.UniqueConstraint():
                self._note("add unique", const.table.name, *columns, name=name)
            case sa.ForeignKeyConstraint():
                target = next(iter(const.elements)).target_fullname.partition(".")[0]
                self._note("add reference", const.table.name, *columns, name=name, target=target)
            case sa.CheckConstraint():
                self._note("add check", const.table.name, name=name, condition=str(const.sqltext))
            case _:
                self._note("add constraint", const.table.name, *columns, name=name)

    def drop_constraint(self, const: Any, **_: Any) -> None:
        unique = isinstance(const, sa.UniqueConstraint)
        self._note("drop constraint", const.table.name, name=str(const.name), unique=unique)

    def alter_column(self, table_name: str, column_name: str, **given: Any) -> None:
        name, kind, default = given.get("name"), given.get("type_"), given.get("server_default", False)
        if name is not None:
            self._note("rename column", table_name, column_name, new=name)
        if kind is not None:
            self._note("change type", table_name, column_name, old=given.get("existing_type"), new=kind)
        if given.get("nullable") is not None:
            self._note("allow null" if given["nullable"] else "forbid null", table_name, column_name)
        if default is not False:
            self._note("no default" if default is None else "set default", table_name, column_name)

    def _exec(self, construct: Any, *_: Any, **__: Any) -> Any:
        """Any other statement, of the team's own."""
        self._note("statement", "", text=" ".join(str(construct).split()))
        return None


@contextmanager
def recording(context: MigrationContext, recorder: Recorder) -> Iterator[None]:
    """Have the operations of revision files noted."""
    context.impl = RecordingImpl(recorder, context.impl)
    operations = Operations(context)
    batched = operations.batch_alter_table

    def altered(table_name: str, **given: Any) -> Any:
        """Have no table copied: whether that is needed is the dialect's part."""
        return batched(table_name, **{**given, "recreate": "never"})

    # Of this object alone: a file that is recorded finds its own form of batches there, and nobody else does.
    operations.batch_alter_table = altered  # type: ignore[method-assign,assignment]
    with operating(operations):
        yield
