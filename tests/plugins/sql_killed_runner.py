"""Migrations that are killed with SIGKILL before their first, second, ... statement, each on a copy of a database.

Run as a script with the database, the folder of the files and a folder to work in. It prints one JSON line a run: how
the runner ended (null: it came to its end) and what the database holds behind it.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

from mainstay.adapters.sql.migrations import SqliteTarget, migrate


def counted(left: int) -> type[sqlite3.Connection]:
    """Return a class of connections that kill their process before the ``left``-th statement begins."""

    class Counted(sqlite3.Connection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.set_trace_callback(self.begun)

        def begun(self, _: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return Counted


def run_killed(database: Path, files: Path, statement: int) -> int | None:
    """Run a migration in a child that is killed; return the signal, or None where it came to its end."""
    child = os.fork()
    if child == 0:
        connect, factory = sqlite3.connect, counted(statement)
        sqlite3.dbapi2.connect = lambda *args, **kwargs: connect(*args, **{**kwargs, "factory": factory})
        migrate(SqliteTarget(database), files)
        os._exit(0)
    _, ended = os.waitpid(child, 0)
    return os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else None


def held(database: Path) -> dict[str, Any]:
    """Return what a database holds, in a form that does not depend on the order of constraints in a table's text."""
    connection = sqlite3.connect(database)
    schema = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    return {
        "schema": [sorted(line.strip(" \t,") for line in text.splitlines()) for (text,) in schema],
        "children": connection.execute("SELECT id, maker_id, spare_for FROM part ORDER BY id").fetchall(),
        "version": connection.execute("SELECT version_num FROM mainstay_migration").fetchall(),
        "integrity": connection.execute("PRAGMA integrity_check").fetchall(),
    }


if __name__ == "__main__":
    importlib.import_module("mainstay.adapters.sql.migrations.runner")  # once, in the parent, for all children
    importlib.import_module("mainstay.adapters.sql.migrations.database")
    original, files, folder = map(Path, sys.argv[1:4])
    for statement in range(1, 1000):
        copy = folder / f"{statement}.db"
        shutil.copyfile(original, copy)
        ended = run_killed(copy, files, statement)
        print(json.dumps({"ended": ended, **held(copy)}))
        if ended is None:
            break
