"""A service whose every secret is marked: what it writes anywhere must not have the mark in it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from mainstay import (
    Conflict,
    Dto,
    Entity,
    HttpClient,
    Log,
    Module,
    Page,
    Principal,
    RawBody,
    Repository,
    Secret,
    Service,
    anyone,
    authenticated,
    field,
    signed,
)
from mainstay.model.inputs import Find

desk = Module("desk")


class Account(Entity):
    """Somebody who logs in."""

    name: str = field(max_length=40, unique=True)
    digest: int = 0


class LogIn(Dto):
    """A name and a password."""

    name: str = field(max_length=40)
    password: Secret[str] = field(min_length=8, max_length=60)


_NOBODY: Mapping[LogIn, int] = MappingProxyType({})


class Wrong(Conflict):
    """The password is another one."""


class Call(Dto):
    """Whom to call, and what to show there."""

    url: str
    key: Secret[str]


@desk.command("POST /accounts", status=201, allow=anyone)
async def sign_up(wanted: LogIn, accounts: Repository[Account], log: Log) -> Account:
    """Take an account in."""
    log.info("signing up", name=wanted.name, password=wanted.password, wanted=wanted)
    return await accounts.add(Account(name=wanted.name, digest=hash(wanted.password.reveal()) % 1000))


@desk.command("POST /log-in", allow=anyone, raises=[Wrong])
async def log_in(wanted: LogIn, accounts: Repository[Account], log: Log) -> Account:
    """Fail in the way that the name says."""
    if wanted.name == "crash":
        raise RuntimeError(f"cannot go on with {wanted.password} of {wanted}")
    if wanted.name == "nested":
        try:
            _NOBODY[wanted]
        except KeyError as error:
            raise ValueError(wanted) from error
    if wanted.name == "slow":
        await asyncio.sleep(1)
    if wanted.name == "wrong":
        log.warning("wrong password", who=wanted)
        raise Wrong
    return await accounts.one(name=wanted.name)


@desk.query("GET /accounts", allow=authenticated)
async def list_accounts(find: Find[Account], accounts: Repository[Account]) -> Page[Account]:
    """Give a page of accounts."""
    return await accounts.page(find)


@desk.query("GET /me", allow=authenticated)
async def me(who: Principal) -> str:
    """Say who asks."""
    return who.subject


@desk.command("POST /hook", allow=signed("standard-webhooks", secret="bank"))
async def hook(body: RawBody) -> int:
    """Take a signed body."""
    return len(body)


@desk.command("POST /call", allow=anyone, external=True)
async def call(wanted: Call, http: HttpClient) -> int:
    """Call somebody with a key."""
    headers = {"Authorization": f"Bearer {wanted.key.reveal()}", "Cookie": f"a={wanted.key.reveal()}"}
    url = f"{wanted.url}/{wanted.key.reveal()}?key={wanted.key.reveal()}"
    answer = await http.request("POST", url, headers=headers, body=wanted.key.reveal().encode(), seconds=2, redirects=2)
    return answer.status


service = Service("desk", modules=[desk])
