"""One whole story of a client on each store: with two hands on one code, and on one refresh token, at one time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from mysql_databases import DatabaseStore, database_of, drop_databases
from oauth_world import ADMIN, OAuthWorld, Parcel, make_shop, of_account, refused
from postgres_schemas import SchemaStore, drop_schemas, schema_of

from mainstay.adapters.memory.store import MemoryStore
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.testing import Client, FixedClock


class Dated(FixedClock):
    """A clock that stands for dates, and goes on for the pools of stores."""

    def monotonic(self) -> float:
        return monotonic()


def store_of(kind: str, folder: Path) -> Any:
    if kind == "sqlite":
        return SqliteStore(folder / "t.db", create=True, synchronous="off")
    if kind == "postgresql":
        return SchemaStore(folder)
    return DatabaseStore(folder) if kind == "mariadb" else MemoryStore()


@asynccontextmanager
async def running(kind: str, folder: Path) -> AsyncIterator[OAuthWorld]:
    clock = Dated(datetime(2026, 6, 1, 12, tzinfo=UTC))
    async with Client(make_shop(), clock=clock, store=store_of(kind, folder)) as client:
        yield OAuthWorld(client)
    if kind == "postgresql":
        await drop_schemas([schema_of(folder)])
    if kind == "mariadb":
        await drop_databases([database_of(folder)])


every_store = pytest.mark.parametrize("kind", ["memory", "sqlite", "postgresql", "mariadb"])


@every_store
async def test_a_client_lives_its_life(kind: str, tmp_path: Path) -> None:
    async with running(kind, tmp_path) as shop:
        client, ann = await shop.register(), await shop.account()
        await shop.client.given(Parcel(account_id=ann.id, what="tea"))
        tokens = await shop.tokens(client, ann)
        answer = await shop.get("/parcels-for-clients", tokens["access_token"])
        assert [one["what"] for one in answer.json["items"]] == ["tea"]
        later = await shop.refresh(client, tokens["refresh_token"])
        told = await shop.form("introspect", {"token": later.json["refresh_token"]}, client)
        assert told.json["active"] is True
        (consent,) = (await shop.client.get("/auth/oauth/consents", who=of_account(ann))).json
        assert consent["scopes"] == ["offline_access", "openid", "orders:read"]
        assert (await shop.form("revoke", {"token": later.json["refresh_token"]}, client)).status == 200
        for given in (tokens, later.json):
            assert (await shop.get("/parcels-for-clients", given["access_token"])).status == 401
        assert refused(await shop.refresh(client, later.json["refresh_token"])) == "invalid_grant"
        assert (await shop.client.delete(f"/auth/oauth/clients/{client.id}", who=ADMIN)).status == 204
        listed = (await shop.client.get("/auth/oauth/clients", who=ADMIN)).json["items"]
        assert [one["revoked_at"] is None for one in listed] == [False]


@every_store
async def test_a_code_in_two_hands_at_once_gives_nothing_that_lasts(kind: str, tmp_path: Path) -> None:
    async with running(kind, tmp_path) as shop:
        client, ann = await shop.register(), await shop.account()
        code = await shop.code(client, ann)
        answers = await asyncio.gather(*(shop.redeem(client, code) for _ in range(4)))
        good = [one for one in answers if one.status == 200]
        assert len(good) <= 1
        assert all(one.status in (200, 400, 503) for one in answers)
        assert refused(await shop.redeem(client, code)) == "invalid_grant"
        for one in good:
            assert refused(await shop.refresh(client, one.json["refresh_token"])) == "invalid_grant"


@every_store
async def test_a_refresh_token_in_two_hands_at_once_ends_all(kind: str, tmp_path: Path) -> None:
    async with running(kind, tmp_path) as shop:
        client, ann = await shop.register(), await shop.account()
        token = (await shop.tokens(client, ann))["refresh_token"]
        answers = await asyncio.gather(*(shop.refresh(client, token) for _ in range(4)))
        good = [one for one in answers if one.status == 200]
        assert len(good) <= 1
        for one in good:
            assert refused(await shop.refresh(client, one.json["refresh_token"])) == "invalid_grant"


@every_store
async def test_a_misused_token_is_found_out_although_the_call_is_refused(kind: str, tmp_path: Path) -> None:
    async with running(kind, tmp_path) as shop:
        client, ann = await shop.register(), await shop.account()
        token = (await shop.tokens(client, ann))["refresh_token"]
        latest = (await shop.refresh(client, token)).json["refresh_token"]
        assert refused(await shop.refresh(client, token)) == "invalid_grant"
        assert refused(await shop.refresh(client, latest)) == "invalid_grant"
        assert (await shop.client.get("/auth/oauth/consents", who=of_account(ann))).json == []
