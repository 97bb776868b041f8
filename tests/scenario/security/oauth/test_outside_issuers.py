"""Issuers that are trusted by their URL, at the door of a service that was put together from settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from assembled import Assembled, assembled
from outside_provider import KEYS, OutsideProvider, json_answer

from mainstay import Module, Principal, Service, authenticated, role
from mainstay.adapters.jose.encoding import encode_segment
from mainstay.app.settings import SettingsRefused


def service() -> Service:
    module = Module("desk")

    @module.query("GET /me", allow=authenticated)
    async def show_me(who: Principal) -> dict[str, str | None]:
        return {"subject": who.subject, "issuer": str(who.claims["iss"]), "tenant": who.tenant}

    @module.query("GET /managers", allow=role("manager"))
    async def show_managers(who: Principal) -> dict[str, str]:
        return {"subject": who.subject}

    return Service("desk", modules=[module])


def settings(issuer: str, more: str = "") -> str:
    return (
        f'[[auth.issuers]]\nurl = "{issuer}"\naudience = ["shop"]\nroles_claim = "realm_access.roles"\n'
        f'tenant_claim = "org"\n{more}'
    )


@pytest.fixture
async def desk(provider: OutsideProvider, tmp_path: Path) -> AsyncIterator[Assembled]:
    async with assembled(service(), tmp_path, settings(provider.issuer)) as made:
        yield made


async def ask(desk: Assembled, token: bytes, path: str = "/me") -> tuple[int, dict[str, object]]:
    answer = await desk.http.get(path, headers={"authorization": f"Bearer {token.decode()}"})
    return answer.status_code, answer.json()


async def test_a_token_of_a_trusted_issuer_is_taken_with_its_roles(desk: Assembled, provider: OutsideProvider) -> None:
    token = provider.token(sub="ann", realm_access={"roles": ["manager"]}, org="north")
    assert await ask(desk, token) == (200, {"subject": "ann", "issuer": provider.issuer, "tenant": "north"})
    assert (await ask(desk, token, "/managers"))[0] == 200
    assert (await ask(desk, provider.token(roles=["manager"]), "/managers"))[0] == 403


async def test_calls_go_on_while_the_issuer_rotates_its_keys(desk: Assembled, provider: OutsideProvider) -> None:
    await ask(desk, provider.token())
    kept = provider.token(sub="kept")
    provider.rotate()
    many = [ask(desk, kept if n % 2 else provider.token(sub="new")) for n in range(40)]
    # The keys were fetched less than a minute ago: the new ones come with the next fetch ahead of time, or by a minute.
    assert {status for status, _ in await asyncio.gather(*many[1::2])} == {200}
    for one in many[::2]:
        one.close()
    assert provider.asked[KEYS] == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "other"}, "token_wrong_audience"),
        ({"aud": ...}, "token_wrong_audience"),
        ({"iss": "https://evil.example"}, "token_unknown_key"),
        ({"exp": 1}, "token_expired"),
        ({"exp": ...}, "token_claims_refused"),
        ({"sub": "00000000-0000-0000-0000-000000000001"}, "token_claims_refused"),
    ],
)
async def test_a_token_that_is_not_for_us_is_refused(
    desk: Assembled, provider: OutsideProvider, changes: dict[str, object], code: str
) -> None:
    await ask(desk, provider.token())
    status, problem = await ask(desk, provider.token(**changes))
    assert (status, problem["code"]) == (401, code)


async def test_a_key_that_nobody_published_is_asked_for_once(desk: Assembled, provider: OutsideProvider) -> None:
    await ask(desk, provider.token())
    forged = [provider.token(header={"kid": f"forged-{n}"}) for n in range(20)]
    answers = [await ask(desk, token) for token in forged]
    assert {(status, problem["code"]) for status, problem in answers} == {(401, "token_unknown_key")}
    assert provider.asked[KEYS] == 1


async def test_an_issuer_that_is_away_is_503_and_the_rest_goes_on(provider: OutsideProvider, tmp_path: Path) -> None:
    provider.answers[KEYS] = lambda: json_answer({}, 500)
    async with assembled(service(), tmp_path, settings(provider.issuer)) as desk:
        await ask(desk, provider.token())
        status, problem = await ask(desk, provider.token())
        assert (status, problem["code"]) == (503, "issuer_away")
        assert (await desk.http.get("/me", headers={"authorization": "Bearer nonsense"})).status_code == 401
        assert (await desk.http.get("/health")).status_code == 200
        notices = [one for one in desk.ear.notices if one.event == "issuer_away"]
        assert [one.level for one in notices] == ["error"]


async def test_own_keys_count_beside_issuers(provider: OutsideProvider, tmp_path: Path) -> None:
    from mainstay.adapters.jose import load_secret, mint

    secret = "a signing key that only tests know, long enough"
    own = f'[auth]\nkey = "{secret}"\nissuer = "own"\naudience = ["desk"]\n'
    token = mint(
        load_secret(secret), issuer="own", audience="desk", subject="bob", now=provider.claims()["iat"], lifetime=99
    )
    async with assembled(service(), tmp_path, own + settings(provider.issuer)) as desk:
        assert (await ask(desk, token.encode()))[1]["issuer"] == "own"
        assert (await ask(desk, provider.token()))[1]["issuer"] == provider.issuer


async def test_a_token_of_a_trusted_issuer_is_none_of_our_own(provider: OutsideProvider, tmp_path: Path) -> None:
    from mainstay import Identity

    ours = Service("shop", modules=[], identity=Identity())
    async with assembled(ours, tmp_path, settings(provider.issuer)) as shop:
        sessions = shop.application.sessions
        assert sessions is not None
        signer = sessions.keys.current()
        # It begins as ours do, up to the key id: of the same algorithm and type.
        provider.rotate(algorithm=signer.algorithm)
        header = {"alg": signer.algorithm, "typ": "at+jwt", "kid": provider.key.kid}
        token = sign_in_order(provider, header)
        assert sessions.keys.may_be_ours(token)
        verified = sessions.verifier.verify(token)
        who = verified if isinstance(verified, Principal) else await verified
        assert who.claims["iss"] == provider.issuer
        assert await sessions.verifier.own(token) is None


def sign_in_order(provider: OutsideProvider, header: dict[str, object]) -> bytes:
    """Return a token whose header has its members in the order in which ours have them."""
    message = b".".join(encode_segment(msgspec.json.encode(part)) for part in (header, provider.claims()))
    return message + b"." + encode_segment(provider.key.sign(message))


@pytest.mark.parametrize(
    ("toml", "key"),
    [
        ('[[auth.issuers]]\nurl = "http://id.example"\naudience = ["a"]', "auth.issuers[0].url"),
        ('[[auth.issuers]]\nurl = "https://id.example?x=1"\naudience = ["a"]', "auth.issuers[0].url"),
        ('[[auth.issuers]]\nurl = "https://id.example"', "auth.issuers[0].audience"),
        ('[[auth.issuers]]\nurl = "https://id.example"\naudience = [""]', "auth.issuers[0].audience"),
        ('[[auth.issuers]]\naudience = ["a"]', "auth.issuers[0].url"),
        ('[[auth.issuers]]\nurl = "https://id.example"\naudience = ["a"]\ntypes = ["none"]', "auth.issuers[0].types"),
        ('[[auth.issuers]]\nurl = "https://id.example"\naudience = ["a"]\nkeys = "x"', "auth.issuers[0].keys"),
        (
            '[[auth.issuers]]\nurl = "https://id.example"\naudience = ["a"]\n' * 2,
            "auth.issuers[0].url",
        ),
    ],
)
async def test_settings_that_make_no_sense_are_refused_by_their_name(tmp_path: Path, toml: str, key: str) -> None:
    with pytest.raises(SettingsRefused) as caught:
        async with assembled(service(), tmp_path, toml):
            pass
    assert key in [fault.key for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("toml", "key"),
    [
        (
            '[sessions]\nissuer = "https://id.example"\n[[auth.issuers]]\nurl = "https://id.example"',
            "auth.issuers[0].url",
        ),
        ('[sessions]\nissuer = "https://id.example"\n[auth]\nissuer = "https://id.example"', "sessions.issuer"),
        ('[oauth]\nissuer = "https://id.example"', "oauth.issuer"),
    ],
)
async def test_whose_tokens_are_whose_is_said_once(tmp_path: Path, toml: str, key: str) -> None:
    with pytest.raises(SettingsRefused) as caught:
        async with assembled(service(), tmp_path, toml):
            pass
    assert key in [fault.key for fault in caught.value.faults]
