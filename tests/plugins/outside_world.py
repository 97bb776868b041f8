"""A shop that people log in to with an outside provider, and the steps that their browsers take."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from assembled import Assembled, assembled
from outside_provider import CLIENT, SECRET, OutsideProvider

from mainstay import Identity, Provider, Repository, Service
from mainstay.app.identity_tokens import system_frame
from mainstay.identity.sessions.entities import Session
from mainstay.ports.rows import Query
from mainstay.ports.security_log import SecurityRecord
from mainstay.ports.unit_of_work import UnitOfWork

BACK = "https://front.example/back"


class OutsideWorld:
    """The shop as browsers see it, and what it keeps."""

    def __init__(self, running: Assembled, provider: OutsideProvider) -> None:
        self.running = running
        self.provider = provider

    def _unit(self) -> UnitOfWork:
        return UnitOfWork(system_frame(self.running.application.bound), write=True)

    async def opened(self) -> list[tuple[UUID, tuple[str, ...], str]]:
        """Return the sessions that were opened, in their order."""
        rows = sorted(await self.stored(Session), key=lambda one: one.id)
        return [(one.account_id, tuple(one.roles), one.means) for one in rows]

    async def kinds(self) -> list[str]:
        """Return the kinds of the security events that were kept, in their order."""
        found = sorted(await self.stored(SecurityRecord), key=lambda one: one.id)
        return [one.kind for one in found if not one.kind.startswith("signing_key.")]

    async def bearing(self, who: UUID) -> dict[str, str]:
        """Return the credentials of an account, or of a machine with such an id."""
        sessions = self.running.application.sessions
        assert sessions is not None
        unit = self._unit()
        token = await sessions.tokens.issue(unit, who)
        await unit.rollback()
        return {"authorization": f"Bearer {token}"}

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

    async def post(self, path: str, body: Any, who: UUID | None = None) -> httpx2.Response:
        headers = {} if who is None else await self.bearing(who)
        return await self.running.http.post(f"/auth/outside/{path}", json=body, headers=headers)

    async def begin(self, place: str = "begin", who: UUID | None = None) -> dict[str, str]:
        answer = await self.post(f"acme/{place}", {"redirect_uri": BACK}, who)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def back(self, place: str = "begin", who: UUID | None = None, **changes: Any) -> dict[str, Any]:
        """Begin, log in at the provider, and return what the page hands over."""
        begun = await self.begin(place, who)
        found = {**self.provider.consent(begun["location"]), "binding": begun["binding"], **changes}
        return {name: value for name, value in found.items() if value is not ...}

    async def log_in(self, **changes: Any) -> httpx2.Response:
        return await self.post("acme/log-in", await self.back(**changes))


@asynccontextmanager
async def outside_world(
    provider: OutsideProvider, folder: Path, *, trust_email: bool = True, **identity: Any
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
    async with assembled(service, folder, f'[secrets]\nacme = "{SECRET}"\n') as running:
        yield OutsideWorld(running, provider)


def refusal(answer: httpx2.Response, status: int) -> str:
    """Return the code of a problem."""
    assert answer.status_code == status, answer.text
    return str(answer.json()["code"])
