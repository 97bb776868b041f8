"""The book of sessions on the service's own store."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from mainstay.identity.accounts.entities import Account
from mainstay.identity.book import Means, Opened, SessionBook
from mainstay.identity.sessions import opaque
from mainstay.identity.sessions.aftermath import Aftermath
from mainstay.identity.sessions.entities import ApiKey, Session
from mainstay.identity.sessions.issuing import AccessTokens
from mainstay.identity.sessions.problems import RefreshTokenRefused
from mainstay.identity.sessions.rules import SessionRules
from mainstay.identity.sessions.standing import granted_roles, is_live, present_roles
from mainstay.kernel.records import rows_of
from mainstay.model.principal import Principal
from mainstay.model.problem import NotFound
from mainstay.ports.answering import Answering, Keep
from mainstay.ports.security_log import Outcome, SecurityEvent, SecurityLog
from mainstay.ports.tokens import SESSION_MARK, forgery_token
from mainstay.ports.unit_of_work import UnitOfWork

MAX_SESSIONS = 100
"""How many sessions an account may have at a time; with one more the one that was not used for longest ends."""

_NONE: Mapping[str, str | int] = MappingProxyType({})


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, from where and with what. ``credentials`` show in no representation."""

    principal: Principal
    address: str = ""
    agent: str = ""
    credentials: bytes | None = None

    def __repr__(self) -> str:
        return f"<Caller {self.principal.subject}>"

    @property
    def session_id(self) -> UUID | None:
        """The session that the caller calls in."""
        sid = self.principal.claims.get("sid")
        return sid if isinstance(sid, UUID) else None

    @property
    def by_cookie(self) -> bool:
        """Whether it came by a browser's cookie."""
        return self.credentials is not None and self.credentials.startswith(SESSION_MARK)


