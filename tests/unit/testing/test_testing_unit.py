"""Use cases are called directly, with repositories on memory, for one caller."""

from __future__ import annotations

from decimal import Decimal

import pytest
from kit_sample import Mailer, Order, Ordered, Product, SoldOut, Wanted, order, shop, tell

from mainstay import Entity, NotFound, all_of, count_of, field
from mainstay.model.faults import StartupFailed
from mainstay.testing import as_principal, memory_unit

ANN = as_principal("ann")
BOB = as_principal("bob")


def tea(stock: int = 5) -> Product:
    return Product(sku="TEA", price=Decimal("3.50"), stock=stock)


async def test_a_use_case_is_called_with_what_it_needs() -> None:
    async with memory_unit(Order, who=ANN) as unit:
        (product,) = await unit.given(tea())
        made = await unit.call(order, wanted=Wanted(sku="TEA", quantity=2))
        assert (made.customer_id, made.product_id) == (ANN.id, product.id)
        assert unit.emitted == [Ordered(sku="TEA", quantity=2)]
        assert [row.stock for row in await unit.stored(Product)] == [3]


async def test_a_use_case_that_raises_leaves_nothing() -> None:
    async with memory_unit(shop, who=ANN) as unit:
        await unit.given(tea(1))
        with pytest.raises(SoldOut):
            await unit.call(order, wanted=Wanted(sku="TEA", quantity=2))
        with pytest.raises(NotFound):
            await unit.call(order, wanted=Wanted(sku="POT", quantity=2))
        assert (await unit.stored(Order), unit.emitted) == ([], [])
        await unit.call(order, wanted=Wanted(sku="TEA", quantity=1))
        assert len(unit.emitted) == 1


async def test_doorways_are_given_by_hand() -> None:
    async with memory_unit(Product, Order, who=ANN) as unit:
        await unit.given(tea(), Product(sku="POT", price=Decimal(20), stock=1))
        product = await unit.repository(Product).one(sku="TEA")
        await unit.repository(Product).update(product, stock=0)
        unit.events.emit(Ordered(sku="TEA", quantity=5))
        assert await unit.aggregates(Product).sum("stock") == 1
        assert await unit.bulk(Product).update(all_of(), set={"price": Decimal(1)}) == 2
        assert (await unit.stored(Product, sku="TEA"))[0].stock == 5
        assert unit.emitted == []
        await unit.commit()
        assert (await unit.stored(Product, sort="-sku"))[0].stock == 0
        assert unit.emitted == [Ordered(sku="TEA", quantity=5)]
        await unit.repository(Product).delete(product.id)
        await unit.rollback()
        assert len(await unit.stored(Product)) == 2


async def test_another_caller_sees_what_is_its_own() -> None:
    async with memory_unit(Order, who=ANN) as unit:
        await unit.given(tea())
        made = await unit.call(order, wanted=Wanted(sku="TEA", quantity=1))
        other = unit.acting_as(BOB)
        with pytest.raises(NotFound):
            await other.repository(Order).get(made.id)
        await other.rollback()
        unit.clock.advance(60)
        later = await other.call(order, wanted=Wanted(sku="TEA", quantity=1))
        assert (later.customer_id, later.created_at - made.created_at) == (BOB.id, unit.clock.now() - made.created_at)


async def test_further_dependencies_are_provided_by_type() -> None:
    class Letters(Mailer):
        def __init__(self) -> None:
            self.sent: list[str] = []

        async def send(self, text: str) -> None:
            self.sent.append(text)

    letters = Letters()
    async with memory_unit(Product, provide={Mailer: letters}) as unit:
        await unit.call(tell, event=Ordered(sku="TEA", quantity=2))
    assert letters.sent == ["2 TEA"]
    async with memory_unit(Product) as unit:
        await unit.call(tell, event=Ordered(sku="TEA", quantity=2), mailer=letters)


async def test_an_entity_that_was_not_named_or_is_wrong_says_so() -> None:
    class Wrong(Entity):
        other: str = field(references="Nobody")

    async with memory_unit(Product) as unit:
        with pytest.raises(LookupError, match="Order is no entity of this test"):
            unit.repository(Order)
    with pytest.raises(StartupFailed, match="Nobody"):
        memory_unit(Wrong)
    assert count_of() is not None
