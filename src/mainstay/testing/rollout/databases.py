"""A database of a proof's own: a SQLite file, or a schema of a PostgreSQL database, made and dropped by it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mainstay.app.refusal import Refusal

PREFIX = "mainstay_prove_"


@contextmanager
def own_database(url: str | None, folder: Path) -> Iterator[Mapping[str, str]]:
    """Have a database that is empty; give the environment variables by which a service finds it.

    Without ``url`` it is a file in ``folder``. Raises ``Refusal``.
    """
    if url is None:
        yield {"MAINSTAY_DATABASE_URL": f"sqlite:///{folder / 'rollout.sqlite3'}", "MAINSTAY_DATABASE_SCHEMA": ""}
        return
    scheme = url.partition(":")[0]
    if scheme not in ("postgresql", "postgres"):
        raise Refusal(
            f"--url: a proof can be made on SQLite (which needs no URL) and on PostgreSQL, not on {scheme}",
            "for example --url postgresql://user@127.0.0.1/postgres: it makes a schema of its own there",
        )
    schema = f"{PREFIX}{secrets.token_hex(4)}"
    asyncio.run(_execute(url, f'CREATE SCHEMA "{schema}"'))
    try:
        yield {"MAINSTAY_DATABASE_URL": url, "MAINSTAY_DATABASE_SCHEMA": schema}
    finally:
        asyncio.run(_execute(url, f'DROP SCHEMA "{schema}" CASCADE'))


async def _execute(url: str, statement: str) -> None:
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
