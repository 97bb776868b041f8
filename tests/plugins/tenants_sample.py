"""A service whose rows belong to tenants, with an operation for every port by which rows are reached."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from uuid import UUID

import sqlalchemy as sa

from mainstay import (
    Aggregates,
    Bulk,
    Dto,
    Entity,
    Event,
    Events,
    Find,
    Many,
    Module,
    Page,
    Principal,
    Repository,
    Service,
    Stream,
    all_of,
    authenticated,
    count_of,
    field,
    owner,
    related,
    role,
)
from mainstay.sql import Sql

crm = Module("crm")


class Company(Entity, tenant="tenant_id"):
    """A company that a tenant deals with."""

    name: str = field(unique=True, max_length=60)
    size: int = field(default=1, ge=0, index=True)
    contacts: Many[Contact] = related("company_id")


class Contact(Entity, tenant="tenant_id", rows=owner("owner_id") | role("lead")):
    """A person in a company, kept by one of the tenant's people."""

    company_id: UUID = field(references=Company)
    owner_id: UUID = field(immutable=True)
    email: str = field(unique=True, max_length=60)


class Entry(Entity, tenant="tenant_id"):
    """What a consumer wrote down."""

    text: str


class Sized(Dto):
    """How many companies have a size."""

    size: int
    companies: int


class Figures(Dto):
    """What a tenant has."""

    companies: int
    total: int
    least: str | None
    by_size: list[Sized]


class Growth(Dto):
    """How large all companies become."""

    size: int


class CompanyGrew(Event):
    """Companies have grown."""

    count: int


crm.resource(
    Company, path="/companies", read=authenticated, create=authenticated, update=authenticated, delete=authenticated
)
crm.resource(
    Contact, path="/contacts", read=authenticated, create=authenticated, update=authenticated, delete=authenticated
)
crm.resource(Entry, path="/entries", read=authenticated)


@crm.query("GET /figures", allow=authenticated)
async def figures(companies: Aggregates[Company]) -> Figures:
    """Say what there is."""
    return Figures(
        companies=await companies.count(),
        total=await companies.sum("size"),
        least=await companies.min("name"),
        by_size=await companies.group(Sized, by="size", companies=count_of()),
    )


@crm.query("GET /names/{name}", allow=authenticated)
async def by_name(name: str, companies: Repository[Company]) -> Company:
    """Find a company by its name."""
    return await companies.one(name=name)


@crm.query("GET /found", allow=authenticated)
async def found(find: Find[Contact], contacts: Repository[Contact]) -> Page[Contact]:
    """Search for contacts."""
    return await contacts.page(find)


@crm.query("GET /stream", allow=authenticated)
async def stream(companies: Repository[Company]) -> Stream[Company]:
    """Send all companies."""

    async def rows() -> AsyncGenerator[Company, None]:
        async for company in companies.stream(sort="-size"):
            yield company

    return Stream(rows())


@crm.query("GET /selected", allow=authenticated)
async def selected(sql: Sql) -> list[str]:
    """Ask in SQL."""
    companies, contacts = sql.table(Company), sql.table(Contact)
    joined = sa.select(companies.c.name).outerjoin_from(companies, contacts, contacts.c.company_id == companies.c.id)
    return [name for (name,) in await sql.fetch(joined.order_by(companies.c.name).distinct())]


@crm.command("POST /growth", allow=authenticated)
async def grow(wanted: Growth, companies: Bulk[Company], events: Events) -> int:
    """Change all companies."""
    count = await companies.update(all_of(), set={"size": wanted.size})
    events.emit(CompanyGrew(count=count))
    return count


@crm.command("POST /cleaning", allow=authenticated)
async def clean(contacts: Bulk[Contact]) -> int:
    """Delete all contacts."""
    return await contacts.delete(all_of())


@crm.on(CompanyGrew)
async def write_down(
    event: CompanyGrew, who: Principal, entries: Repository[Entry], companies: Repository[Company]
) -> None:
    """Write down how many have grown, and how many there are."""
    await entries.add(Entry(text=f"{who.subject}: {event.count} of {await companies.count()}"))


SERVICE = Service("crm", version="1.0.0", modules=[crm])
