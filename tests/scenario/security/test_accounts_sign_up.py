"""Signing up at the door: nobody learns from it which addresses have an account, and no account is anybody else's."""

from __future__ import annotations

import pytest
from accounts_service import ANN, BOB, PASSWORD, NotedSessions, Person, code_in, shop, signed_up

from mainstay.identity.accounts.entities import Account, OneTimeCode, RoleGrant
from mainstay.kernel.flow.records import InboxMessage, OutboxMessage
from mainstay.ports.security_log import SecurityRecord
from mainstay.testing import Client


@pytest.fixture
def client(accounts: Client) -> Client:
    return accounts


async def test_an_account_is_made_and_its_address_confirmed(client: Client) -> None:
    ann = Person(client)
    assert (await ann.sign_up(name="Ann")).status == 202
    assert (await ann.row()).verified_at is None
    assert (await ann.verify()).status == 204
    row = await ann.row()
    assert row.verified_at == client.clock.now()
    assert row.password is not None
    assert row.password.startswith("$argon2id$")
    assert [grant.role for grant in await client.stored(RoleGrant)] == ["customer"]


async def test_a_taken_address_is_answered_as_a_free_one_and_its_owner_is_told(client: Client) -> None:
    ann = await signed_up(client)
    before = await ann.row()
    free = await Person(client, BOB).sign_up()
    taken = await Person(client, ANN, "another long secret").sign_up()
    assert (taken.status, taken.body) == (free.status, free.body)
    assert set(taken.headers) == set(free.headers)
    assert await ann.row() == before
    letter = client.letters.to(ANN)[-1]
    assert "has one already" in letter.text
    assert len(await client.stored(Account)) == 2


async def test_an_address_is_the_same_in_capitals(client: Client) -> None:
    await signed_up(client)
    assert (await Person(client, "Ann@Shop.Example").sign_up()).status == 202
    assert len(await client.stored(Account)) == 1


async def test_a_code_is_good_once(client: Client) -> None:
    ann = Person(client)
    await ann.sign_up()
    assert (await ann.verify()).status == 204
    again = await ann.verify()
    assert again.status == 422
    assert again.json["code"] == "code_refused"


async def test_a_code_ends(client: Client) -> None:
    ann = Person(client)
    await ann.sign_up()
    client.clock.advance(86_400)
    assert (await ann.verify()).json["code"] == "code_refused"
    assert (await ann.row()).verified_at is None


async def test_a_code_of_one_purpose_is_none_of_another(client: Client) -> None:
    ann = Person(client)
    await ann.sign_up()
    wanted = {"code": ann.code(), "password": "another long secret"}
    assert (await client.post("/auth/password/reset", json=wanted)).json["code"] == "code_refused"


async def test_a_letter_sent_again_makes_the_code_before_it_good_for_nothing(client: Client) -> None:
    ann = Person(client)
    await ann.sign_up()
    first = ann.code()
    assert (await client.post("/auth/verify/letter", json={"email": ANN})).status == 202
    await client.deliver()
    assert ann.code() != first
    assert (await client.post("/auth/verify", json={"code": first})).status == 422
    assert (await ann.verify()).status == 204


async def test_asking_for_a_letter_is_answered_alike_for_unknown_and_confirmed_addresses(client: Client) -> None:
    await signed_up(client)
    sent = len(client.letters.sent)
    answers = [await client.post("/auth/verify/letter", json={"email": email}) for email in (ANN, "nobody@x.example")]
    await client.deliver()
    assert {(answer.status, answer.body) for answer in answers} == {(202, b"")}
    assert len(client.letters.sent) == sent


async def test_no_code_and_no_password_stands_in_the_database(client: Client) -> None:
    ann = Person(client)
    await client.post("/auth/sign-up", json={"email": ANN, "password": PASSWORD})
    waiting = [message.payload for message in await client.stored(OutboxMessage)]
    await client.deliver()
    waiting += [message.payload for message in await client.stored(InboxMessage)]
    code = ann.code()
    rows = [*await client.stored(OneTimeCode), *await client.stored(Account), *await client.stored(SecurityRecord)]
    held = "".join(str({name: getattr(row, name) for name in row.__struct_fields__}) for row in rows)
    for text in (held, *waiting):
        assert code not in text
        assert PASSWORD not in text


