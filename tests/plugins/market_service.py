"""A service with fields of every kind, for rows that are made up."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from mainstay import Dto, Email, Entity, Module, Secret, Service, Url, field, owner


class Mood(StrEnum):
    CALM = "calm"
    GLAD = "glad"
    SAD = "sad"


class Street(Dto):
    street: str = field(max_length=30)
    city: str


class Customer(Entity):
    first_name: str = field(max_length=40)
    name: str = field(max_length=12)
    email: Email = field(unique=True)
    homepage: Url
    country: str = field(max_length=2, min_length=2)
    born: date
    login: str = field(unique=True, pattern="[a-z]{2}[0-9]{4}")
    phone: str | None = None
    token: Secret[str] = field(max_length=16)
    mentor_id: UUID | None = field(default=None, references="Customer", on_delete="null")


class Item(Entity):
    sku: str = field(unique=True, max_length=12)
    slug: str = field(pattern="[a-z]+(-[a-z]+)*")
    code: str = field(pattern="(A|BC)[0-9]{2,4}", max_length=6)
    price: Decimal = field(ge=1, lt=100, digits=8, places=2)
    ratio: float = field(gt=0, le=1)
    rank: int = field(unique=True, ge=10)
    stock: int = field(ge=0, le=50)
    size: str = field(examples=("S", "M", "L"))
    mood: Mood = Mood.CALM
    on_sale: bool = False
    seen_at: datetime
    expires_at: datetime
    opens: time
    photo: bytes = field(min_length=3, max_length=8)
    at: Street
    tags: list[str] = field(max_length=2)
    notes: dict[str, int]
    labels: frozenset[str]
    extra: Any
    deleted_at: datetime | None = None


class Profile(Entity):
    customer_id: UUID = field(references=Customer, unique=True)
    bio: str


class Order(Entity, rows=owner("buyer_id")):
    buyer_id: UUID
    customer_id: UUID = field(references=Customer)
    item_id: UUID = field(references=Item)


market = Module("market")
market.entity(Order, Profile, Item, Customer)
fair = Service("fair", modules=[market])
