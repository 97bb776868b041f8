"""Logging in at the door: one answer for all that is wrong, at one cost, and brakes that stop guessers, not owners."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from accounts_service import (
    ANN,
    OTHER_PASSWORD,
    PASSWORD,
    CountedHasher,
    Elsewhere,
    NotedSessions,
    Person,
    code_of_outcome,
    shop,
    signed_up,
)

from mainstay.adapters.argon.hasher import ArgonHasher
from mainstay.identity.accounts.entities import Account
from mainstay.ports.passwords import PasswordHasher
from mainstay.ports.security_log import SecurityRecord
from mainstay.testing import Client


@pytest.fixture
def client(accounts: Client) -> Client:
    return accounts


@pytest_asyncio.fixture
async def counted(sessions: NotedSessions) -> AsyncIterator[tuple[Client, CountedHasher]]:
    """A service whose hashes are counted."""
    argon = ArgonHasher(memory=8, iterations=1)
    hasher = CountedHasher(argon)
    async with Client(shop(sessions), replace={PasswordHasher: hasher}) as client:
        yield client, hasher
    argon.close()


async def locked(client: Client, person: Person) -> None:
    """Lock an account behind the service's back."""
    from accounts_service import ADMIN

    account = (await person.row()).id
    assert (await client.post(f"/auth/accounts/{account}/lock", who=ADMIN, json={})).status == 204


async def test_a_right_password_opens_a_session(client: Client, sessions: NotedSessions) -> None:
    ann = await signed_up(client)
    answer = await ann.log_in()
    assert answer.status == 200
    assert answer.json["session"]["access_token"] == "access-1"
    assert answer.json["challenge"] is None
    opened = sessions.opened[0]
    assert opened == ((await ann.row()).id, ("customer",), ("pwd",), "tokens")
    assert (await ann.log_in(means="cookie")).status == 200
    assert sessions.opened[1].means == "cookie"


async def test_whatever_is_wrong_is_one_answer_and_one_effort(
    counted: tuple[Client, CountedHasher], sessions: NotedSessions
) -> None:
    client, hasher = counted
    ann, bob, carl = await signed_up(client), await signed_up(client, "bob@shop.example"), Person(client, "c@x.example")
    await carl.sign_up()  # and never confirmed
    await locked(client, bob)
    hasher.counts()
    tried = [
        await ann.log_in("not the password"),
        await bob.log_in(),
        await carl.log_in(),
        await Person(client, "nobody@shop.example").log_in(),
    ]
    bodies = {answer.body for answer in tried}
    assert {answer.status for answer in tried} == {401}
    assert len(bodies) == 1
    assert tried[0].json["code"] == "log_in_refused"
    assert tried[0].headers["www-authenticate"].startswith("Bearer")
    assert hasher.counts() == (0, 4)
    assert sessions.opened == []
    for person in (ann, Person(client, "nobody@shop.example")):
        await person.log_in("not the password")
        assert hasher.counts() == (0, 1)


async def test_signing_up_costs_the_same_for_a_taken_address(counted: tuple[Client, CountedHasher]) -> None:
    client, hasher = counted
    await Person(client).sign_up()
    first = hasher.counts()
    await Person(client).sign_up()
    assert hasher.counts() == first == (1, 0)


async def test_why_it_was_refused_is_on_record_though_the_call_changed_nothing(client: Client) -> None:
    ann = await signed_up(client)
    await ann.log_in("not the password")
    await Person(client, "nobody@shop.example").log_in()
    records = await client.stored(SecurityRecord, kind="log_in.password")
    assert [(one.outcome, one.facts["reason"]) for one in records] == [("failure", "password"), ("failure", "address")]
    assert [one.subject for one in records] == [(await ann.row()).id, None]


async def test_a_hash_of_weaker_parameters_is_made_anew_at_the_next_log_in(
    counted: tuple[Client, CountedHasher],
) -> None:
    client, hasher = counted
    ann = await signed_up(client)
    before = (await ann.row()).password
    assert before is not None
    hasher.stale.add(before)
    assert (await ann.log_in("not the password")).status == 401
    assert (await ann.row()).password == before
    assert (await ann.log_in()).status == 200
    after = (await ann.row()).password
    assert after != before
    assert (await ann.log_in()).status == 200
    assert (await ann.row()).password == after


async def test_a_password_is_the_same_however_its_letters_are_composed(client: Client) -> None:
    composed, parts = "caf\u00e9 au lait noir", "cafe\u0301 au lait noir"
    ann = await signed_up(client, password=composed)
    assert (await ann.log_in(parts)).status == 200


async def test_a_long_password_counts_to_its_last_letter(client: Client) -> None:
    long = "a wet lantern hums " * 13 + "at night!"
    assert len(long) == 256
    ann = await signed_up(client, password=long)
    for other in (long[:-1], long[:-1] + "?", long.upper(), long[:72]):
        assert (await ann.log_in(other)).status == 401
    assert (await ann.log_in()).status == 200


