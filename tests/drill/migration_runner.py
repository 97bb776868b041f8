"""Runs migrations, each in a child of its own that may be killed at one of its statements: told by lines of JSON.

{"do": "plan", "sources": [[words, file, step], ...], "folder": F} writes the chain of revisions that the versions make,
with a step of its own at the end of the first one that a version makes.
{"do": "migrate", "database": URL, "folder": F, "model": M, "kill": K} brings a database to the last revision, by the
model in the file M; "rollback" with "steps" takes some back. K is null or {"at": N, "when": W, "text": T, "delay": S}:
the child ends by SIGKILL "before" its N-th event that has the text, "after" it, S seconds after it has begun
("during"), or after the commit that follows it ("committed"). Events are statements and commits; on MariaDB those of
the driver that change something, so that the journal's own are among them. Each order is answered by a line.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mainstay.adapters.sql.migrations import SqliteTarget, Target, migrate, plan, rollback
from mainstay.adapters.sql.migrations import commands as _commands  # noqa: F401 - once, for all children
from mainstay.app.checking import inspect
from mainstay.ports.store import Table

REACHED = b"!"
COMMIT = "COMMIT"
READING = ("SHOW", "SELECT", "SET", "DESCRIBE")


def planned(sources: list[list[str]], folder: Path) -> list[str]:
    """Write the revisions of all versions, and return their names."""
    names = []
    for words, path, step in sources:
        tables = model_of(Path(path))
        while (made := plan(folder, tables, message=words)) is not None:
            names += [revision.name for revision in made.revisions]
            if step:
                add_step(made.revisions[0].path, step)
    return names


def model_of(path: Path) -> Sequence[Table]:
    """Return the tables of the service in a file."""
    name = f"{path.parent.name}_{path.stem}"
    module = sys.modules.get(name)
    if module is None:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return inspect(module.service).tables


def add_step(path: Path, step: str) -> None:
    """Put a line at the end of what a revision does."""
    text = path.read_text()
    up, down, rest = text.partition("\n\n\ndef downgrade")
    up = up.replace("from mainstay.sql import types", "from mainstay.sql import steps, types")
    path.write_text(f"{up}\n    {step}{down}{rest}")


def target_of(database: str, model: Path) -> Target:
    """Return the database of a URL."""
    if database.startswith("sqlite:///"):
        return SqliteTarget(Path(database.removeprefix("sqlite:///")))
    if database.startswith("mysql://"):
        from mainstay.adapters.sql.migrations.mysql_target import MysqlTarget

        return MysqlTarget(database, model_of(model))
    from mainstay.adapters.sql.migrations.postgres_target import PostgresTarget

    return PostgresTarget(database)


class Counting:
    """Counts statements and commits, and kills this process at one of them."""

    def __init__(self, kill: dict[str, Any] | None, pipe: int, *, driver: bool) -> None:
        self.seen = 0
        kill = kill or {"at": -1, "when": "", "text": ""}
        self._left = kill["at"]
        self._when, self._text = kill["when"], kill["text"]
        self._armed = self._committed = False
        self._pipe = pipe
        if driver:
            self._listen_to_driver()
        else:
            sa.event.listen(sa.Engine, "before_cursor_execute", lambda *given: self.begun(given[2]))
            sa.event.listen(sa.Engine, "commit", lambda _: self.begun(COMMIT))

    def _listen_to_driver(self) -> None:
        from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_connection, AsyncAdapt_dbapi_cursor

        execute, commit = AsyncAdapt_dbapi_cursor.execute, AsyncAdapt_dbapi_connection.commit

        def executing(cursor: Any, statement: Any, parameters: Any = None) -> Any:
            if not statement.lstrip().upper().startswith(READING):
                self.begun(statement)
            return execute(cursor, statement, parameters)

        def committing(connection: Any) -> None:
            self.begun(COMMIT)
            commit(connection)

        AsyncAdapt_dbapi_cursor.execute = executing  # type: ignore[method-assign]  # in a child that ends with this
        AsyncAdapt_dbapi_connection.commit = committing  # type: ignore[method-assign]

    def begun(self, statement: str) -> None:
        """Take note of an event that begins: the one before it has ended."""
        self.seen += 1
        if self._armed and (self._when == "after" or self._committed):
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= self._text in statement
        if self._left == 0 and not self._armed:
            self._armed = True
            if self._when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            elif self._when == "during":
                os.write(self._pipe, REACHED)
        self._committed = self._armed and statement == COMMIT


def child(order: dict[str, Any], pipe: int) -> None:
    """Carry out one order, and tell how it ended."""
    counting = Counting(order.get("kill"), pipe, driver=order["database"].startswith("mysql://"))
    told: dict[str, Any] = {"done": [], "said": ""}
    try:
        target, folder = target_of(order["database"], Path(order["model"])), Path(order["folder"])
        if order["do"] == "migrate":
            told["done"] = migrate(target, folder)
        else:
            told["done"] = rollback(target, folder, order["steps"])
    except Exception:
        told["said"] = traceback.format_exc()
    os.write(pipe, b"\n" + json.dumps({**told, "events": counting.seen}).encode())


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Carry out an order in a child, and return how it ended: with ``killed`` where by a signal."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        with contextlib.suppress(BaseException):  # how it ended stands in what it has written, for its parent
            child(order, writing)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        head = pipe.read(1)
        if head == REACHED:
            time.sleep(order["kill"]["delay"])
            os.kill(pid, signal.SIGKILL)
        text = pipe.readall() or b""
    _, ended = os.waitpid(pid, 0)
    if os.WIFSIGNALED(ended) or not text:
        return {"killed": os.WTERMSIG(ended), "done": [], "said": "", "events": 0}
    told: dict[str, Any] = {"killed": 0, **json.loads(text)}
    return told


def main() -> None:
    """Answer orders until there are no more."""
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "plan":
            answer: Any = {"revisions": planned(order["sources"], Path(order["folder"]))}
        else:
            answer = run(order)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
