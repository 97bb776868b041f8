"""The settings of one database file, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Synchronous = Literal["full", "normal", "off"]
Row = tuple[Any, ...]  # of int, float, str, bytes or None; the layer above knows each column's type


@dataclass(frozen=True, slots=True)
class Options:
    """How one file is opened and shared. Seconds are real time; see :class:`SqliteEngine` for each meaning."""

    path: Path
    synchronous: Synchronous = "full"
    group_seconds: float = 0.005
    group_calls: int = 256
    turn_seconds: float = 5.0
    busy_seconds: float = 5.0
    queue_limit: int = 1024
    inline_read_seconds: float = 0.001
    readers: int = 4
    snapshots: int = 32
    snapshot_seconds: float = 60.0
    wal_limit_bytes: int = 64 * 1024 * 1024
    statement_cache: int = 512
    memory_bytes: int = 8 * 1024 * 1024
    vfs: str | None = None

    def __post_init__(self) -> None:
        if self.synchronous not in ("full", "normal", "off"):
            raise ValueError(f"synchronous is {self.synchronous!r}: use full, normal or off")
        for name in ("group_calls", "queue_limit", "readers", "snapshots", "statement_cache"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be at least 1")
        for name in ("group_seconds", "turn_seconds", "busy_seconds", "inline_read_seconds", "snapshot_seconds"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}: it must be a number of seconds above 0")
        for name in ("wal_limit_bytes", "memory_bytes"):
            if getattr(self, name) < 1024 * 1024:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be at least 1 MiB")


class Statistics:
    """Plain counters, changed in place and read when metrics are scraped. All count since the engine was made."""

    __slots__ = (
        "calls",
        "checkpoints",
        "commits",
        "expired",
        "groups",
        "interrupted",
        "lost",
        "reads_in_thread",
        "reads_inline",
        "rolled_back",
        "turn_waits",
        "wal_pages",
    )

    def __init__(self) -> None:
        self.groups = 0  # groups opened
        self.commits = 0  # groups committed
        self.calls = 0  # turns given; calls / groups is the mean size of a group
        self.turn_waits = 0  # turns that were not given at once
        self.rolled_back = 0  # turns rolled back alone, for whatever reason
        self.expired = 0  # of those: held over the bound
        self.lost = 0  # groups whose transaction SQLite rolled back, or whose commit failed
        self.reads_inline = 0
        self.reads_in_thread = 0
        self.interrupted = 0  # reads begun inline and run again in a thread
        self.checkpoints = 0
        self.wal_pages = 0  # pages in the log at the last commit of this process: a gauge
