"""A small service that the tests of the testing kit test with the kit."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from mainstay import (
    UNASSIGNED,
    Clock,
    Conflict,
    Dto,
    Entity,
    Event,
    Events,
    Find,
    Log,
    Module,
    Page,
    Principal,
    Repository,
    Service,
    anyone,
    authenticated,
    field,
    limit,
    owner,
    role,
)

tea = Module("tea")


class Mailer:
    """Something that reaches outside."""

    async def send(self, text: str) -> None:
        """Send a letter."""
        raise OSError("there is no way outside from a test")


class Product(Entity):
    """Something on sale."""

    sku: str = field(unique=True, max_length=40)
    price: Decimal = field(ge=0, digits=12, places=2)
    stock: int = field(ge=0, default=0)


class Order(Entity, rows=owner("customer_id") | role("support")):
    """What a customer ordered."""

    customer_id: UUID = field(default=UNASSIGNED, immutable=True)
    product_id: UUID = field(references=Product)
    quantity: int = field(ge=1)


class Ordered(Event):
    """A customer ordered."""

    sku: str
    quantity: int


class Wanted(Dto):
    """What a customer wants."""

    sku: str
    quantity: int = field(ge=1, le=100)


class SoldOut(Conflict):
    """Fewer pieces are left than were asked for."""


tea.resource(Product, path="/products", read=anyone, create=role("manager"), update=role("manager"))


@tea.command("POST /orders", status=201, allow=authenticated, limits=[limit("3/minute")], raises=[SoldOut])
async def order(
    wanted: Wanted, who: Principal, products: Repository[Product], orders: Repository[Order], events: Events, log: Log
) -> Order:
    """Order a product."""
    product = await products.one(sku=wanted.sku)
    if product.stock < wanted.quantity:
        raise SoldOut(left=product.stock)
    await products.update(product, stock=product.stock - wanted.quantity)
    events.emit(Ordered(sku=wanted.sku, quantity=wanted.quantity))
    log.info("ordered", sku=wanted.sku)
    return await orders.add(Order(product_id=product.id, quantity=wanted.quantity))


@tea.query("GET /orders", allow=authenticated)
async def list_orders(find: Find[Order], orders: Repository[Order]) -> Page[Order]:
    """List one's orders."""
    return await orders.page(find)


@tea.query("GET /broken", allow=anyone)
async def broken(clock: Clock) -> Product:
    """Fail."""
    raise ZeroDivisionError(f"at {clock.now():%Y}")


@tea.on(Ordered)
async def tell(event: Ordered, mailer: Mailer) -> None:
    """Tell the customer."""
    await mailer.send(f"{event.quantity} {event.sku}")


shop = Service("tea", modules=[tea])
shop.provide(Mailer, Mailer)


@shop.seed
async def stock(products: Repository[Product]) -> None:
    """Put tea on the shelf."""
    if not await products.count(sku="TEA"):
        await products.add(Product(sku="TEA", price=Decimal("3.50"), stock=5))
