"""Logging in with outside providers: authorization code with PKCE, and the id token that it gives.

Parameters are put together, and an id token is checked beyond its signature, by authlib.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote_plus

import msgspec

from mainstay.adapters.oidc.keys import IssuerKeys, kept_fresh
from mainstay.adapters.oidc.metadata import SECONDS, IssuerFaulty, Metadata
from mainstay.adapters.oidc.problems import IssuerAway
from mainstay.model.principal import Principal
from mainstay.model.problem import Unauthenticated
from mainstay.model.values import Secret
from mainstay.ports.clock import Clock
from mainstay.ports.http import HttpClient
from mainstay.ports.observer import Notice, Observer
from mainstay.ports.outside_login import OutsidePerson, OutsideProviders, OutsideRefused

MAX_ANSWER = 64 * 1024  # bytes
MAX_NAME = 200
LEEWAY = 30  # seconds


class OidcProvider(msgspec.Struct, frozen=True, kw_only=True):
    """A provider. ``keys`` verify its id tokens, with the client as their audience."""

    keys: IssuerKeys
    client_id: str
    secret: Secret[str] | None
    scopes: Sequence[str]


class _Given(msgspec.Struct, frozen=True):
    """The part of the token endpoint's answer that is looked at."""

    id_token: str
    access_token: str | None = None


class OidcProviders(OutsideProviders):
    """Providers of OpenID Connect, by their names."""

    def __init__(
        self, providers: Mapping[str, OidcProvider], http: HttpClient, clock: Clock, observer: Observer
    ) -> None:
        self._providers = dict(providers)
        self._http = http
        self._clock = clock
        self._observer = observer

    async def location(self, provider: str, *, redirect_uri: str, state: str, nonce: str, challenge: str) -> str:
        """Return the URL that a browser is sent to."""
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri

        known = self._providers[provider]
        metadata = await self._metadata(known)
        return str(
            prepare_grant_uri(
                metadata.authorization_endpoint,
                known.client_id,
                "code",
                redirect_uri=redirect_uri,
                scope=list(known.scopes),
                state=state,
                nonce=nonce,
                code_challenge=challenge,
                code_challenge_method="S256",
            )
        )

    async def _metadata(self, known: OidcProvider) -> Metadata:
        try:
            metadata = await known.keys.metadata()
            if not metadata.authorization_endpoint or not metadata.token_endpoint:
                raise IssuerFaulty("its document names no place to log in at")
        except IssuerFaulty as fault:
            facts = {"issuer": known.keys.issuer}
            text = f"nobody can log in with the provider {known.keys.issuer}: {fault}"
            self._observer.observe(Notice("error", "provider_faulty", text, facts, fault))
            raise IssuerAway from fault
        return metadata

    async def person(
        self, provider: str, *, code: str, redirect_uri: str, verifier: str, nonce: str, issuer: str | None
    ) -> OutsidePerson:
        """Return who a code is of."""
        known = self._providers[provider]
        metadata = await self._metadata(known)
        if issuer is None and metadata.authorization_response_iss_parameter_supported:
            raise OutsideRefused("the answer does not say which provider it is of")
        if issuer is not None and issuer != known.keys.issuer:
            raise OutsideRefused("the answer is of another provider")
        given = await self._redeem(known, metadata, code, redirect_uri, verifier)
        return _person(known, await self._claims(known, given, nonce))

    async def _redeem(
        self, known: OidcProvider, metadata: Metadata, code: str, redirect_uri: str, verifier: str
    ) -> _Given:
        from authlib.oauth2.rfc6749.parameters import prepare_token_request

        fields = {"code": code, "code_verifier": verifier, "client_id": known.client_id}
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        if known.secret is not None:
            if "client_secret_basic" in (metadata.token_endpoint_auth_methods_supported or ["client_secret_basic"]):
                headers["authorization"] = _basic(known.client_id, known.secret)
                del fields["client_id"]
            else:
                fields["client_secret"] = known.secret.reveal()
        body = prepare_token_request("authorization_code", redirect_uri=redirect_uri, **fields)
        answer = await self._http.request(
            "POST", metadata.token_endpoint, headers=headers, body=body.encode(), seconds=SECONDS, max_body=MAX_ANSWER
        )
        if answer.status >= 500:
            raise IssuerAway
        if answer.status != 200:
            raise OutsideRefused("the provider does not take the code")
        try:
            return msgspec.json.decode(answer.body, type=_Given)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise OutsideRefused("the provider has not said who this is: there is no id token") from None

    async def _claims(self, known: OidcProvider, given: _Given, nonce: str) -> Mapping[str, Any]:
        token = given.id_token.encode()
        try:
            found = known.keys.verify(token)
            who = found if isinstance(found, Principal) else await found
        except Unauthenticated as refusal:
            raise OutsideRefused("the id token of the provider cannot be believed") from refusal
        self._check(who.claims, given, nonce, known.client_id)
        return who.claims

    def _check(self, claims: Mapping[str, Any], given: _Given, nonce: str, client_id: str) -> None:
        """Check what of an id token is about this log-in (OpenID Connect Core, section 3.1.3.7)."""
        from authlib.oidc.core.claims import CodeIDToken
        from joserfc.errors import JoseError

        told = claims.get("nonce")
        if not isinstance(told, str) or not hmac.compare_digest(told.encode(), nonce.encode()):
            raise OutsideRefused("the id token of the provider is of another log-in")
        segment = given.id_token.encode().partition(b".")[0]
        header = msgspec.json.decode(base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4)))
        params = {"nonce": nonce, "client_id": client_id, "access_token": given.access_token}
        try:
            CodeIDToken(dict(claims), header, {}, params).validate(int(self._clock.time()), leeway=LEEWAY)
        except (JoseError, ValueError, TypeError) as error:
            raise OutsideRefused("the id token of the provider cannot be believed") from error

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """Keep the keys of all providers fresh until the block ends."""
        async with kept_fresh([one.keys for one in self._providers.values()]):
            yield


def _basic(client_id: str, secret: Secret[str]) -> str:
    """Return what proves a client (RFC 6749, section 2.3.1): both parts are written as in a form first."""
    text = f"{quote_plus(client_id)}:{quote_plus(secret.reveal())}"
    return "Basic " + base64.b64encode(text.encode()).decode()


def _person(known: OidcProvider, claims: Mapping[str, Any]) -> OutsidePerson:
    email, name = claims.get("email"), claims.get("name")
    return OutsidePerson(
        issuer=known.keys.issuer,
        subject=str(claims["sub"]),
        email=email if isinstance(email, str) and email else None,
        email_verified=claims.get("email_verified") is True,
        name=name[:MAX_NAME] if isinstance(name, str) and name.isprintable() else "",
    )
