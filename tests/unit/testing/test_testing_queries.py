"""What a service asks of its store is counted in tests, with the lines that asked."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
import slow_service
from kit_sample import Order, Product, Wanted, order, shop
from slow_service import Author, Book, library, shelf

from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.testing import Client, FixedClock, as_principal, assert_queries, memory_unit
from mainstay.testing.plugin import RepeatedReadsWarning, warn_of_repeated_reads

ANN = as_principal("ann")


def store_of(kind: str, folder: Path, clock: FixedClock) -> SqliteStore | None:
    file = folder / "t.db"
    return SqliteStore(file, create=True, synchronous="off", clock=clock.monotonic) if kind == "sqlite" else None


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_request_asks_for_the_same_on_every_store(kind: str, tmp_path: Path) -> None:
    clock = FixedClock()
    async with Client(library, store=store_of(kind, tmp_path, clock), clock=clock) as client:
        await client.given(*shelf(6))
        with assert_queries(7) as each:
            assert (await client.get("/each")).status == 200
        with assert_queries(2):
            await client.get("/together")
        with assert_queries(2) as written:
            body = {"title": "New", "author_id": str(slow_service.shelf()[0].id)}
            await client.post("/books", json=body, key="once")
        with assert_queries(0):
            await client.get("/nowhere")
            await client.given(Author(name="Another"))
            await client.stored(Author)
    assert [one.words for one in each.statements] == ["stream Book order by id", *["get Author where id = ?"] * 6]
    assert {one.met for one in each.statements} == {1, 6}
    assert [(one.words, one.met) for one in written.statements] == [
        ("count Book where title = ?", 1),
        ("insert Book", 2),
    ]
    assert {one.entity.__name__ for one in written.kept if one.entity} >= {"OutboxMessage", "IdempotencyRecord"}


async def test_the_lines_of_the_use_case_are_listed_where_another_number_ran() -> None:
    async with Client(library) as client:
        await client.given(*shelf(2))
        with pytest.raises(AssertionError) as raised, assert_queries(1):
            await client.get("/each")
    first, *listed = str(raised.value).splitlines()
    assert first == "3 queries ran, expected 1:"
    source = Path(slow_service.__file__)
    number = 1 + source.read_text("utf-8").splitlines().index(
        "        author = await authors.get(book.author_id)  # one for each"
    )
    assert [line.split() for line in listed[1:]] == [
        [f"{n}.", "get", "Author", "where", "id", "=", "?", f"{source}:{number}"] for n in (2, 3)
    ]


async def test_a_bound_is_enough() -> None:
    async with Client(library) as client:
        await client.given(*shelf(3))
        with assert_queries(at_most=4) as queries:
            await client.get("/each")
        assert len(queries) == 4
        with pytest.raises(AssertionError, match="4 queries ran, expected 3 at most:"), assert_queries(at_most=3):
            await client.get("/each")
        with assert_queries() as queries:
            await client.get("/together")
        assert len(queries) == 2


async def test_blocks_within_blocks_count_both() -> None:
    async with Client(library) as client:
        with assert_queries(3):
            await client.get("/each")
            with assert_queries(2):
                await client.get("/together")
        with assert_queries(2):  # of tasks that the block made
            await asyncio.gather(client.get("/each"), client.get("/each"))


async def test_nothing_is_counted_where_nothing_of_a_kit_ran() -> None:
    told = r"0 queries ran, expected 1 \(it counts what a Client, or a memory_unit"
    with pytest.raises(AssertionError, match=told), assert_queries(1):
        pass


async def test_what_the_block_raises_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), assert_queries(1):
        raise ZeroDivisionError


async def test_a_block_is_entered_once() -> None:
    block = assert_queries(0)
    with block:
        pass
    with pytest.raises(RuntimeError, match="entered before"), block:
        pass


async def test_repositories_of_a_unit_are_counted() -> None:
    async with memory_unit(shop, who=ANN) as unit:
        await unit.given(Product(sku="TEA", price=Decimal(3), stock=5))
        with assert_queries(3) as queries:
            await unit.call(order, wanted=Wanted(sku="TEA", quantity=1))
        assert [one.words for one in queries.statements] == [
            "fetch Product where sku = ? limit ?",
            "update Product set stock, version, updated_at where id = ? and version = ?",
            "insert Order",
        ]
        with assert_queries(1):
            await unit.repository(Order).count()
        with assert_queries(0):  # it is not carried out yet, and never will be
            await unit.repository(Product).add(Product(sku="POT", price=Decimal(3), stock=5))
            await unit.rollback()


@pytest.mark.parametrize(("count", "told"), [(4, 0), (5, 1)])
async def test_reads_that_are_repeated_are_told_of_once(count: int, told: int) -> None:
    async with Client(library) as client:
        await client.given(*shelf(count))
        await client.get("/each")
        await client.get("/each")
        found = [notice for notice in client.recorder.notices if notice.event == "n_plus_one"]
    assert len(found) == told
    for notice in found:
        assert (notice.level, notice.facts["times"]) == ("warning", count)
        assert notice.facts["statement"] == "get Author where id = ?"
        assert notice.facts["line"].startswith(slow_service.__file__)
        assert notice.facts["hint"] in notice.message


async def test_the_same_read_again_is_no_repetition() -> None:
    async with Client(library) as client:
        await client.given(*shelf(1, books=9))
        await client.get("/each")
        assert not [notice for notice in client.recorder.notices if notice.event == "n_plus_one"]


async def test_values_differ_and_words_do_not() -> None:
    async with memory_unit(Author, Book) as unit:
        with assert_queries(2) as queries:
            await unit.repository(Book).count(title="a", year=3)
            await unit.repository(Book).count(title="b", year=4)
    one, other = queries.statements
    assert (one.words, one.values, other.values) == (other.words, ("a", 3), ("b", 4))


async def test_the_fixtures_warn_of_reads_that_are_repeated() -> None:
    async with Client(library) as client:
        await client.get("/each")
        warn_of_repeated_reads(client)  # warnings are errors here
        await client.given(*shelf(5))
        await client.get("/each")
    with pytest.warns(RepeatedReadsWarning, match="ran the same read 5 times in one call: get Author where id"):
        warn_of_repeated_reads(client)
