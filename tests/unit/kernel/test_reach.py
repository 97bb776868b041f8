"""Reach: which use cases may be driven without a Task, and which read but once."""

from __future__ import annotations

import asyncio
import datetime as dates
from decimal import Decimal
from enum import Enum, StrEnum
from functools import partial
from typing import Any

import pytest
from kernel_world import Build

from mainstay import Dto, Entity, Find, Module, Page, Repository, anyone
from mainstay.kernel.call import Reply
from mainstay.kernel.reach import hands_out, reaches_loop, reads_once
from mainstay.model.problem import Conflict


class Row(Entity):
    name: str


class Colour(StrEnum):
    RED = "red"


class Told(Dto):
    colour: Colour = Colour.RED

    @property
    def shouted(self) -> str:
        return self.colour.upper()


class Helper:
    async def fetch(self) -> int:
        async with asyncio.timeout(1):
            return 1


class Static:
    @staticmethod
    async def fetch() -> int:
        return 1


class Lazy:
    @property
    def loop(self) -> Any:
        return asyncio.get_running_loop()


class Child(Lazy): ...


class Quiet:
    @classmethod
    def of(cls) -> Quiet:
        return cls()


class Recursive(Enum):
    A = 1

    def again(self) -> Any:
        return Recursive.A


HELPER = Helper()
LATER = partial(Static.fetch)
LIMIT = Decimal(5)
NAMES = {"a": 1}


async def coroutine() -> int:
    return 1


async def generator() -> Any:
    yield 1


def plain(number: int) -> int:
    return plain(number - 1) if number else len(NAMES)


def hidden() -> Any:
    return asyncio.sleep(0)


async def reads(rows: Repository[Row]) -> Any:
    if await rows.count() > LIMIT:
        raise Conflict
    return Told(), Colour.RED, plain(2), dates.timedelta(0), Quiet.of(), Recursive.A, len(NAMES)


async def uses_module() -> None:
    await asyncio.sleep(0)


async def uses_coroutine() -> int:
    return await coroutine()


async def uses_generator() -> Any:
    return [item async for item in generator()]


async def uses_instance() -> int:
    return await HELPER.fetch()


async def uses_class() -> int:
    return await Static.fetch()


async def uses_property() -> Any:
    return Child().loop


async def uses_partial() -> Any:
    return await LATER()


async def uses_plain_that_does() -> Any:
    return await hidden()


async def uses_inside() -> Any:
    return [asyncio for _ in range(3)]


def enclosed() -> Any:
    helper, number = Helper(), 5

    async def quiet() -> int:
        return number

    async def loud() -> int:
        return await helper.fetch() + number

    return quiet, loud


@pytest.mark.parametrize("function", [reads, enclosed()[0]])
def test_what_only_asks_its_ports_needs_no_task(function: Any) -> None:
    assert not reaches_loop(function)


@pytest.mark.parametrize(
    "function",
    [
        uses_module,
        uses_coroutine,
        uses_generator,
        uses_instance,
        uses_class,
        uses_property,
        uses_partial,
        uses_plain_that_does,
        uses_inside,
        enclosed()[1],
        plain,
        HELPER,
    ],
)
def test_what_may_reach_the_loop_needs_a_task(function: Any) -> None:
    assert reaches_loop(function)


async def one_get(rows: Repository[Row], row_id: Any) -> Row:
    return await rows.get(row_id)


async def one_one(rows: Repository[Row]) -> Row:
    found = await rows.one(name="a")
    if found.version > 1:
        raise Conflict
    return found


async def two_gets(rows: Repository[Row], row_id: Any) -> Any:
    return await rows.get(row_id), await rows.get(row_id)


async def gathered(rows: Repository[Row], row_id: Any) -> Any:
    first, second = rows.get(row_id), rows.get(row_id)
    return await asyncio.gather(first, second)


async def with_relations(rows: Repository[Row], row_id: Any) -> Row:
    return await rows.get(row_id, include=["lines"])


async def in_a_loop(rows: Repository[Row], ids: Any) -> Any:
    found = []
    for one in ids:
        found.append(await rows.get(one))  # noqa: PERF401 - a loop is the test
    return found


async def in_a_while(rows: Repository[Row], row_id: Any) -> Any:
    while (row := await rows.get(row_id)).version < 3:
        pass
    return row


async def comprehended(rows: Repository[Row], ids: Any) -> Any:
    return [await rows.get(one) for one in ids]


