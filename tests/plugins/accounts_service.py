"""A service with accounts, and a person that uses them: what tests of accounts at the door work with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from mainstay import Identity, Module, Principal, Service, authenticated
from mainstay.deliver.openapi.problems import problems_of
from mainstay.identity.accounts.entities import Account
from mainstay.identity.accounts.totp import code_of, step_at
from mainstay.identity.book import Means, Opened, SessionBook
from mainstay.kernel.call import Call
from mainstay.kernel.dispatch import dispatch
from mainstay.ports.passwords import PasswordHasher
from mainstay.testing import Client, as_principal
from mainstay.testing.answer import Answer

ANN = "ann@shop.example"
BOB = "bob@shop.example"
PASSWORD = "a wet lantern hums"
OTHER_PASSWORD = "seven green kettles"
ADMIN = as_principal("the-boss", roles="admin")


class OpenedSession(NamedTuple):
    """A session as the book was asked to open it."""

    account: UUID
    roles: tuple[str, ...]
    proofs: tuple[str, ...]
    means: str


class EndedSessions(NamedTuple):
    """Sessions as the book was asked to end them."""

    account: UUID
    reason: str
    but: UUID | None


class NotedSessions(SessionBook):
    """Notes what it is asked to do. Sessions themselves are not what accounts are about."""

    def __init__(self) -> None:
        self.opened: list[OpenedSession] = []
        self.ended: list[EndedSessions] = []
        self.outdated: list[UUID] = []
        self.renewed = 0

    async def open(self, account: Account, *, roles: Sequence[str], proofs: Sequence[str], means: Means) -> Opened:
        self.opened.append(OpenedSession(account.id, tuple(roles), tuple(proofs), means))
        number = len(self.opened)
        return Opened(session_id=UUID(int=number), expires_in=600, access_token=f"access-{number}")

    async def end_all(self, account_id: UUID, *, reason: str, but: UUID | None = None) -> int:
        self.ended.append(EndedSessions(account_id, reason, but))
        return sum(session.account == account_id for session in self.opened)

    async def outdate(self, account_id: UUID) -> None:
        self.outdated.append(account_id)

    async def renew(self) -> None:
        self.renewed += 1


class CountedHasher(PasswordHasher):
    """Hashes by a real hasher, and counts what it is asked for: what takes time is equal where the counts are."""

    def __init__(self, hasher: PasswordHasher) -> None:
        self._hasher = hasher
        self.hashed = 0
        self.verified = 0
        self.stale: set[str] = set()

    async def hash(self, password: str) -> str:
        self.hashed += 1
        return await self._hasher.hash(password)

    async def verify(self, hashed: str | None, password: str) -> bool:
        self.verified += 1
        return await self._hasher.verify(hashed, password)

    def outdated(self, hashed: str) -> bool:
        return hashed in self.stale

    def counts(self) -> tuple[int, int]:
        """Return how much was hashed and verified since the last time it was asked for."""
        found = (self.hashed, self.verified)
        self.hashed = self.verified = 0
        return found


def shop(sessions: SessionBook, **said: Any) -> Service:
    """Return a service with accounts, and one operation for whoever is logged in."""
    module = Module("shop")

    @module.query("GET /me", allow=authenticated)
    async def me(who: Principal) -> str:
        return str(who.id)

    service = Service("corner-shop", modules=[module], identity=Identity(**said))
    service.provide(SessionBook, lambda: sessions, outside=False)
    return service


class Person:
    """Somebody at the doors of a service, from an address of its own."""

    def __init__(self, client: Client, email: str = ANN, password: str = PASSWORD) -> None:
        self.client = client
        self.email = email
        self.password = password

    async def sign_up(self, **more: Any) -> Answer:
        """Sign up, and let letters be sent."""
        answer = await self.client.post("/auth/sign-up", json={"email": self.email, "password": self.password, **more})
        await self.client.deliver()
        return answer

    def code(self) -> str:
        """Return the code of the last letter."""
        return code_in(self.client.letters.to(self.email)[-1].text)

    async def verify(self) -> Answer:
        """Confirm the address, with the code of the last letter."""
        return await self.client.post("/auth/verify", json={"code": self.code()})

    async def log_in(self, password: str | None = None, **more: Any) -> Answer:
        """Log in."""
        wanted = {"email": self.email, "password": password or self.password, **more}
        return await self.client.post("/auth/log-in", json=wanted)

    async def row(self) -> Account:
        """Return the account as it is stored."""
        return (await self.client.stored(Account, email=self.email))[0]

    async def who(self, *roles: str, session: UUID | None = None) -> Principal:
        """Return this person as a caller that is logged in."""
        account = await self.row()
        claims: dict[str, Any] = {} if session is None else {"sid": str(session)}
        return as_principal(str(account.id), roles=roles, **claims)

    async def ask(self, method: str, path: str, json: Any = None, *roles: str) -> Answer:
        """Send a request as a caller that is logged in."""
        more = {} if json is None else {"json": json}
        return await self.client.request(method, path, who=await self.who(*roles), **more)

    async def with_second_factor(self) -> tuple[bytes, list[str]]:
        """Set a second factor up; return what its codes are made from, and the recovery codes."""
        from base64 import b32decode

        begun = await self.ask("POST", "/auth/second-factor", {"password": self.password})
        text = begun.json["secret"]
        secret = b32decode(text + "=" * (-len(text) % 8))
        confirmed = await self.ask("POST", "/auth/second-factor/confirm", {"code": self.code_now(secret)})
        assert confirmed.status == 200, confirmed.body
        return secret, confirmed.json["recovery_codes"]

    def code_now(self, secret: bytes) -> str:
        """Return the code that a generator shows now."""
        return code_of(secret, step_at(self.client.clock.time()))


async def signed_up(client: Client, email: str = ANN, password: str = PASSWORD) -> Person:
    """Return somebody with an account whose address is confirmed."""
    person = Person(client, email, password)
    assert (await person.sign_up()).status == 202
    assert (await person.verify()).status == 204
    await client.deliver()
    return person


class Elsewhere:
    """Calls from other addresses, as a door hands them on."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def send(self, operation: str, address: str, body: Any) -> Any:
        """Send a call from an address, and return what came of it."""
        bound = next(one for one in self._client.bound.operations if one.name == operation)
        return await dispatch(
            Call(operation=bound, peer=address, request_id="elsewhere", body=msgspec.json.encode(body))
        )

    async def log_in(self, address: str, email: str, password: str, **more: Any) -> Any:
        """Log in from an address."""
        return await self.send("log_in", address, {"email": email, "password": password, **more})


def code_of_outcome(outcome: Any) -> str:
    """Return the code of a problem, and "in" for a reply."""
    code: str = getattr(outcome, "code", "in")
    return code


def undeclared(client: Client) -> set[tuple[str, str]]:
    """Return (operation, code) of each problem that was answered and does not stand in the contract."""
    listed = {one.name: {problem.code for problem in problems_of(one)} for one in client.bound.operations}
    answered = {(call.operation, call.code) for call in client.recorder.calls if call.code and call.operation in listed}
    return answered - {(name, code) for name, codes in listed.items() for code in codes}


def code_in(text: str) -> str:
    """Return the code that stands in a letter, alone on its line."""
    found = re.search(r"^    (\S+)$", text, re.MULTILINE)
    assert found is not None, text
    return found[1]