async def test_no_password_ends_by_its_age(client: Client) -> None:
    ann = await signed_up(client)
    client.clock.advance(5 * 365 * 86_400)
    assert (await ann.log_in()).json["session"] is not None


async def test_guessing_from_one_address_ends_soon(client: Client) -> None:
    ann = await signed_up(client)
    tried = [(await ann.log_in(f"guess number {n}")).status for n in range(12)]
    assert tried == [401] * 10 + [429] * 2
    answer = await ann.log_in()
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) > 0
    client.clock.advance(600)
    assert (await ann.log_in()).status == 200


async def test_an_address_without_an_account_is_braked_alike(client: Client) -> None:
    ann, nobody = await signed_up(client), Person(client, "nobody@shop.example")
    tried = [[(await one.log_in(f"guess number {n}")).status for n in range(12)] for one in (ann, nobody)]
    assert tried[0] == tried[1]


async def test_only_failures_in_a_row_add_up(client: Client) -> None:
    ann = await signed_up(client)
    for _ in range(4):
        for n in range(6):
            assert (await ann.log_in(f"guess number {n}")).status == 401
        client.clock.advance(1)
        assert (await ann.log_in()).status == 200


async def test_strangers_everywhere_do_not_keep_an_owner_out(client: Client) -> None:
    ann, elsewhere = await signed_up(client), Elsewhere(client)
    assert code_of_outcome(await elsewhere.log_in("home", ANN, PASSWORD)) == "in"
    tried = [code_of_outcome(await elsewhere.log_in(f"bot-{n}", ANN, "not the password")) for n in range(60)]
    assert tried == ["log_in_refused"] * 49 + ["rate_limited"] * 11  # one is the owner's own first log-in
    assert code_of_outcome(await elsewhere.log_in("home", ANN, PASSWORD)) == "in"
    assert code_of_outcome(await elsewhere.log_in("a new place", ANN, PASSWORD)) == "rate_limited"
    await client.post("/auth/password/forgotten", json={"email": ANN})
    await client.deliver()
    wanted = {"code": ann.code(), "password": OTHER_PASSWORD}
    assert (await client.post("/auth/password/reset", json=wanted)).status == 204
    assert (await ann.log_in(OTHER_PASSWORD)).status == 200  # from where the letter was used


async def test_guessing_at_an_account_that_is_guessed_at_costs_no_hash(counted: tuple[Client, CountedHasher]) -> None:
    client, hasher = counted
    await signed_up(client)
    elsewhere = Elsewhere(client)
    for n in range(50):
        await elsewhere.log_in(f"bot-{n}", ANN, "not the password")
    hasher.counts()
    assert code_of_outcome(await elsewhere.log_in("bot-50", ANN, PASSWORD)) == "rate_limited"
    assert hasher.counts() == (0, 0)


async def test_whoever_brings_the_second_factor_along_comes_in_from_anywhere(client: Client) -> None:
    ann, elsewhere = await signed_up(client), Elsewhere(client)
    secret, _ = await ann.with_second_factor()
    for n in range(60):
        await elsewhere.log_in(f"bot-{n}", ANN, "not the password")
    client.clock.advance(60)  # a code counts once
    right, wrong = ann.code_now(secret), "000000"
    refused = [
        await elsewhere.log_in("new-1", ANN, PASSWORD),
        await elsewhere.log_in("new-2", ANN, PASSWORD, code=wrong),
        await elsewhere.log_in("new-3", ANN, "not the password", code=right),
        await elsewhere.log_in("new-4", ANN, "not the password", code=wrong),
        await elsewhere.log_in("new-5", "nobody@shop.example", PASSWORD, code=wrong),
    ]
    assert [code_of_outcome(outcome) for outcome in refused[:4]] == ["rate_limited"] * 4
    assert len({(outcome.detail, outcome.retry_after) for outcome in refused[:4]}) == 1
    assert code_of_outcome(await elsewhere.log_in("new-6", ANN, PASSWORD, code=right)) == "in"


async def test_one_address_that_fails_on_many_accounts_is_braked(client: Client) -> None:
    elsewhere = Elsewhere(client)
    tried = []
    for n in range(110):
        tried.append(code_of_outcome(await elsewhere.log_in("bot", f"person-{n}@shop.example", "a common guess")))
        client.clock.advance(2)
    assert tried.count("rate_limited") > 0
    assert tried.index("rate_limited") >= 100


async def test_an_account_that_was_locked_while_its_password_was_looked_at_stays_out(
    counted: tuple[Client, CountedHasher], sessions: NotedSessions
) -> None:
    client, hasher = counted
    ann = await signed_up(client)
    verify = hasher.verify

    async def slow(hashed: str | None, password: str) -> bool:
        right = await verify(hashed, password)
        await locked(client, ann)
        return right

    hasher.verify = slow  # type: ignore[method-assign]
    assert (await ann.log_in()).json["code"] == "log_in_refused"
    assert sessions.opened == []
    assert (await client.stored(Account))[0].locked_at is not None
