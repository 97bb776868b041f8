"""The statement-level engine for SQLite: turns, groups, snapshots and claims. It knows nothing of entities."""

from mainstay.adapters.sql.sqlite.engine import SqliteEngine
from mainstay.adapters.sql.sqlite.errors import (
    ReadersBusy,
    SnapshotTooOld,
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
    "Options",
    "ReadersBusy",
    "Row",
    "Snapshot",
    "SnapshotTooOld",
    "SqliteEngine",
    "Statistics",
    "Synchronous",
    "Turn",
    "TurnEnded",
    "TurnTooLong",
    "WriterBusy",
    "WritesStopped",
]
