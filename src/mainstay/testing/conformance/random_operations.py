"""Random units of work on a store and on a plain dictionary: both must tell the same."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstay.model.conditions import Among, Compare, Condition, Contains, all_of, any_of, holds
from mainstay.model.problem import NotFound, Problem, StaleVersion, UniqueConflict
from mainstay.ports.store import Store
from mainstay.testing.conformance.model import Item
from mainstay.testing.conformance.paging import in_order
from mainstay.testing.conformance.world import Hands, World, opened

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = st.sampled_from([f"n{n}" for n in range(8)])
BINS = st.sampled_from([None, "", "a", "ab", "B", "é"])
AMOUNTS = st.one_of(st.none(), st.integers(-3, 3), st.sampled_from([-(2**63), 2**63 - 1]))
PRICES = st.decimals(-5, 5, places=2)
TIMES = st.one_of(st.none(), st.integers(-2, 2).map(lambda n: START + timedelta(microseconds=n)))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "name": NAMES,
    "bin": BINS,
    "amount": AMOUNTS,
    "price": PRICES,
    "at": TIMES,
}
ROWS = st.fixed_dictionaries(VALUES)
CHANGES = st.fixed_dictionaries({}, optional=VALUES)
ORDERS = st.sampled_from(["id", "-id", "name", "bin,-amount", "-bin,price", "-at,amount,-name", "price,-at", "-amount"])


def _leaves() -> st.SearchStrategy[Condition]:
    ops = st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"])
    compares = [
        st.builds(Compare, st.just(name), ops, values.filter(lambda value: value is not None))
        for name, values in VALUES.items()
    ]
    nulls = st.builds(Compare, st.sampled_from(["bin", "amount", "at"]), st.sampled_from(["eq", "ne"]), st.none())
    among = st.builds(Among, st.just("amount"), st.lists(AMOUNTS, max_size=3).map(tuple))
    has = st.builds(Contains, st.just("bin"), st.sampled_from(["", "a", "b", "%"]), st.sampled_from(["any", "start"]))
    return st.one_of(*compares, nulls, among, has)


def _combined(below: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    pairs = st.lists(below, min_size=1, max_size=3)
    return st.one_of(
        below.map(lambda one: ~one), pairs.map(lambda parts: all_of(*parts)), pairs.map(lambda parts: any_of(*parts))
    )


CONDITIONS = st.recursive(_leaves(), _combined, max_leaves=5)
STEPS = st.one_of(
    st.tuples(st.just("add"), ROWS),
    st.tuples(st.just("add_all"), st.lists(ROWS, max_size=3)),
    st.tuples(st.just("update"), st.integers(0, 20), CHANGES, st.booleans()),
    st.tuples(st.just("delete"), st.integers(0, 20), st.booleans()),
    st.tuples(st.just("update_all"), CONDITIONS, CHANGES),
    st.tuples(st.just("delete_all"), CONDITIONS),
    st.tuples(st.just("page"), CONDITIONS, ORDERS, st.integers(1, 5)),
    st.tuples(st.just("figures"), CONDITIONS),
    st.tuples(st.just("get"), st.integers(0, 20)),
    st.tuples(st.just("flush")),
)
UNITS = st.lists(st.tuples(st.lists(STEPS, max_size=8), st.booleans()), max_size=6)


class _Model:
    """What a store is, in a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[UUID, Item] = {}

    def pick(self, index: int) -> Item | None:
        rows = sorted(self.rows.values(), key=lambda row: row.id)
        return rows[index % len(rows)] if rows else None

    def put(self, row: Item) -> None:
        if any(other.name == row.name and other.id != row.id for other in self.rows.values()):
            raise UniqueConflict
        self.rows[row.id] = row

    def where(self, condition: Condition) -> list[Item]:
        return sorted((row for row in self.rows.values() if holds(condition, row)), key=lambda row: row.id)


