"""What revisions would do to a database: step by step, with what each locks, costs and breaks; nothing is changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import NamedTuple

import sqlalchemy as sa
from alembic.script import ScriptDirectory

from mainstay.adapters.sql.migrations.bounds import Outside, outside
from mainstay.adapters.sql.migrations.database import scratch
from mainstay.adapters.sql.migrations.files import MigrationFault, Phase, Revision, read_chain
from mainstay.adapters.sql.migrations.judging import Judge, Manner, Verdict, manner, said
from mainstay.adapters.sql.migrations.measuring import Breach, Live, Size, breach
from mainstay.adapters.sql.migrations.recording import Note
from mainstay.adapters.sql.migrations.runner import noted, read_script, run_up
from mainstay.adapters.sql.migrations.state import pending_of
from mainstay.adapters.sql.migrations.target import Target
from mainstay.ports.store import Table


class Effect(NamedTuple):
    """One step of a revision; of what size its table is, and which rows it does not take, where that was looked at."""

    kind: str
    step: str
    table: str
    manner: Manner
    verdict: Verdict
    size: Size | None = None
    breach: Breach | None = None

    @property
    def safe(self) -> bool:
        """Whether the version before can serve behind it as it did."""
        return not any(self.verdict)


class Forecast(NamedTuple):
    """One revision: its steps, what is lost as it is run, and what is lost as it is taken back."""

    revision: str
    phase: Phase | None
    effects: tuple[Effect, ...]
    loses: tuple[str, ...]
    loses_back: tuple[str, ...]

    @property
    def safe(self) -> bool:
        """Whether the version before can serve behind it as it did."""
        return all(effect.safe for effect in self.effects)


class Outlook(NamedTuple):
    """What is to come. ``unseen`` says why the live database was not looked at; else it is empty."""

    forecasts: tuple[Forecast, ...]
    outside: tuple[Outside, ...]
    unseen: str


class _Noted(NamedTuple):
    revision: Revision
    up: list[Note]
    down: list[Note]


def forecast(database: Target, directory: Path, planned: Sequence[tuple[str, str]], tables: Sequence[Table]) -> Outlook:
    """Return what revisions would do that a database lacks, and others that are planned: their names and texts.

    A database that is not there, or cannot be reached, is not looked at: then only the planned ones are told.
    """
    with TemporaryDirectory(prefix="mainstay-plan-") as folder:
        files = Path(folder)
        for revision in read_chain(directory):
            copyfile(revision.path, files / revision.path.name)
        for name, text in planned:
            (files / f"{name}.py").write_text(text, "utf-8")
        try:
            current, unseen = _looked_for(database)
        except MigrationFault as fault:
            current, unseen = None, str(fault)
        chain = read_chain(files)
        behind = [name for name, _ in planned] if unseen else pending_of(chain, current) or []
        notes = _all_notes(files, chain, behind)
    if unseen:
        return Outlook(_told(notes, database.dialect, None), (), unseen)
    return database.reading(
        lambda connection: Outlook(
            _told(notes, database.dialect, live := Live(connection)), tuple(outside(tables, live)), ""
        )
    )


def notes_alone(script: ScriptDirectory, name: str, *, up: bool) -> list[Note]:
    """Return what a revision would do, up or down, looked at by itself.

    Of one that asks the database something, as a team's own may, nothing is known.
    """
    with scratch() as empty:
        try:
            return noted(empty, script, name)[0 if up else 1]
        except sa.exc.SQLAlchemyError:
            return []


def obstacles(connection: sa.Connection, notes: Sequence[Note]) -> list[str]:
    """Return what rows of a database are in the way of what would be done: it would fail on them, half done."""
    live, filled, defaults = Live(connection), _filled(notes), _defaults(notes)
    met = ((note, breach(note, live, defaults)) for note in notes if not _is_given(note, filled))
    return [
        f"{said(note)}: {found.rows} rows: {found.why}: {', '.join(found.ids)}"
        for note, found in met
        if found is not None and found.stops and found.rows is not None
    ]


def _looked_for(database: Target) -> tuple[str | None, str]:
    """Return the revision of a database, and why it cannot be looked at."""
    return (database.revision(), "") if database.exists() else (None, f"{database} is not there yet")


def _all_notes(files: Path, chain: list[Revision], behind: Sequence[str]) -> list[_Noted]:
    found: list[_Noted] = []
    script = read_script(files)
    with scratch() as connection:
        for revision in chain:
            if revision.name in behind:
                found.append(_Noted(revision, *noted(connection, script, revision.name)))
            run_up(connection, files, revision.name, script=script)
    return found


def _told(notes: Sequence[_Noted], dialect: str, live: Live | None) -> tuple[Forecast, ...]:
    judge = Judge()
    defaults = _defaults([note for each in notes for note in each.up])
    return tuple(
        Forecast(
            each.revision.name,
            each.revision.phase,
            tuple(_effects(each.up, dialect, judge, live, defaults)),
            tuple(_losses(each.up)),
            tuple(_losses(each.down)),
        )
        for each in notes
    )


def _defaults(notes: Sequence[Note]) -> set[tuple[str, str]]:
    """Return the new columns that all rows get the same value of."""
    return {
        (note.table, note.columns[0])
        for note in notes
        if note.kind == "add column" and note.facts["added"].server_default is not None
    }


def _filled(notes: Sequence[Note]) -> set[tuple[str, tuple[str, ...]]]:
    return {(note.table, note.columns) for note in notes if note.kind == "rows"}


def _is_given(note: Note, filled: Collection[tuple[str, tuple[str, ...]]]) -> bool:
    """Whether rows have a value by the time that they must."""
    return note.kind == "forbid null" and (note.table, note.columns) in filled


def _effects(
    notes: Sequence[Note], dialect: str, judge: Judge, live: Live | None, defaults: Collection[tuple[str, str]]
) -> Iterator[Effect]:
    judge.foresee(notes)
    filled = _filled(notes)
    for note in notes:
        size = None if live is None or not note.table else live.size(note.table)
        broken = None if live is None or _is_given(note, filled) else breach(note, live, defaults)
        yield Effect(note.kind, said(note), note.table, manner(note, dialect), judge.verdict(note), size, broken)


def _losses(notes: Sequence[Note]) -> Iterator[str]:
    two = [note for note in notes if note.kind == "no bridge" and len(note.columns) == 2]
    mirrored = {(note.table, name) for note in two for name in note.columns}  # the other one has the values too
    for note in notes:
        if note.kind == "drop table":
            yield f"the rows of {note.table}"
        elif note.kind == "drop column" and (note.table, note.columns[0]) not in mirrored:
            yield f"the values of {note.table}.{note.columns[0]}"
        elif note.kind == "change type":
            yield f"what {note.table}.{note.columns[0]} cannot hold in its other type"
