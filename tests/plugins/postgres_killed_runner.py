"""Migrations on PostgreSQL that are killed with SIGKILL before their first, second, ... statement, and then run again.

Run as a script with the server, the schema, the folder of the files and the revisions to begin from and to end at. It
prints one JSON line for each statement: how the killed runner ended, and what the next one ran.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mainstay.adapters.sql.migrations import migrate, rollback
from mainstay.adapters.sql.migrations.postgres_target import PostgresTarget


def run_killed(target: PostgresTarget, files: Path, statement: int) -> int | None:
    """Run a migration in a child that is killed; return the signal, or None where it came to its end."""
    child = os.fork()
    if child == 0:
        left = statement

        def begun(*_: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        sa.event.listen(sa.Engine, "before_cursor_execute", begun)
        migrate(target, files)
        os._exit(0)
    _, ended = os.waitpid(child, 0)
    return os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else None


if __name__ == "__main__":
    for name in ("runner", "postgres_impl", "forecast"):  # once, in the parent, for all children
        importlib.import_module(f"mainstay.adapters.sql.migrations.{name}")
    target, files, every = PostgresTarget(sys.argv[1], sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    for statement in range(1, 1000, every):
        ended = run_killed(target, files, statement)
        went_on = migrate(target, files)
        print(json.dumps({"ended": ended, "went_on": went_on}), flush=True)
        if ended is None:
            break
        rollback(target, files, 2)
