"""What type checkers infer of a model: each field, each missing or wrong argument, each row of a repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = """
from decimal import Decimal
from uuid import UUID

from mainstay import Dto, Entity, Event, Find, Many, Module, One, Page, Patch, Repository, anyone, field, owner, related

class Product(Entity):
    sku: str = field(unique=True, max_length=40)
    price: Decimal = field(ge=0)
    stock: int = field(ge=0, default=0)
    tags: list[str] = field(default_factory=list)

class Line(Entity):
    order_id: UUID = field(references="Order")
    order: One["Order"] = related("order_id")

class Order(Entity, rows=owner("customer_id")):
    customer_id: UUID = field(immutable=True)
    lines: Many[Line] = related("order_id")

class Note(Dto, unknown="ignore"):
    text: str
    rank: int = 1

class Said(Event):
    text: str

good = Product(sku="A", price=Decimal(1))
Product(sku="A", price=Decimal(1), stock=2, tags=["a"])
Note(text="x")
Said(text="x")
order = Order(customer_id=UUID(int=1))
Order(customer_id=UUID(int=1), lines=[Line(order_id=UUID(int=0))])
reveal_type(good.price)
reveal_type(good.id)
reveal_type(order.lines)
reveal_type(Line(order_id=UUID(int=1)).order)

module = Module("sample")

@module.query("GET /products/{product_id}", allow=anyone)
async def use(product_id: UUID, find: Find[Product], products: Repository[Product]) -> Product:
    reveal_type(await products.get(product_id))
    reveal_type(await products.one(sku="A"))
    reveal_type(await products.page(find))
    reveal_type(await products.update(good, stock=1))
    reveal_type((await products.upsert(good, on="sku")).row)
    async for row in products.stream():
        reveal_type(row)
    return await products.add(good)

reveal_type(use)
"""

REVEALED = [
    "decimal.Decimal",
    "uuid.UUID",
    "list[sample.Line]",
    "sample.Order | None",
    "sample.Product",
    "sample.Product",
    "mainstay.model.inputs.Page[sample.Product]",
    "sample.Product",
    "sample.Product",
    "sample.Product",
]

WRONG = [
    ('Product(sku="A")', 'Missing named argument "price"'),
    ("Product(sku=1, price=Decimal(1))", 'has incompatible type "int"; expected "str"'),
    ('Product("A", Decimal(1))', "Too many positional arguments"),
    ('Product(sku="A", price=Decimal(1), colour="red")', 'Unexpected keyword argument "colour"'),
    ("good.stock = 5", 'Property "stock" defined in "Product" is read-only'),
    ("good.colour", 'has no attribute "colour"'),
    ("Note()", 'Missing named argument "text"'),
    ("products.update(order, stock=1)", 'expected "Product"'),
    ("products.update(good, Patch[Order]())", 'expected "Patch[Product] | None"'),
    ("products.add(order)", 'expected "Product"'),
]


def check(folder: Path, text: str) -> list[str]:
    sample = folder / "sample.py"
    sample.write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context", "--no-pretty"]
    options = ["--cache-dir", str(folder / "cache"), "--follow-imports", "silent", "--config-file", ""]
    ended = subprocess.run([*command, *options, str(sample)], capture_output=True, text=True, cwd=folder, check=False)
    assert ended.returncode < 2, ended.stdout + ended.stderr
    return ended.stdout.splitlines()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    lines = ["async def wrong(products: Repository[Product]) -> None:"]
    lines += [f"    {'await ' if 'products.' in text else ''}{text}" for text, _ in WRONG]
    return check(tmp_path_factory.mktemp("typing"), SAMPLE + "\n".join(lines) + "\n")


def test_what_is_inferred(told: list[str]) -> None:
    revealed = [line.split('"')[1] for line in told if "Revealed type" in line]
    assert revealed[:-1] == REVEALED
    assert "Find[sample.Product]" in revealed[-1]  # the decorator returns the function as it was
    assert revealed[-1].startswith("def (product_id: uuid.UUID")


def test_what_is_wrong_is_flagged_and_nothing_else(told: list[str]) -> None:
    errors: dict[int, str] = {}
    for line in told:
        place, error, message = line.partition(": error: ")
        if error:
            number = int(place.split(":")[1])
            errors[number] = errors.get(number, "") + message
    first = (SAMPLE + "async").count("\n") + 2
    assert set(errors) == set(range(first, first + len(WRONG))), errors
    for number, (text, message) in enumerate(WRONG, first):
        assert message in errors[number], (text, errors[number])
