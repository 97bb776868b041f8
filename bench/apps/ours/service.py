"""The bench's workloads, as a team would write them."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from mainstay import (
    Dto,
    Email,
    Entity,
    Event,
    Events,
    Find,
    Module,
    Page,
    Repository,
    Service,
    anyone,
    field,
    limit,
    role,
)

bench = Module("bench")


class Hello(Dto):
    """A greeting."""

    message: str


class Part(Dto):
    """One of the nested list."""

    sku: str = field(min_length=1, max_length=40, pattern=r"[A-Z0-9-]+")
    quantity: int = field(ge=1, le=100)
    price: float = field(ge=0)


class Form(Dto):
    """Ten fields and a nested list, all with rules."""

    name: str = field(min_length=1, max_length=100)
    email: Email
    age: int = field(ge=0, le=150)
    score: float = field(ge=0, le=1)
    active: bool
    country: str = field(min_length=2, max_length=2)
    tags: list[str] = field(max_length=10)
    note: str | None = field(max_length=500, default=None)
    born: datetime
    reference: UUID
    parts: list[Part] = field(min_length=1, max_length=20)


class Taken(Dto):
    """What was understood."""

    name: str
    parts: int
    total: float


class Item(Entity):
    """A row of eight columns."""

    sku: str = field(unique=True, max_length=40)
    name: str = field(max_length=200)
    price: Decimal = field(ge=0, digits=12, places=2)
    stock: int = field(ge=0)


class ItemMade(Event):
    """A row was made."""

    item_id: UUID


class MakeItem(Dto):
    """A row to make."""

    sku: str = field(min_length=1, max_length=40)
    name: str = field(min_length=1, max_length=200)
    price: Decimal = field(ge=0, digits=12, places=2)
    stock: int = field(ge=0)


@bench.query("GET /hello", allow=anyone)
async def hello() -> Hello:
    """W1."""
    return Hello(message="hello")


@bench.command("POST /forms", status=201, allow=anyone, idempotency="none")
async def take_form(form: Form) -> Taken:
    """W2."""
    return Taken(name=form.name, parts=len(form.parts), total=sum(p.price * p.quantity for p in form.parts))


@bench.command("POST /chain", status=201, allow=role("manager"), limits=[limit("100000000/minute")], idempotency="none")
async def chain(form: Form) -> Taken:
    """W3."""
    return Taken(name=form.name, parts=len(form.parts), total=sum(p.price * p.quantity for p in form.parts))


@bench.query("GET /limited", allow=anyone, limits=[limit("3/minute")])
async def limited() -> Hello:
    """Refused at the fourth call: the limits of W3 are in force on every side."""
    return Hello(message="hello")


@bench.query("GET /items/{item_id}", allow=anyone)
async def get_item(item_id: UUID, items: Repository[Item]) -> Item:
    """W4."""
    return await items.get(item_id)


@bench.query("GET /items", allow=anyone)
async def list_items(find: Find[Item], items: Repository[Item]) -> Page[Item]:
    """W5."""
    return await items.page(find)


@bench.command("POST /items", status=201, allow=anyone)
async def make_item(body: MakeItem, items: Repository[Item], events: Events) -> Item:
    """W6."""
    item = await items.add(Item(sku=body.sku, name=body.name, price=body.price, stock=body.stock))
    events.emit(ItemMade(item_id=item.id))
    return item


service = Service("bench", version="1.0.0", modules=[bench])