class _Unit:
    """The same steps on both, side by side. The model raises what the store raises, at the latest at its commit."""

    def __init__(self, hands: Hands, model: _Model, versions: dict[UUID, Item]) -> None:
        self.hands = hands
        self.model = model
        self.old = versions  # rows as they were when the unit began, for stale writes
        self.fault: Problem | None = None

    async def run(self, steps: Sequence[Any]) -> None:
        """Take the steps, up to the first that breaks a rule, which the store tells there or at a later one."""
        for name, *arguments in steps:
            await getattr(self, f"_{name}")(*arguments)
            if self.fault is not None:
                await self.hands.unit.flush()
                raise AssertionError(f"{name}: the store is fine with what raises {self.fault!r}")

    def expect(self, work: Any, *arguments: Any) -> None:
        """Take a step on the model, and note what it breaks."""
        try:
            work(*arguments)
        except Problem as problem:
            self.fault = problem

    async def _add(self, values: dict[str, Any]) -> None:
        self.expect(self.model.put, await self.hands.rows(Item).add(Item(**values)))

    async def _add_all(self, many: list[dict[str, Any]]) -> None:
        for row in await self.hands.bulk(Item).add_all([Item(**values) for values in many]):
            if self.fault is None:
                self.expect(self.model.put, row)

    async def _update(self, index: int, changes: dict[str, Any], stale: bool) -> None:
        now = self.model.pick(index)
        if now is None:
            return
        row = self.old.get(now.id, now) if stale else now
        changed = await self.hands.rows(Item).update(row, **changes)
        if row.version != now.version:
            self.fault = StaleVersion()
        else:
            self.expect(self.model.put, changed)

    async def _delete(self, index: int, by_id: bool) -> None:
        row = self.model.pick(index)
        if row is None:
            with_id = Item(id=UUID(int=5), name="absent", version=1)
            await self.hands.rows(Item).delete(with_id.id if by_id else with_id)
            self.fault = NotFound()
            return
        await self.hands.rows(Item).delete(row.id if by_id else row)
        del self.model.rows[row.id]

    async def _update_all(self, condition: Condition, changes: dict[str, Any]) -> None:
        met = self.model.where(condition)
        if "name" in changes:
            met = met[:1]
            condition = condition & Compare("id", "eq", met[0].id if met else UUID(int=5))
        now = self.hands.unit.frame.clock.now()
        for row in met if changes else ():
            made = msgspec.structs.replace(row, **changes, version=row.version + 1, updated_at=now)
            self.expect(self.model.put, made)
        try:
            assert await self.hands.bulk(Item).update(condition, set=changes) == len(met)
        except UniqueConflict:
            assert isinstance(self.fault, UniqueConflict)

    async def _delete_all(self, condition: Condition) -> None:
        met = self.model.where(condition)
        assert await self.hands.bulk(Item).delete(condition) == len(met)
        for row in met:
            del self.model.rows[row.id]

    async def _page(self, condition: Condition, order: str, limit: int) -> None:
        expected = in_order(self.model.where(condition), order)
        page = await self.hands.rows(Item).page(condition, sort=order, limit=limit, count=True)
        assert (page.items, page.count) == (expected[:limit], len(expected))
        if page.next is not None:
            page = await self.hands.rows(Item).page(condition, sort=order, limit=limit, cursor=page.next)
            assert page.items == expected[limit : 2 * limit]

    async def _figures(self, condition: Condition) -> None:
        met = self.model.where(condition)
        figures = self.hands.figures(Item)
        assert await figures.sum("price", condition) == sum((row.price for row in met), Decimal(0))
        assert await figures.sum("amount", condition) == sum(row.amount or 0 for row in met)
        assert await figures.max("at", condition) == max((row.at for row in met if row.at is not None), default=None)

    async def _get(self, index: int) -> None:
        row = self.model.pick(index)
        if row is not None:
            assert await self.hands.rows(Item).get(row.id) == row

    async def _flush(self) -> None:
        await self.hands.unit.flush()


class RandomOperationsConformance:
    """Units of work that nobody thought of."""

    def make_store(self, folder: Path) -> Store:
        """Return a new store, not yet started, that may keep its files in ``folder``: a subclass says how."""
        raise TypeError(f"{type(self).__name__} does not say how a store is made (in {folder}): give it make_store")

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(units=UNITS)
    def test_a_store_tells_what_a_dictionary_tells(self, units: list[tuple[list[Any], bool]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(self._compare(Path(folder), units))

    async def _compare(self, folder: Path, units: list[tuple[list[Any], bool]]) -> None:
        async with opened(self.make_store(folder), (Item,)) as world:
            model = _Model()
            for steps, kept in units:
                world.clock.advance(1)
                before = dict(model.rows)
                if not await _run(world, model, before, steps, kept):
                    model.rows = before
                assert await world.all(Item) == sorted(model.rows.values(), key=lambda row: row.id)


async def _run(world: World, model: _Model, before: dict[UUID, Item], steps: list[Any], kept: bool) -> bool:
    """Run one unit on both; say whether it was committed."""
    unit = world.unit()
    both = _Unit(Hands(unit), model, before)
    try:
        await both.run(steps)
        if kept:
            await unit.commit()
    except Problem as problem:
        assert type(problem) is type(both.fault), f"the store raised {problem!r}, the model {both.fault!r}"
        kept = False
    finally:
        await unit.rollback()
    return kept
