"""A database of a proof's own: a SQLite file, a schema of a PostgreSQL database, or a database beside that of MariaDB.

It is made and dropped by the proof.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from mainstay.app.refusal import Refusal

PREFIX = "mainstay_prove_"


class _Own(NamedTuple):
    """What makes a place of the proof's own on a server, what drops it, and how a service finds it."""

    make: str
    drop: str
    environment: Mapping[str, str]
    execute: Callable[[str, str], Coroutine[Any, Any, None]]


@contextmanager
def own_database(url: str | None, folder: Path) -> Iterator[Mapping[str, str]]:
    """Have a database that is empty; give the environment variables by which a service finds it.

    Without ``url`` it is a file in ``folder``. Raises ``Refusal``.
    """
    if url is None:
        yield {"MAINSTAY_DATABASE_URL": f"sqlite:///{folder / 'rollout.sqlite3'}", "MAINSTAY_DATABASE_SCHEMA": ""}
        return
    own = _own(url, f"{PREFIX}{secrets.token_hex(4)}")
    asyncio.run(own.execute(url, own.make))
    try:
        yield own.environment
    finally:
        asyncio.run(own.execute(url, own.drop))


def _own(url: str, name: str) -> _Own:
    scheme = url.partition(":")[0]
    if scheme in ("postgresql", "postgres"):
        environment = {"MAINSTAY_DATABASE_URL": url, "MAINSTAY_DATABASE_SCHEMA": name}
        return _Own(f'CREATE SCHEMA "{name}"', f'DROP SCHEMA "{name}" CASCADE', environment, _ask_postgres)
    if scheme in ("mysql", "mariadb"):
        there = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        environment = {"MAINSTAY_DATABASE_URL": there, "MAINSTAY_DATABASE_SCHEMA": ""}
        return _Own(f"CREATE DATABASE {name}", f"DROP DATABASE {name}", environment, _ask_mysql)
    raise Refusal(
        f"--url: a proof can be made on SQLite (which needs no URL), PostgreSQL, MariaDB and MySQL, not on {scheme}",
        "for example --url postgresql://user@127.0.0.1/postgres: it makes a schema of its own there",
    )


async def _ask_postgres(url: str, statement: str) -> None:
    try:
        import asyncpg
    except ModuleNotFoundError:
        raise Refusal("PostgreSQL needs a driver", "pip install 'mainstay[postgres]'") from None
    try:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Refusal(f"--url: {type(error).__name__}: {error}") from None


async def _ask_mysql(url: str, statement: str) -> None:
    try:
        import asyncmy
        from asyncmy.errors import MySQLError

        from mainstay.adapters.sql.mysql.options import address
    except ModuleNotFoundError:
        raise Refusal("MariaDB and MySQL need a driver", "pip install 'mainstay[mysql]'") from None
    try:
        connection = await asyncmy.connect(**address(url), connect_timeout=10)
        try:
            await connection.cursor().execute(statement)
        finally:
            await connection.ensure_closed()
    except (OSError, TimeoutError, ValueError, MySQLError) as error:
        raise Refusal(f"--url: {type(error).__name__}: {error}") from None
