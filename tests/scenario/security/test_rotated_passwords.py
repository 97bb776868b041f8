"""A database's password is changed while the service runs: it goes on by the new one, without a new start."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from own_mariadb import own_mariadbs
from own_postgres import OwnServer, own_server

from mainstay import Entity, Module, Repository, Service, anyone, field
from mainstay.app.assembly import Application, assemble
from mainstay.app.settings import load
from mainstay.model.conditions import TRUE
from mainstay.model.problem import Problem
from mainstay.testing.recorder import Recorder


class Thing(Entity):
    name: str = field(max_length=20)


desk = Module("desk")
desk.entity(Thing)


@desk.query("GET /count", allow=anyone)
async def count(things: Repository[Thing]) -> int:
    return await things.count()


class Server(NamedTuple):
    """A database server: its URL for a user ``shop`` and a password, and hands that change that password."""

    url: str
    give: Callable[[str], Awaitable[object]]
    cut: Callable[[], Awaitable[object]]


async def postgres(server: OwnServer) -> Server:
    """Have a user whose password is asked for, unlike that of the server's own."""
    (row,) = await server.ask("CREATE ROLE shop LOGIN SUPERUSER", "SELECT current_setting('hba_file')")
    hba = Path(row[0])
    hba.write_text("host all shop 127.0.0.1/32 scram-sha-256\n" + hba.read_text())
    await server.ask("SELECT pg_reload_conf()")

    async def give(password: str) -> object:
        return await server.ask(f"ALTER ROLE shop PASSWORD '{password}'", "SELECT 1")

    async def cut() -> object:
        return await server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop'")

    return Server(f"postgresql://shop:%s@127.0.0.1:{server.port}/postgres", give, cut)


async def mariadb() -> AsyncIterator[Server]:
    with own_mariadbs() as (server, _):
        await server.ask("CREATE DATABASE desk", "CREATE USER shop@'127.0.0.1'", "GRANT ALL ON *.* TO shop@'127.0.0.1'")

        async def give(password: str) -> object:
            return await server.ask(f"ALTER USER shop@'127.0.0.1' IDENTIFIED BY '{password}'")

        async def cut() -> object:
            return await server.ask("KILL USER shop@'127.0.0.1'")

        yield Server(f"mysql://shop:%s@127.0.0.1:{server.port}/desk", give, cut)


@pytest.fixture(params=["postgresql", "mariadb"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    if request.param == "mariadb":
        async for made in mariadb():
            yield made
    else:
        with own_server() as own:
            yield await postgres(own)


def write(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    os.replace(draft, path)


async def asked(application: Application) -> bool:
    """Read through the store; False where it is not reached."""
    transaction = application.ports.store.begin(write=False, single=True)
    try:
        return await transaction.rows(Thing).count(TRUE) == 0
    except Problem:
        return False
    finally:
        await transaction.rollback()


async def reached(application: Application, seconds: float) -> bool:
    """Whether it is reached in that time: a server that was lost is looked for by itself."""
    try:
        async with asyncio.timeout(seconds):
            while not await asked(application):
                await asyncio.sleep(0.1)
    except TimeoutError:
        return False
    return True


async def test_a_password_is_changed_under_a_service(server: Server, tmp_path: Path) -> None:
    await server.give("first")
    write(tmp_path / "url", server.url % "first")
    (tmp_path / "mainstay.toml").write_text('[database]\nurl = "file://url"\ncreate = true\nbusy_seconds = 1.0\n')
    settings = load(tmp_path, profile="test", environ={})
    application = assemble(Service("desk", modules=[desk]), settings, observer=Recorder())
    async with application:
        assert await asked(application)
        await server.give("second")
        assert await asked(application)  # connections that are open go on
        await server.cut()
        assert not await reached(application, 1.5)  # new ones are refused: the old password is asked for
        write(tmp_path / "url", server.url % "second")
        assert application.renewal is not None
        await application.renewal.renew()
        assert await reached(application, 30)
