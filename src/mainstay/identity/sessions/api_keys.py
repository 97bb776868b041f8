"""API keys: made for machines, shown once, listed and revoked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from mainstay.identity.sessions import opaque
from mainstay.identity.sessions.entities import ApiKey
from mainstay.identity.sessions.problems import RoleNotHeld, ScopeNotGiven, TooManyApiKeys
from mainstay.identity.sessions.rules import SessionRules
from mainstay.identity.sessions.standing import is_good
from mainstay.identity.sessions.stored_book import StoredSessionBook
from mainstay.model.fields import field
from mainstay.model.principal import Principal
from mainstay.model.problem import NotFound
from mainstay.model.structs import Dto
from mainstay.ports.answering import Answering
from mainstay.ports.clock import Clock
from mainstay.ports.ids import Ids
from mainstay.ports.repository import Repository

MAX_KEYS = 100
"""How many keys an account may have at a time."""

MAX_DAYS = 3650
_SHOWN = 12  # characters of a key that people may see


class NewApiKey(Dto):
    """What an API key is to be good for. It has no role and no scope that is not named."""

    name: str = field(min_length=1, max_length=100)
    scopes: list[str] = field(default_factory=list, max_length=50)
    roles: list[str] = field(default_factory=list, max_length=50)
    expires_in_days: int | None = field(default=90, ge=1, le=MAX_DAYS, description="null: it does not expire")


class ApiKeyView(Dto):
    """An API key, as its owner sees it."""

    id: UUID
    name: str
    start: str
    scopes: list[str]
    roles: list[str]
    created_at: datetime
    used_at: datetime | None
    expires_at: datetime | None


class IssuedApiKey(Dto):
    """A new API key. ``key`` is shown now and never again."""

    id: UUID
    name: str
    key: str
    expires_at: datetime | None


async def create_api_key(
    wanted: NewApiKey,
    who: Principal,
    keys: Repository[ApiKey],
    book: StoredSessionBook,
    rules: SessionRules,
    answering: Answering,
    clock: Clock,
    ids: Ids,
) -> IssuedApiKey:
    """Make an API key that calls in the caller's name. It is shown once."""
    _check_subset(wanted.scopes, rules.key_scopes, ScopeNotGiven)
    _check_subset(wanted.roles, who.roles, RoleNotHeld)
    now = clock.now()
    good = [key async for key in keys.stream(account_id=who.id, revoked_at=None) if is_good(key, now)]
    if len(good) >= MAX_KEYS:
        raise TooManyApiKeys(f"an account has at most {MAX_KEYS} API keys")
    id_, secret = ids.next(), opaque.new_secret()
    text = opaque.write(opaque.API_KEY_MARK, id_, secret)
    days = wanted.expires_in_days
    key = await keys.add(
        ApiKey(
            id=id_,
            account_id=who.id,
            name=wanted.name,
            start=text[:_SHOWN],
            secret=opaque.digest(secret),
            scopes=sorted(set(wanted.scopes)),
            roles=sorted(set(wanted.roles)),
            expires_at=None if days is None else now + timedelta(days=days),
        )
    )
    answering.confide()
    book.note_key("api_key.created", key)
    return IssuedApiKey(id=key.id, name=key.name, key=text, expires_at=key.expires_at)


async def list_api_keys(who: Principal, keys: Repository[ApiKey], clock: Clock) -> list[ApiKeyView]:
    """List the caller's API keys that count."""
    page = await keys.page(account_id=who.id, revoked_at=None, sort="-created_at", limit=200)
    now = clock.now()
    return [_view(key) for key in page.items if is_good(key, now)]


async def revoke_api_key(key_id: UUID, who: Principal, keys: Repository[ApiKey], book: StoredSessionBook) -> None:
    """Have one of the caller's API keys count no more, within a second."""
    key = await keys.get(key_id)
    if key.account_id != who.id or key.revoked_at is not None:
        raise NotFound("there is no such ApiKey")
    await book.revoke_key(key)


def _check_subset(wanted: Iterable[str], had: Iterable[str], problem: type[ScopeNotGiven] | type[RoleNotHeld]) -> None:
    missing = sorted(set(wanted) - set(had))
    if missing:
        raise problem(f"not to be had: {', '.join(missing)[:200]}")


def _view(key: ApiKey) -> ApiKeyView:
    return ApiKeyView(
        id=key.id,
        name=key.name,
        start=key.start,
        scopes=key.scopes,
        roles=key.roles,
        created_at=key.created_at,
        used_at=key.used_at,
        expires_at=key.expires_at,
    )
