"""Migrations on PostgreSQL that are killed with SIGKILL again and again, each runner going on where the last one died.

Run as a script with the server, the schema, the folder of the files and how many revisions there are to go up and down.
The first runner of a way is killed before its first, or third, ... statement that changes something, the next one a
statement later, until one comes to its end. For each way a JSON line is printed: how many were killed, at what revision
the database is, and its schema.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mainstay.adapters.sql.migrations import migrate, rollback
from mainstay.adapters.sql.migrations.postgres_target import PostgresTarget

LOOKING = ("SELECT", "SHOW", "SET ")


def run_killed(work: Callable[[], Any], statement: int) -> bool:
    """Do work in a child that is killed before a statement that changes something; say whether it was."""
    child = os.fork()
    if child == 0:
        left = statement

        def begun(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
            nonlocal left
            left -= not text.lstrip().startswith(LOOKING)
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        sa.event.listen(sa.Engine, "before_cursor_execute", begun)
        work()
        os._exit(0)
    _, ended = os.waitpid(child, 0)
    if os.WIFEXITED(ended) and os.WEXITSTATUS(ended):
        raise SystemExit(f"a runner failed: {os.WEXITSTATUS(ended)}")
    return os.WIFSIGNALED(ended)


def until_done(work: Callable[[], Any], first: int) -> int:
    """Do work that is killed on its way until it comes to its end; return how often it was killed."""
    killed = 0
    while run_killed(work, first + killed):
        killed += 1
    return killed


if __name__ == "__main__":
    for name in ("runner", "postgres_impl", "forecast"):  # once, in the parent, for all children
        importlib.import_module(f"mainstay.adapters.sql.migrations.{name}")
    comparing = importlib.import_module("mainstay.adapters.sql.migrations.comparing")
    target, files, revisions = PostgresTarget(sys.argv[1], sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])

    def take_back() -> None:
        behind = len(list(files.glob("*.py"))) - [path.stem for path in sorted(files.glob("*.py"))].index(
            target.revision() or ""
        )
        rollback(target, files, revisions - behind + 1)

    for way, first in ((lambda: migrate(target, files), 1), (take_back, 2), (lambda: migrate(target, files), 4)):
        killed = until_done(way, first)
        schema = target.reading(lambda connection: repr(sorted(comparing.outlines(connection).items())))
        print(json.dumps({"killed": killed, "revision": target.revision(), "schema": schema}), flush=True)
