"""The bodies of the tuned Python peers."""

import uuid
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, EmailStr, Field


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sku: str = Field(min_length=1, max_length=40, pattern=r"^[A-Z0-9-]+$")
    quantity: int = Field(ge=1, le=100)
    price: float = Field(ge=0)


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=100)
    email: EmailStr
    age: int = Field(ge=0, le=150)
    score: float = Field(ge=0, le=1)
    active: bool
    country: str = Field(min_length=2, max_length=2)
    tags: list[str] = Field(max_length=10)
    note: Annotated[str, Field(max_length=500)] | None = None
    born: AwareDatetime
    reference: uuid.UUID
    parts: list[Part] = Field(min_length=1, max_length=20)


class Taken(BaseModel):
    name: str
    parts: int
    total: float


class MakeItem(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sku: str = Field(min_length=1, max_length=40)
    name: str = Field(min_length=1, max_length=200)
    price: Decimal = Field(ge=0, max_digits=12, decimal_places=2)
    stock: int = Field(ge=0)


class ItemOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: uuid.UUID
    version: int
    created_at: datetime
    updated_at: datetime
    sku: str
    name: str
    price: Decimal
    stock: int


class Items(BaseModel):
    items: list[ItemOut]
    next: str | None


def taken(form: Form) -> Taken:
    return Taken(name=form.name, parts=len(form.parts), total=sum(p.price * p.quantity for p in form.parts))
