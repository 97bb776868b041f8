"""The doors of sessions: refreshed, listed, ended; and those of API keys."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from mainstay.identity.book import Opened
from mainstay.identity.sessions.api_keys import create_api_key, list_api_keys, revoke_api_key
from mainstay.identity.sessions.entities import ApiKey, Session, SigningKey, SubjectEpoch
from mainstay.identity.sessions.policies import in_session
from mainstay.identity.sessions.problems import RefreshTokenRefused, RoleNotHeld, ScopeNotGiven, TooManyApiKeys
from mainstay.identity.sessions.rules import SessionRules
from mainstay.identity.sessions.standing import ends_at, is_live
from mainstay.identity.sessions.stored_book import Caller, StoredSessionBook
from mainstay.model.fields import field
from mainstay.model.module import Module
from mainstay.model.policy import anyone
from mainstay.model.principal import Principal
from mainstay.model.problem import NotFound
from mainstay.model.structs import Dto
from mainstay.ports.clock import Clock
from mainstay.ports.repository import Repository
from mainstay.ports.tokens import forgery_token


class RefreshToken(Dto):
    """A refresh token, to be exchanged for what follows it."""

    refresh_token: str = field(max_length=200, write_only=True)


class SessionView(Dto):
    """A session, as its account sees it. ``used_at`` is right to the minute."""

    id: UUID
    means: str
    created_at: datetime
    used_at: datetime
    ends_at: datetime
    address: str
    agent: str
    current: bool


class OwnSession(Dto):
    """The session that the caller calls in. ``csrf_token`` is for a session by cookie (see ``Opened``)."""

    session: SessionView
    roles: list[str]
    csrf_token: str | None


async def refresh_session(given: RefreshToken, book: StoredSessionBook) -> Opened:
    """Exchange a refresh token for an access token and the next refresh token.

    The one given is spent. If it comes again later, all tokens of its log-in are void: somebody has a copy.
    """
    return await book.refresh(given.refresh_token)


async def log_out(caller: Caller, sessions: Repository[Session], book: StoredSessionBook) -> None:
    """End the session that the caller calls in."""
    id_ = caller.session_id
    if id_ is not None:
        await book.end(await sessions.get(id_), reason="logged_out")


async def log_out_everywhere(who: Principal, book: StoredSessionBook) -> None:
    """End all sessions of the caller's account, this one too. Its access tokens are void within a second."""
    await book.end_all(who.id, reason="logged_out_everywhere")


async def list_sessions(
    caller: Caller, sessions: Repository[Session], rules: SessionRules, clock: Clock
) -> list[SessionView]:
    """List the sessions of the caller's account, the last used first."""
    page = await sessions.page(account_id=caller.principal.id, ended_at=None, sort="-used_at", limit=200)
    now = clock.now()
    return [_view(one, caller, rules) for one in page.items if is_live(one, now, rules)]


async def get_session(caller: Caller, sessions: Repository[Session], rules: SessionRules) -> OwnSession:
    """Show the session that the caller calls in."""
    id_ = caller.session_id
    if id_ is None:
        raise NotFound
    session = await sessions.get(id_)
    csrf = None
    if caller.by_cookie and caller.credentials is not None:
        csrf = forgery_token(caller.credentials)
    return OwnSession(session=_view(session, caller, rules), roles=sorted(caller.principal.roles), csrf_token=csrf)


async def end_session(
    session_id: UUID,
    who: Principal,
    sessions: Repository[Session],
    rules: SessionRules,
    book: StoredSessionBook,
    clock: Clock,
) -> None:
    """End one of the sessions of the caller's account."""
    session = await sessions.get(session_id)
    if session.account_id != who.id or not is_live(session, clock.now(), rules):
        raise NotFound("there is no such Session")
    await book.end(session, reason="ended_by_owner")


def _view(session: Session, caller: Caller, rules: SessionRules) -> SessionView:
    return SessionView(
        id=session.id,
        means=session.means,
        created_at=session.created_at,
        used_at=session.used_at,
        ends_at=ends_at(session, rules),
        address=session.address,
        agent=session.agent,
        current=session.id == caller.session_id,
    )


def declare_sessions(module: Module, path: str) -> None:
    """Declare the entities and the doors of sessions in identity's module; their paths begin with ``path``."""
    module.entity(Session, ApiKey, SubjectEpoch, SigningKey)
    module.command(f"POST {path}/refresh", allow=anyone, idempotency="none", raises=[RefreshTokenRefused])(
        refresh_session
    )
    module.command(f"POST {path}/log-out", allow=in_session)(log_out)
    module.command(f"POST {path}/log-out-everywhere", allow=in_session)(log_out_everywhere)
    module.query(f"GET {path}/session", allow=in_session)(get_session)
    module.query(f"GET {path}/sessions", allow=in_session)(list_sessions)
    module.command(f"DELETE {path}/sessions/{{session_id}}", allow=in_session)(end_session)
    module.command(
        f"POST {path}/api-keys",
        status=201,
        allow=in_session,
        idempotency="none",
        raises=[ScopeNotGiven, RoleNotHeld, TooManyApiKeys],
    )(create_api_key)
    module.query(f"GET {path}/api-keys", allow=in_session)(list_api_keys)
    module.command(f"DELETE {path}/api-keys/{{key_id}}", allow=in_session)(revoke_api_key)
