"""Changing and resetting passwords at the door."""

from __future__ import annotations

from uuid import UUID

import pytest
from accounts_service import ADMIN, ANN, BOB, OTHER_PASSWORD, PASSWORD, NotedSessions, Person, signed_up

from mainstay.kernel.flow.records import IdempotencyRecord
from mainstay.ports.security_log import SecurityRecord
from mainstay.testing import Client, as_principal


@pytest.fixture
def client(accounts: Client) -> Client:
    return accounts


async def forgotten(client: Client, email: str = ANN) -> None:
    """Ask for the letter to set a new password, and have it sent."""
    assert (await client.post("/auth/password/forgotten", json={"email": email})).status == 202
    await client.deliver()


async def test_a_password_is_changed_with_the_present_one(client: Client, sessions: NotedSessions) -> None:
    ann = await signed_up(client)
    session = UUID(int=77)
    wanted = {"present": PASSWORD, "password": OTHER_PASSWORD}
    who = await ann.who(session=session)
    assert (await client.post("/auth/account/password", who=who, json=wanted)).status == 204
    assert (await ann.log_in(PASSWORD)).status == 401
    assert (await ann.log_in(OTHER_PASSWORD)).status == 200
    assert sessions.ended == [((await ann.row()).id, "password_changed", session)]
    assert sessions.renewed == 1
    await client.deliver()
    assert "was changed" in client.letters.to(ANN)[-1].subject


async def test_a_wrong_present_password_changes_nothing(client: Client, sessions: NotedSessions) -> None:
    ann = await signed_up(client)
    answer = await ann.ask("POST", "/auth/account/password", {"present": "not it", "password": OTHER_PASSWORD})
    assert (answer.status, answer.json["code"]) == (403, "password_wrong")
    assert sessions.ended == []
    assert (await ann.log_in()).status == 200
    assert (await client.stored(SecurityRecord, kind="password.confirmed"))[0].outcome == "failure"


async def test_a_caller_that_is_logged_in_does_not_guess_the_password_for_long(client: Client) -> None:
    ann = await signed_up(client)
    wanted = {"present": "not it", "password": OTHER_PASSWORD}
    tried = [(await ann.ask("POST", "/auth/account/password", wanted)).status for _ in range(12)]
    assert tried == [403] * 10 + [429] * 2


async def test_nobody_changes_a_password_without_being_logged_in(client: Client) -> None:
    wanted = {"present": PASSWORD, "password": OTHER_PASSWORD}
    assert (await client.post("/auth/account/password", json=wanted)).status == 401
    stranger = as_principal("of-no-account")
    assert (await client.post("/auth/account/password", who=stranger, json=wanted)).status == 403


async def test_a_new_password_is_held_to_the_rules(client: Client) -> None:
    ann = await signed_up(client)
    answer = await ann.ask("POST", "/auth/account/password", {"present": PASSWORD, "password": "password123"})
    assert answer.json["code"] == "password_refused"


async def test_a_forgotten_password_is_set_anew(client: Client, sessions: NotedSessions) -> None:
    ann = await signed_up(client)
    await forgotten(client)
    wanted = {"code": ann.code(), "password": OTHER_PASSWORD}
    assert (await client.post("/auth/password/reset", json=wanted)).status == 204
    assert sessions.ended == [((await ann.row()).id, "password_reset", None)]
    assert (await ann.log_in(PASSWORD)).status == 401
    assert (await ann.log_in(OTHER_PASSWORD)).status == 200
    assert (await client.post("/auth/password/reset", json=wanted)).json["code"] == "code_refused"


async def test_forgetting_is_answered_alike_for_an_address_without_an_account(client: Client) -> None:
    await signed_up(client)
    answers = [await client.post("/auth/password/forgotten", json={"email": email}) for email in (ANN, BOB)]
    assert answers[0].body == answers[1].body
    assert {answer.status for answer in answers} == {202}
    waiting = [name for name, _ in await client.waiting()]
    assert waiting == ["identity.CodeAsked"] * 2
    await client.deliver()
    assert client.letters.to(BOB) == []


async def test_the_code_of_a_letter_ends_after_an_hour(client: Client) -> None:
    ann = await signed_up(client)
    await forgotten(client)
    client.clock.advance(3600)
    wanted = {"code": ann.code(), "password": OTHER_PASSWORD}
    assert (await client.post("/auth/password/reset", json=wanted)).json["code"] == "code_refused"
    assert (await ann.log_in()).status == 200


async def test_a_refused_password_does_not_use_the_code_up(client: Client) -> None:
    ann = await signed_up(client)
    await forgotten(client)
    wanted = {"code": ann.code(), "password": "password123"}
    assert (await client.post("/auth/password/reset", json=wanted)).json["code"] == "password_refused"
    wanted["password"] = OTHER_PASSWORD
    assert (await client.post("/auth/password/reset", json=wanted)).status == 204


async def test_who_reads_the_letters_of_an_address_has_confirmed_it(client: Client) -> None:
    ann = Person(client)
    await ann.sign_up()
    first = ann.code()
    await forgotten(client)
    wanted = {"code": ann.code(), "password": OTHER_PASSWORD}
    assert (await client.post("/auth/password/reset", json=wanted)).status == 204
    assert (await ann.row()).verified_at is not None
    assert (await client.post("/auth/verify", json={"code": first})).status == 422


async def test_a_locked_account_gets_no_new_password(client: Client) -> None:
    ann = await signed_up(client)
    await forgotten(client)
    await client.post(f"/auth/accounts/{(await ann.row()).id}/lock", who=ADMIN, json={})
    before = await ann.row()
    wanted = {"code": ann.code(), "password": OTHER_PASSWORD}
    assert (await client.post("/auth/password/reset", json=wanted)).json["code"] == "code_refused"
    assert await ann.row() == before


async def test_no_digest_of_a_password_is_kept_for_a_key(client: Client) -> None:
    ann = Person(client)
    await client.post("/auth/sign-up", json={"email": ANN, "password": PASSWORD}, key="k-1")
    await client.deliver()
    await ann.verify()
    await forgotten(client)
    who, given = await ann.who(), {"password": PASSWORD}
    for method, path, body in (
        ("POST", "/auth/log-in", {"email": ANN, **given}),
        ("POST", "/auth/account/password", {"present": PASSWORD, "password": OTHER_PASSWORD}),
        ("POST", "/auth/password/reset", {"code": ann.code(), **given}),
        ("POST", "/auth/second-factor", given),
        ("POST", "/auth/second-factor/recovery-codes", given),
        ("POST", "/auth/second-factor/remove", {**given, "code": "000000"}),
        ("POST", "/auth/account/deletion", given),
    ):
        await client.request(method, path, who=who, json=body, key=f"k-{path}")
    await client.post("/auth/accounts", who=ADMIN, json={"email": BOB, **given}, key="k-2")
    assert await client.stored(IdempotencyRecord) == []


@pytest.mark.parametrize("code", ["", "x", "0" * 22, "../../etc/passwd", "\u0000", "' or 1=1 --"])
async def test_a_made_up_code_is_refused(client: Client, code: str) -> None:
    await signed_up(client)
    await forgotten(client)
    answer = await client.post("/auth/password/reset", json={"code": code, "password": OTHER_PASSWORD})
    assert answer.status in (400, 422)
