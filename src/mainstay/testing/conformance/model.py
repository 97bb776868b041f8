"""The entities that the suites of the stores work with."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

from mainstay.kernel.plans import plan_entities
from mainstay.model.blueprint import draw
from mainstay.model.fields import field, related
from mainstay.model.inputs import Many, One
from mainstay.model.module import Module
from mainstay.model.policy import owner, role, where
from mainstay.model.service import Service
from mainstay.model.structs import Dto, Entity
from mainstay.model.tenancy import tenancy
from mainstay.model.values import UNASSIGNED, Email, Secret, Url
from mainstay.ports.encryption import tables_of


class Colour(StrEnum):
    """An enum of texts."""

    RED = "red"
    BLUE = "blue"


class Grade(Enum):
    """An enum of numbers."""

    LOW = 1
    HIGH = 10


class Address(Dto):
    """A value inside a row."""

    street: str
    numbers: list[int] = field(default_factory=list)
    note: str | None = None


class Leaf(Entity):
    """A leaf of a book: two steps below a shelf."""

    book_id: UUID = field(references="Book", on_delete="cascade", default=UNASSIGNED)
    number: int = field(ge=1)


class Book(Entity):
    """A book on a shelf."""

    shelf: One[Shelf] = related("shelf_id")
    readers: Many[Reader] = related(through="Loan")

    shelf_id: UUID = field(references="Shelf", on_delete="cascade", default=UNASSIGNED)
    title: str = field(max_length=200)
    isbn: str | None = field(default=None, unique=True)
    price: Decimal = field(ge=0, digits=12, places=2, default=Decimal("0.00"))
    rank: int | None = field(default=None, index=True)
    published: datetime | None = None
    colour: Colour | None = None
    available: bool = True
    code: str = field(default="", immutable=True)
    leaves: Many[Leaf] = related("book_id")


class Shelf(Entity):
    """A shelf with books."""

    name: str = field(unique=True, min_length=1, max_length=40)
    books: Many[Book] = related("shelf_id")


class Loan(Entity):
    """What forbids that its book is deleted."""

    book_id: UUID = field(references=Book)
    reader_id: UUID | None = field(references="Reader", on_delete="null", default=None)
    reader: One[Reader] = related("reader_id")


class Reader(Entity):
    """Whom a loan forgets."""

    name: str
    books: Many[Book] = related("reader_id", through=Loan, to="book_id")


class Label(Entity, rows=owner("owner_id") | role("support")):
    """What notes are marked with, seen by its owner."""

    owner_id: UUID = UNASSIGNED
    name: str = ""
    notes: Many[Note] = related(through="Mark")


class Mark(Entity, rows=~where(lambda row, _who: row.state == "hidden") | role("support")):
    """What stands between notes and labels."""

    note_id: UUID = field(references="Note")
    label_id: UUID = field(references=Label)
    state: str = ""


class Note(Entity, rows=owner("owner_id") | role("support")):
    """A row of one caller, seen by support too."""

    owner_id: UUID = UNASSIGNED
    text: str = field(max_length=100)
    rank: int = 0
    remarks: Many[Remark] = related("note_id")
    labels: Many[Label] = related(through=Mark)


class Remark(Entity, rows=owner("owner_id") | role("support")):
    """A row of one caller that refers to another."""

    note_id: UUID = field(references="Note", default=UNASSIGNED)
    owner_id: UUID = UNASSIGNED
    text: str = ""
    note: One[Note] = related("note_id")


class Wallet(
    Entity,
    rows=(owner("owner_id") & ~where(lambda row, _who: (row.state == "closed") & (row.mail == "x"))) | role("support"),
):
    """A row of one caller with two unique values."""

    number: str = field(unique=True, max_length=20)
    mail: str | None = field(default=None, unique=True, max_length=40)
    owner_id: UUID = UNASSIGNED
    state: str = ""


class Sheet(Entity, rows=~where(lambda row, _who: row.state == "secret") | role("support")):
    """A row that is found by the words of its texts."""

    number: str = field(unique=True, max_length=20)
    title: str = field(searchable=True, max_length=200)
    text: str | None = field(searchable=True, default=None)
    hint: str = ""
    state: str | None = None
    book_id: UUID | None = field(references=Book, on_delete="cascade", default=None)


class Parcel(Entity, rows=where(lambda row, who: row.region == who.claims["region"]) | role("support")):
    """A row of the callers of a region."""

    region: str | None = None
    weight: int = 1


class Draft(Entity, rows=~where(lambda row, _who: row.state == "secret") | role("support")):
    """A row that all may see whose state is not secret: none at all, for example."""

    state: str | None = None


class Everything(Entity):
    """A field of every kind."""

    text: str = ""
    number: int = 0
    real: float = 0.0
    flag: bool = False
    amount: Decimal = field(default=Decimal(0), digits=18, places=4)
    whole: Decimal = field(default=Decimal(0), digits=18)
    plain: Decimal = Decimal(0)
    at: datetime | None = None
    day: date | None = None
    hour: time | None = None
    key: UUID | None = None
    colour: Colour | None = None
    grade: Grade | None = None
    data: bytes = b""
    address: Address | None = None
    tags: list[str] = field(default_factory=list)
    shades: list[Colour] = field(default_factory=list)
    limits: dict[str, int] = field(default_factory=dict)
    free: Any | None = None
    email: Email | None = None
    url: Url | None = None
    password: Secret[str] | None = None
    hidden: str | None = field(default=None, secret=True)
    maybe: str | None = None
    count: int | None = None


class Item(Entity):
    """A row of the random tests."""

    name: str = field(unique=True)
    bin: str | None = None
    amount: int | None = None
    price: Decimal = field(default=Decimal(0), digits=10, places=2)
    at: datetime | None = None


class Branch(Entity, tenant=tenancy("tenant_id", across=role("operator"))):
    """A row of a tenant, whose name is its own within it."""

    tenant_id: str = ""
    name: str = field(unique=True, max_length=40)
    code: str | None = field(default=None, unique=True, max_length=40)
    rank: int = field(default=0, index=True)
    members: Many[Member] = related("branch_id")


class Member(Entity, tenant=tenancy("tenant_id", across=role("operator")), rows=owner("owner_id") | role("support")):
    """A row of a caller of a tenant, that refers to another of the tenant."""

    branch_id: UUID = field(references="Branch", on_delete="cascade", default=UNASSIGNED)
    owner_id: UUID = UNASSIGNED
    text: str = ""


class Site(Entity, tenant="org_id"):
    """A row of a tenant whose name is a UUID; nobody sees those of all."""

    org_id: UUID = UNASSIGNED
    name: str = field(unique=True)


class Folder(Entity, soft_delete=True):
    """A row that is kept when it is deleted, with those below it."""

    name: str = field(unique=True, max_length=40)
    label: str | None = field(default=None, unique=True, max_length=40)
    parent_id: UUID | None = field(references="Folder", on_delete="cascade", default=None)
    size: int = 0
    papers: Many[Paper] = related("folder_id")


class Paper(Entity, soft_delete=True, tenant="tenant_id", rows=owner("owner_id") | role("support")):
    """A row of a tenant that goes and comes back with another."""

    folder_id: UUID | None = field(references="Folder", on_delete="cascade", default=None)
    owner_id: UUID = UNASSIGNED
    number: str = field(unique=True, max_length=40)
    deleted_at: datetime | None = None


class Seal(Entity):
    """What forbids that a paper is deleted."""

    paper_id: UUID = field(references=Paper)


class Link(Entity):
    """What forgets a paper that is deleted."""

    paper_id: UUID | None = field(references=Paper, on_delete="null", default=None)


class Pin(Dto):
    """A value inside a row, a part of which is secret."""

    hint: str
    digits: str = field(secret=True)


class Account(Entity, audit=True, rows=owner("owner_id") | role("support")):
    """A row of one caller whose changes are written down."""

    owner_id: UUID = UNASSIGNED
    name: str = field(unique=True, max_length=40)
    balance: Decimal = field(default=Decimal(0), digits=12, places=2)
    opened: datetime | None = None
    colour: Colour | None = None
    tags: list[str] = field(default_factory=list)
    limits: dict[str, int] = field(default_factory=dict)
    pin: Pin | None = None
    token: Secret[str] | None = None
    remark: str = field(default="", write_only=True)
    score: int = field(default=0, read=role("support"))


class Case(Entity, audit=True, soft_delete=True, tenant="tenant_id"):
    """A row of a tenant whose changes are written down, and which is kept when it is deleted."""

    title: str = field(max_length=40)
    steps: Many[Step] = related("case_id")


class Step(Entity, audit=True, soft_delete=True, tenant="tenant_id"):
    """A row that goes and comes back with another."""

    case_id: UUID = field(references=Case, on_delete="cascade", default=UNASSIGNED)
    text: str = ""


class Vault(Entity):
    """Encrypted fields of every type."""

    title: str = field(unique=True, max_length=40)
    shelf: str = field(default="", max_length=40)
    text: str = field(default="", encrypted=True)
    raw: bytes = field(default=b"", encrypted="vaults/raw")
    token: Secret[str] = field(default=Secret(""), encrypted=True)
    number: int | None = field(default=None, encrypted=True)
    ratio: float | None = field(default=None, encrypted=True)
    amount: Decimal | None = field(default=None, encrypted=True, digits=10, places=2)
    moment: datetime | None = field(default=None, encrypted=True)
    day: date | None = field(default=None, encrypted=True)
    hour: time | None = field(default=None, encrypted=True)
    known: UUID | None = field(default=None, encrypted=True)
    flag: bool | None = field(default=None, encrypted=True)
    colour: Colour | None = field(default=None, encrypted=True)
    grade: Grade | None = field(default=None, encrypted=True)
    places: list[Address] | None = field(default=None, encrypted=True)
    notes: dict[str, str] | None = field(default=None, encrypted=True)


library: Module = Module("library")
library.entity(Vault)
library.entity(Account, Case, Step)
library.entity(Folder, Paper, Seal, Link)
library.entity(Shelf, Book, Leaf, Loan, Reader, Note, Remark, Parcel, Draft, Everything, Item, Branch, Member, Site)
library.entity(Label, Mark, Sheet, Wallet)
BLUEPRINT = draw(Service("conformance", modules=[library]))
PLANS = plan_entities(BLUEPRINT)
TABLES = tables_of(PLANS.values())
