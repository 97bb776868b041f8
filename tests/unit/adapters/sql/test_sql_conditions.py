"""Conditions in SQL give the answer that they give in Python, and no value of theirs is ever text of a statement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sql_samples import Colour, Plain, Rank, Sample, opened, row, table

from mainstay.adapters.sql.columns import UnknownField
from mainstay.adapters.sql.operands import NotComparable
from mainstay.adapters.sql.outline import successor
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.model.conditions import (
    FALSE,
    TRUE,
    AllOf,
    Always,
    Among,
    AnyOf,
    Compare,
    CompareFields,
    Condition,
    Contains,
    Not,
    holds,
)
from mainstay.model.inputs import Sort
from mainstay.model.values import INT_MAX, INT_MIN, Secret
from mainstay.ports.rows import Aggregate, Change, Query

TEXTS = [
    "",
    "a",
    "ab",
    "A",
    "b%",
    "_",
    "%",
    "'; DROP TABLE sample; --",
    '"',
    "é",
    "\ud7ff",
    "\U0010ffff",
    "ab\U0010ffff",
    "😀",
]
NUMBERS = [INT_MIN, -1, 0, 1, 2, 2**53 + 1, INT_MAX]
PRICES = [Decimal("-1.00"), Decimal("0.00"), Decimal("0.01"), Decimal("10.50"), Decimal("9999999999.99")]
COSTS = [Decimal("-1.0000"), Decimal("0.0001"), Decimal("10.5000"), Decimal("0.0000")]
MOMENTS = [
    datetime(1, 1, 2, tzinfo=UTC),
    datetime(2026, 11, 23, tzinfo=UTC),
    datetime(2026, 11, 23, 0, 0, 0, 1, UTC),
    datetime(9999, 12, 30, 23, 59, 59, 999999, UTC),
]
STORED: dict[str, list[Any]] = {
    "text": TEXTS,
    "other": TEXTS,
    "number": NUMBERS,
    "second": NUMBERS,
    "price": PRICES,
    "cost": COSTS,
    "ratio": [-1.5, 0.0, 0.1, 1e300, float(2**53)],
    "flag": [True, False],
    "at": MOMENTS,
    "until": MOMENTS,
    "day": [date(1, 1, 1), date(2026, 11, 23), date(9999, 12, 31)],
    "hour": [time(0), time(10, 20, 30), time(10, 20, 30, 5)],
    "ref": [UUID(int=0), UUID(int=7), UUID(int=2**128 - 1)],
    "colour": list(Colour),
    "rank": list(Rank),
    "plain": list(Plain),
    "raw": [b"", b"\x00", b"a", b"\xff"],
    "secret": [Secret("a"), Secret("b")],
}
ELSEWHERE = timezone(timedelta(hours=5, minutes=30))
ASKED: dict[str, list[Any]] = {
    **STORED,
    "number": [*NUMBERS, 2**63, -(2**63) - 1, 10**400, 1.5, float("inf"), Decimal("0.5"), Decimal("-1e30"), True],
    "price": [
        *PRICES,
        1,
        0,
        Decimal("0.005"),
        Decimal("-0.001"),
        Decimal("1e40"),
        10.5,
        Decimal("1e-50"),
        float("-inf"),
    ],
    "ratio": [-1.5, 0, 0.1, 2**53 + 1, 10**400, Decimal("0.5"), float("inf")],
    "at": [*MOMENTS, datetime(2026, 11, 23, 5, 30, tzinfo=ELSEWHERE)],
}
FOREIGN = [
    "text",
    5,
    1.5,
    b"a",
    UUID(int=7),
    MOMENTS[1],
    date(2026, 11, 23),
    time(1),
    Colour.RED,
    Plain.ONE,
    "\ud800",
    None,
]
ORDERED = ["eq", "ne", "gt", "ge", "lt", "le"]
SORTABLE = [name for name in STORED if name not in ("plain", "secret", "flag")]


def compares(name: str) -> st.SearchStrategy[Condition]:
    equal_only = name in ("secret", "plain")  # these have no order in Python
    return st.builds(
        Compare, st.just(name), st.sampled_from(ORDERED[:2] if equal_only else ORDERED), st.sampled_from(ASKED[name])
    )


def leaves() -> st.SearchStrategy[Condition]:
    names = sorted(STORED)
    return st.one_of(
        st.sampled_from(names).flatmap(compares),
        st.builds(Compare, st.sampled_from(names), st.sampled_from(["eq", "ne"]), st.sampled_from(FOREIGN)),
        st.sampled_from(names).flatmap(
            lambda name: st.builds(
                Among, st.just(name), st.lists(st.sampled_from([*ASKED[name], None]), max_size=20).map(tuple)
            )
        ),
        st.builds(Contains, st.just("text"), st.sampled_from(TEXTS), st.sampled_from(["any", "start"])),
        st.builds(Contains, st.just("colour"), st.sampled_from(["", "r", "e", "R"]), st.sampled_from(["any", "start"])),
        st.sampled_from(
            [("text", "other"), ("number", "second"), ("price", "cost"), ("number", "cost"), ("at", "until")]
        ).flatmap(lambda pair: st.builds(CompareFields, st.just(pair[0]), st.sampled_from(ORDERED), st.just(pair[1]))),
        st.builds(Always, st.booleans()),
    )


def conditions() -> st.SearchStrategy[Condition]:
    return st.recursive(
        leaves(),
        lambda below: st.one_of(
            st.builds(Not, below),
            st.builds(AllOf, st.lists(below, max_size=3).map(tuple)),
            st.builds(AnyOf, st.lists(below, max_size=3).map(tuple)),
        ),
        max_leaves=5,
    )


samples = st.lists(
    st.fixed_dictionaries({}, optional={name: st.sampled_from([*held, None]) for name, held in STORED.items()}),
    min_size=1,
    max_size=6,
)
sorts = st.lists(st.builds(Sort, st.sampled_from(SORTABLE), st.booleans()), max_size=3, unique_by=lambda s: s.field)


def in_order(rows: list[Any], sort: list[Sort]) -> list[Any]:
    made = sorted(rows, key=lambda each: each.id)
    for by in reversed(sort):

        def key(each: Any, name: str = by.field) -> tuple[bool, Any]:
            value = getattr(each, name)
            return value is not None, 0 if value is None else getattr(value, "value", value)

        made.sort(key=key, reverse=by.descending)
    return made


Run = Callable[[Callable[[SqliteStore], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Run tests on one store, which is emptied before each: opening a file is most of the time of a small test."""
    with asyncio.Runner() as runner:
        context = opened(tmp_path, table(Sample))
        store = runner.run(context.__aenter__())

        async def emptied(test: Callable[[SqliteStore], Coroutine[Any, Any, None]]) -> None:
            begun = store.begin(write=True)
            await begun.rows(Sample).apply(Change(where=TRUE, changes=None))
            await begun.commit()
            await test(store)

        try:
            yield lambda test: runner.run(emptied(test))
        finally:
            runner.run(context.__aexit__(None, None, None))


