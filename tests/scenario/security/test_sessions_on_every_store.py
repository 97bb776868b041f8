"""One whole story of sessions, refresh tokens, API keys and signing keys, on every store that there is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from document_stores import DOCUMENT_STORES, document_store
from logged_in import bearer, cookie_of, logged_in, make_service, refreshed, signed_up
from mysql_databases import DatabaseStore, drop_databases
from postgres_schemas import SchemaStore, drop_schemas

from mainstay.adapters.memory.store import MemoryStore
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.app.identity_tokens import SessionParts
from mainstay.identity.sessions.entities import ApiKey, Session, SigningKey, SubjectEpoch
from mainstay.model.problem import Unavailable
from mainstay.testing import Client, FixedClock

SAME = {"sec-fetch-site": "same-origin"}


@pytest.fixture(params=["memory", "sqlite", "postgresql", "mariadb", *DOCUMENT_STORES])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Client]:
    clock = FixedClock()
    if request.param in DOCUMENT_STORES:
        async with (
            document_store(request.param, tmp_path) as documents,
            Client(make_service(), store=documents, clock=clock) as opened,
        ):
            await signed_up(opened, role="manager")
            yield opened
        return
    store: Any = {
        "memory": MemoryStore,
        "sqlite": lambda: SqliteStore(tmp_path / "s.sqlite", create=True, clock=clock.monotonic),
        "postgresql": lambda: SchemaStore(tmp_path, clock=clock.monotonic),
        "mariadb": lambda: DatabaseStore(tmp_path, clock=clock.monotonic),
    }[request.param]()
    async with Client(make_service(), store=store, clock=clock) as opened:
        await signed_up(opened, role="manager")
        yield opened
    if request.param == "postgresql":
        await drop_schemas([store.schema])
    if request.param == "mariadb":
        await drop_databases([store.database])


def parts(client: Client) -> SessionParts:
    assert client._sessions is not None
    return client._sessions


async def status(client: Client, token: str, path: str = "/me") -> int:
    return (await client.get(path, headers=bearer(token))).status


async def entered(client: Client) -> str:
    """Log in by cookie, and return it: the client's own jar keeps none."""
    body = {"email": "ann@shop.example", "means": "cookie"}
    cookie = cookie_of(await client.post("/auth/test/log-in", json=body))
    assert client._http is not None
    client._http.cookies.clear()
    return cookie


async def test_the_whole_story(client: Client) -> None:
    opened = await logged_in(client)
    assert await status(client, opened["access_token"], "/managed") == 200
    both = await asyncio.gather(*(refreshed(client, opened["refresh_token"]) for _ in range(2)))
    assert [one.status for one in both] == [200, 200]
    assert both[0].json["refresh_token"] == both[1].json["refresh_token"]

    cookie = await entered(client)
    made = await client.post(
        "/auth/api-keys", json={"name": "k", "roles": ["manager"]}, headers={"cookie": cookie, **SAME}
    )
    assert await status(client, made.json["key"], "/managed") == 200
    listed = await client.get("/auth/sessions", headers={"cookie": cookie})
    assert sorted(one["means"] for one in listed.json) == ["cookie", "tokens"]

    await parts(client).keys.rotate(timedelta(0))
    again = (await refreshed(client, both[0].json["refresh_token"])).json
    assert [await status(client, one) for one in (opened["access_token"], again["access_token"])] == [200, 200]

    await client.post("/auth/test/strip", json={"email": "ann@shop.example", "role": "manager"})
    assert await status(client, again["access_token"]) == 401
    assert await status(client, made.json["key"], "/managed") == 403
    assert (await client.get("/managed", headers={"cookie": cookie})).status == 403

    client.clock.advance(11)
    assert (await refreshed(client, opened["refresh_token"])).status == 401
    assert (await refreshed(client, again["refresh_token"])).status == 401
    assert (await client.post("/auth/log-out-everywhere", headers={"cookie": cookie, **SAME})).status == 204
    assert (await client.get("/me", headers={"cookie": cookie})).status == 401


async def test_uses_are_written_and_what_is_past_is_deleted(client: Client) -> None:
    cookie = await entered(client)
    client.clock.advance(3600)
    assert (await client.get("/me", headers={"cookie": cookie})).status == 200
    await parts(client)._do_chores(purge=True)
    (session,) = await client.stored(Session)
    assert session.used_at == client.clock.now()
    await client.post("/auth/log-out", headers={"cookie": cookie, **SAME})
    client.clock.advance(86_400 * 2)
    await parts(client)._do_chores(purge=True)
    for entity in (Session, ApiKey, SubjectEpoch):
        assert await client.stored(entity) == []
    assert len(await client.stored(SigningKey)) == 1
    assert client.recorder.unexpected() is None


async def test_where_revocations_cannot_be_read_nothing_that_rests_on_them_is_believed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = await logged_in(client)
    cookie = await entered(client)
    key = await client.post("/auth/api-keys", json={"name": "k"}, headers=bearer(opened["access_token"]))
    credentials = [bearer(opened["access_token"]), bearer(key.json["key"]), {"cookie": cookie}]
    assert [(await client.get("/me", headers=one)).status for one in credentials] == [200] * 3

    async def away(*_: object, **__: object) -> list[object]:
        raise Unavailable("the store is away")

    monkeypatch.setattr(parts(client)._opened, "all", away)
    client.clock.advance(0.9)
    assert [(await client.get("/me", headers=one)).status for one in credentials] == [200] * 3
    client.clock.advance(0.2)
    for one in credentials:
        answer = await client.get("/open", headers=one)
        assert (answer.status, answer.json["code"]) == (503, "revocations_unknown")
        assert answer.headers["retry-after"] == "1"
    assert (await client.get("/open")).status == 200
    monkeypatch.undo()
    assert [(await client.get("/me", headers=one)).status for one in credentials] == [200] * 3
