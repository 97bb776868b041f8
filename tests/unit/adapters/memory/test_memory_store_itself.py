"""What is the memory store's own, beside what every store must do."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.adapters.memory.layout import layouts
from mainstay.adapters.memory.store import MemoryStore
from mainstay.model.conditions import CompareFields, Condition, all_of, holds
from mainstay.model.values import UNASSIGNED
from mainstay.ports.rows import Aggregate
from mainstay.ports.selection import predicate
from mainstay.testing.conformance.model import TABLES, Item, Note, Reader, Remark, Shelf
from mainstay.testing.conformance.random_operations import CONDITIONS, ROWS
from mainstay.testing.conformance.world import World, opened

PAIRS = st.builds(
    CompareFields, st.sampled_from(["name", "bin"]), st.sampled_from(["eq", "ne", "lt", "ge"]), st.just("bin")
)


@given(condition=st.one_of(CONDITIONS, PAIRS, PAIRS.map(lambda pair: ~pair)), values=ROWS)
def test_a_condition_as_a_function_says_what_the_condition_says(
    condition: Condition, values: dict[str, object]
) -> None:
    row = Item(**values)  # type: ignore[arg-type]  # drawn by field name
    assert predicate(condition)(row) == holds(condition, row)


async def test_a_second_writing_transaction_in_one_task_is_refused_instead_of_waiting_for_ever() -> None:
    async with opened(MemoryStore()) as world, world.command() as hands:
        await hands.rows(Reader).count()
        with pytest.raises(RuntimeError, match="this task has a transaction open"):
            await world.add(Reader(name="a"))


async def test_commands_write_in_the_order_in_which_they_came() -> None:
    async with opened(MemoryStore()) as world:
        order: list[int] = []

        async def work(number: int) -> None:
            async with world.command() as hands:
                await hands.rows(Reader).count()
                order.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*(work(number) for number in range(10)))
        assert order == list(range(10))


async def test_rows_live_as_long_as_the_store_object() -> None:
    store = MemoryStore()
    async with opened(store) as world:
        (row,) = await world.add(Reader(name="a"))
    assert store.health() == "the store is not open"
    with pytest.raises(RuntimeError, match="not open"):
        store.begin(write=False)
    async with opened(store) as world:
        assert await world.all(Reader) == [row]


async def test_stopping_waits_for_the_command_that_writes() -> None:
    store = MemoryStore()
    await store.start(TABLES)
    world = World(store)
    gate = asyncio.Event()

    async def work() -> None:
        async with world.command() as hands:
            await hands.rows(Reader).add(Reader(name="a"))
            await hands.unit.flush()
            await gate.wait()

    writing = asyncio.create_task(work())
    await asyncio.sleep(0)
    stopping = asyncio.create_task(store.stop())
    await asyncio.sleep(0.01)
    assert not stopping.done()
    gate.set()
    await asyncio.gather(writing, stopping)
    assert store.statistics()["rows"] == 1


async def test_an_entity_without_a_table_is_refused() -> None:
    async with opened(MemoryStore(), (Shelf,)) as world:
        with pytest.raises(LookupError, match="Reader has no table"):
            await world.all(Reader)


def test_a_reference_to_an_entity_without_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Remark\.note_id references 'Note', which has no table"):
        layouts([table for table in TABLES if table.shape.type is Remark])
    assert layouts([table for table in TABLES if table.shape.type in (Remark, Note)])[Note].incoming[0].entity is Remark


async def test_it_knows_the_mean_too_though_the_doorway_makes_it_itself() -> None:
    async with opened(MemoryStore()) as world:
        await world.add(*(Item(name=f"{n}", amount=n) for n in (1, 2, 6)))
        transaction = world.store.begin(write=False)
        assert await transaction.rows(Item).aggregate(Aggregate(measures=(("avg", "amount"),))) == [(3,)]
        await transaction.rollback()


async def test_a_fault_that_is_no_problem_leaves_nothing_to_commit_either() -> None:
    async with opened(MemoryStore()) as world:
        unit = world.unit()
        rows = unit.transaction().rows(Item)
        rows.insert([Item(name="a", id=UNASSIGNED)])
        rows.insert([object()])  # what no doorway lets through
        with pytest.raises(AttributeError):
            await unit.flush()
        with pytest.raises(AttributeError):
            await unit.commit()
        await unit.rollback()
        assert await world.all(Item, all_of()) == []