async def fill(store: SqliteStore, rows: list[Any]) -> None:
    begun = store.begin(write=True)
    begun.rows(Sample).insert(rows)
    await begun.commit()


QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@settings(QUICK, max_examples=100)
@given(
    held=samples, asked=st.lists(conditions(), min_size=1, max_size=4), sort=sorts, limit=st.none() | st.integers(0, 4)
)
def test_the_store_finds_what_python_finds(
    run: Run, held: list[dict[str, Any]], asked: list[Condition], sort: list[Sort], limit: int | None
) -> None:
    rows = [row(Sample, number + 1, **values) for number, values in enumerate(held)]

    async def check(store: SqliteStore) -> None:
        await fill(store, rows)
        read = store.begin(write=False)
        try:
            for condition in asked:
                expected = in_order([each for each in rows if holds(condition, each)], sort)
                query = Query(where=condition, sort=(*sort, Sort("id")), limit=limit)
                assert await read.rows(Sample).fetch(query) == expected[:limit]
                assert await read.rows(Sample).count(condition) == len(expected)
                one = await read.rows(Sample).get(rows[0].id, condition)
                assert one == (rows[0] if holds(condition, rows[0]) else None)
        finally:
            await read.rollback()

    run(check)


@given(st.text(), st.text())
def test_what_begins_with_a_prefix_lies_below_its_successor(prefix: str, rest: str) -> None:
    above = successor(prefix)
    assert above is None or prefix + rest < above
    if above is None:
        assert set(prefix) <= {"\U0010ffff"}


@settings(QUICK, max_examples=30)
@given(
    numbers=st.lists(st.integers(INT_MIN, INT_MAX), max_size=8),
    cents=st.lists(st.integers(-(10**11), 10**11), max_size=8),
)
def test_sums_are_exact_beyond_64_bits(run: Run, numbers: list[int], cents: list[int]) -> None:
    rows = [row(Sample, index + 1, number=number) for index, number in enumerate(numbers)]
    rows += [row(Sample, index + 100, price=Decimal(cent).scaleb(-2)) for index, cent in enumerate(cents)]
    prices = [each.price for each in rows if each.price is not None]

    async def check(store: SqliteStore) -> None:
        await fill(store, rows)
        wanted = (("sum", "number"), ("sum", "price"), ("count", None), ("count", "price"), ("max", "price"))
        [found] = await store.begin(write=False, single=True).rows(Sample).aggregate(Aggregate(measures=wanted))
        assert found[0] == (sum(numbers) if numbers else None)
        assert found[1:] == (sum(prices) if prices else None, len(rows), len(prices), max(prices, default=None))

    run(check)


