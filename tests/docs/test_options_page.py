"""What the page on options of entities shows is what happens."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest

from mainstay.model.problem import Forbidden, NotFound, UniqueConflict
from mainstay.model.values import UNASSIGNED
from mainstay.testing import as_principal, memory_unit

PAGE = Path(__file__).parents[2] / "docs/guide/options.md"
HEAD = "from decimal import Decimal\nfrom uuid import UUID\nfrom mainstay import *\n"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The code of the page, as a module."""
    path = tmp_path_factory.mktemp("page") / "options_page.py"
    path.write_text(HEAD + "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)))
    spec = importlib.util.spec_from_file_location("options_page", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["options_page"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["options_page"]


@pytest.mark.asyncio
async def test_tenants(page: ModuleType) -> None:
    company, order = page.Company, page.Order
    async with memory_unit(company, order, who=as_principal("ann", tenant="acme")) as unit:
        mine = await unit.repository(company).add(company(name="Tea Ltd"))
        await unit.commit()
        assert mine.tenant_id == "acme"
        other = unit.acting_as(as_principal("bob", tenant="globex"))
        assert (await other.repository(company).add(company(name="Tea Ltd"))).tenant_id == "globex"
        with pytest.raises(NotFound):
            await other.repository(company).get(mine.id)
        await other.commit()
        nobody = unit.acting_as(as_principal("eve"))
        assert await nobody.repository(company).count() == 0
        with pytest.raises(Forbidden):
            await nobody.repository(company).add(company(name="x"))
        await nobody.rollback()
        operator = unit.acting_as(as_principal("op", roles="operator"))
        await operator.repository(order).add(order(tenant_id="acme"))
        assert (await operator.repository(order).count(), await operator.repository(company).count()) == (1, 0)
        await operator.commit()
        assert await unit.repository(order).count() == 1
        await unit.rollback()
        assert {row.tenant_id for row in await unit.stored(company)} == {"acme", "globex"}
        (given,) = await unit.given(company(name="given", tenant_id="globex"))
        assert (await other.repository(company).get(given.id)).name == "given"
        await other.rollback()


@pytest.mark.asyncio
async def test_deleted_rows_that_are_kept(page: ModuleType) -> None:
    async with memory_unit(page.Note) as unit:
        (note,) = await unit.given(page.Note(title="tea"))
        await unit.repository(page.Note).delete(note.id)
        await unit.commit()
        assert await unit.stored(page.Note) == []
        assert await unit.deleted(page.Note).count() == 1
        await unit.repository(page.Note).add(page.Note(title="tea"))
        await unit.commit()
        with pytest.raises(UniqueConflict):
            await unit.call(page.bring_back, note_id=note.id)
        await unit.repository(page.Note).delete(await unit.repository(page.Note).one(title="tea"))
        await unit.commit()
        assert (await unit.call(page.bring_back, note_id=note.id)).title == "tea"
        with pytest.raises(NotFound):
            await unit.call(page.bring_back, note_id=UNASSIGNED)


@pytest.mark.asyncio
async def test_the_audit_trail(page: ModuleType) -> None:
    async with memory_unit(page.Invoice, who=as_principal("ann")) as unit:
        invoice = await unit.repository(page.Invoice).add(page.Invoice(number="1", total=Decimal("9.90")))
        await unit.repository(page.Invoice).update(invoice, total=Decimal("10.00"))
        await unit.commit()
        found = await unit.call(page.history, invoice_id=invoice.id)
        assert [(entry.action, entry.actor) for entry in found.items] == [("update", "ann"), ("add", "ann")]
        assert found.items[0].changes["total"].old == "9.90"
        assert (await unit.audit(page.Invoice).of(invoice.id)).items == found.items


def test_a_doorway_of_an_option_that_an_entity_has_not_is_refused(page: ModuleType) -> None:
    unit = memory_unit(page.Company)._unit
    with pytest.raises(TypeError, match="keeps no deleted rows"):
        unit.deleted(page.Company)
    with pytest.raises(TypeError, match="has no audit trail"):
        unit.audit(page.Company)


@pytest.mark.asyncio
async def test_rows_that_are_only_added(page: ModuleType) -> None:
    receipt = page.Receipt
    async with memory_unit(receipt) as unit:
        rows = unit.repository(receipt)
        row = await rows.add(receipt(number="R-1", total=Decimal("9.90")))
        with pytest.raises(TypeError, match="append-only"):
            await rows.update(row, total=Decimal("1.00"))
        with pytest.raises(TypeError, match="append-only"):
            await rows.delete(row)
