"""Grants and what they give: codes, access tokens, refresh tokens, and their end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn, TypeVar
from uuid import UUID

from mainstay.identity.accounts.entities import Account
from mainstay.identity.oauth.entities import AuthorizationCode, ClientGrant, RefreshToken, RegisteredClient
from mainstay.identity.oauth.opaque import digest_of, new_secret
from mainstay.identity.oauth.problems import InvalidGrant
from mainstay.identity.oauth.requests import OFFLINE, Addressed, AuthorizationRequest
from mainstay.identity.oauth.rules import OAuthRules
from mainstay.identity.sessions.aftermath import Aftermath
from mainstay.identity.sessions.issuing import DELEGATED, AccessTokens
from mainstay.identity.sessions.keys import SigningKeys
from mainstay.kernel.records import rows_of
from mainstay.model.conditions import lt
from mainstay.model.fields import field
from mainstay.model.problem import NotFound
from mainstay.model.structs import Dto, Entity
from mainstay.ports.bulk import Bulk
from mainstay.ports.ids import Ids
from mainstay.ports.repository import Repository
from mainstay.ports.security_log import Outcome, SecurityEvent, SecurityLog
from mainstay.ports.unit_of_work import UnitOfWork

E = TypeVar("E", bound=Entity)

KEPT = timedelta(days=1)
"""How long a code or a refresh token is known after its end: who uses it again until then is found out."""

MAX_GRANTS = 50
"""How many grants an account may have of one client: one for each log-in by it, on each device."""


_NAMES = {
    "access": "access_token",
    "kind": "token_type",
    "seconds": "expires_in",
    "refresh": "refresh_token",
    "identity": "id_token",
}


class TokenAnswer(Dto, omit_defaults=True, rename=_NAMES):
    """What a client is given (RFC 6749, section 5.1), in the same names whatever the case of the service is."""

    access: str
    kind: str
    seconds: int
    scope: str
    refresh: str | None = field(default=None)
    identity: str | None = field(default=None)


class Grants:
    """What accounts have let clients do, in the transaction of the command that asks."""

    def __init__(
        self,
        unit: UnitOfWork,
        ids: Ids,
        *,
        tokens: AccessTokens,
        keys: SigningKeys,
        rules: OAuthRules,
        log: SecurityLog,
        aftermath: Aftermath,
    ) -> None:
        self._unit = unit
        self._ids = ids
        self._tokens = tokens
        self._keys = keys
        self._rules = rules
        self._log = log
        self._aftermath = aftermath

    def _rows(self, entity: type[E]) -> Repository[E]:
        return rows_of(self._unit, entity)

    def _many(self, entity: type[E]) -> Bulk[E]:
        plan: Any = self._unit.frame.plans[entity]
        return Bulk(self._unit, plan)

    @property
    def _now(self) -> datetime:
        return self._unit.frame.clock.now()

    async def begin(
        self, account: Account, asked: Addressed, request: AuthorizationRequest, authenticated_at: int | None
    ) -> str:
        """Let a client do what it asked for, and return the code that it redeems."""
        await self._tidy(account.id, asked.client.id)
        grant = await self._rows(ClientGrant).add(
            ClientGrant(account_id=account.id, client_id=asked.client.id, scopes=list(request.scopes))
        )
        code = new_secret(self._ids)
        await self._rows(AuthorizationCode).add(
            AuthorizationCode(
                digest=digest_of(code),
                grant_id=grant.id,
                redirect_uri=asked.redirect_uri,
                challenge=request.challenge,
                nonce=request.nonce,
                authenticated_at=authenticated_at,
                expires_at=self._now + timedelta(seconds=self._rules.code_seconds),
            )
        )
        self._note("oauth.consent", asked.client.id, account.id, scopes=" ".join(request.scopes))
        return code

    async def _tidy(self, account: UUID, client: UUID) -> None:
        """Let go of what is long over, and of the oldest of too many grants."""
        past = lt(self._now - KEPT)
        await self._many(AuthorizationCode).delete(expires_at=past)
        await self._many(ClientGrant).delete(account_id=account, client_id=client, ended_at=past)
        open_ = self._rows(ClientGrant).stream(account_id=account, client_id=client, ended_at=None, sort="-created_at")
        grants = [grant async for grant in open_]
        for grant in grants[MAX_GRANTS - 1 :]:
            await self.end(grant, "too_many")

    async def code(self, text: str, client: RegisteredClient) -> tuple[AuthorizationCode, ClientGrant]:
        """Return a code that is used now, and its grant. Raises ``InvalidGrant``; a code that was used ends its grant.

        A client that finds another's code can end nothing by it: it is told no more than that it is not good.
        """
        try:
            code = await self._rows(AuthorizationCode).one(digest=digest_of(text))
            code = await self._rows(AuthorizationCode).get(code.id, lock=True)
        except NotFound:
            raise InvalidGrant from None
        grant = await self._rows(ClientGrant).get(code.grant_id)
        if grant.client_id != client.id:
            raise InvalidGrant
        if code.used_at is not None:
            await self._misused(grant, "code_reuse")
        if self._now >= code.expires_at or grant.ended_at is not None:
            raise InvalidGrant
        await self._rows(AuthorizationCode).update(code, used_at=self._now)
        return code, grant

    async def refreshed(self, text: str, client: RegisteredClient) -> ClientGrant:
        """Return the grant of a refresh token, which is used up now.

        Raises ``InvalidGrant``. One that was used up already is in two hands: its grant ends, whoever of them is right
        (RFC 9700, section 4.14.2).
        """
        try:
            token = await self._rows(RefreshToken).one(digest=digest_of(text))
            token = await self._rows(RefreshToken).get(token.id, lock=True)
        except NotFound:
            raise InvalidGrant from None
        grant = await self._rows(ClientGrant).get(token.grant_id)
        if grant.client_id != client.id or grant.ended_at is not None:
            raise InvalidGrant
        if token.spent_at is not None:
            await self._misused(grant, "refresh_reuse")
        if self._now >= token.expires_at:
            raise InvalidGrant
        await self._rows(RefreshToken).update(token, spent_at=self._now)
        return grant

    async def _misused(self, grant: ClientGrant, reason: str) -> NoReturn:
        """End a grant, and have that stand although the call is refused."""
        self._note(f"oauth.{reason}", grant.client_id, grant.account_id, outcome="denied")
        await self.end(grant, reason)
        await self._unit.commit()
        raise InvalidGrant

    async def account(self, grant: ClientGrant) -> Account:
        """Return the account of a grant. Raises ``InvalidGrant`` where it is locked."""
        account = await self._rows(Account).get(grant.account_id)
        if account.locked_at is not None:
            raise InvalidGrant
        return account

    async def tokens(self, client: RegisteredClient, grant: ClientGrant, scopes: Sequence[str]) -> TokenAnswer:
        """Return an access token for an account, and a refresh token where the grant is for its absence too."""
        account = await self.account(grant)
        access = await self._tokens.issue(
            self._unit,
            account.id,
            client=str(client.id),
            scopes=scopes,
            tenant=account.tenant,
            claims={DELEGATED: True, "sid": str(grant.id)},
        )
        refresh = await self._refresh(grant) if OFFLINE in grant.scopes else None
        return self._answer(access, scopes, refresh)

    def _answer(self, access: str, scopes: Sequence[str], refresh: str | None = None) -> TokenAnswer:
        seconds = self._rules.access_seconds
        return TokenAnswer(access=access, kind="Bearer", seconds=seconds, scope=" ".join(scopes), refresh=refresh)

    async def _refresh(self, grant: ClientGrant) -> str:
        text = new_secret(self._ids)
        rules = self._rules
        unused = self._now + timedelta(seconds=rules.refresh_seconds)
        expires = min(unused, grant.created_at + timedelta(seconds=rules.grant_seconds))
        await self._many(RefreshToken).delete(grant_id=grant.id, expires_at=lt(self._now - KEPT))
        await self._rows(RefreshToken).add(RefreshToken(digest=digest_of(text), grant_id=grant.id, expires_at=expires))
        return text

    async def machine(self, client: RegisteredClient, scopes: Sequence[str]) -> TokenAnswer:
        """Return an access token for a client that acts in its own name."""
        access = await self._tokens.issue(self._unit, client.id, client=str(client.id), scopes=scopes)
        self._note("oauth.client_token", client.id, None)
        return self._answer(access, scopes)

    async def id_token(self, client: RegisteredClient, grant: ClientGrant, code: AuthorizationCode) -> str:
        """Return the id token of a log-in (OpenID Connect Core, section 2)."""
        now = int(self._unit.frame.clock.time())
        claims: dict[str, Any] = {
            "iss": self._rules.issuer,
            "sub": str(grant.account_id),
            "aud": str(client.id),
            "iat": now,
            "exp": now + self._rules.access_seconds,
            "sid": str(grant.id),
        }
        if code.nonce is not None:
            claims["nonce"] = code.nonce
        if code.authenticated_at is not None:
            claims["auth_time"] = code.authenticated_at
        return await self._keys.sign(claims, typ="JWT")

    def refused(self, client: RegisteredClient) -> None:
        """Note that a client did not prove itself."""
        self._note("oauth.client_refused", client.id, None, outcome="failure")

    def is_past(self, moment: datetime) -> bool:
        """Whether a moment has come."""
        return self._now >= moment

    async def of_refresh(self, text: str) -> tuple[RefreshToken, ClientGrant] | None:
        """Return a refresh token that was made here, and its grant."""
        try:
            token = await self._rows(RefreshToken).one(digest=digest_of(text))
            return token, await self._rows(ClientGrant).get(token.grant_id)
        except NotFound:
            return None

    async def of_session(self, sid: Any) -> ClientGrant | None:
        """Return the grant that an access token names."""
        try:
            return await self._rows(ClientGrant).get(UUID(str(sid)))
        except (ValueError, NotFound):
            return None

    async def end(self, grant: ClientGrant, reason: str) -> None:
        """End a grant: its refresh tokens are good no more, and its access tokens as soon as every replica knows."""
        if grant.ended_at is None:
            await self._rows(ClientGrant).update(grant, ended_at=self._now, end_reason=reason)
            await self._aftermath.outdate(self._unit, grant.id)
            self._note("oauth.grant_ended", grant.client_id, grant.account_id, reason=reason)

    def _note(
        self, kind: str, client: UUID, account: UUID | None, *, outcome: Outcome = "success", **facts: str
    ) -> None:
        named = {"client": str(client), **facts}
        self._log.note(SecurityEvent(kind=kind, outcome=outcome, subject=account, actor=client, facts=named))

    async def end_all(self, *, client: UUID, account: UUID | None = None, reason: str) -> int:
        """End all grants of a client, or those that one account has given it. Returns how many there were."""
        of: dict[str, Any] = {"client_id": client, **({} if account is None else {"account_id": account})}
        found = [grant async for grant in self._rows(ClientGrant).stream(ended_at=None, **of)]
        for grant in found:
            await self.end(grant, reason)
        return len(found)

    async def end_machine(self, client: UUID) -> None:
        """End what a client was given for itself."""
        await self._aftermath.outdate(self._unit, client)
