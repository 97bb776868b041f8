"""Sessions of browsers and API keys, looked up: from the secret that a caller sent to whom it speaks for."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from mainstay.identity.accounts.entities import Account
from mainstay.identity.sessions import opaque
from mainstay.identity.sessions.entities import ApiKey, Session
from mainstay.identity.sessions.rules import SessionRules
from mainstay.identity.sessions.standing import ends_at, granted_roles, is_good, is_live, present_roles
from mainstay.kernel.records import Records, rows_of
from mainstay.model.principal import Principal
from mainstay.model.problem import NotFound
from mainstay.ports.tokens import SESSION_MARK
from mainstay.ports.unit_of_work import UnitOfWork


class Found(msgspec.Struct, frozen=True):
    """Whom a credential speaks for, until when at most, and the row that it is of."""

    principal: Principal
    ends: float  # seconds since the epoch
    row: UUID
    used_at: datetime | None
    entity: type[Session] | type[ApiKey]


class CredentialRows:
    """Looks credentials up, each in one query of a few reads that see one moment."""

    def __init__(self, records: Records, rules: SessionRules) -> None:
        self._records = records
        self._rules = rules

    async def session(self, token: bytes) -> Found | None:
        """Return whom a browser's session speaks for, or None for one that is not, or is no more."""
        read = opaque.read(SESSION_MARK.decode(), token.decode("latin-1"))
        if read is None:
            return None
        return await self._records.read(lambda unit: self._session(unit, *read))

    async def api_key(self, token: bytes) -> Found | None:
        """Return whom an API key speaks for, or None for one that is not, or counts no more."""
        read = opaque.read(opaque.API_KEY_MARK, token.decode("latin-1"))
        if read is None:
            return None
        return await self._records.read(lambda unit: self._api_key(unit, *read))

    async def _session(self, unit: UnitOfWork, id_: UUID, secret: bytes) -> Found | None:
        unit.several()
        session = await _row(unit, Session, id_)
        if session is None or session.means != "cookie":
            return None
        if not hmac.compare_digest(opaque.digest(secret), session.secret):
            return None
        if not is_live(session, unit.frame.clock.now(), self._rules):
            return None
        account = await _usable(unit, session.account_id)
        if account is None:
            return None
        roles = present_roles(session, await granted_roles(unit, account.id))
        claims = {"sid": session.id, "auth_time": int(session.created_at.timestamp()), "amr": session.proofs}
        ends = ends_at(session, self._rules).timestamp()
        return Found(_principal(account, roles, (), claims), ends, session.id, session.used_at, Session)

    async def _api_key(self, unit: UnitOfWork, id_: UUID, secret: bytes) -> Found | None:
        unit.several()
        key = await _row(unit, ApiKey, id_)
        if key is None or not hmac.compare_digest(opaque.digest(secret), key.secret):
            return None
        if not is_good(key, unit.frame.clock.now()):
            return None
        account = await _usable(unit, key.account_id)
        if account is None:
            return None
        roles = set(key.roles) & await granted_roles(unit, account.id)
        ends = float("inf") if key.expires_at is None else key.expires_at.timestamp()
        claims = {"key": str(key.id)}
        return Found(_principal(account, roles, key.scopes, claims), ends, key.id, key.used_at, ApiKey)


async def _row(unit: UnitOfWork, entity: Any, id_: UUID) -> Any:
    try:
        return await rows_of(unit, entity).get(id_)
    except NotFound:
        return None


async def _usable(unit: UnitOfWork, account_id: UUID) -> Account | None:
    """Return an account, unless it is locked."""
    account: Account | None = await _row(unit, Account, account_id)
    return None if account is None or account.locked_at is not None else account


def _principal(account: Account, roles: Iterable[str], scopes: Iterable[str], claims: Mapping[str, Any]) -> Principal:
    return Principal(
        id=account.id,
        subject=str(account.id),
        roles=frozenset(roles),
        scopes=frozenset(scopes),
        tenant=account.tenant,
        claims=MappingProxyType(claims),
    )
