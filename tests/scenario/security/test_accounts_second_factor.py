"""The second factor at the door: a code counts once, a challenge is worth nothing by itself, and nothing goes round."""

from __future__ import annotations

import re
from typing import Any

import pytest
from accounts_service import (
    ADMIN,
    ANN,
    BOB,
    OTHER_PASSWORD,
    PASSWORD,
    Elsewhere,
    NotedSessions,
    Person,
    code_of_outcome,
    shop,
    signed_up,
)

from mainstay.identity.accounts.entities import RecoveryCode, SecondFactor
from mainstay.identity.accounts.totp import step_at
from mainstay.ports.security_log import SecurityRecord
from mainstay.testing import Client
from mainstay.testing.answer import Answer


@pytest.fixture
def client(accounts: Client) -> Client:
    return accounts


async def with_factor(client: Client) -> tuple[Person, bytes, list[str]]:
    """Return somebody whose account has a second factor, half a minute after it was set up."""
    ann = await signed_up(client)
    secret, codes = await ann.with_second_factor()
    client.clock.advance(30)
    return ann, secret, codes


async def challenged(person: Person) -> str:
    """Return the challenge of a log-in."""
    answer = await person.log_in()
    assert (answer.status, answer.json["needs"], answer.json["session"]) == (200, "second_factor", None)
    challenge: str = answer.json["challenge"]
    return challenge


async def second_step(client: Client, challenge: str, code: str) -> Answer:
    """Send the second step of a log-in."""
    return await client.post("/auth/log-in/second-step", json={"challenge": challenge, "code": code})


async def test_a_log_in_has_two_steps(client: Client, sessions: NotedSessions) -> None:
    ann, secret, _ = await with_factor(client)
    challenge = await challenged(ann)
    assert sessions.opened == []
    answer = await second_step(client, challenge, ann.code_now(secret))
    assert answer.status == 200
    assert answer.json["session"]["access_token"] == "access-1"
    assert sessions.opened[0].proofs == ("pwd", "otp", "mfa")


async def test_both_in_one_step(client: Client, sessions: NotedSessions) -> None:
    ann, secret, _ = await with_factor(client)
    assert (await ann.log_in(code="000000")).json["code"] == "second_step_refused"
    assert (await ann.log_in(code=ann.code_now(secret))).json["session"] is not None
    assert len(sessions.opened) == 1


async def test_a_code_counts_once(client: Client, sessions: NotedSessions) -> None:
    ann, secret, _ = await with_factor(client)
    code = ann.code_now(secret)
    assert (await second_step(client, await challenged(ann), code)).status == 200
    again = await second_step(client, await challenged(ann), code)
    assert (again.status, again.json["code"]) == (401, "second_step_refused")
    assert len(sessions.opened) == 1


async def test_a_code_of_the_setting_up_counts_no_more(client: Client) -> None:
    ann = await signed_up(client)
    secret, _ = await ann.with_second_factor()
    assert (await second_step(client, await challenged(ann), ann.code_now(secret))).status == 401


@pytest.mark.parametrize(("steps", "good"), [(-2, False), (-1, False), (0, True), (1, True), (2, False)])
async def test_a_clock_may_be_off_by_half_a_minute(client: Client, steps: int, good: bool) -> None:
    from mainstay.identity.accounts.totp import code_of

    ann, secret, _ = await with_factor(client)  # the step before this one was used to set it up
    code = code_of(secret, step_at(client.clock.time()) + steps)
    answer = await second_step(client, await challenged(ann), code)
    assert (answer.status == 200) is good


async def test_codes_cannot_be_tried_for_long(client: Client) -> None:
    ann, secret, _ = await with_factor(client)
    client.clock.advance(300)
    challenge = await challenged(ann)
    tried = [(await second_step(client, challenge, f"{n:06d}")).status for n in range(7)]
    assert tried == [401] * 5 + [429] * 2
    assert (await second_step(client, challenge, ann.code_now(secret))).status == 429


async def test_codes_cannot_be_tried_from_everywhere(client: Client) -> None:
    ann, secret, _ = await with_factor(client)
    challenge, elsewhere = await challenged(ann), Elsewhere(client)
    tried = [
        code_of_outcome(
            await elsewhere.send("log_in_second_step", f"bot-{n}", {"challenge": challenge, "code": f"{n:06d}"})
        )
        for n in range(30)
    ]
    assert tried.count("second_step_refused") == 19  # one is of the log-in that set it up
    assert set(tried[-11:]) == {"rate_limited"}
    wanted = {"challenge": challenge, "code": ann.code_now(secret)}
    assert code_of_outcome(await elsewhere.send("log_in_second_step", "bot-99", wanted)) == "rate_limited"