class StoredSessionBook(SessionBook):
    """Sessions as rows, for the time of one call."""

    def __init__(
        self,
        unit: UnitOfWork,
        *,
        rules: SessionRules,
        tokens: AccessTokens,
        caller: Caller,
        answering: Answering,
        log: SecurityLog,
        aftermath: Aftermath,
    ) -> None:
        self._unit = unit
        self._rules = rules
        self._tokens = tokens
        self.caller = caller
        self._answering = answering
        self._log = log
        self._aftermath = aftermath
        self._sessions = rows_of(unit, Session)

    @property
    def _now(self) -> datetime:
        return self._unit.frame.clock.now()

    async def open(self, account: Account, *, roles: Sequence[str], proofs: Sequence[str], means: Means) -> Opened:
        await self._end_own_cookie()
        await self._make_room(account.id)
        granted = await granted_roles(self._unit, account.id)
        now, secret, family = self._now, opaque.new_secret(), opaque.new_secret(opaque.FAMILY_BYTES)
        session = await self._sessions.add(
            Session(
                account_id=account.id,
                means=means,
                secret=opaque.digest(secret),
                family=opaque.digest(family) if means == "tokens" else "",
                rotated_at=now,
                proofs=list(proofs),
                roles=sorted(roles),
                whole=granted <= set(roles),
                address=self.caller.address[:64],
                agent=self.caller.agent[:200],
                used_at=now,
                expires_at=now + timedelta(seconds=self._rules.session),
            )
        )
        self._note("session.opened", session, facts={"means": means})
        if means == "cookie":
            return self._by_cookie(session, secret)
        return await self._by_tokens(session, account, roles, family + secret)

    def _by_cookie(self, session: Session, secret: bytes) -> Opened:
        value = opaque.write(SESSION_MARK.decode(), session.id, secret)
        self._answering.keep(Keep(value, max(1, int((session.expires_at - self._now).total_seconds()))))
        csrf = forgery_token(value.encode())
        return Opened(session_id=session.id, token_type="Cookie", csrf_token=csrf)  # noqa: S106 - a word, no secret

    async def _by_tokens(self, session: Session, account: Account, roles: Iterable[str], secret: bytes) -> Opened:
        claims: dict[str, Any] = {"sid": str(session.id), "auth_time": int(session.created_at.timestamp())}
        if session.proofs:
            claims["amr"] = session.proofs
        access = await self._tokens.issue(self._unit, account.id, roles=roles, tenant=account.tenant, claims=claims)
        self._answering.confide()
        return Opened(
            session_id=session.id,
            expires_in=self._rules.access,
            access_token=access,
            refresh_token=opaque.write(opaque.REFRESH_MARK, session.id, secret),
        )

    async def refresh(self, token: str) -> Opened:
        """Return a new access token, and the refresh token that follows the one given, which is spent.

        One that was spent before ends the family, for nobody knows which of the two that have it is the thief (RFC
        9700, section 4.14.2), but for the last one, within the grace: a client to which the answer was lost gets the
        same successor again. Raises ``RefreshTokenRefused`` without a word of why.
        """
        read = opaque.read(opaque.REFRESH_MARK, token, opaque.FAMILY_BYTES + opaque.SECRET_BYTES)
        if read is None:
            raise RefreshTokenRefused
        id_, family, secret = read[0], read[1][: opaque.FAMILY_BYTES], read[1][opaque.FAMILY_BYTES :]
        session, account = await self._refreshable(id_, family)
        held = opaque.digest(secret)
        if hmac.compare_digest(held, session.secret):
            session, following = await self._follow(session, secret)
        elif self._may_repeat(session, held):
            following = _successor(bytes.fromhex(session.salt), secret)
        else:
            self._aftermath.reused = session.id
            self._note("session.refresh_reused", session, outcome="denied")
            raise RefreshTokenRefused
        roles = present_roles(session, await granted_roles(self._unit, account.id))
        return await self._by_tokens(session, account, roles, family + following)

    async def _refreshable(self, id_: UUID, family: bytes) -> tuple[Session, Account]:
        """Return the session of a refresh token and its account. Raises ``RefreshTokenRefused``."""
        try:
            session = await self._sessions.get(id_, lock=True)
            account = await rows_of(self._unit, Account).get(session.account_id)
        except NotFound:
            raise RefreshTokenRefused from None
        unused_since = session.rotated_at + timedelta(seconds=self._rules.refresh)
        fresh = session.ended_at is None and self._now < min(session.expires_at, unused_since)
        if not hmac.compare_digest(opaque.digest(family), session.family) or not fresh or account.locked_at is not None:
            raise RefreshTokenRefused
        return session, account

    async def _follow(self, session: Session, secret: bytes) -> tuple[Session, bytes]:
        """Spend a refresh token: return the session with its successor, and the successor."""
        salt = opaque.new_secret()
        following, now = _successor(salt, secret), self._now
        changes = {
            "secret": opaque.digest(following),
            "previous": session.secret,
            "salt": salt.hex(),
            "rotated_at": now,
            "used_at": now,
        }
        return await self._sessions.update(session, **changes), following

    def _may_repeat(self, session: Session, held: str) -> bool:
        """Whether a token is the last one that was spent, and comes within the grace."""
        within = self._now - session.rotated_at < timedelta(seconds=self._rules.grace)
        return within and session.previous != "" and hmac.compare_digest(held, session.previous)

    async def end(self, session: Session, *, reason: str) -> None:
        """End a session, within a second on every replica."""
        await self._close(session, reason)
        await self._aftermath.outdate(self._unit, session.id)
        self._note("session.ended", session, facts={"reason": reason})

    async def _close(self, session: Session, reason: str) -> None:
        await self._sessions.update(session, ended_at=self._now, end_reason=reason)
        if session.id == self.caller.session_id and self.caller.by_cookie:
            self._answering.keep(Keep())

    async def end_all(self, account_id: UUID, *, reason: str, but: UUID | None = None) -> int:
        ended = 0
        for session in await self.live(account_id):
            if session.id != but:
                await self._close(session, reason)
                ended += 1
        await self._aftermath.outdate(self._unit, account_id)
        facts: dict[str, str | int] = {"reason": reason, "sessions": ended}
        self._log.note(
            SecurityEvent(kind="session.ended_all", subject=account_id, actor=self.caller.principal.id, facts=facts)
        )
        return ended

    async def outdate(self, account_id: UUID) -> None:
        await self._aftermath.outdate(self._unit, account_id)

    async def renew(self) -> None:
        id_ = self.caller.session_id
        if id_ is None or not self.caller.by_cookie:
            return
        secret = opaque.new_secret()
        session = await self._sessions.get(id_, lock=True)
        renewed = await self._sessions.update(session, secret=opaque.digest(secret), rotated_at=self._now)
        await self._aftermath.outdate(self._unit, session.id)
        self._by_cookie(renewed, secret)

    async def live(self, account_id: UUID) -> list[Session]:
        """Return the sessions of an account that have not ended, the last used first."""
        page = await self._sessions.page(account_id=account_id, ended_at=None, sort="-used_at", limit=200)
        return [one for one in page.items if is_live(one, self._now, self._rules)]

    async def _end_own_cookie(self) -> None:
        id_ = self.caller.session_id
        if id_ is None or not self.caller.by_cookie:
            return
        try:
            session = await self._sessions.get(id_)
        except NotFound:
            return
        if session.ended_at is None:
            await self.end(session, reason="logged_in_anew")

    async def _make_room(self, account_id: UUID) -> None:
        for session in (await self.live(account_id))[MAX_SESSIONS - 1 :]:
            await self.end(session, reason="too_many")

    async def revoke_key(self, key: ApiKey) -> None:
        """Have an API key count no more, within a second on every replica."""
        revoked = await rows_of(self._unit, ApiKey).update(key, revoked_at=self._now)
        await self._aftermath.outdate(self._unit, key.id)
        self.note_key("api_key.revoked", revoked)

    def note_key(self, kind: str, key: ApiKey) -> None:
        """Note what was done with an API key."""
        who = self.caller.principal.id
        self._log.note(SecurityEvent(kind=kind, subject=key.account_id, actor=who, facts={"key": str(key.id)}))

    def _note(
        self, kind: str, session: Session, *, outcome: Outcome = "success", facts: Mapping[str, str | int] = _NONE
    ) -> None:
        who = self.caller.principal
        self._log.note(
            SecurityEvent(
                kind=kind,
                outcome=outcome,
                subject=session.account_id,
                actor=who.id if who.authenticated else session.account_id,
                facts={"session": str(session.id), **facts},
            )
        )


def _successor(salt: bytes, secret: bytes) -> bytes:
    """Return the secret that follows a refresh token's: the same each time, for who has the token and the row's salt.

    So an answer that was lost can be given again, and nothing that could be used lies in the row.
    """
    return hmac.digest(salt, secret, "sha256")
