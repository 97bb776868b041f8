"""One whole story of an account on the database servers, and commands of accounts that meet each other there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from accounts_service import ADMIN, ANN, OTHER_PASSWORD, NotedSessions, Person, shop, signed_up
from document_stores import DOCUMENT_STORES, document_store
from mysql_databases import DatabaseStore, database_of
from mysql_databases import drop_databases as drop_mysql
from postgres_schemas import SchemaStore, drop_schemas, schema_of

from mainstay.identity.accounts.entities import Account, RecoveryCode
from mainstay.ports.security_log import SecurityRecord
from mainstay.testing import Client, FixedClock


@pytest_asyncio.fixture(params=["postgresql", "mariadb", *DOCUMENT_STORES])
async def client(request: pytest.FixtureRequest, sessions: NotedSessions, tmp_path: Path) -> AsyncIterator[Client]:
    clock, kind = FixedClock(), SchemaStore if request.param == "postgresql" else DatabaseStore
    if request.param in DOCUMENT_STORES:
        async with (
            document_store(request.param, tmp_path) as documents,
            Client(shop(sessions, default_roles=["customer"]), store=documents, clock=clock) as opened,
        ):
            yield opened
        return
    store: Any = kind(tmp_path, clock=clock.monotonic)
    async with Client(shop(sessions, default_roles=["customer"]), store=store, clock=clock) as opened:
        yield opened
    if request.param == "postgresql":
        await drop_schemas([schema_of(tmp_path)])
    else:
        await drop_mysql([database_of(tmp_path)])


async def test_from_the_sign_up_to_the_lock(client: Client, sessions: NotedSessions) -> None:
    ann = await signed_up(client)
    assert (await ann.log_in("not the password")).status == 401
    assert (await ann.log_in()).json["session"] is not None
    secret, codes = await ann.with_second_factor()
    client.clock.advance(30)
    challenge = (await ann.log_in()).json["challenge"]
    step = {"challenge": challenge, "code": ann.code_now(secret)}
    assert (await client.post("/auth/log-in/second-step", json=step)).status == 200
    assert (await client.post("/auth/log-in/second-step", json=step)).status == 401
    assert (await client.post("/auth/log-in/second-step", json={**step, "code": codes[0]})).status == 200
    assert len(await client.stored(RecoveryCode)) == 9
    await client.post("/auth/password/forgotten", json={"email": ANN})
    await client.deliver()
    reset = {"code": ann.code(), "password": OTHER_PASSWORD}
    assert (await client.post("/auth/password/reset", json=reset)).status == 204
    account = (await ann.row()).id
    assert (await client.post(f"/auth/accounts/{account}/lock", who=ADMIN, json={"reason": "why not"})).status == 204
    assert (await ann.log_in(OTHER_PASSWORD)).status == 401
    kinds = [one.kind for one in await client.stored(SecurityRecord, subject=account)]
    assert kinds == [
        "account.signed_up",
        "account.verified",
        "log_in.password",
        "log_in.password",
        "second_factor.added",
        "log_in.password",
        "log_in.second_step",
        "log_in.second_step",
        "log_in.second_step",
        "password.reset",
        "account.locked",
        "log_in.password",
    ]
    assert [session.proofs[0] for session in sessions.opened] == ["pwd"] * 3


async def test_two_sign_ups_with_one_address_at_once_make_one_account(client: Client) -> None:
    people = [Person(client, password=f"a long secret {n}") for n in range(4)]
    answers = await asyncio.gather(
        *(client.post("/auth/sign-up", json={"email": ANN, "password": one.password}) for one in people)
    )
    assert {(answer.status, answer.body) for answer in answers} == {(202, b"")}
    assert len(await client.stored(Account)) == 1
    await client.deliver()
    subjects = [letter.subject for letter in client.letters.to(ANN)]
    assert subjects.count("Confirm your address for Corner shop") == 1


async def test_a_code_that_is_given_twice_at_once_counts_once(client: Client, sessions: NotedSessions) -> None:
    ann = await signed_up(client)
    secret, codes = await ann.with_second_factor()
    client.clock.advance(300)
    challenge = (await ann.log_in()).json["challenge"]
    for code in (ann.code_now(secret), codes[0]):
        step = {"challenge": challenge, "code": code}
        answers = await asyncio.gather(
            *(client.post("/auth/log-in/second-step", json=step) for _ in range(2)), return_exceptions=False
        )
        assert sorted(answer.status for answer in answers) in ([200, 401], [200, 409])
    assert len(sessions.opened) >= 2