async def test_a_challenge_of_an_account_that_was_locked_holds_no_more(client: Client) -> None:
    ann, secret, _ = await with_factor(client)
    challenge = await challenged(ann)
    await client.post(f"/auth/accounts/{(await ann.row()).id}/lock", who=ADMIN, json={})
    assert (await second_step(client, challenge, ann.code_now(secret))).json["code"] == "challenge_refused"


async def test_a_challenge_ends(client: Client) -> None:
    ann, secret, _ = await with_factor(client)
    challenge = await challenged(ann)
    client.clock.advance(300)
    assert (await second_step(client, challenge, ann.code_now(secret))).json["code"] == "challenge_refused"


async def test_a_challenge_is_of_one_account_and_one_password(client: Client) -> None:
    ann, secret, _ = await with_factor(client)
    challenge = await challenged(ann)
    wanted = {"present": PASSWORD, "password": OTHER_PASSWORD}
    assert (await ann.ask("POST", "/auth/account/password", wanted)).status == 204
    assert (await second_step(client, challenge, ann.code_now(secret))).json["code"] == "challenge_refused"


@pytest.mark.parametrize("challenge", ["", "x", "A" * 120, "=" * 30])
async def test_a_made_up_challenge_is_refused(client: Client, challenge: str) -> None:
    answer = await second_step(client, challenge, "123456")
    assert (answer.status, answer.json["code"]) == (401, "challenge_refused")


async def test_a_changed_challenge_is_refused(client: Client) -> None:
    ann, secret, _ = await with_factor(client)
    challenge = await challenged(ann)
    for place in range(0, len(challenge), 7):
        other = "A" if challenge[place] != "A" else "B"
        changed = challenge[:place] + other + challenge[place + 1 :]
        assert (await second_step(client, changed, ann.code_now(secret))).json["code"] == "challenge_refused"


async def test_a_recovery_code_stands_in_once(client: Client, sessions: NotedSessions) -> None:
    ann, _, codes = await with_factor(client)
    assert len(set(codes)) == 10
    given = codes[3].upper().replace("-", " ")
    assert (await second_step(client, await challenged(ann), given)).status == 200
    assert (await second_step(client, await challenged(ann), codes[3])).status == 401
    assert len(await client.stored(RecoveryCode)) == 9
    used = await client.stored(SecurityRecord, kind="log_in.second_step")
    assert [one.facts.get("by") for one in used] == ["recovery_code", None]


async def test_a_recovery_code_is_its_accounts_own(client: Client) -> None:
    ann, _, codes = await with_factor(client)
    bob = await signed_up(client, BOB)
    await bob.with_second_factor()
    assert (await second_step(client, await challenged(bob), codes[0])).status == 401
    assert (await second_step(client, await challenged(ann), codes[0])).status == 200


async def test_new_recovery_codes_take_the_place_of_those_before(client: Client) -> None:
    ann, _, codes = await with_factor(client)
    answer = await ann.ask("POST", "/auth/second-factor/recovery-codes", {"password": "not it"})
    assert answer.json["code"] == "password_wrong"
    new = (await ann.ask("POST", "/auth/second-factor/recovery-codes", {"password": PASSWORD})).json["recovery_codes"]
    assert not set(new) & set(codes)
    assert (await second_step(client, await challenged(ann), codes[0])).status == 401
    assert (await second_step(client, await challenged(ann), new[0])).status == 200


async def test_a_recovery_code_has_120_bits(client: Client) -> None:
    _, _, codes = await with_factor(client)
    assert all(re.fullmatch(r"[a-z2-7]{6}(-[a-z2-7]{6}){3}", code) for code in codes)


async def test_a_new_password_leaves_it_where_it_was(client: Client, sessions: NotedSessions) -> None:
    ann, secret, _ = await with_factor(client)
    await client.post("/auth/password/forgotten", json={"email": ANN})
    await client.deliver()
    wanted = {"code": ann.code(), "password": OTHER_PASSWORD}
    assert (await client.post("/auth/password/reset", json=wanted)).status == 204
    assert sessions.opened == []
    answer = await ann.log_in(OTHER_PASSWORD)
    assert (answer.json["needs"], answer.json["session"]) == ("second_factor", None)
    assert (await second_step(client, answer.json["challenge"], ann.code_now(secret))).status == 200


