"""Tokens of several issuers: each is verified by the keys of the one that it names, and of no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from bearer_tokens import AUDIENCE as OWN_AUDIENCE
from bearer_tokens import NOW, SetClock, raw_token, signed, verifier
from kernel_world import Ear
from outgoing_http import LoopbackHttp
from outside_provider import AUDIENCE, KEYS, OutsideProvider

from mainstay.adapters.jose import JwtVerifier, sign_claims
from mainstay.adapters.jose.published import load_published
from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.oidc.keys import IssuerKeys
from mainstay.adapters.oidc.problems import TokenPartyRefused, TokenTypeRefused
from mainstay.adapters.oidc.verifier import IssuersVerifier, TrustedIssuer
from mainstay.model.principal import Principal
from mainstay.model.problem import Unauthenticated
from mainstay.ports.refused_tokens import TokenBadSignature, TokenRefused, TokenUnknownKey, TokenWrongIssuer
from mainstay.ports.tokens import TokenVerifier


def keys_of(provider: OutsideProvider, http: LoopbackHttp) -> IssuerKeys:
    clock = SystemClock()

    def build(document: bytes) -> TokenVerifier:
        return JwtVerifier(load_published(document), issuer=provider.issuer, audience=AUDIENCE, clock=clock)

    return IssuerKeys(
        http,
        provider.issuer,
        build,
        unknown=TokenUnknownKey,
        clock=clock,
        observer=Ear(),
        loopback=True,
        stale=60,
    )


@pytest.fixture
async def other() -> AsyncIterator[OutsideProvider]:
    made = OutsideProvider()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.issuer = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()
    await server.wait_closed()


async def make(*providers: OutsideProvider, http: LoopbackHttp, **more: Any) -> IssuersVerifier:
    issuers = [TrustedIssuer(keys=keys_of(one, http), **more) for one in providers]
    for one in issuers:
        await one.keys.refresh()
    return IssuersVerifier(issuers, verifier(clock=SetClock(NOW)))


def refused(by: IssuersVerifier, token: bytes) -> type[Unauthenticated]:
    with pytest.raises(Unauthenticated) as caught:
        by.verify(token)
    return type(caught.value)


async def test_each_issuer_is_asked_for_its_own(
    provider: OutsideProvider, other: OutsideProvider, outgoing: LoopbackHttp
) -> None:
    both = await make(provider, other, http=outgoing)
    for _ in range(2):
        for one in (provider, other):
            found = both.verify(one.token(sub="ann"))
            assert isinstance(found, Principal)
            assert found.claims["iss"] == one.issuer
        own = both.verify(signed())
        assert isinstance(own, Principal)
        assert own.claims["aud"] == OWN_AUDIENCE


async def test_one_subject_of_two_issuers_is_two_principals(
    provider: OutsideProvider, other: OutsideProvider, outgoing: LoopbackHttp
) -> None:
    both = await make(provider, other, http=outgoing)
    found = [both.verify(one.token(sub="ann")) for one in (provider, other)]
    assert len({one.id for one in found if isinstance(one, Principal)}) == 2


async def test_the_keys_of_one_issuer_prove_nothing_for_another(
    provider: OutsideProvider, other: OutsideProvider, outgoing: LoopbackHttp
) -> None:
    both = await make(provider, other, http=outgoing)
    mixed = other.token(iss=provider.issuer)
    assert refused(both, mixed) is TokenUnknownKey
    same_kid = provider.published[-1]["kid"]
    forged = sign_claims(other.key, provider.claims(), header={"kid": same_kid}).encode()
    assert refused(both, forged) is TokenBadSignature


async def test_a_token_of_nobody_trusted_is_for_the_others(provider: OutsideProvider, outgoing: LoopbackHttp) -> None:
    one = await make(provider, http=outgoing)
    assert refused(one, provider.token(iss="https://evil.example")) is not TokenWrongIssuer  # its key is unknown first
    assert refused(one, signed(iss="https://evil.example")) is TokenWrongIssuer
    for rubbish in (b"", b"a", b"a.b", b"a.b.c", b"..", b"e30.e30.e30", b"\xff.\xff.\xff", b"e30.bnVsbA.x"):
        assert issubclass(refused(one, rubbish), TokenRefused)
    assert provider.asked[KEYS] == 1


@pytest.mark.parametrize(
    ("kind", "fits"), [("at+jwt", True), ("application/AT+JWT", True), ("JWT", False), (..., False)]
)
async def test_the_type_is_the_one_that_the_issuer_is_trusted_for(
    provider: OutsideProvider, outgoing: LoopbackHttp, kind: Any, fits: bool
) -> None:
    one = await make(provider, http=outgoing, types=frozenset({"at+jwt"}))
    token = provider.token(header={"typ": kind}) if kind is not ... else _untyped(provider)
    for _ in range(2):
        if fits:
            assert isinstance(one.verify(token), Principal)
        else:
            assert refused(one, token) is TokenTypeRefused


def _untyped(provider: OutsideProvider) -> bytes:
    head = f'{{"alg":"ES256","kid":"{provider.key.kid}"}}'.encode()
    return raw_token(head, msgspec.json.encode(provider.claims()), provider.key)


@pytest.mark.parametrize(
    ("claims", "fits"),
    [
        ({"azp": "web"}, True),
        ({"client_id": "app"}, True),
        ({"azp": "evil"}, False),
        ({"azp": "evil", "client_id": "app"}, False),
        ({"azp": ["web"]}, False),
        ({}, False),
    ],
)
async def test_the_client_is_one_that_is_accepted(
    provider: OutsideProvider, outgoing: LoopbackHttp, claims: dict[str, Any], fits: bool
) -> None:
    one = await make(provider, http=outgoing, parties=frozenset({"web", "app"}))
    token = provider.token(**claims)
    for _ in range(2):
        if fits:
            assert isinstance(one.verify(token), Principal)
        else:
            assert refused(one, token) is TokenPartyRefused


async def test_the_client_is_looked_at_where_keys_were_waited_for(
    provider: OutsideProvider, outgoing: LoopbackHttp
) -> None:
    keys = keys_of(provider, outgoing)
    one = IssuersVerifier([TrustedIssuer(keys=keys, parties=frozenset({"web"}))], verifier())
    async with one.living():
        with pytest.raises(TokenPartyRefused):
            await one.verify(provider.token(azp="evil"))  # type: ignore[misc]  # the keys are on their way
        assert isinstance(one.verify(provider.token(azp="web")), Principal)


async def test_a_remembered_token_asks_its_issuers_keys_again(
    provider: OutsideProvider, outgoing: LoopbackHttp
) -> None:
    keys = keys_of(provider, outgoing)
    await keys.refresh()
    one = IssuersVerifier([TrustedIssuer(keys=keys)], verifier())
    token = provider.token()
    assert isinstance(one.verify(token), Principal)
    provider.rotate(keep=0)
    await keys.refresh()
    assert refused(one, token) is TokenUnknownKey


async def test_nothing_is_remembered_where_nothing_is_to_be(provider: OutsideProvider, outgoing: LoopbackHttp) -> None:
    keys = keys_of(provider, outgoing)
    await keys.refresh()
    one = IssuersVerifier([TrustedIssuer(keys=keys)], verifier(), cache_size=0)
    token = provider.token()
    assert one.verify(token) == one.verify(token)


async def test_an_issuer_is_named_once(provider: OutsideProvider, outgoing: LoopbackHttp) -> None:
    keys = keys_of(provider, outgoing)
    with pytest.raises(ValueError, match="named twice"):
        IssuersVerifier([TrustedIssuer(keys=keys), TrustedIssuer(keys=keys)], verifier())


async def test_without_issuers_there_is_nothing_to_keep_fresh() -> None:
    async with IssuersVerifier([], verifier()).living():
        pass