async def test_an_address_is_not_flooded_with_letters(client: Client) -> None:
    ann = Person(client)
    answers = {(await ann.sign_up()).status}
    for _ in range(12):
        answers.add((await client.post("/auth/verify/letter", json={"email": ANN})).status)
    await client.deliver()
    assert answers == {202}
    assert len(client.letters.to(ANN)) == 5


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "at least 8"),
        ("x" * 257, "at most 256"),
        ("aaaaaaaaaaaa", "different characters"),
        ("password123", "many have used"),
        ("Password1", "many have used"),
        ("ann@shop.example", "address or name"),
        ("cornershop99", "service's name"),
    ],
)
async def test_a_password_that_is_guessed_first_is_refused(client: Client, password: str, why: str) -> None:
    answer = await Person(client, password=password).sign_up()
    assert answer.status == 422
    assert answer.json["code"] == "password_refused"
    fault = answer.json["faults"][0]
    assert fault["pointer"] == "/password"
    assert why in fault["detail"]
    assert password not in answer.body.decode() or "@" in password


@pytest.mark.parametrize(
    "email",
    [
        "ann@shop.example\r\nBcc: eve@evil.example",
        "ann@shop.example, eve@evil.example",
        "<ann@shop.example>",
        "ann@shop.example\n",
        "ann shop@shop.example",
        '"ann"@shop.example',
        "ann@localhost",
    ],
)
async def test_an_address_that_is_more_than_one_is_refused(client: Client, email: str) -> None:
    answer = await client.post("/auth/sign-up", json={"email": email, "password": PASSWORD})
    assert answer.status == 422
    await client.deliver()
    assert client.letters.sent == []


@pytest.mark.parametrize("name", ["Ann\r\nSubject: win", "a\x00b", "\x1b[31mred"])
async def test_a_name_has_no_signs_that_are_no_letters(client: Client, name: str) -> None:
    assert (await Person(client).sign_up(name=name)).status == 422


async def test_a_name_is_in_no_letter(client: Client) -> None:
    await Person(client).sign_up(name="Click https://evil.example")
    assert all("evil" not in letter.text + letter.subject for letter in client.letters.sent)


async def test_what_signing_up_takes_is_listed_and_nothing_else(client: Client) -> None:
    for more in ({"roles": ["admin"]}, {"verified_at": "2026-01-01T00:00:00Z"}, {"id": "x"}, {"tenant": "t"}):
        assert (await Person(client).sign_up(**more)).status == 422
    assert await client.stored(Account) == []


async def test_a_letter_that_is_lost_is_tried_again(client: Client) -> None:
    client.raise_errors = False
    client.letters.away = True
    ann = Person(client)
    await ann.sign_up()
    assert client.letters.sent == []
    client.letters.away = False
    client.clock.advance(5)
    await client.deliver()
    assert (await ann.verify()).status == 204


async def test_it_can_be_closed(sessions: NotedSessions) -> None:
    async with Client(shop(sessions, sign_up="closed")) as client:
        assert (await Person(client).sign_up()).status == 404


async def test_an_address_need_not_be_confirmed_where_the_service_says_so(sessions: NotedSessions) -> None:
    async with Client(shop(sessions, verify_email=False)) as client:
        ann = Person(client)
        assert (await ann.sign_up()).status == 202
        assert client.letters.sent == []
        assert (await ann.log_in()).status == 200


async def test_letters_lead_to_a_page_of_the_service(sessions: NotedSessions) -> None:
    async with Client(shop(sessions, verify_link="https://shop.example/verify?code={code}")) as client:
        ann = Person(client)
        await ann.sign_up()
        link = code_in(client.letters.to(ANN)[0].text)
        assert link.startswith("https://shop.example/verify?code=")
        code = link.partition("=")[2]
        assert (await client.post("/auth/verify", json={"code": code})).status == 204


async def test_what_happened_is_on_record(client: Client) -> None:
    ann = await signed_up(client)
    await Person(client, ANN, "another long secret").sign_up()
    account = (await ann.row()).id
    noted = [(one.kind, one.outcome, one.subject) for one in await client.stored(SecurityRecord) if one.subject]
    assert noted == [
        ("account.signed_up", "success", account),
        ("account.verified", "success", account),
        ("account.address_taken", "denied", account),
    ]
    told = [notice.facts["kind"] for notice in client.recorder.notices if notice.event == "security"]
    assert told == [kind for kind, *_ in noted]
