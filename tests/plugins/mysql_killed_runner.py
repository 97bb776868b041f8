"""Migrations of a MariaDB database whose runners are killed with SIGKILL, one behind the other, around every change.

Run as a script with the address of a database at the first revision, that of one to work in, the folder of the files,
"migrate" or "rollback", and the numbers that say where the kills begin. It prints one JSON line for each of them, and a
first one for a runner that nobody kills: how many were killed until there was nothing left to do, and what the database
holds then.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncmy

from mainstay.adapters.sql.migrations import migrate, rollback
from mainstay.adapters.sql.migrations.mysql_journal import TABLE
from mainstay.adapters.sql.migrations.mysql_target import MysqlTarget
from mainstay.adapters.sql.mysql.options import address

READING = ("SHOW", "SELECT", "SET", "DESCRIBE", "SAVEPOINT", "ROLLBACK TO")

Act = Callable[[MysqlTarget, Path], list[str]]


def counted(left: int) -> None:
    """Have this process killed before, or after, the ``left``-th time that the server is told to change something."""
    from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_cursor

    execute = AsyncAdapt_dbapi_cursor.execute

    def step() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def told(self: Any, operation: Any, parameters: Any = None) -> Any:
        if operation.lstrip().upper().startswith(READING):
            return execute(self, operation, parameters)
        step()
        result = execute(self, operation, parameters)
        step()
        return result

    AsyncAdapt_dbapi_cursor.execute = told  # type: ignore[method-assign]  # each statement is told before it is sent


def run_killed(target: MysqlTarget, files: Path, act: Act, left: int) -> bool:
    """Run it in a child that is killed; return whether it was, or came to its end."""
    child = os.fork()
    if child == 0:
        counted(left)
        act(target, files)
        os._exit(0)
    _, ended = os.waitpid(child, 0)
    assert ended in (0, signal.SIGKILL)
    return ended != 0


async def asked(url: str, *statements: str) -> list[list[tuple[Any, ...]]]:
    connection: Any = await asyncmy.connect(**address(url), autocommit=True)
    try:
        cursor = connection.cursor()
        found = []
        for statement in statements:
            await cursor.execute(statement)
            found.append([tuple(row) for row in await cursor.fetchall()] if cursor.description else [])
        return found
    finally:
        await connection.ensure_closed()


def sql(url: str, *statements: str) -> list[list[tuple[Any, ...]]]:
    return asyncio.run(asked(url, *statements))


def copy(source: str, work: str) -> None:
    """Make one database what another is."""
    names = [urlsplit(url).path[1:] for url in (source, work)]
    [tables] = sql(source, "SHOW TABLES")
    made = [sql(source, f"SHOW CREATE TABLE `{name}`")[0][0][1] for (name,) in tables]
    filled = [f"INSERT INTO {names[1]}.`{name}` SELECT * FROM {names[0]}.`{name}`" for (name,) in tables]
    sql(source, f"DROP DATABASE {names[1]}", f"CREATE DATABASE {names[1]}")
    sql(work, "SET foreign_key_checks = 0", *made, *filled)


def held(url: str) -> dict[str, Any]:
    """Return what a database holds, without the order in which constraints stand."""
    [tables] = sql(url, "SHOW TABLES")
    names = [name for (name,) in tables if name != TABLE]
    schema = [
        sorted(line.strip(" ,") for line in sql(url, f"SHOW CREATE TABLE `{n}`")[0][0][1].splitlines()) for n in names
    ]
    rows = {name: sorted(map(repr, sql(url, f"SELECT * FROM `{name}`")[0])) for name in names}
    return {"journal": len(names) < len(tables), "schema": schema, "rows": rows}


if __name__ == "__main__":
    for name in ("mysql_impl", "mysql_journal", "runner", "commands"):  # once, in the parent, for all children
        importlib.import_module(f"mainstay.adapters.sql.migrations.{name}")
    source, work = sys.argv[1:3]
    files = Path(sys.argv[3])
    act: Act = migrate if sys.argv[4] == "migrate" else rollback
    target = MysqlTarget(work)
    before = MysqlTarget(source).revision()
    for start in (None, *map(int, sys.argv[5:])):
        copy(source, work)
        kills = 0
        # A statement that changes rows is six changes, and done then: with fewer none would get anywhere.
        while (act is migrate or target.revision() == before) and run_killed(
            target, files, act, 0 if start is None else 7 + (start + kills) % 6
        ):
            kills += 1
            assert kills < 100, held(work)
        print(json.dumps({"kills": kills, **held(work)}), flush=True)