async def test_groups_come_in_the_order_of_their_values_nulls_first(tmp_path: Path) -> None:
    async with opened(tmp_path, table(Sample)) as store:
        begun = store.begin(write=True)
        colours = [None, Colour.RED, Colour.BLUE, Colour.RED]
        rows = [row(Sample, i + 1, colour=c, price=Decimal(i), flag=True) for i, c in enumerate(colours)]
        begun.rows(Sample).insert(rows)
        await begun.commit()
        read = store.begin(write=False)
        asked = Aggregate(measures=(("count", None), ("sum", "price"), ("min", "at")), by=("colour", "flag"))
        assert await read.rows(Sample).aggregate(asked) == [
            (None, True, 1, Decimal("0.00"), None),
            (Colour.BLUE, True, 1, Decimal("2.00"), None),
            (Colour.RED, True, 2, Decimal("4.00"), None),
        ]
        few = Aggregate(measures=(("count", None),), by=("colour",), limit=1, where=Compare("price", "gt", 0))
        assert await read.rows(Sample).aggregate(few) == [(Colour.BLUE, 1)]
        await read.rollback()


NAMES = ["id; DROP TABLE sample", '"', "rowid", "", "text--", "sqlite_master", "tags "]


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_that_is_no_field_is_refused(tmp_path: Path, name: str) -> None:
    async with opened(tmp_path, table(Sample)) as store:
        rows = store.begin(write=False, single=True).rows(Sample)
        for query in (
            Query(where=Compare(name, "eq", 1)),
            Query(where=Compare(name, "eq", None)),
            Query(where=Among(name, (1,))),
            Query(where=Contains(name, "a")),
            Query(where=CompareFields("text", "eq", name)),
            Query(sort=(Sort(name),)),
            Query(per=name, limit=1),
        ):
            with pytest.raises(UnknownField):
                await rows.fetch(query)
        with pytest.raises(UnknownField):
            await rows.aggregate(Aggregate(measures=(("sum", name),)))
        with pytest.raises(UnknownField):
            await rows.aggregate(Aggregate(measures=(("count", None),), by=(name,)))


@pytest.mark.parametrize(
    "condition",
    [
        Compare("text", "= 1 OR 1 =", 1),
        CompareFields("text", "or", "other"),
        Contains("number", "1"),
        Compare("tags", "eq", ["a"]),
        Among("home", (1,)),
    ],
)
async def test_what_a_field_cannot_do_is_refused(tmp_path: Path, condition: Condition) -> None:
    async with opened(tmp_path, table(Sample)) as store:
        with pytest.raises((UnknownField, NotComparable)):
            await store.begin(write=False, single=True).rows(Sample).count(condition)


@pytest.mark.parametrize(
    "condition",
    [
        Compare("text", "gt", 5),
        Compare("number", "lt", "5"),
        Compare("at", "ge", datetime(2026, 1, 1)),  # noqa: DTZ001 - a time without a zone is what is refused
        Compare("price", "lt", Decimal("NaN")),
    ],
)
async def test_an_order_that_does_not_exist_is_refused(tmp_path: Path, condition: Condition) -> None:
    async with opened(tmp_path, table(Sample)) as store:
        with pytest.raises(NotComparable):
            await store.begin(write=False, single=True).rows(Sample).count(condition)


async def test_long_lists_are_found(tmp_path: Path) -> None:
    async with opened(tmp_path, table(Sample)) as store:
        begun = store.begin(write=True)
        begun.rows(Sample).insert(
            [
                row(Sample, i + 1, number=i, ratio=i / 7, raw=bytes([i % 256, i // 256]), text=f"t{i}")
                for i in range(600)
            ]
        )
        await begun.commit()
        read = store.begin(write=False)
        rows = read.rows(Sample)
        assert await rows.count(Among("number", tuple(range(-10_000, 300)))) == 300
        assert await rows.count(Among("ratio", tuple(i / 7 for i in range(300)))) == 300
        assert await rows.count(Among("raw", tuple(bytes([i % 256, i // 256]) for i in range(300)))) == 300
        assert await rows.count(Among("text", (*(f"t{i}" for i in range(300)), "t1\x00", "\ud800"))) == 300
        assert await rows.count(Among("id", tuple(UUID(int=i) for i in range(100_000)))) == 600
        with pytest.raises(ValueError, match="too long"):
            await rows.count(Among("ratio", tuple(map(float, range(40_000)))))
        await read.rollback()


async def test_statements_are_compiled_once_a_shape_and_bounded(tmp_path: Path) -> None:
    async with opened(tmp_path, table(Sample)) as store:
        rows: Any = store.begin(write=False, single=True).rows(Sample)
        cache = rows._statements._cache
        before = len(cache)
        for value in range(20):
            await rows.fetch(Query(where=Compare("number", "eq", value) & Contains("text", str(value)), limit=value))
            await rows.fetch(Query(where=Among("number", tuple(range(9 + value)))))
        assert len(cache) == before + 2
        for many in range(40):
            where: Condition = TRUE
            for bit in range(11):
                where = where & Compare(("text", "other")[many >> bit & 1], "eq", "a")
            await rows.count(where)
            await rows.count(~where)
        cache._size = 10
        for value in range(8):
            await rows.count(Among("number", tuple(range(value))))
        assert await rows.count(FALSE) == 0
