"""Accounts and sessions together, with nothing stood in for but the letters: from sign-up to being locked out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from accounts_service import ANN, BOB, OTHER_PASSWORD, PASSWORD, Person, signed_up
from document_stores import DOCUMENT_STORES, document_store
from logged_in import bearer, cookie_of

from mainstay import Identity, Module, Principal, Service, authenticated, role
from mainstay.adapters.memory.store import MemoryStore
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.app.privacy.erasing import erase
from mainstay.app.privacy.exporting import export
from mainstay.identity.accounts.entities import Account, RoleGrant
from mainstay.identity.sessions.entities import Session
from mainstay.ports.store import Store
from mainstay.testing import Client, FixedClock

shop = Module("shop")
SAME_SITE = {"sec-fetch-site": "same-origin"}


@shop.query("GET /me", allow=authenticated)
async def me(who: Principal) -> list[str]:
    """Tell the caller's roles."""
    return sorted(who.roles)


@shop.query("GET /books", allow=role("accountant"))
async def books() -> str:
    """Only for accountants."""
    return "figures"


SERVICE = Service("corner-shop", modules=[shop], identity=Identity())


@pytest.fixture(params=["memory", "sqlite", *DOCUMENT_STORES])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Client]:
    clock = FixedClock()
    if request.param in DOCUMENT_STORES:
        async with (
            document_store(request.param, tmp_path) as documents,
            Client(SERVICE, store=documents, clock=clock) as opened,
        ):
            yield opened
        return
    store: Store = MemoryStore()
    if request.param == "sqlite":
        store = SqliteStore(tmp_path / "identity.sqlite", create=True, clock=clock.monotonic)
    async with Client(SERVICE, store=store, clock=clock) as opened:
        yield opened


async def session_of(person: Person, **more: Any) -> dict[str, Any]:
    answer = await person.log_in(**more)
    assert answer.status == 200, answer.json
    session: dict[str, Any] = answer.json["session"]
    return session


async def administrator(client: Client) -> dict[str, str]:
    """Return the credentials of somebody with the administrator's role."""
    boss = await signed_up(client, "boss@shop.example", OTHER_PASSWORD)
    account = await boss.row()
    await client.given(RoleGrant(account_id=account.id, role="admin", granted_by=account.id))
    return bearer((await session_of(boss))["access_token"])


async def test_an_account_that_was_confirmed_calls_with_what_its_log_in_gave(client: Client) -> None:
    ann = await signed_up(client)
    token = (await session_of(ann))["access_token"]
    assert (await client.get("/me")).status == 401
    answer = await client.get("/me", headers=bearer(token))
    assert (answer.status, answer.json) == (200, [])
    assert (await client.get("/books", headers=bearer(token))).status == 403


async def test_a_role_counts_from_its_grant_to_its_revocation(client: Client) -> None:
    ann, boss = await signed_up(client), await administrator(client)
    session, account = await session_of(ann), await ann.row()
    path = f"/auth/accounts/{account.id}/roles"
    assert (await client.post(path, json={"role": "accountant"}, headers=bearer(session["access_token"]))).status == 403
    assert (await client.post(path, json={"role": "accountant"}, headers=boss)).status == 200
    refused = await client.get("/books", headers=bearer(session["access_token"]))
    assert refused.status == 401, "the token says less than the account may now: it is refreshed"
    refreshed = await client.post("/auth/refresh", json={"refresh_token": session["refresh_token"]})
    assert (await client.get("/books", headers=bearer(refreshed.json["access_token"]))).json == "figures"
    assert (await client.delete(f"{path}/accountant", headers=boss)).status == 204
    assert (await client.get("/books", headers=bearer(refreshed.json["access_token"]))).status == 401
    again = await client.post("/auth/refresh", json={"refresh_token": refreshed.json["refresh_token"]})
    assert (await client.get("/books", headers=bearer(again.json["access_token"]))).status == 403


async def test_who_is_locked_out_is_out_at_once_and_by_every_way(client: Client) -> None:
    ann, boss = await signed_up(client), await administrator(client)
    session = await session_of(ann)
    cookie = {"cookie": cookie_of(await ann.log_in(means="cookie")), **SAME_SITE}
    assert (await client.get("/me", headers=cookie)).status == 200
    key = await client.post("/auth/api-keys", json={"name": "till"}, headers=bearer(session["access_token"]))
    assert key.status == 201
    account = await ann.row()
    locked = await client.post(f"/auth/accounts/{account.id}/lock", json={"reason": "lost a phone"}, headers=boss)
    assert locked.status == 204
    for headers in (bearer(session["access_token"]), bearer(key.json["key"]), cookie):
        assert (await client.get("/me", headers=headers)).status == 401
    assert (await client.post("/auth/refresh", json={"refresh_token": session["refresh_token"]})).status == 401
    assert (await ann.log_in()).status == 401
    assert (await client.post(f"/auth/accounts/{account.id}/unlock", headers=boss)).status == 204
    assert (await client.get("/me", headers=bearer(session["access_token"]))).status == 401
    assert (await session_of(ann))["access_token"]


async def test_a_new_password_ends_what_was_opened_with_the_old_one(client: Client) -> None:
    ann = await signed_up(client)
    session = await session_of(ann)
    assert (await client.post("/auth/password/forgotten", json={"email": ANN})).status == 202
    await client.deliver()
    wanted = {"code": ann.code(), "password": OTHER_PASSWORD}
    assert (await client.post("/auth/password/reset", json=wanted)).status == 204
    assert (await client.get("/me", headers=bearer(session["access_token"]))).status == 401
    assert (await client.post("/auth/refresh", json={"refresh_token": session["refresh_token"]})).status == 401
    assert (await ann.log_in(PASSWORD)).status == 401
    assert (await ann.log_in(OTHER_PASSWORD)).status == 200


async def test_what_happened_stands_in_the_record_and_cannot_be_taken_out(client: Client) -> None:
    bob, boss = await signed_up(client, BOB), await administrator(client)
    await bob.log_in("not the one that it is")
    await session_of(bob)
    account = await bob.row()
    events = await client.get("/auth/security-events", query={"limit": 100}, headers=boss)
    of_bob = [(e["kind"], e["outcome"]) for e in events.json["items"] if e["subject"] == str(account.id)]
    assert ("log_in.password", "failure") in of_bob
    assert ("log_in.password", "success") in of_bob
    for method in ("DELETE", "PATCH", "PUT"):
        path = f"/auth/security-events/{events.json['items'][0]['id']}"
        assert (await client.request(method, path, json={}, headers=boss)).status in (404, 405)


async def test_a_person_that_is_erased_has_no_account_and_no_session_left(client: Client) -> None:
    ann, bob = await signed_up(client), await signed_up(client, BOB)
    session, account = await session_of(ann), await ann.row()
    others = await session_of(bob)
    told = await export(client.bound, account.id)
    assert ANN in str(told)
    await client.deliver()
    done = await erase(client.bound, account.id)
    assert done.waiting == 0
    assert await client.stored(Account, email=ANN) == []
    assert await client.stored(Session, account_id=account.id) == []
    kept = {each.entity: (each.rows, each.reason) for each in done.entities if each.erase == "keep"}
    rows, reason = kept["identity.SecurityRecord"]
    assert rows > 0
    assert "kept whole" in reason
    assert (await client.post("/auth/refresh", json={"refresh_token": session["refresh_token"]})).status == 401
    client.clock.advance(1)
    assert (await client.get("/me", headers=bearer(session["access_token"]))).status == 401
    assert (await client.get("/me", headers=bearer(others["access_token"]))).status == 200
