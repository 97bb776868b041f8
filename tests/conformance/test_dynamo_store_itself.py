"""What only the DynamoDB store does: its bounds, its one table, and how it meets others on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import get_session
from tests.conformance.servers import name_of, server

from mainstay.adapters.dynamo import store as dynamo_store
from mainstay.adapters.dynamo.codec import RowUnreadable
from mainstay.adapters.dynamo.store import DynamoStore, place_of
from mainstay.model.conditions import all_of, gt, in_
from mainstay.model.problem import NotFound, SerializationConflict
from mainstay.ports.store import BeyondStore, StoreUnusable
from mainstay.testing.conformance.model import TABLES, Book, Everything, Reader, Shelf
from mainstay.testing.conformance.world import World, opened

Make = Callable[..., DynamoStore]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make stores on a table of the test's own."""
    session = get_session()
    monkeypatch.setattr(dynamo_store, "get_session", lambda: session)
    place = place_of(server("MAINSTAY_TEST_DYNAMO"))

    def made(**more: Any) -> DynamoStore:
        return DynamoStore(
            place.region,
            name_of(tmp_path),
            endpoint=place.endpoint,
            **{"credentials": ("test", "test"), "timeout": 120.0, **more},
        )

    async def clear() -> None:
        store = made()
        async with store._client() as client:
            if store._table in (await client.list_tables())["TableNames"]:
                await client.delete_table(TableName=store._table)

    yield made
    asyncio.run(clear())


async def test_a_read_that_would_look_through_too_many_rows_is_refused(make: Make) -> None:
    async with opened(make(max_scan=30), (Reader, Shelf, Book)) as world:
        assert "30 rows" in " ".join(world.store.capabilities.lacks())
        rows = await world.fill([Reader(name=f"{n:02}") for n in range(40)])
        (shelf,) = await world.add(Shelf(name="s"))
        books = await world.fill([Book(shelf_id=shelf.id, title=f"{n}", isbn=f"{n}") for n in range(40)])
        async with world.query() as hands:
            readers = hands.rows(Reader)
            for ask in (readers.count, lambda: readers.page(sort="name"), lambda: readers.one(name="03")):
                with pytest.raises(BeyondStore, match="more than 30 rows of Reader"):
                    await ask()
            # What names its rows, and pages in the order of the ids, are not bounded by what else there is.
            assert (await readers.page(limit=10)).items == rows[:10]
            assert (await readers.page(limit=10, sort="-id")).items == rows[:-11:-1]
            assert [row async for row in readers.stream()] == rows
            assert await readers.get(rows[35].id) == rows[35]
            assert await readers.count(id=in_(rows[3].id, rows[35].id)) == 2
            assert await hands.rows(Book).one(isbn="33") == books[33]
            found = await hands.rows(Book).page(shelf_id=shelf.id, sort="-title", limit=2)
            assert [book.title for book in found.items] == ["9", "8"]
            with pytest.raises(BeyondStore):
                await readers.page(name="no such", limit=1)
        with pytest.raises(BeyondStore):
            async with world.command() as hands:
                await hands.bulk(Reader).delete(all_of(name=gt("35")))


async def test_pages_in_the_order_of_the_ids_begin_where_the_last_one_ended(make: Make) -> None:
    async with opened(make(max_scan=60), (Reader,)) as world:
        rows = await world.fill([Reader(name=f"{n % 3}") for n in range(100)])
        for sort, expected in (("id", rows), ("-id", rows[::-1])):
            seen: list[Reader] = []
            cursor = None
            while True:
                async with world.query() as hands:
                    page = await hands.rows(Reader).page(name=in_("0", "1"), sort=sort, limit=9, cursor=cursor)
                seen += page.items
                cursor = page.next
                if cursor is None:
                    break
            assert seen == [row for row in expected if row.name != "2"]


async def test_a_row_larger_than_an_item_is_refused(make: Make) -> None:
    async with opened(make(), (Everything,)) as world:
        with pytest.raises(BeyondStore, match="larger"):
            await world.add(Everything(text="x" * 500_000))
        assert await world.all(Everything) == []


async def test_two_stores_on_one_table_keep_each_other_s_rules(make: Make) -> None:
    async with opened(make(), (Reader,)) as here, opened(make(), (Reader,)) as there:

        async def join(world: World) -> None:
            async def work(hands: Any) -> None:
                if await hands.rows(Reader).count() < 3:
                    await asyncio.sleep(0)
                    await hands.rows(Reader).add(Reader(id=there.ids.next(), name="r"))

            await world.run(work)

        await asyncio.gather(*(join(world) for world in (here, there) * 3))
        assert len(await here.all(Reader)) == 3
        assert here.store.statistics()["conflicts"] + there.store.statistics()["conflicts"] > 0


