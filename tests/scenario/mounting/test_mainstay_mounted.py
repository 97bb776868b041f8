"""A service as an ASGI application inside another one."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from mounted_service import Ear, Running, by_uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from mainstay import Entity, Module, Service, anyone, field
from mainstay.app.asgi import app_of
from mainstay.app.assembly import assemble
from mainstay.app.observing import make_observing
from mainstay.app.settings import load
from mainstay.inbound.http.asgi import AsgiApp


def shelf() -> Service:
    module = Module("shelf")

    class Thing(Entity):
        name: str = field(max_length=10)

    module.resource(Thing, path="/things", read=anyone, create=anyone)
    return Service("shelf", modules=[module])


@asynccontextmanager
async def outer(folder: Path, make: Any) -> AsyncIterator[Running]:
    (folder / "mainstay.toml").write_text("")
    settings = load(folder, environ={"MAINSTAY_PROFILE": "test"})
    observing, ear = make_observing(settings), Ear()
    application = assemble(shelf(), settings, observer=ear)
    api = app_of(application, observing)
    sock = socket.create_server(("127.0.0.1", 0))
    try:
        async with by_uvicorn(make(api), sock):
            yield Running(application, ear, sock.getsockname())
    finally:
        observing.close()
        sock.close()


def in_starlette(api: AsgiApp) -> Starlette:
    return Starlette(routes=[Mount("/api", api)], lifespan=api.lifespan)


def in_fastapi(api: AsgiApp) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with api.lifespan():
            yield

    app = FastAPI(lifespan=lifespan)
    app.mount("/api", api)
    return app


@pytest.mark.parametrize("make", [in_starlette, in_fastapi])
async def test_links_have_the_path_of_the_mount(tmp_path: Path, make: Any) -> None:
    async with outer(tmp_path, make) as one:
        made = await one.ask("POST", "/api/things", {"Content-Type": "application/json"}, b'{"name":"a"}')
        assert made.status == 201
        assert made["Location"] == f"/api/things/{made.json['id']}"
        assert (await one.ask("GET", made["Location"])).json["name"] == "a"
        await one.ask("POST", "/api/things", {"Content-Type": "application/json"}, b'{"name":"b"}')
        listed = await one.ask("GET", "/api/things?limit=1")
        assert listed["Link"].startswith("</api/things?limit=1&cursor=")
        following = await one.ask("GET", listed["Link"].partition(">")[0][1:])
        assert len(following.json["items"]) == 1
        assert (await one.ask("GET", "/%61pi/things")).status == 200
        assert (await one.ask("GET", "/api/nothing")).json["code"] == "not_found"
        assert (await one.ask("GET", "/apithings")).status == 404
        assert one.application.started
    assert not one.application.started


async def test_the_contract_names_the_path_that_it_is_seen_at(tmp_path: Path) -> None:
    async with outer(tmp_path, in_starlette) as one:
        contract = await one.ask("GET", "/api/openapi.json")
        (server,) = contract.json["servers"]
        assert server["url"] == "/api"
        again = await one.ask("GET", "/api/openapi.json", {"If-None-Match": contract["ETag"]})
        assert again.status == 304
        assert b'href="docs/swagger-ui.css"' in (await one.ask("GET", "/api/docs")).body
        assert (await one.ask("GET", "/api/docs/start.js")).status == 200


async def test_without_its_lifespan_it_says_what_to_do(tmp_path: Path) -> None:
    async with outer(tmp_path, lambda api: Starlette(routes=[Mount("/api", api)])) as one:
        answer = await one.ask("GET", "/api/things")
        assert (answer.status, answer.json["code"]) == (503, "not_started")
        assert "lifespan=api.lifespan" in answer.json["hint"]
        assert (await one.ask("GET", "/api/health")).status == 200
        assert (await one.ask("GET", "/api/ready")).status == 503
        assert one.ear.calls[0].code == "not_started"


async def test_it_can_be_started_again(tmp_path: Path) -> None:
    async with outer(tmp_path, in_starlette) as one:
        pass
    async with outer(tmp_path, in_starlette) as one:
        assert (await one.ask("GET", "/api/things")).status == 200
