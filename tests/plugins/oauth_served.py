"""A shop that is a provider for others, to be served by processes of its own."""

from __future__ import annotations

import os
from uuid import UUID

from mainstay import (
    AuthorizationServer,
    Dto,
    Entity,
    Identity,
    Module,
    Principal,
    Repository,
    Service,
    anyone,
    authenticated,
    owner,
    scope,
)

parcels = Module("parcels")


class Parcel(Entity, rows=owner("account_id")):
    """Something on its way to an account."""

    account_id: UUID
    what: str


class Sending(Dto):
    what: str


@parcels.query("GET /pid", allow=anyone)
async def get_pid() -> int:
    """Tell which worker answers."""
    return os.getpid()


@parcels.command("POST /parcels", status=201, allow=authenticated)
async def send_parcel(sending: Sending, who: Principal, parcels: Repository[Parcel]) -> Parcel:
    """Send something to the caller."""
    return await parcels.add(Parcel(account_id=who.id, what=sending.what))


@parcels.query("GET /parcels", allow=authenticated)
async def count_parcels(parcels: Repository[Parcel]) -> int:
    """Count the caller's parcels."""
    return await parcels.count()


@parcels.query("GET /parcels-for-clients", allow=scope("parcels:read"))
async def list_parcels_for_clients(parcels: Repository[Parcel]) -> list[str]:
    """List what is on its way to the account that the caller acts for."""
    return [one.what async for one in parcels.stream()]


shop = Service(
    "shop",
    modules=[parcels],
    identity=Identity(server=AuthorizationServer(scopes={"parcels:read": "See your parcels"})),
)