async def paged(rows: Repository[Row], find: Find[Row]) -> Page[Row]:
    return await rows.page(find)


async def counted(rows: Repository[Row], find: Find[Row]) -> Page[Row]:
    return await rows.page(find, count=True)


async def nothing() -> None: ...


@pytest.mark.parametrize("function", [one_get, one_one, paged])
def test_one_read_needs_no_snapshot(function: Any) -> None:
    assert reads_once(function)


@pytest.mark.parametrize(
    "function",
    [
        two_gets,
        gathered,
        with_relations,
        in_a_loop,
        in_a_while,
        comprehended,
        counted,
        nothing,
        partial(one_get),
        HELPER,
    ],
)
def test_more_than_one_read_needs_one(function: Any) -> None:
    assert not reads_once(function)


async def narrowed(find: Find[Row], rows: Repository[Row], who: Any) -> Page[Row]:
    """Return a page of those that may be seen."""
    return await rows.page(find, LIMIT.compare(who), sort="-name", limit=plain(3))


async def or_nothing(find: Find[Row], rows: Repository[Row]) -> Page[Row] | None:
    try:
        return await rows.page(find)
    except Conflict:
        return None


def of_a_policy(policy: Any) -> Any:
    async def pages(find: Find[Row], rows: Repository[Row], who: Any) -> Page[Row]:
        return await rows.page(find, policy.reduce(who))

    return pages


@pytest.mark.parametrize("function", [paged, counted, narrowed, or_nothing, of_a_policy(LIMIT)])
def test_a_page_that_is_returned_at_once_is_handed_out(function: Any) -> None:
    assert hands_out(function) == "rows"


async def kept(rows: Repository[Row]) -> Page[Row]:
    page = await rows.page()
    return page  # noqa: RET504 - what is tested


async def looked_at(rows: Repository[Row]) -> Any:
    return (await rows.page()).items


async def listed(rows: Repository[Row]) -> Any:
    return [await rows.page()]


async def wrapped(rows: Repository[Row]) -> Any:
    return await asyncio.wait_for(rows.page(), 1)


async def passed_on(rows: Repository[Row]) -> Any:
    asked = rows.page()
    return await asyncio.wait_for(asked, 1)


async def let_go(rows: Repository[Row], other: Any) -> Any:
    rows.page()
    return await other.page()


async def lent(rows: Repository[Row]) -> Any:
    return await rows.page(plain(rows))  # type: ignore[arg-type]  # what is tested


async def seen_by_name(rows: Repository[Row]) -> Any:
    return await rows.page(sort=plain(locals()))  # type: ignore[arg-type]  # what is tested


async def cleaned_up(rows: Repository[Row]) -> Any:
    try:
        return await rows.page()
    finally:
        plain(1)


async def again(rows: Repository[Row]) -> Any:
    try:
        return await rows.page()
    except Conflict:
        return await rows.page(limit=1)


async def chosen(rows: Repository[Row], other: Any) -> Any:
    return await (rows or other).page()


async def of_another() -> Any:
    return await HELPER.page()  # type: ignore[attr-defined]  # what is tested


async def in_a_closure(rows: Repository[Row]) -> Any:
    return await rows.page(sort=plain(lambda: rows))  # type: ignore[arg-type]  # what is tested


def at_once(rows: Repository[Row]) -> Any:
    return rows.page()


@pytest.mark.parametrize(
    "function",
    [
        *(kept, looked_at, listed, wrapped, passed_on, let_go, lent, seen_by_name, cleaned_up, again, chosen),
        *(of_another, in_a_closure, at_once, one_get, nothing, gathered, comprehended, partial(paged), HELPER),
    ],
)
def test_a_page_that_somebody_may_look_at_is_not(function: Any) -> None:
    assert hands_out(function) is None


@pytest.mark.parametrize(("asked", "single"), [([], True), ([("count", "exact")], False), ([("limit", "5")], True)])
async def test_a_page_says_in_the_call_whether_it_reads_once(build: Build, asked: Any, single: bool) -> None:
    module = Module("m")

    @module.query("GET /rows", allow=anyone)
    async def rows(find: Find[Row], rows: Repository[Row]) -> Page[Row]:
        return await rows.page(find)

    world = await build(module)
    store: Any = world.store
    begin, given = store.begin, []
    store.begin = lambda **terms: given.append(terms["single"]) or begin(**terms)
    assert isinstance(await world.send("rows", query=asked), Reply)
    assert given == [single]
