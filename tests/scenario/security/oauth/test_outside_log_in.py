"""Logging in with an outside provider: in this browser, for this log-in, as the one who the provider says it is."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest
from outside_provider import CLIENT, DISCOVERY, SECRET, OutsideProvider, json_answer
from outside_world import BACK, OutsideWorld, outside_world, refusal

from mainstay import Identity, Provider, Service
from mainstay.app.refusal import Refusal
from mainstay.app.settings import SettingsRefused
from mainstay.identity.accounts.entities import Account, RoleGrant, SecondFactor
from mainstay.identity.oauth.entities import OutsideLink


@pytest.fixture
async def shop(provider: OutsideProvider, tmp_path: Path) -> AsyncIterator[OutsideWorld]:
    async with outside_world(provider, tmp_path, default_roles=["customer"]) as made:
        yield made


async def test_a_browser_is_sent_with_all_that_a_log_in_is_bound_by(shop: OutsideWorld) -> None:
    begun = await shop.begin()
    asked = dict(parse_qsl(urlsplit(begun["location"]).query))
    assert begun["location"].startswith(shop.provider.issuer + "/authorize?")
    assert (asked["response_type"], asked["client_id"], asked["redirect_uri"]) == ("code", CLIENT, BACK)
    assert (asked["scope"], asked["code_challenge_method"]) == ("openid email profile", "S256")
    assert len(asked["code_challenge"]) == 43
    again = dict(parse_qsl(urlsplit((await shop.begin())["location"]).query))
    for name in ("state", "nonce", "code_challenge"):
        assert asked[name] != again[name]
    assert begun["binding"] not in begun["location"]


async def test_who_is_new_gets_an_account(shop: OutsideWorld) -> None:
    answer = await shop.log_in(means="cookie")
    assert answer.status_code == 200, answer.text
    (account,) = await shop.stored(Account)
    assert (account.email, account.password, account.verified_at is None) == ("ann@mail.example", None, False)
    assert await shop.opened() == [(account.id, ("customer",), "cookie")]
    assert await shop.kinds() == ["account.signed_up", "log_in.outside", "session.opened"]
    (link,) = await shop.stored(OutsideLink)
    assert (link.issuer, link.subject, link.account_id) == (shop.provider.issuer, "ann-there", account.id)


async def test_who_comes_again_is_the_same_whatever_their_address_is_now(shop: OutsideWorld) -> None:
    await shop.log_in()
    shop.provider.person = {"sub": "ann-there", "email": "new@mail.example", "email_verified": True}
    assert (await shop.log_in()).status_code == 200
    (account,) = await shop.stored(Account)
    assert [opened[0] for opened in await shop.opened()] == [account.id, account.id]


async def test_a_verified_address_of_a_trusted_provider_is_whose_it_is(shop: OutsideWorld) -> None:
    now = shop.running.application.ports.clock.now()
    ann = await shop.given(Account(email="ann@mail.example", verified_at=now))
    await shop.given(RoleGrant(account_id=ann.id, role="manager", granted_by=ann.id))
    shop.provider.person["email"] = "Ann@Mail.Example"
    assert (await shop.log_in()).status_code == 200
    assert await shop.opened() == [(ann.id, ("manager",), "tokens")]


async def test_an_account_that_never_showed_its_address_is_not_joined(shop: OutsideWorld) -> None:
    await shop.given(Account(email="ann@mail.example", password="of whoever came first"))
    assert refusal(await shop.log_in(), 409) == "address_taken"
    assert (await shop.opened(), await shop.stored(OutsideLink)) == ([], [])


@pytest.mark.parametrize("verified", [False, None, "true", 1])
async def test_an_address_that_was_not_verified_joins_nothing(shop: OutsideWorld, verified: Any) -> None:
    now = shop.running.application.ports.clock.now()
    await shop.given(Account(email="ann@mail.example", verified_at=now))
    shop.provider.person["email_verified"] = verified
    assert refusal(await shop.log_in(), 409) == "address_taken"
    assert await shop.opened() == []


async def test_a_provider_that_is_not_trusted_for_addresses_joins_nothing(
    provider: OutsideProvider, tmp_path: Path
) -> None:
    async with outside_world(provider, tmp_path, trust_email=False) as shop:
        now = shop.running.application.ports.clock.now()
        await shop.given(Account(email="ann@mail.example", verified_at=now))
        assert refusal(await shop.log_in(), 409) == "address_taken"
        provider.person["email"] = "other@mail.example"
        assert refusal(await shop.log_in(), 403) == "address_unproven"
        assert len(await shop.stored(Account)) == 1


async def test_an_unproven_address_is_enough_where_addresses_are_not_confirmed(
    provider: OutsideProvider, tmp_path: Path
) -> None:
    async with outside_world(provider, tmp_path, trust_email=False, verify_email=False) as shop:
        assert (await shop.log_in()).status_code == 200
        (made,) = await shop.stored(Account)
        assert made.verified_at is None


async def test_a_second_factor_is_asked_for_behind_the_provider(shop: OutsideWorld) -> None:
    assert (await shop.log_in()).status_code == 200
    (account,) = await shop.stored(Account)
    now = shop.running.application.ports.clock.now()
    await shop.given(SecondFactor(account_id=account.id, sealed="of no use here", confirmed_at=now))
    answer = await shop.log_in()
    assert (answer.status_code, answer.json()["needs"], answer.json()["session"]) == (200, "second_factor", None)
    assert len(await shop.opened()) == 1


async def test_a_service_that_requires_a_second_factor_has_one_set_up(
    provider: OutsideProvider, tmp_path: Path
) -> None:
    async with outside_world(provider, tmp_path, second_factor="required") as shop:
        answer = await shop.log_in()
        assert (answer.status_code, answer.json()["needs"]) == (200, "second_factor_set_up")
        wanted = {"challenge": answer.json()["challenge"]}
        begun = await shop.running.http.post("/auth/second-factor", json=wanted)
        assert begun.status_code == 200, begun.text
        assert await shop.opened() == []


async def test_the_session_of_a_log_in_is_one_of_the_services_own(shop: OutsideWorld) -> None:
    session = (await shop.log_in()).json()["session"]
    headers = {"authorization": f"Bearer {session['access_token']}"}
    assert (await shop.running.http.get("/auth/session", headers=headers)).json()["roles"] == ["customer"]
    again = await shop.running.http.post("/auth/refresh", json={"refresh_token": session["refresh_token"]})
    assert again.status_code == 200
    cookie = await shop.log_in(means="cookie")
    assert cookie.headers["set-cookie"].startswith("session=")
    assert cookie.json()["session"]["access_token"] is None


async def test_what_a_provider_does_not_vouch_for_is_kept_on_record(shop: OutsideWorld) -> None:
    await shop.log_in(code="made-up")
    assert await shop.kinds() == ["outside.refused"]


@pytest.mark.parametrize("email", [..., "", "no address", 5, "a@b", "ann@mail.example\nbcc: x@y.example"])
async def test_who_has_no_address_gets_no_account(shop: OutsideWorld, email: Any) -> None:
    if email is ...:
        del shop.provider.person["email"]
    else:
        shop.provider.person["email"] = email
    assert refusal(await shop.log_in(), 403) == "address_missing"
    assert await shop.stored(Account) == []


async def test_a_closed_service_makes_no_accounts(provider: OutsideProvider, tmp_path: Path) -> None:
    async with outside_world(provider, tmp_path, sign_up="closed") as shop:
        assert refusal(await shop.log_in(), 403) == "no_account"
        assert await shop.stored(Account) == []


async def test_a_locked_account_stays_out(shop: OutsideWorld) -> None:
    now = shop.running.application.ports.clock.now()
    await shop.given(Account(email="ann@mail.example", verified_at=now, locked_at=now))
    assert refusal(await shop.log_in(), 403) == "account_locked"
    assert await shop.opened() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"binding": "x" * 44},
        {"binding": ""},
        {"state": "x" * 100},
        {"state": ""},
        {"code": "made-up"},
        {"code": ...},
        {"error": "access_denied"},
        {"iss": "https://evil.example"},
        {"iss": ...},
    ],
)
async def test_an_answer_that_is_not_of_this_log_in_is_refused(shop: OutsideWorld, changes: dict[str, Any]) -> None:
    answer = await shop.log_in(**changes)
    assert refusal(answer, 401) in ("state_refused", "outside_refused")
    assert (await shop.opened(), await shop.stored(Account)) == ([], [])


async def test_the_answer_of_an_attackers_log_in_is_none_of_this_browsers(shop: OutsideWorld) -> None:
    mine, theirs = await shop.begin(), await shop.back()
    forced = {**theirs, "binding": mine["binding"]}
    assert refusal(await shop.post("acme/log-in", forced), 401) == "state_refused"


async def test_a_code_of_another_log_in_is_not_taken(shop: OutsideWorld) -> None:
    mine, theirs = await shop.back(), await shop.back()
    injected = {**mine, "code": theirs["code"]}
    assert refusal(await shop.post("acme/log-in", injected), 401) == "outside_refused"


async def test_a_code_is_good_once(shop: OutsideWorld) -> None:
    back = await shop.back()
    assert (await shop.post("acme/log-in", back)).status_code == 200
    assert refusal(await shop.post("acme/log-in", back), 401) == "outside_refused"


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "of another log-in"},
        {"nonce": None},
        {"nonce": 5},
        {"aud": "another-client"},
        {"aud": [CLIENT, "another"]},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"azp": "another"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"sub": ""},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"auth_time": "now"},
    ],
)
async def test_an_id_token_that_cannot_be_believed_is_refused(shop: OutsideWorld, claims: dict[str, Any]) -> None:
    shop.provider.id_claims = claims
    assert refusal(await shop.log_in(), 401) == "outside_refused"
    assert await shop.opened() == []


async def test_an_id_token_that_the_provider_did_not_sign_is_refused(shop: OutsideWorld) -> None:
    def forged() -> Any:
        def part(value: Any) -> str:
            return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

        token = f"{part({'alg': 'none'})}.{part(shop.provider.claims(aud=CLIENT))}."
        return json_answer({"access_token": "x", "id_token": token})

    shop.provider.answers["/token"] = forged
    assert refusal(await shop.log_in(), 401) == "outside_refused"


@pytest.mark.parametrize("answer", [{}, [], {"id_token": 5}, {"id_token": ""}, {"error": "x"}])
async def test_an_answer_without_an_id_token_says_nothing(shop: OutsideWorld, answer: Any) -> None:
    shop.provider.answers["/token"] = lambda: json_answer(answer)
    assert refusal(await shop.log_in(), 401) == "outside_refused"


async def test_a_provider_that_is_away_is_503(shop: OutsideWorld) -> None:
    shop.provider.answers["/token"] = lambda: json_answer({}, 502)
    assert refusal(await shop.log_in(), 503) == "issuer_away"


async def test_a_provider_that_only_takes_forms_is_given_one(shop: OutsideWorld) -> None:
    shop.provider.answers[DISCOVERY] = lambda: json_answer(
        shop.provider.metadata(token_endpoint_auth_methods_supported=["client_secret_post"])
    )
    assert (await shop.log_in()).status_code == 200


@pytest.mark.parametrize(
    "redirect", ["https://evil.example/back", "//evil.example", BACK + "/", BACK + "#x", BACK + "@evil.example", ""]
)
async def test_nobody_is_sent_back_anywhere_but_to_what_is_listed(shop: OutsideWorld, redirect: str) -> None:
    answer = await shop.post("acme/begin", {"redirect_uri": redirect})
    assert refusal(answer, 422) == "invalid"


async def test_an_unknown_provider_is_not_found(shop: OutsideWorld) -> None:
    assert refusal(await shop.post("other/begin", {"redirect_uri": BACK}), 404) == "not_found"
    assert refusal(await shop.post("other/log-in", await shop.back()), 404) == "not_found"


async def test_an_account_links_and_unlinks_who_it_is_elsewhere(shop: OutsideWorld) -> None:
    ann = await shop.given(Account(email="ann@home.example", password="a hash"))
    back = await shop.back("begin-link", ann.id)
    assert refusal(await shop.post("acme/log-in", back), 401) == "state_refused"
    assert refusal(await shop.post("acme/link", back), 401) == "credentials_missing"
    bob = await shop.given(Account(email="bob@home.example", password="a hash"))
    assert refusal(await shop.post("acme/link", back, bob.id), 401) == "state_refused"
    assert (await shop.post("acme/link", back, ann.id)).status_code == 204
    assert (await shop.log_in()).status_code == 200
    assert (await shop.opened())[0][0] == ann.id
    taken = await shop.post("acme/link", await shop.back("begin-link", bob.id), bob.id)
    assert refusal(taken, 409) == "linked_elsewhere"
    assert (await shop.post("acme/link", await shop.back("begin-link", ann.id), ann.id)).status_code == 204
    await check_links(shop, ann, bob)


async def check_links(shop: OutsideWorld, ann: Account, bob: Account) -> None:
    (listed,) = (await shop.running.http.get("/auth/outside-links", headers=await shop.bearing(ann.id))).json()
    assert (listed["issuer"], listed["subject"]) == (shop.provider.issuer, "ann-there")
    path = f"/auth/outside-links/{listed['id']}"
    assert (await shop.running.http.delete(path, headers=await shop.bearing(bob.id))).status_code == 404
    assert (await shop.running.http.delete(path, headers=await shop.bearing(ann.id))).status_code == 204
    assert await shop.stored(OutsideLink) == []


async def test_the_last_way_in_stays(shop: OutsideWorld) -> None:
    await shop.log_in()
    (account,) = await shop.stored(Account)
    (link,) = await shop.stored(OutsideLink)
    headers = await shop.bearing(account.id)
    answer = await shop.running.http.delete(f"/auth/outside-links/{link.id}", headers=headers)
    assert refusal(answer, 409) == "last_way_in"


async def test_only_accounts_link(shop: OutsideWorld) -> None:
    machine = uuid4()
    back = await shop.back("begin-link", machine)
    assert refusal(await shop.post("acme/link", back, machine), 403) == "accounts_only"


async def test_the_secret_of_the_client_is_in_nothing_that_is_told(shop: OutsideWorld) -> None:
    shop.provider.answers["/token"] = lambda: json_answer({"error": "invalid_client", "hint": SECRET}, 401)
    begun, answer = await shop.begin(), await shop.log_in()
    told = [begun["location"], answer.text, *(str(one) for one in shop.running.ear.heard)]
    assert not any(SECRET in text for text in told)


async def test_what_a_provider_needs_is_there_at_the_start(provider: OutsideProvider, tmp_path: Path) -> None:
    from assembled import assembled

    def service(**changes: Any) -> Service:
        usual = {"issuer": provider.issuer, "client_id": CLIENT, "client_secret": "acme", "redirect": [BACK]}
        return Service("shop", modules=[], identity=Identity(providers=[Provider("acme", **{**usual, **changes})]))

    with pytest.raises(SettingsRefused) as caught:
        async with assembled(service(), tmp_path, ""):
            pass
    assert [fault.key for fault in caught.value.faults] == ["secrets.acme"]
    with pytest.raises(Refusal, match="issuer of the provider acme"):
        async with assembled(service(issuer="http://id.example"), tmp_path, ""):
            pass