async def test_a_command_does_not_go_on_with_reads_that_do_not_fit_each_other(make: Make) -> None:
    async with opened(make(), (Reader,)) as world:
        (reader,) = await world.add(Reader(name="r"))
        new = world.ids.next()
        with pytest.raises(SerializationConflict):  # behind what it had read as absent nothing can be changed
            async with world.command() as hands:
                with pytest.raises(NotFound):
                    await hands.rows(Reader).get(new)
                await world.add(Reader(id=new, name="new"))
                await hands.rows(Reader).count()
        with pytest.raises(SerializationConflict):
            async with world.command() as hands:
                await hands.rows(Reader).get(reader.id)
                async with world.command() as others:
                    await others.rows(Reader).update(reader, name="other")
                await hands.rows(Reader).one(name="other")
        async with world.command() as hands:
            found = await hands.rows(Reader).get(new)
            assert await hands.rows(Reader).count() == 2
            await hands.rows(Reader).update(found, name="changed")


async def test_what_a_command_adds_and_takes_away_leaves_nothing(make: Make) -> None:
    async with opened(make(), (Shelf, Book)) as world:
        async with world.command() as hands:
            shelf = await hands.rows(Shelf).add(Shelf(name="a"))
            book = await hands.rows(Book).add(Book(shelf_id=shelf.id, title="t", isbn="1"))
            await hands.unit.flush()
            await hands.rows(Book).update(book, isbn="2")
            await hands.rows(Shelf).delete(shelf.id)
        assert (await world.all(Shelf), await world.all(Book)) == ([], [])
        (shelf,) = await world.add(Shelf(name="a"))
        await world.add(Book(shelf_id=shelf.id, title="t", isbn="1"), Book(shelf_id=shelf.id, title="t", isbn="2"))
        async with world.command() as hands:
            await hands.rows(Shelf).delete(shelf.id)
        with pytest.raises(NotFound):
            await world.get(Shelf, shelf.id)
        async with world.store._client() as client:  # type: ignore[attr-defined]  # what no port tells
            left = (await client.scan(TableName=world.store._table))["Items"]  # type: ignore[attr-defined]
        assert {item["#pk"]["S"].split("|")[1] for item in left} == {"guard"}


async def test_a_claim_is_followed_when_its_holder_renews_it_no_more(make: Make) -> None:
    async with (
        opened(make(claim_seconds=1.0), (Reader,)) as first,
        opened(make(claim_seconds=1.0), (Reader,)) as second,
    ):
        assert await first.store.claims.take(b"k")
        await asyncio.sleep(1.5)
        assert not await second.store.claims.take(b"k")  # it is renewed
        first.store.claims._renewing.cancel()  # type: ignore[attr-defined]  # as its death would
        await asyncio.sleep(1.5)
        assert await second.store.claims.take(b"k")
        await first.store.claims.drop(b"k")  # what was its own is another's now
        assert not await first.store.claims.take(b"k")


async def test_an_item_that_does_not_fit_is_told_as_such(make: Make) -> None:
    async with opened(make(), (Reader,)) as world:
        (row,) = await world.add(Reader(name="a"))
        async with world.store._client() as client:  # type: ignore[attr-defined]  # what no port does
            await client.update_item(
                TableName=world.store._table,  # type: ignore[attr-defined]
                Key=world.store.layout(Reader).row(row.id).item(),  # type: ignore[attr-defined]
                UpdateExpression="REMOVE #n",
                ExpressionAttributeNames={"#n": "name"},
            )
        with pytest.raises(RowUnreadable, match=r"Reader .*name is missing.*migrate"):
            await world.get(Reader, row.id)


async def test_the_table_of_another_is_refused(make: Make) -> None:
    store = make()
    async with store._client() as client:
        await client.create_table(
            TableName=store._table,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    with pytest.raises(StoreUnusable, match="is another's"):
        await store.start(TABLES)


async def test_a_server_that_does_not_answer_is_told() -> None:
    store = DynamoStore("eu-west-1", "shop", endpoint="http://127.0.0.1:9", credentials=("key", "hunter2"))
    with pytest.raises(StoreUnusable, match="does not answer") as refused:
        await store.start(TABLES)
    assert "hunter2" not in f"{refused.value} {refused.value.remedy}"


async def test_missing_credentials_are_told(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StoreUnusable, match="no AWS credentials"):
        await make(credentials=None).start(TABLES)
