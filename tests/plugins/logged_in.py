"""A service with accounts whose log-in asks for no password: what is tested is what comes after it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

from mainstay import (
    Conflict,
    Dto,
    Entity,
    Module,
    Principal,
    Repository,
    Service,
    anyone,
    authenticated,
    field,
    role,
    scope,
)
from mainstay.identity.accounts.entities import Account, RoleGrant
from mainstay.identity.book import Means, Opened, SessionBook
from mainstay.identity.declaration import Identity

if TYPE_CHECKING:
    from mainstay.testing import Client
    from mainstay.testing.answer import Answer


class By(StrEnum):
    TOKENS = "tokens"
    COOKIE = "cookie"


class LogIn(Dto):
    email: str
    means: By = By.TOKENS
    roles: list[str] = field(default_factory=list)


class Named(Dto):
    email: str
    role: str = ""


class Someone(Dto):
    id: UUID


async def make_account(who: Named, accounts: Repository[Account], grants: Repository[RoleGrant]) -> Someone:
    account = await accounts.add(Account(email=who.email))
    if who.role:
        await grants.add(RoleGrant(account_id=account.id, role=who.role, granted_by=account.id))
    return Someone(id=account.id)


async def open_session(
    given: LogIn, accounts: Repository[Account], grants: Repository[RoleGrant], book: SessionBook
) -> Opened:
    account = await accounts.one(email=given.email)
    roles = given.roles or [grant.role async for grant in grants.stream(account_id=account.id)]
    means: Means = "cookie" if given.means is By.COOKIE else "tokens"
    return await book.open(account, roles=roles, proofs=["pwd"], means=means)


async def strip_role(
    who: Named, accounts: Repository[Account], grants: Repository[RoleGrant], book: SessionBook
) -> None:
    account = await accounts.one(email=who.email)
    for grant in [one async for one in grants.stream(account_id=account.id, role=who.role)]:
        await grants.delete(grant)
    await book.outdate(account.id)


async def lock_out(who: Named, accounts: Repository[Account], book: SessionBook) -> None:
    account = await accounts.one(email=who.email)
    await accounts.update(account, locked_at=account.created_at)
    await book.end_all(account.id, reason="locked")


async def prove_more(book: SessionBook) -> None:
    await book.renew()


class Accounts(Identity):
    def modules(self) -> Sequence[Module]:
        (module,) = super().modules()
        path = self.path
        module.command(f"POST {path}/test/sign-up", status=201, allow=anyone)(make_account)
        module.command(f"POST {path}/test/log-in", allow=anyone, idempotency="optional")(open_session)
        module.command(f"POST {path}/test/strip", allow=anyone)(strip_role)
        module.command(f"POST {path}/test/lock", allow=anyone)(lock_out)
        module.command(f"POST {path}/test/prove-more", allow=authenticated)(prove_more)
        return (module,)


class Note(Entity):
    text: str


class WriteNote(Dto):
    text: str


class Me(Dto):
    id: UUID
    subject: str
    roles: list[str]
    scopes: list[str]
    tenant: str | None


class Full(Conflict):
    """There are enough notes."""


def make_service(identity: Identity | None = None) -> Service:
    notes = Module("notes")

    @notes.query("GET /me", allow=authenticated)
    async def me(who: Principal) -> Me:
        return Me(id=who.id, subject=who.subject, roles=sorted(who.roles), scopes=sorted(who.scopes), tenant=who.tenant)

    @notes.query("GET /pid", allow=anyone)
    async def get_pid() -> int:
        return os.getpid()

    @notes.query("GET /open", allow=anyone)
    async def open_to_all(who: Principal) -> Me:
        return Me(id=who.id, subject=who.subject, roles=sorted(who.roles), scopes=sorted(who.scopes), tenant=who.tenant)

    @notes.query("GET /managed", allow=role("manager"))
    async def managed(who: Principal) -> Me:
        return Me(id=who.id, subject=who.subject, roles=sorted(who.roles), scopes=[], tenant=who.tenant)

    @notes.query("GET /scoped", allow=scope("notes:read"))
    async def scoped(who: Principal) -> Me:
        return Me(id=who.id, subject=who.subject, roles=[], scopes=sorted(who.scopes), tenant=who.tenant)

    @notes.command("POST /notes", status=201, allow=authenticated)
    async def write_note(note: WriteNote, notes: Repository[Note]) -> Note:
        return await notes.add(Note(text=note.text))

    return Service("shop", modules=[notes], identity=identity or Accounts(api_key_scopes=("notes:read",)))


notebook = make_service()


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def signed_up(client: Client, email: str = "ann@shop.example", role: str = "") -> UUID:
    answer = await client.post("/auth/test/sign-up", json={"email": email, "role": role})
    assert answer.status == 201, answer.body
    return UUID(answer.json["id"])


async def logged_in(client: Client, email: str = "ann@shop.example", **more: Any) -> dict[str, Any]:
    answer = await client.post("/auth/test/log-in", json={"email": email, **more})
    assert answer.status == 200, answer.body
    opened: dict[str, Any] = answer.json
    return opened


async def refreshed(client: Client, token: str) -> Answer:
    return await client.post("/auth/refresh", json={"refresh_token": token})


def cookie_of(answer: Answer) -> str:
    """Return name and value of the one cookie that an answer sets."""
    return answer.headers["set-cookie"].partition(";")[0]
