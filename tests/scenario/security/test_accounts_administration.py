"""Administering accounts at the door, and an account as its owner has it."""

from __future__ import annotations

from uuid import UUID

import pytest
from accounts_service import ADMIN, ANN, BOB, PASSWORD, NotedSessions, Person, signed_up

from mainstay.identity.accounts.entities import Account, RoleGrant
from mainstay.ports.security_log import SecurityRecord
from mainstay.testing import Client, as_principal

NOT_ADMINS = [None, as_principal("somebody"), as_principal("a-customer", roles=["customer", "administrator"])]


@pytest.fixture
def client(accounts: Client) -> Client:
    return accounts


@pytest.mark.parametrize("who", NOT_ADMINS, ids=["nobody", "somebody", "a customer"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/auth/accounts"),
        ("POST", "/auth/accounts"),
        ("GET", "/auth/accounts/{id}"),
        ("POST", "/auth/accounts/{id}/roles"),
        ("DELETE", "/auth/accounts/{id}/roles/customer"),
        ("POST", "/auth/accounts/{id}/lock"),
        ("POST", "/auth/accounts/{id}/unlock"),
        ("DELETE", "/auth/accounts/{id}/sessions"),
        ("GET", "/auth/security-events"),
    ],
)
async def test_nobody_else_administers(client: Client, who: object, method: str, path: str) -> None:
    ann = await signed_up(client)
    answer = await client.request(method, path.replace("{id}", str((await ann.row()).id)), who=who)  # type: ignore[arg-type]
    assert answer.status == (401 if who is None else 403)


async def test_there_is_no_account_before_somebody_makes_one(client: Client) -> None:
    assert await client.stored(Account) == []
    for name in ("admin", "root", "sa", "test"):
        for password in (name, "password", "changeit"):
            answer = await Person(client, f"{name}@shop.example").log_in(password)
            assert answer.status in (401, 429)
    assert await client.stored(RoleGrant) == []


async def test_accounts_are_listed_without_what_is_secret(client: Client) -> None:
    await signed_up(client)
    await Person(client, BOB).sign_up()
    listed = await client.get("/auth/accounts?sort=email", who=ADMIN)
    assert [one["email"] for one in listed.json["items"]] == [ANN, BOB]
    assert b"password" not in listed.body
    assert b"argon2" not in listed.body
    assert (await client.get("/auth/accounts?password[contains]=argon", who=ADMIN)).status == 400
    assert (await client.get("/auth/accounts?sort=password", who=ADMIN)).status == 400
    unverified = await client.get("/auth/accounts?verified_at[null]=true", who=ADMIN)
    assert [one["email"] for one in unverified.json["items"]] == [BOB]


async def test_roles_are_granted_and_taken(client: Client, sessions: NotedSessions) -> None:
    ann = await signed_up(client)
    account = (await ann.row()).id
    granted = await client.post(f"/auth/accounts/{account}/roles", who=ADMIN, json={"role": "manager"})
    assert granted.json["roles"] == ["customer", "manager"]
    assert (await client.post(f"/auth/accounts/{account}/roles", who=ADMIN, json={"role": "manager"})).status == 409
    await ann.log_in()
    assert sessions.opened[0].roles == ("customer", "manager")
    assert (await client.delete(f"/auth/accounts/{account}/roles/manager", who=ADMIN)).status == 204
    assert sessions.outdated == [account, account]
    assert (await client.delete(f"/auth/accounts/{account}/roles/manager", who=ADMIN)).status == 404
    assert [grant.role for grant in await client.stored(RoleGrant)] == ["customer"]


@pytest.mark.parametrize("role", ["", "a b", "x" * 101, "new\nline", "-"])
async def test_a_role_is_a_plain_word(client: Client, role: str) -> None:
    account = (await (await signed_up(client)).row()).id
    assert (await client.post(f"/auth/accounts/{account}/roles", who=ADMIN, json={"role": role})).status == 422
    made = await client.post("/auth/accounts", who=ADMIN, json={"email": BOB, "roles": ["manager", role]})
    assert made.status == 422


async def test_a_locked_account_is_out_until_it_is_unlocked(client: Client, sessions: NotedSessions) -> None:
    ann = await signed_up(client)
    account = (await ann.row()).id
    assert (
        await client.post(f"/auth/accounts/{account}/lock", who=ADMIN, json={"reason": "it was stolen"})
    ).status == 204
    assert sessions.ended == [(account, "locked", None)]
    assert (await ann.log_in()).json["code"] == "log_in_refused"
    assert (await client.stored(SecurityRecord, kind="log_in.password"))[0].facts == {"reason": "locked"}
    wanted = {"present": PASSWORD, "password": "another long secret"}
    assert (await ann.ask("POST", "/auth/account/password", wanted)).status == 403
    assert (await client.post(f"/auth/accounts/{account}/unlock", who=ADMIN)).status == 204
    assert (await ann.log_in()).status == 200


async def test_sessions_of_an_account_are_ended(client: Client, sessions: NotedSessions) -> None:
    ann = await signed_up(client)
    await ann.log_in()
    account = (await ann.row()).id
    assert (await client.delete(f"/auth/accounts/{account}/sessions", who=ADMIN)).json == {"sessions": 1}
    assert sessions.ended == [(account, "administrator", None)]


