"""One field of each kind, operations of each form, and values that fit and do not: for the contract and the door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime, time
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta

from mainstay import (
    Dto,
    Email,
    Entity,
    File,
    Find,
    Many,
    Module,
    Page,
    Patch,
    Repository,
    Secret,
    Stream,
    Upload,
    Url,
    anyone,
    authenticated,
    field,
    header,
    owner,
    related,
    role,
)


class Size(StrEnum):
    SMALL = "s"
    LARGE = "l"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Spot(Dto):
    street: str = field(max_length=10)
    number: int | None = None


class Everything(Dto):
    """One of each."""

    text: str
    bounded: str = field(min_length=2, max_length=4, pattern="[a-z]+", examples=("ab",))
    whole: int
    between: int = field(gt=0, le=10)
    near: float = field(ge=0.5, lt=2)
    yes: bool
    money: Decimal = field(ge=0, digits=6, places=2)
    count: Decimal = field(digits=3, places=0)
    rate: Decimal = field(digits=2, places=2)
    at: datetime
    day: date
    hour: time
    key: UUID
    size: Size
    level: Level
    data: bytes
    mail: Email
    link: Url
    spot: Spot
    spots: list[Spot] = field(min_length=1, max_length=2)
    tags: set[str]
    scores: dict[str, int]
    anything: Any
    maybe: str | None
    maybe_size: Size | None = None
    maybe_spot: Spot | None = None
    step: Annotated[int, Meta(multiple_of=5)] = 5
    password: Secret[str] = field(min_length=8)
    pin: str = field(write_only=True, default="")
    note: str = field(description="For people.", default="")


class Loose(Dto, unknown="ignore"):
    a: int = 1


class Shelf(Entity, rows=owner("keeper_id") | role("boss")):
    """A shelf."""

    keeper_id: UUID = field(immutable=True)
    code: str = field(max_length=5, immutable=True)
    spot: Spot
    labels: dict[str, Spot] = field(default_factory=dict)
    price: Decimal | None = field(digits=6, places=2, default=None, ge=1)
    checked: bool = field(read_only=True, default=False)
    cost: int = field(read=role("boss"), write=role("boss"), default=0)
    books: Many[Book] = related("shelf_id")


class Book(Entity):
    shelf_id: UUID = field(references=Shelf)
    title: str


module = Module("kinds")
module.resource(Shelf, path="/shelves", read=anyone, create=authenticated, update=authenticated, precondition=True)


@module.command("POST /everything", allow=anyone, idempotency="required")
async def keep(body: Everything) -> Everything:
    return body


@module.command("POST /members/{shelf_id}", allow=anyone)
async def members(shelf_id: UUID, whole: int, text: str = "x", tags: list[str] | None = None) -> list[Loose]:
    """Take members."""
    return []


@module.command("POST /loose", allow=anyone)
async def loosen(body: Loose) -> None:
    """Take what is known."""


@module.command("PATCH /shelves/{shelf_id}/part", allow=anyone)
async def part(shelf_id: UUID, patch: Patch[Shelf], shelves: Repository[Shelf]) -> Shelf:
    return await shelves.get(shelf_id)


@module.query("GET /texts", allow=anyone)
async def texts(after: datetime, sizes: list[Size], shop: Annotated[str, header("X-Shop")] = "") -> list[str]:
    return []


@module.query("GET /books", allow=anyone)
async def books(find: Find[Book], rows: Repository[Book]) -> Page[Book]:
    return await rows.page(find)


@module.command("POST /files", allow=anyone)
async def put_file(file: Upload) -> File:
    return File(content=b"", media_type="text/plain")


@module.query("GET /lines", allow=anyone)
async def lines(rows: Repository[Book]) -> Stream[Book]:
    async def each() -> AsyncIterator[Book]:
        async for row in rows.stream():
            yield row

    return Stream(each())


GOOD: dict[str, Any] = {
    "text": "a",
    "bounded": "abc",
    "whole": 1,
    "between": 10,
    "near": 0.5,
    "yes": True,
    "money": "12.50",
    "count": "123",
    "rate": "0.25",
    "at": "2026-01-31T09:30:00+02:00",
    "day": "2026-01-31",
    "hour": "09:30:00Z",
    "key": "0199c0de-0000-7000-8000-000000000001",
    "size": "s",
    "level": 2,
    "data": "aGk=",
    "mail": "ann@example.com",
    "link": "https://example.com/",
    "spot": {"street": "Main"},
    "spots": [{"street": "Main", "number": None}],
    "tags": ["a"],
    "scores": {"a": 1},
    "anything": [None, {"a": 1}],
    "maybe": None,
    "maybe_size": None,
    "maybe_spot": None,
    "step": 10,
    "password": "secret-enough",
}
BAD: list[tuple[str, Any]] = [
    ("text", None),
    ("text", 1),
    ("bounded", "a"),
    ("bounded", "abcde"),
    ("bounded", "AB"),
    ("bounded", "ab1"),
    ("whole", "1"),
    ("whole", 1.5),
    ("whole", 2**63),
    ("whole", -(2**63) - 1),
    ("between", 0),
    ("between", 11),
    ("near", 0.4),
    ("near", 2),
    ("yes", 1),
    ("money", "-1"),
    ("money", "1.234"),
    ("money", "12345.00"),
    ("money", "NaN"),
    ("money", "1e3"),
    ("money", " 1"),
    ("money", "1_0"),
    ("money", ".5"),
    ("money", "\uff11"),
    ("count", "1.5"),
    ("rate", "1.00"),
    ("at", "2026-01-31"),
    ("day", "2026-13-01"),
    ("key", "x"),
    ("size", "m"),
    ("size", "S"),
    ("level", 3),
    ("level", "1"),
    ("data", "a"),
    ("mail", "ann"),
    ("link", "ftp://example.com/"),
    ("spot", {}),
    ("spot", {"street": "Main", "zz": 1}),
    ("spot", {"street": "a street too long"}),
    ("spots", []),
    ("spots", [{"street": "a"}] * 3),
    ("tags", "a"),
    ("scores", {"a": "1"}),
    ("maybe_size", "m"),
    ("step", 7),
    ("password", "short"),
    ("zz", 1),
]
