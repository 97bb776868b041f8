"""The statement-level engine for SQLite: turns, groups, snapshots and claims. It knows nothing of entities."""

from mainstay.adapters.sql.sqlite.engine import SqliteEngine
from mainstay.adapters.sql.sqlite.errors import (
    ConstraintFailed,
    ConstraintKind,
    ReadersBusy,
    SnapshotTooOld,
    StatementFailed,
    TurnEnded,
    TurnTooLong,
    WriterBusy,
    WritesStopped,
)
from mainstay.adapters.sql.sqlite.locks import Claims
from mainstay.adapters.sql.sqlite.options import Options, Row, Statistics, Synchronous
from mainstay.adapters.sql.sqlite.snapshot import Snapshot
from mainstay.adapters.sql.sqlite.turn import Turn

__all__ = [
    "Claims",
    "ConstraintFailed",
    "ConstraintKind",
    "Options",
    "ReadersBusy",
    "Row",
    "Snapshot",
    "SnapshotTooOld",
    "SqliteEngine",
    "StatementFailed",
    "Statistics",
    "Synchronous",
    "Turn",
    "TurnEnded",
    "TurnTooLong",
    "WriterBusy",
    "WritesStopped",
]