async def test_it_is_removed_with_the_password_and_a_code(client: Client, sessions: NotedSessions) -> None:
    ann, secret, _ = await with_factor(client)
    refused: list[dict[str, Any]] = [
        {"password": "not it", "code": ann.code_now(secret)},
        {"password": PASSWORD, "code": "000000"},
        {"password": PASSWORD, "code": "x"},
    ]
    for wanted in refused:
        assert (await ann.ask("POST", "/auth/second-factor/remove", wanted)).status in (401, 403)
    wanted = {"password": PASSWORD, "code": ann.code_now(secret)}
    assert (await ann.ask("POST", "/auth/second-factor/remove", wanted)).status == 204
    assert (await ann.log_in()).json["session"] is not None
    assert await client.stored(SecondFactor) == []
    assert await client.stored(RecoveryCode) == []


async def test_it_is_set_up_by_who_gives_the_password_only(client: Client) -> None:
    ann = await signed_up(client)
    assert (await client.post("/auth/second-factor", json={})).status == 401
    assert (await client.post("/auth/second-factor", json={"password": PASSWORD})).status == 401
    assert (await ann.ask("POST", "/auth/second-factor", {})).json["code"] == "password_wrong"
    assert (await ann.ask("POST", "/auth/second-factor", {"password": "not it"})).json["code"] == "password_wrong"
    begun = await ann.ask("POST", "/auth/second-factor", {"password": PASSWORD})
    assert begun.json["uri"].startswith("otpauth://totp/Corner%20shop:ann%40shop.example?secret=")
    assert begun.headers["cache-control"].startswith("no-store")


async def test_it_counts_only_once_a_code_was_given(client: Client, sessions: NotedSessions) -> None:
    ann = await signed_up(client)
    await ann.ask("POST", "/auth/second-factor", {"password": PASSWORD})
    assert (await ann.ask("POST", "/auth/second-factor/confirm", {"code": "000000"})).status == 401
    assert (await ann.log_in()).json["session"] is not None


async def test_one_that_is_there_is_not_taken_over(client: Client) -> None:
    ann, secret, _ = await with_factor(client)
    answer = await ann.ask("POST", "/auth/second-factor", {"password": PASSWORD})
    assert (answer.status, answer.json["code"]) == (409, "second_factor_present")
    assert (await ann.ask("POST", "/auth/second-factor/confirm", {"code": ann.code_now(secret)})).status == 409


async def test_what_codes_are_made_from_is_sealed_in_the_database(client: Client) -> None:
    _, _, codes = await with_factor(client)
    stored = await client.stored(RecoveryCode)
    assert not {row.digest for row in stored} & set(codes)
    factor = (await client.stored(SecondFactor))[0]
    assert "***" in repr(factor)


async def test_shown_once_means_not_again_by_a_key(client: Client) -> None:
    ann = await signed_up(client)
    who = await ann.who()
    wanted = {"password": PASSWORD}
    first = await client.post("/auth/second-factor", who=who, json=wanted, key="k-1")
    again = await client.post("/auth/second-factor", who=who, json=wanted, key="k-1")
    assert first.json["secret"] != again.json["secret"]


async def test_where_it_is_required_a_log_in_ends_in_setting_it_up(sessions: NotedSessions) -> None:
    async with Client(shop(sessions, second_factor="required")) as client:
        ann = await signed_up(client)
        answer = await ann.log_in()
        assert (answer.json["needs"], answer.json["session"]) == ("second_factor_set_up", None)
        challenge = answer.json["challenge"]
        assert sessions.opened == []
        assert (await second_step(client, challenge, "123456")).json["code"] == "challenge_refused"
        begun = await client.post("/auth/second-factor", json={"challenge": challenge})
        from base64 import b32decode

        secret = b32decode(begun.json["secret"])
        wanted = {"challenge": challenge, "code": ann.code_now(secret)}
        done = await client.post("/auth/second-factor/confirm", json=wanted)
        assert done.json["session"] is not None
        assert len(done.json["recovery_codes"]) == 10
        assert sessions.opened[0].proofs == ("pwd", "otp", "mfa")
        again = await client.post("/auth/second-factor", json={"challenge": challenge})
        assert again.json["code"] == "second_factor_present"
        client.clock.advance(30)
        removal = {"password": PASSWORD, "code": ann.code_now(secret)}
        assert (await ann.ask("POST", "/auth/second-factor/remove", removal)).json["code"] == "second_factor_kept"


async def test_its_owner_is_told(client: Client) -> None:
    await with_factor(client)
    await client.deliver()
    assert "second factor" in client.letters.to(ANN)[-1].subject