async def test_an_account_that_is_made_gets_a_letter(client: Client) -> None:
    made = await client.post("/auth/accounts", who=ADMIN, json={"email": BOB, "roles": ["manager", "manager"]})
    assert made.status == 201
    assert made.json["roles"] == ["manager"]
    await client.deliver()
    bob = Person(client, BOB)
    wanted = {"code": bob.code(), "password": PASSWORD}
    assert (await client.post("/auth/password/reset", json=wanted)).status == 204
    assert (await bob.log_in()).status == 200
    assert (await client.post("/auth/accounts", who=ADMIN, json={"email": BOB})).json["code"] == "address_taken"


async def test_an_account_without_a_password_is_no_way_in(client: Client) -> None:
    await client.post("/auth/accounts", who=ADMIN, json={"email": BOB})
    for password in ("", "None", "null", PASSWORD):
        assert (await client.post("/auth/log-in", json={"email": BOB, "password": password})).status == 401


async def test_an_administrator_of_a_tenant_has_its_accounts_only(client: Client) -> None:
    boss = as_principal("boss-of-north", roles="admin", tenant="north")
    ann = await signed_up(client)
    own = await client.post("/auth/accounts", who=boss, json={"email": BOB})
    assert [one["email"] for one in (await client.get("/auth/accounts", who=boss)).json["items"]] == [BOB]
    account, bob = (await ann.row()).id, UUID(own.json["id"])
    for method, path, json in (
        ("GET", "", None),
        ("POST", "/roles", {"role": "manager"}),
        ("DELETE", "/roles/customer", None),
        ("POST", "/lock", {}),
        ("POST", "/unlock", None),
        ("DELETE", "/sessions", None),
    ):
        more = {} if json is None else {"json": json}
        answer = await client.request(method, f"/auth/accounts/{account}{path}", who=boss, **more)
        assert answer.status == 404
    assert (await client.post(f"/auth/accounts/{bob}/lock", who=boss, json={})).status == 204
    seen = (await client.get("/auth/security-events", who=boss)).json["items"]
    assert {one["tenant"] for one in seen} == {"north"}
    assert {one["kind"] for one in seen} == {"account.created", "account.locked"}


async def test_what_concerned_security_is_looked_through(client: Client) -> None:
    ann = await signed_up(client)
    await ann.log_in("not the password")
    account = (await ann.row()).id
    client.clock.advance(1)
    await client.post(f"/auth/accounts/{account}/lock", who=ADMIN, json={"reason": "guessed at"})
    found = await client.get(f"/auth/security-events?subject={account}&sort=-created_at", who=ADMIN)
    assert found.json["items"][0]["kind"] == "account.locked"
    locked = (await client.get("/auth/security-events?kind=account.locked", who=ADMIN)).json["items"][0]
    assert locked["actor"] == str(ADMIN.id)
    assert locked["facts"] == {"reason": "guessed at"}
    assert locked["request_id"]
    failed = (await client.get("/auth/security-events?outcome=failure", who=ADMIN)).json["items"]
    assert [one["kind"] for one in failed] == ["log_in.password"]
    assert PASSWORD.encode() not in found.body


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_no_door_changes_a_record(client: Client, method: str) -> None:
    await signed_up(client)
    record = (await client.stored(SecurityRecord))[0]
    for path in ("/auth/security-events", f"/auth/security-events/{record.id}"):
        assert (await client.request(method, path, who=ADMIN, json={})).status in (404, 405)


async def test_an_owner_sees_and_changes_its_account(client: Client) -> None:
    ann = await signed_up(client)
    seen = (await ann.ask("GET", "/auth/account")).json
    assert (seen["email"], seen["roles"], seen["second_factor"]) == (ANN, ["customer"], False)
    changed = await ann.ask("PATCH", "/auth/account", {"name": "Ann of the shop"})
    assert changed.json["name"] == "Ann of the shop"
    for more in ({"email": BOB}, {"roles": ["admin"]}, {"verified_at": None}, {"tenant": "north"}, {"id": "x"}):
        assert (await ann.ask("PATCH", "/auth/account", {"name": "x", **more})).status == 422
    assert (await client.get("/auth/account")).status == 401
    assert (await client.get("/auth/account", who=as_principal("of-no-account"))).status == 404


async def test_an_owner_asks_to_be_deleted_and_thinks_better_of_it(client: Client, sessions: NotedSessions) -> None:
    ann = await signed_up(client)
    assert (await ann.ask("POST", "/auth/account/deletion", {"password": "not it"})).status == 403
    assert (await ann.ask("POST", "/auth/account/deletion", {"password": PASSWORD})).status == 202
    assert (await ann.row()).deletion_requested_at == client.clock.now()
    assert sessions.ended == [((await ann.row()).id, "deletion_requested", None)]
    assert ("identity.DeletionRequested", {"account_id": str((await ann.row()).id)}) in await client.waiting()
    assert (await ann.log_in()).status == 200
    assert (await ann.ask("DELETE", "/auth/account/deletion")).status == 204
    assert (await ann.row()).deletion_requested_at is None
