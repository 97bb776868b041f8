"""A shop that people log in to with an outside provider, and the steps that their browsers take."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import msgspec
from assembled import Assembled, assembled
from oauth_world import KeptLog
from outgoing_http import LoopbackHttp
from outside_provider import CLIENT, SECRET, OutsideProvider

from mainstay import Identity, Principal, Provider, Repository, Service
from mainstay.identity.accounts.entities import Account
from mainstay.identity.book import Means, Opened, SessionBook
from mainstay.kernel.bound import Ports
from mainstay.ports.http import HttpClient
from mainstay.ports.rows import Query
from mainstay.ports.security_log import SecurityLog
from mainstay.ports.unit_of_work import Frame, UnitOfWork
from mainstay.testing.people import KnownPeople

BACK = "https://front.example/back"


class OpenedSessions(SessionBook):
    """Remembers the sessions that were opened."""

    def __init__(self) -> None:
        self.opened: list[tuple[UUID, tuple[str, ...], Means]] = []

    async def open(self, account: Account, *, roles: Sequence[str], proofs: Sequence[str], means: Means) -> Opened:
        self.opened.append((account.id, tuple(roles), means))
        return Opened(session_id=UUID(int=len(self.opened)), expires_in=600, access_token="a", refresh_token="r")

    async def end_all(self, account_id: UUID, *, reason: str, but: UUID | None = None) -> int:
        raise AssertionError("no session is ended by a log-in")

    async def outdate(self, account_id: UUID) -> None:
        raise AssertionError("no role is changed by a log-in")

    async def renew(self) -> None:
        raise AssertionError("no password is changed by a log-in")


class OutsideWorld:
    """The shop as browsers see it, and what it keeps."""

    def __init__(self, running: Assembled, provider: OutsideProvider, people: KnownPeople) -> None:
        self.running = running
        self.provider = provider
        self.people = people
        self.book = OpenedSessions()
        self.log = KeptLog()

    def _unit(self) -> UnitOfWork:
        ports, plans = self.running.application.ports, self.running.application.bound.plans
        frame = Frame(Principal.system, "test", ports.clock, ports.ids, ports.sealer, plans, ports.store)
        return UnitOfWork(frame, write=True)

    async def given(self, row: Any) -> Any:
        unit = self._unit()
        plan: Any = unit.frame.plans[type(row)]
        made: Any = await Repository(unit, plan).add(row)
        await unit.commit()
        return made

    async def stored(self, entity: Any) -> list[Any]:
        unit = self._unit()
        rows = await unit.transaction().rows(entity).fetch(Query())
        await unit.rollback()
        return list(rows)

    async def post(self, path: str, body: Any, who: Principal | None = None) -> httpx2.Response:
        headers = {} if who is None else {"authorization": f"Bearer {self.people.token(who)}"}
        return await self.running.http.post(f"/auth/outside/{path}", json=body, headers=headers)

    async def begin(self, place: str = "begin", who: Principal | None = None) -> dict[str, str]:
        answer = await self.post(f"acme/{place}", {"redirect_uri": BACK}, who)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def back(self, place: str = "begin", who: Principal | None = None, **changes: Any) -> dict[str, Any]:
        """Begin, log in at the provider, and return what the page hands over."""
        begun = await self.begin(place, who)
        found = {**self.provider.consent(begun["location"]), "binding": begun["binding"], **changes}
        return {name: value for name, value in found.items() if value is not ...}

    async def log_in(self, **changes: Any) -> httpx2.Response:
        return await self.post("acme/log-in", await self.back(**changes))


@asynccontextmanager
async def outside_world(
    provider: OutsideProvider, http: LoopbackHttp, folder: Path, *, trust_email: bool = True, **identity: Any
) -> AsyncIterator[OutsideWorld]:
    """Run the shop."""
    acme = Provider(
        "acme",
        issuer=provider.issuer,
        client_id=CLIENT,
        client_secret="acme",
        redirect=[BACK],
        trust_email=trust_email,
    )
    service = Service("shop", modules=[], identity=Identity(providers=[acme], **identity))
    people = KnownPeople()
    made = OutsideWorld(None, provider, people)  # type: ignore[arg-type]  # it runs a line below

    def adapt(ports: Ports) -> Ports:
        return msgspec.structs.replace(ports, tokens=people)

    known = {HttpClient: http, SessionBook: made.book, SecurityLog: made.log}
    settings = f'[secrets]\nacme = "{SECRET}"\n'
    async with assembled(service, folder, settings, known=known, adapt=adapt) as running:
        made.running = running
        yield made


def refusal(answer: httpx2.Response, status: int) -> str:
    """Return the code of a problem."""
    assert answer.status_code == status, answer.text
    return str(answer.json()["code"])
