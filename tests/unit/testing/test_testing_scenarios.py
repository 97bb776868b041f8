"""Scenario tables say what differs; the plugin gives a team its fixtures; a running service never imports pytest."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from kit_sample import Product, shop

from mainstay.testing import Client, Scenario, as_principal

ANN = as_principal("ann")
MANAGER = as_principal("max", roles="manager")

TABLE = [
    Scenario(name="nobody may order", request="POST /orders", json={}, expect=401),
    Scenario(
        name="sold out",
        request="POST /orders",
        who=ANN,
        json={"sku": "TEA", "quantity": 9},
        expect=409,
        code="sold_out",
        body={"left": 5},
    ),
    Scenario(name="absent", request="GET /products/{id}", ids={"id": UUID(int=5)}, expect=404, code="not_found"),
    Scenario(
        name="found",
        request="GET /products",
        query={"sku": "TEA"},
        expect=200,
        body={"items": [{"sku": "TEA", "price": Decimal("3.50")}]},
        answer_headers={"Content-Type": "application/json"},
    ),
    Scenario(
        name="made", request="POST /products", who=MANAGER, key="k", json={"sku": "POT", "price": "1.00"}, expect=201
    ),
]


@pytest.mark.parametrize("scenario", TABLE, ids=str)
async def test_a_row_that_is_met_passes(scenario: Scenario) -> None:
    async with Client(shop) as client:
        await client.seed()
        await scenario.run(client)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"expect": 201}, "status: expected 201, got 200"),
        ({"code": "not_found"}, "code: expected not_found, got None"),
        ({"answer_headers": {"X-Nothing": "x"}}, "header X-Nothing: expected 'x', got None"),
        ({"body": {"items": []}}, "body/items: expected []"),
        ({"body": {"items": [{"sku": "POT"}]}}, "body/items/0/sku: expected 'POT', got 'TEA'"),
        ({"body": {"items": [{"stock": True}]}}, "body/items/0/stock: expected True, got 5"),
        ({"body": {"more": 1}}, "body/more: expected 1, and it is not there"),
        ({"body": []}, "body: expected []"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_row_that_is_not_met_says_what_differs(changed: dict[str, Any], told: str) -> None:
    asked: dict[str, Any] = {"name": "a row", "request": "GET /products", "expect": 200, **changed}
    async with Client(shop) as client:
        await client.given(Product(sku="TEA", price=Decimal("3.50"), stock=5))
        with pytest.raises(AssertionError) as raised:
            await Scenario(**asked).run(client)
    assert told in str(raised.value)
    assert str(raised.value).startswith("a row: GET /products")


CONFTEST = """
import pytest
from kit_sample import shop

pytest_plugins = ["mainstay.testing.plugin"]

@pytest.fixture
def service():
    return shop
"""
TESTS = """
import pytest
from kit_sample import Product
from mainstay.testing import Scenario

pytestmark = pytest.mark.asyncio

TABLE = [Scenario(name="none", request="GET /products", expect=200, body={"items": []})]

@pytest.mark.parametrize("scenario", TABLE, ids=str)
async def test_on_each(each_client, scenario, clock):
    assert each_client.clock is clock
    await scenario.run(each_client)

async def test_memory(client):
    await client.seed()
    assert len(await client.stored(Product)) == 1

async def test_sqlite(sqlite_client, tmp_path):
    await sqlite_client.seed()
    assert len(await sqlite_client.stored(Product)) == 1
    assert list(tmp_path.glob("*.sqlite3"))
"""


def test_a_team_uses_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_team.py").write_text(TESTS)
    path = str(Path(__file__).parents[2] / "plugins")
    told = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-W",
            "error",
            "-o",
            "asyncio_default_fixture_loop_scope=function",
            f"--rootdir={tmp_path}",
            str(tmp_path),
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": path, "PATH": "", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "4 passed" in told.stdout, told.stdout + told.stderr


def test_a_service_that_imports_the_kit_does_not_import_pytest() -> None:
    program = (
        "import sys, mainstay.testing as kit\n"
        "for name in kit.__all__: getattr(kit, name)\n"
        "assert 'Client' in dir(kit)\n"
        "try: kit.nothing\n"
        "except AttributeError: pass\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in {'pytest', '_pytest', 'hypothesis'}))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.strip() == "[]"


async def test_a_scenario_may_say_how_often_the_store_is_asked() -> None:
    async with Client(shop) as client:
        await client.given(Product(sku="TEA", price=Decimal("3.50"), stock=5))
        row = {"name": "found", "request": "GET /products", "query": {"sku": "TEA"}, "expect": 200}
        await Scenario(**row, queries=1).run(client)
        with pytest.raises(AssertionError, match=r"queries: expected 0, got 1:\n  1\. fetch Product where sku = \?"):
            await Scenario(**row, queries=0).run(client)
