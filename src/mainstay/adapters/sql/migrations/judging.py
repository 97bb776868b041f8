"""What an operation of a migration means on a database: what it locks, what it costs, what the version before minds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from mainstay.adapters.sql.migrations.recording import Note
from mainstay.adapters.sql.migrations.stepping import BATCH

Work = Literal["instant", "scan", "rewrite", "index build", "batches", "unknown"]
"""How long it takes, in kind: a change of metadata; a look at each row, or a copy of it; an index over all rows; rows
changed in batches that are committed one by one."""


class Manner(NamedTuple):
    """What an operation locks, in words, and what it costs. ``{0}`` is the table, ``{1}`` the one referred to."""

    locks: str
    work: Work


class Verdict(NamedTuple):
    """What the version before would meet with: in reading, in writing. Nothing where it is fine."""

    reads: str = ""
    writes: str = ""


_BRIEFLY = "ACCESS EXCLUSIVE on {0} for an instant"
_OPEN = "SHARE UPDATE EXCLUSIVE on {0}: reads and writes go on"
_ALONE = "ACCESS EXCLUSIVE on {0}: nobody reads or writes it meanwhile"
_UNSEEN = "a transaction with a snapshot from before that reads it only afterwards finds it empty"
_ROWS = f"the rows of a batch ({BATCH}) in {{0}}"
_POSTGRES: Mapping[str, Manner] = {
    "create table": Manner("the new table; SHARE ROW EXCLUSIVE on those it refers to, for an instant", "instant"),
    "create index": Manner(_OPEN, "index build"),
    "drop index": Manner(_OPEN, "instant"),
    "add unique": Manner(f"{_OPEN}; then {_BRIEFLY}", "index build"),
    "add reference": Manner(f"SHARE ROW EXCLUSIVE on {{0}} and {{1}} for an instant; then {_OPEN}", "scan"),
    "add check": Manner(f"{_BRIEFLY}; then {_OPEN}", "scan"),
    "forbid null": Manner(f"{_BRIEFLY}; then {_OPEN}; then {_BRIEFLY}", "scan"),
    "change type": Manner(f"{_ALONE}; {_UNSEEN}", "rewrite"),
    **dict.fromkeys(("bridge", "keep"), Manner("SHARE ROW EXCLUSIVE on {0} for an instant", "instant")),
    **dict.fromkeys(("no bridge", "keep no more"), Manner(_BRIEFLY, "instant")),
    "rows": Manner(_ROWS, "batches"),
    "convert": Manner("nothing: it is done as the type is changed", "instant"),
    "statement": Manner("what it says", "unknown"),
}
_META, _SHARED = "the metadata of {0} for an instant", "{0} for writers"
_MYSQL: Mapping[str, Manner] = {
    "create index": Manner(f"{_META}: reads and writes go on", "index build"),
    "add unique": Manner(f"{_META}: reads and writes go on; {_SHARED} where a text gets a bound", "index build"),
    "add reference": Manner(f"{_SHARED}; the metadata of {{1}} for an instant", "rewrite"),
    "add check": Manner(_SHARED, "rewrite"),
    "forbid null": Manner(f"{_META}: reads and writes go on", "rewrite"),
    "allow null": Manner(f"{_META}: reads and writes go on", "rewrite"),
    "change type": Manner(_SHARED, "rewrite"),
    "rows": Manner(_ROWS, "batches"),
    "convert": Manner("nothing: it is done as the type is changed", "instant"),
    "statement": Manner("what it says", "unknown"),
}
_FILE = "the whole file for writers"
_SQLITE: Mapping[str, Manner] = {
    **dict.fromkeys(("create table", "add column", "drop index", "drop table"), Manner(_FILE, "instant")),
    **dict.fromkeys(("bridge", "no bridge", "keep", "keep no more"), Manner(_FILE, "instant")),
    **dict.fromkeys(("rename column", "rename table"), Manner(_FILE, "instant")),
    "create index": Manner(_FILE, "index build"),
    "statement": Manner(_FILE, "unknown"),
}
_MANNERS: Mapping[str, tuple[Mapping[str, Manner], Manner]] = {
    "postgresql": (_POSTGRES, Manner(_BRIEFLY, "instant")),
    "mysql": (_MYSQL, Manner(_META, "instant")),
    "sqlite": (_SQLITE, Manner(_FILE, "rewrite")),
}


def manner(note: Note, dialect: str) -> Manner:
    """Return how an operation is carried out on a database that others use."""
    special, usual = _MANNERS[dialect]
    found = special.get(note.kind, usual)
    return Manner(found.locks.format(note.table, note.facts.get("target", "")), found.work)


class Judge:
    """Knows what a run of revisions has done so far: what is new is nothing that the version before could mind."""

    def __init__(self) -> None:
        self._new: set[tuple[str, str]] = set()
        self._tables: set[str] = set()
        self._bridged: set[tuple[str, str]] = set()

    def foresee(self, notes: Iterable[Note]) -> None:
        """Look at what is to come in the same revision: triggers make up for what comes before them."""
        self._bridged |= {(note.table, column) for note in notes if note.kind == "bridge" for column in note.columns}

    def verdict(self, note: Note) -> Verdict:
        """Return what the version before would meet with after an operation."""
        if note.kind == "create table":
            self._tables.add(note.table)
        if note.kind == "statement":
            return Verdict("not known: read the statement", "not known: read the statement")
        if note.table in self._tables:
            return Verdict()
        if note.kind == "add column":
            return self._added(note)
        if note.columns and {(note.table, name) for name in note.columns} <= self._new:
            return Verdict()
        if note.kind == "allow null" and (note.table, note.columns[0]) in self._bridged:
            return Verdict()
        return _verdicts(note)

    def _added(self, note: Note) -> Verdict:
        column = note.facts["added"]
        if column.nullable and column.server_default is None:
            self._new.add((note.table, note.columns[0]))
        if column.nullable or column.server_default is not None:
            return Verdict()
        return Verdict(writes="it adds rows without this column, which has no default")


def _verdicts(note: Note) -> Verdict:
    named = "it names what is gone"
    match note.kind:
        case "drop table" | "drop column" | "rename table" | "rename column":
            return Verdict(named, named)
        case "change type":
            return Verdict("it reads another type", "it writes another type")
        case "forbid null":
            return Verdict(writes="it may write null")
        case "allow null":
            return Verdict("it cannot read the rows in which the new version writes null")
        case "add unique":
            return Verdict(writes="it may write a value that is there already")
        case "add reference":
            return Verdict(writes="it may refer to a row that is not there")
        case "add check":
            return Verdict(writes="it may write what the rule refuses")
        case "drop constraint" if note.facts["unique"]:
            return Verdict("it may find several rows where it looks for one")
        case "drop index":
            return Verdict("what it finds by this index it finds by looking through the table")
    return Verdict()


_SAID: Mapping[str, str] = {
    "create table": "create the table {table}",
    "drop table": "drop the table {table}",
    "rename table": "rename the table {table} to {new}",
    "add column": "add the column {table}.{column}",
    "drop column": "drop the column {table}.{column}",
    "rename column": "rename the column {table}.{column} to {new}",
    "change type": "change the type of {table}.{column}",
    "forbid null": "let {table}.{column} be null no more",
    "allow null": "let {table}.{column} be null",
    "set default": "give {table}.{column} a default",
    "no default": "take the default of {table}.{column} away",
    "create index": "build the index {name} on {table}",
    "drop index": "drop the index {name} of {table}",
    "add unique": "keep {table}.{column} unique ({name})",
    "add reference": "keep {table}.{column} referring to {target} ({name})",
    "add check": "check the rows of {table} ({name})",
    "add constraint": "add the constraint {name} to {table}",
    "drop constraint": "drop the constraint {name} of {table}",
    "rows": "write {table}.{column} in the rows without it",
    "convert": "bring the values of {table}.{column} over to another type",
    "bridge": "have {table}.{column} written by a trigger while both versions serve",
    "no bridge": "drop the trigger that writes {table}.{column}",
    "keep": "have {table} refuse changes and deletes of its rows",
    "keep no more": "let rows of {table} be changed and deleted",
    "statement": "run {text}",
}


def said(note: Note) -> str:
    """Return an operation in words."""
    known: dict[str, Any] = {"table": note.table, "column": ", ".join(note.columns), **note.facts}
    text = _SAID[note.kind].format_map(known)
    return text if len(text) <= 120 else f"{text[:117]}..."
