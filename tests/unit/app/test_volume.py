"""Rows are made up in any number: within the rules of their fields, the same for the same seed, never twice."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest
from market_service import Customer, Item, Mood, Order, Profile, Street

from mainstay import UNASSIGNED, Bulk, Entity, Module, Principal, Secret, Service, field, in_
from mainstay.adapters.memory.store import MemoryStore
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.app.refusal import Refusal
from mainstay.app.volume import Filled, Wanted, fill, filling
from mainstay.app.volume.patterns import Patterned
from mainstay.app.volume.texts import Texts, kind_of
from mainstay.app.volume.values import LATEST, NoValues, _bounds, _counted, _numbered
from mainstay.model.schema import attribute_of
from mainstay.ports.store import Capabilities
from mainstay.ports.unit_of_work import Frame, UnitOfWork
from mainstay.testing import Client


def service(*entities: type[Entity]) -> Service:
    module = Module("market")
    module.entity(*(entities or (Order, Profile, Item, Customer)))
    return Service("market", modules=[module])


@pytest.fixture(params=["memory", "sqlite"])
async def client(request: Any, tmp_path: Path) -> AsyncIterator[Client]:
    store = None if request.param == "memory" else SqliteStore(tmp_path / "t", create=True, synchronous="off")
    async with Client(service(), store=store) as opened:
        yield opened


async def filled(client: Client, rows: int, seed: int = 0, *entities: str) -> dict[str, tuple[int, int]]:
    made = await fill(client.bound, Wanted(rows=rows, seed=seed, entities=entities))
    return {one.entity: (one.there, one.added) for one in made}


async def test_every_entity_has_as_many_rows_as_are_wanted(client: Client) -> None:
    made = await filled(client, 60)
    assert made == dict.fromkeys(("Item", "Customer", "Order", "Profile"), (0, 60))
    assert list(made) in (["Item", "Customer", "Order", "Profile"], ["Customer", "Item", "Order", "Profile"])
    assert await filled(client, 60) == dict.fromkeys(made, (60, 0))
    assert await filled(client, 70, 0, "market.Item", "Customer") == {"Item": (60, 10), "Customer": (60, 10)}
    assert len(await client.stored(Order)) == 60


async def test_values_fit_the_names_of_their_fields(client: Client) -> None:
    await filled(client, 200)
    customers = await client.stored(Customer)
    assert all(re.fullmatch(r"[^@]+\.\d+@example\.(com|org|net)", row.email) for row in customers)
    assert all(row.homepage.startswith("https://example.com/") for row in customers)
    assert all(row.country.isupper() for row in customers)
    assert all(LATEST.date() - row.born > timedelta(days=18 * 365) for row in customers)
    assert {type(row.phone) for row in customers} == {str, type(None)}
    assert all(re.fullmatch(r"\+1\d{3}55501\d\d", row.phone) for row in customers if row.phone)
    items = await client.stored(Item)
    assert all(1 <= row.price < 100 and row.price == round(row.price, 2) for row in items)
    assert sorted(row.price for row in items)[100] < 50  # most are cheap
    assert {row.mood for row in items} == set(Mood)
    assert {row.size for row in items} == {"S", "M", "L"}
    assert all(re.fullmatch("[a-z]+(-[a-z]+)*", row.slug) for row in items)
    assert all(row.seen_at < LATEST < row.expires_at for row in items)
    assert all(row.deleted_at is None for row in items)
    assert all(isinstance(row.at, Street) and len(row.tags) <= 2 for row in items)
    assert len({row.rank for row in items}) == len({row.sku for row in items}) == 200


async def test_a_few_rows_are_referred_to_by_many(client: Client) -> None:
    await filled(client, 300)
    by_item = Counter(row.item_id for row in await client.stored(Order))
    assert by_item.most_common(1)[0][1] >= 10
    assert len({row.customer_id for row in await client.stored(Profile)}) == 300
    assert len({row.buyer_id for row in await client.stored(Order)}) > 20


async def rows_of(seed: int, *steps: int) -> list[Any]:
    async with Client(service()) as client:
        for rows in steps:
            await filled(client, rows, seed)
        return [row for entity in (Customer, Item) for row in await client.stored(entity)]


async def test_the_same_seed_gives_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "BATCH", 8)
    once = await rows_of(7, 20)
    assert await rows_of(7, 20) == once
    assert {row.id for row in await rows_of(7, 5, 13, 20)} == {row.id for row in once}
    assert {row.id for row in await rows_of(8, 20)}.isdisjoint(row.id for row in once)


async def test_what_was_taken_away_is_made_again(client: Client) -> None:
    await filled(client, 30, 0, "Item")
    before = {row.id for row in await client.stored(Item)}
    ports = client.bound.ports
    unit = UnitOfWork(
        Frame(Principal.system, "test", ports.clock, ports.ids, ports.sealer, client.bound.plans, ports.store),
        write=True,
    )
    await Bulk(unit, client.bound.plans[Item]).delete(id=in_(sorted(before)[3:6]))
    await unit.commit()
    assert await filled(client, 30, 0, "Item") == {"Item": (27, 3)}
    assert {row.id for row in await client.stored(Item)} == before


def blank() -> dict[str, Any]:
    return {
        "first_name": "A",
        "name": "A",
        "homepage": "https://example.com/",
        "country": "FR",
        "born": date(2000, 1, 1),
        "token": Secret("t"),
    }


async def test_unique_values_that_are_taken_are_passed_over(client: Client) -> None:
    async with Client(service()) as other:
        await filled(other, 3, 0, "Customer")
        taken = (await other.stored(Customer))[1]
    await client.given(Customer(**{**blank(), "email": taken.email, "login": "zz0000"}))
    assert (await filled(client, 10, 0, "Customer"))["Customer"] == (1, 9)


class Ticket(Entity):
    number: str = field(unique=True, pattern="[A-C]{2}")


class Odd(Entity):
    seen_at: datetime = field(unique=True)
    ratio: float = field(unique=True)
    amount: Decimal = field(unique=True, digits=6, places=2)
    key: UUID = field(unique=True)
    secret: Secret[str] | None = field(default=None, unique=True)
    ticket_id: UUID | None = field(default=None, references=Ticket, unique=True)


async def test_unique_values_of_every_kind_are_different() -> None:
    async with Client(service(Odd, Ticket)) as client:
        await filled(client, 30, 0, "Odd")  # there are no tickets yet
        rows = await client.stored(Odd)
        for name in ("seen_at", "ratio", "amount", "key", "secret"):
            assert len({getattr(row, name) for row in rows}) == 30
        assert {row.ticket_id for row in rows} == {None}
        await filled(client, 40)
        assert len(await client.stored(Odd)) == 40
    async with Client(service(Odd, Ticket)) as client:
        assert list(await filled(client, 20)) == ["Ticket", "Odd"]
        rows = await client.stored(Odd)
        assert len({row.ticket_id for row in rows if row.ticket_id}) == 9


class Hen(Entity):
    egg_id: UUID = field(references="Egg")


class Egg(Entity):
    hen_id: UUID | None = field(default=None, references="Hen")


async def test_a_ring_is_opened_where_a_field_is_optional() -> None:
    async with Client(service(Hen, Egg)) as client:
        assert await filled(client, 3) == {"Egg": (0, 3), "Hen": (0, 3)}
        await filled(client, 4)
        assert [row.hen_id is None for row in await client.stored(Egg)] == [True] * 3 + [False]


async def test_there_are_as_many_as_unique_values_allow() -> None:
    async with Client(service(Ticket)) as client:
        (made,) = await fill(client.bound, Wanted(rows=20))
        assert (made.added, made.short) == (9, "Ticket.number: it has 9 different values only")
        assert len(await client.stored(Ticket)) == 9
        (again,) = await fill(client.bound, Wanted(rows=20))
        assert (again.there, again.added) == (9, 0)


class Left(Entity):
    right_id: UUID = field(references="Right")


class Right(Entity):
    left_id: UUID = field(references="Left")


class Own(Entity):
    parent_id: UUID = field(references="Own")


class Choice(Entity):
    mood: Mood = field(unique=True, default=Mood.CALM)


class Strict(Entity):
    email: str = field(pattern="[0-9]{3}", max_length=2)


@pytest.mark.parametrize(
    ("entities", "named", "message"),
    [
        ((Left, Right), (), "Left, Right refer to one another, and none of the fields is optional"),
        ((Own,), (), "rows cannot be made up: Own.parent_id: refers to a Own, of which there is none"),
        ((Choice,), (), "rows cannot be made up: Choice.mood: enum has too few different values"),
        ((Strict,), (), r"rows cannot be made up: Strict.email: no text was found that matches \[0-9\]"),
        ((Order, Item, Customer), ("Order",), "Order.customer_id: refers to a Customer, of which there is none"),
        ((Item,), ("Itme",), "there is no entity named Itme"),
    ],
)
async def test_what_cannot_be_made_up_is_told(entities: Any, named: Any, message: str) -> None:
    async with Client(service(*entities)) as client:
        with pytest.raises(Refusal, match=message):
            await fill(client.bound, Wanted(rows=3, entities=named))


class Checked(Entity):
    word: str = field(max_length=20)


async def test_a_row_that_breaks_a_rule_is_told_by_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainstay.app.volume.values._fitted", lambda *_: "x" * 21)
    async with Client(service(Checked)) as client:
        with pytest.raises(Refusal, match=r"rows cannot be made up: Checked\.word: "):
            await fill(client.bound, Wanted(rows=3))


async def test_a_store_that_bounds_its_writes_is_given_few_at_a_time() -> None:
    class Bounded(MemoryStore):
        capabilities = Capabilities(inline=True, durable=False, shared=False, max_writes=100)

    async with Client(service(Ticket), store=Bounded()) as client:
        (made,) = await fill(client.bound, Wanted(rows=5))
        assert made == Filled(entity="Ticket", there=0, added=5, seconds=made.seconds)


@pytest.mark.parametrize(
    "pattern", ["[A-Z0-9-]+", "a|bb|[0-9]{3}", r"\d{4}-\d{2}", "(x[0-9]?)*y", "[^0-9a-zA-Z]", "é{2}", "[ab]?"]
)
def test_texts_of_patterns(pattern: str) -> None:
    made = Patterned(pattern)
    texts = [made.text(number) for number in range(min(made.capacity, 500))]
    assert len(set(texts)) == len(texts)
    assert all(re.fullmatch(pattern, text) for text in texts)


def test_texts_of_patterns_have_their_lengths() -> None:
    assert {len(Patterned("[a-z]+", 3, 5).text(n)) for n in range(50)} <= {3, 4, 5}
    assert len(Patterned("[a-z]*", 30).text(7)) == 30
    with pytest.raises(ValueError, match="no text was found"):
        Patterned("[0-9]{3}", 0, 2)


@pytest.mark.parametrize(
    ("name", "entity", "form", "kind"),
    [
        ("work_email", "Order", None, "email"),
        ("contact", "Order", "email", "email"),
        ("link", "Order", "uri", "url"),
        ("name", "Customer", None, "person"),
        ("customer_name", "Order", None, "person"),
        ("name", "Product", None, "thing"),
        ("iso_country_code", "Place", None, "country_code"),
        ("shipping", "Parcel", None, "word"),  # and no address of the internet
        ("blah", "Order", None, "word"),
    ],
)
def test_kinds_of_texts(name: str, entity: str, form: str | None, kind: str) -> None:
    assert kind_of(name, entity, form) == kind


def test_every_kind_has_a_pool() -> None:
    from mainstay.app.volume.texts import _KINDS

    texts = Texts(3)
    for kind in {*(kind for _, kind in _KINDS if kind != "name"), "person", "thing", "word"}:
        assert all(texts.pool(kind))
        assert texts.pool(kind) is texts.pool(kind)


def test_numbers_make_texts_different() -> None:
    assert _numbered("a@example.com", "email", 5, 0, None) == "a.5@example.com"
    assert _numbered("Tea pot", "thing", 12, 0, 6) == "Tea 12"
    assert _numbered("Tea", "thing", 5, 6, 6) == "Tea 5x"
    assert _numbered("abc", "word", 46655, 0, 3) == "zzz"
    assert _numbered("abc", "word", 3, 2, 2) == "-3"
    with pytest.raises(NoValues, match="max_length=3 has too few"):
        _numbered("abc", "word", 46656, 0, 3)


def test_bounds_are_kept_where_the_usual_is_out_of_them() -> None:
    def of(**rules: Any) -> Any:
        return attribute_of("n", int, field(**rules))

    assert _bounds(of(), 0, 10, 1) == (0, 10)
    assert _bounds(of(ge=3, lt=8), 0, 10, 1) == (3, 7)
    assert _bounds(of(ge=1000), 0, 10, 1) == (1000, 1010)
    assert _bounds(of(ge=1000, le=1003), 0, 10, 1) == (1000, 1003)
    assert _bounds(of(le=-5), 0, 10, 1) == (-15, -5)
    assert _bounds(of(le=-5, gt=-8), 0, 10, 1) == (-7, -5)


def test_numbers_run_out() -> None:
    column = _counted(attribute_of("n", int, field(unique=True, ge=5, le=7)))
    assert list(column(Random(1), 0, 9)) == [5, 6, 7]
    with pytest.raises(NoValues, match="3 different values only"):
        column(Random(1), 3, 9)


def test_mimesis_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mimesis", None)
    with pytest.raises(Refusal) as refused:
        Texts(1)
    assert refused.value.remedies == ("pip install 'mainstay[seed]'",)


class Firm(Entity, tenant="tenant_id", soft_delete=True):
    code: str = field(unique=True, max_length=20)
    motto: str = field(searchable=True, max_length=80)


class Desk(Entity, tenant="tenant_id"):
    firm_id: UUID = field(references=Firm)


class Site(Entity, tenant="org_id"):
    org_id: UUID = UNASSIGNED
    name: str = ""


@pytest.mark.parametrize("own", [MemoryStore, None])
async def test_rows_of_tenants_are_made_for_one(own: Any, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "t", create=True, synchronous="off") if own is None else own()
    async with Client(service(Firm, Desk), store=store) as client:
        for tenant in ("acme", "globex"):
            made = await fill(client.bound, Wanted(rows=30, tenant=tenant))
            assert {one.entity: (one.there, one.added) for one in made} == {"Firm": (0, 30), "Desk": (0, 30)}
            made = await fill(client.bound, Wanted(rows=40, tenant=tenant, entities=("Firm",)))
            assert [(one.there, one.added) for one in made] == [(30, 10)]
        firms, desks = await client.stored(Firm), await client.stored(Desk)
        tenants: dict[UUID, Any] = {row.id: row.tenant_id for row in firms}  # type: ignore[attr-defined]  # the option's
        assert Counter(tenants.values()) == {"acme": 40, "globex": 40}
        assert all(tenants[desk.firm_id] == desk.tenant_id for desk in desks)  # type: ignore[attr-defined]
        assert {row.deleted_at for row in firms} == {None}  # type: ignore[attr-defined]


async def test_rows_of_a_tenant_that_is_not_named_are_refused() -> None:
    async with Client(service(Firm)) as client:
        with pytest.raises(Refusal, match="Firm belongs to tenants"):
            await fill(client.bound, Wanted(rows=3))
    async with Client(service(Site)) as client:
        with pytest.raises(Refusal) as refused:
            await fill(client.bound, Wanted(rows=3, tenant="acme"))
        assert "where NAME is a UUID" in refused.value.remedies[0]
        (made,) = await fill(client.bound, Wanted(rows=3, tenant=str(UUID(int=7))))
        assert made.added == 3
