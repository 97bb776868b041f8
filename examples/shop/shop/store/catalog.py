"""What is on sale. Anyone may look; managers change it."""

from decimal import Decimal
from uuid import UUID

from mainstay import Entity, anyone, field, role

from . import store


class Category(Entity):
    """A shelf of the shop."""

    slug: str = field(unique=True, max_length=40, pattern=r"[a-z0-9]+(-[a-z0-9]+)*", examples=("green-tea",))
    title: str = field(min_length=1, max_length=100)


class Product(Entity):
    """Something on sale."""

    sku: str = field(unique=True, max_length=40, pattern=r"[A-Z0-9-]+", examples=("TEA-GREEN",))
    name: str = field(min_length=1, max_length=200, index=True)
    category_id: UUID = field(references=Category, index=True)
    price: Decimal = field(ge=0, digits=12, places=2)
    stock: int = field(ge=0, default=0)
    purchase_price: Decimal | None = field(
        ge=0, digits=12, places=2, default=None, read=role("manager"), write=role("manager")
    )


manager = role("manager")

store.resource(Category, path="/categories", read=anyone, create=manager, update=manager, delete=manager)
store.resource(Product, path="/products", read=anyone, create=manager, update=manager, delete=manager)
