"""What only the MongoDB store does: how it meets a server that fails, and what it makes of documents and conditions."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import math
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pymongo import MongoClient
from tests.conformance.servers import PREFIX, name_of, server

from mainstay import Entity, Module, Service, field, search
from mainstay.adapters.mongo import reading
from mainstay.adapters.mongo.codec import RowUnreadable
from mainstay.adapters.mongo.filters import NotComparable, filter_of
from mainstay.adapters.mongo.store import MongoStore
from mainstay.app import indexing
from mainstay.model.conditions import OPERATORS, Compare, CompareFields, holds
from mainstay.model.inputs import Sort
from mainstay.model.problem import CommitUnknown, SerializationConflict, Unavailable
from mainstay.ports.asking import spelled
from mainstay.ports.rows import Query
from mainstay.ports.store import BeyondStore, StoreUnusable
from mainstay.testing import Client
from mainstay.testing.conformance.model import PLANS, TABLES, Book, Everything, Reader, Sheet, Shelf
from mainstay.testing.conformance.world import World, opened

READERS = (Reader, Shelf)


class Text(Entity):
    """A text."""

    words: str = field(searchable=True)


TEXTS = Module("texts")
TEXTS.entity(Text)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The URL of a database of the test's own, by a connection with a name of its own."""
    base, name = server("MAINSTAY_TEST_MONGO"), name_of(tmp_path)
    yield base.replace("/?", f"/{name}?") + f"&appName={name}"
    with MongoClient(base) as client:
        for database in client.list_database_names():
            if database.startswith(PREFIX):
                client.drop_database(database)


@asynccontextmanager
async def failing(url: str, **how: Any) -> AsyncIterator[None]:
    """Have commands of the store's connection fail in the server, which knows one such wish at a time."""
    with Path(__file__).open() as file, MongoClient(url.partition("&appName")[0]) as client:
        fcntl.flock(file, fcntl.LOCK_EX)
        name = url.rpartition("=")[2]
        times = how.pop("times", 1)
        client.admin.command("configureFailPoint", "failCommand", mode={"times": times}, data={**how, "appName": name})
        try:
            yield
        finally:
            client.admin.command("configureFailPoint", "failCommand", mode="off")


async def test_a_commit_whose_answer_is_lost_is_sent_again(url: str) -> None:
    async with opened(MongoStore(url), READERS) as world:
        async with failing(url, failCommands=["commitTransaction"], closeConnection=True, times=1):
            await world.add(Reader(name="a"))
        assert [row.name for row in await world.all(Reader)] == ["a"]


async def test_a_commit_that_is_never_answered_is_not_known(url: str) -> None:
    async with opened(MongoStore(url), READERS) as world:
        unsure = {"code": 64, "codeName": "WriteConcernTimeout", "errmsg": "no majority has it yet"}
        async with failing(url, failCommands=["commitTransaction"], writeConcernError=unsure, times=20):
            with pytest.raises(CommitUnknown):
                await world.add(Reader(name="a"))
        async with world.command() as hands:  # a query would wait for the majority, which is not waited for here
            assert await hands.rows(Reader).count(name="a") == 1


async def test_what_the_server_calls_transient_is_a_conflict_and_leaves_nothing(url: str) -> None:
    async with opened(MongoStore(url), READERS) as world:
        for command, code in (("insert", 112), ("commitTransaction", 251), ("update", 112)):
            how = {"failCommands": [command], "errorCode": code, "errorLabels": ["TransientTransactionError"]}
            async with failing(url, **how):
                with pytest.raises(SerializationConflict):
                    await world.add(Reader(name="a"))
        assert await world.all(Reader) == []
        assert world.store.statistics()["conflicts"] == 3


async def test_a_read_that_fails_on_the_way_is_unavailable(url: str) -> None:
    async with opened(MongoStore(url), READERS) as world:
        (row,) = await world.add(Reader(name="a"))
        async with failing(url, failCommands=["find"], closeConnection=True, times=1000):
            with pytest.raises(Unavailable):
                await world.get(Reader, row.id)
        assert await world.get(Reader, row.id) == row


async def test_a_row_larger_than_a_document_is_refused(url: str) -> None:
    async with opened(MongoStore(url), (Everything,)) as world:
        with pytest.raises(BeyondStore, match="larger"):
            await world.add(Everything(text="x" * 17_000_000))
        assert await world.all(Everything) == []


async def test_two_stores_on_one_database_keep_each_other_s_rules(url: str) -> None:
    async with opened(MongoStore(url), READERS) as here, opened(MongoStore(url), READERS) as there:

        async def join(world: World) -> None:
            async def work(hands: Any) -> None:
                if await hands.rows(Reader).count() < 3:
                    await asyncio.sleep(0)
                    await hands.rows(Reader).add(Reader(id=there.ids.next(), name="r"))

            await world.run(work)

        await asyncio.gather(*(join(world) for world in (here, there) * 4))
        assert len(await here.all(Reader)) == 3


async def test_a_claim_is_followed_when_its_holder_renews_it_no_more(url: str) -> None:
    async with (
        opened(MongoStore(url, claim_seconds=0.4), READERS) as first,
        opened(MongoStore(url, claim_seconds=0.4), READERS) as second,
    ):
        assert await first.store.claims.take(b"k")
        await asyncio.sleep(0.8)
        assert not await second.store.claims.take(b"k")  # it is renewed
        first.store.claims._renewing.cancel()  # type: ignore[attr-defined]  # as its death would
        await asyncio.sleep(0.8)
        assert await second.store.claims.take(b"k")
        await first.store.claims.drop(b"k")  # what was its own is another's now
        assert not await first.store.claims.take(b"k")


async def test_values_that_clash_are_told_at_the_start(url: str) -> None:
    with MongoClient(url) as client:
        client.get_default_database()["library_shelf"].insert_many([{"name": "a"}, {"name": "a"}])
    with pytest.raises(StoreUnusable, match="declared unique"):
        await MongoStore(url).start([table for table in TABLES if table.shape.type is Shelf])


async def test_a_document_that_does_not_fit_is_told_as_such(url: str) -> None:
    async with opened(MongoStore(url), READERS) as world:
        (row,) = await world.add(Reader(name="a"))
        with MongoClient(url, uuidRepresentation="standard") as client:
            client.get_default_database()["library_reader"].update_one({"_id": row.id}, {"$unset": {"name": ""}})
        with pytest.raises(RowUnreadable, match=r"Reader .*name is missing.*migrate"):
            await world.get(Reader, row.id)


async def test_a_guard_that_is_gone_stops_commands_and_is_made_anew(url: str) -> None:
    async with opened(MongoStore(url), READERS) as world:
        with MongoClient(url) as client:
            client.get_default_database()["mainstay_guards"].delete_many({})
        with pytest.raises(StoreUnusable, match="mainstay_guards"):
            await world.add(Reader(name="a"))
    async with opened(MongoStore(url), READERS) as world:
        assert await world.add(Reader(name="a"))


async def test_a_server_without_transactions_is_refused(tmp_path: Path) -> None:
    server("MAINSTAY_TEST_MONGO")
    sys.path.insert(0, "scripts/lib")
    try:
        from mongo_server import program
    finally:
        sys.path.remove("scripts/lib")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = tmp_path / "data"
    data.mkdir()
    words = [program(), "--quiet", "--nounixsocket", "--bind_ip", "127.0.0.1", "--port", str(port), "--dbpath", data]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as alone:
        try:
            with pytest.raises(StoreUnusable, match="no member of a replica set") as refused:
                await MongoStore(f"mongodb://127.0.0.1:{port}/shop?serverSelectionTimeoutMS=30000").start(TABLES)
            assert "--replSet" in refused.value.remedy
        finally:
            alone.terminate()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # the driver leaves a connection that never came up
async def test_a_server_that_does_not_answer_is_told_without_the_password() -> None:
    store = MongoStore("mongodb://me:hunter2@127.0.0.1:9/shop?serverSelectionTimeoutMS=200")
    begun = time.monotonic()
    with pytest.raises(StoreUnusable) as refused:
        await store.start(TABLES)
    assert time.monotonic() - begun < 5
    assert "hunter2" not in f"{refused.value} {refused.value.remedy}"
    del refused, store
    gc.collect()


NUMBERS = [
    *(2**64, -(2**64), 2**63 - 1, 0, 2, True, 1.5, -0.5, 1e300, math.inf, -math.inf),
    *(Decimal("1.50005"), Decimal("1.5"), Decimal("-1e-100"), Decimal("1e400"), Decimal("1E-9000")),
]


async def test_numbers_of_any_type_are_compared_as_in_python(url: str) -> None:
    async with opened(MongoStore(url), (Everything,)) as world:
        rows = await world.add(
            *(Everything(number=n, amount=Decimal(n), real=float(n), count=n) for n in (-1, 0, 1, 2)),
            Everything(number=2**63 - 1, amount=Decimal("1.5"), real=1.5),
            Everything(number=-(2**63), amount=Decimal("-0.0001"), real=-0.25),
        )
        async with world.query() as hands:
            for field in ("number", "amount", "real", "count"):
                # What no float is equal to is rounded to the nearest, as by the other stores.
                for value in NUMBERS[:-1] if field == "real" else NUMBERS:
                    for op in OPERATORS:
                        condition = Compare(field, op, value)
                        found = await hands.rows(Everything).count(condition)
                        assert found == sum(holds(condition, row) for row in rows), condition
            for op in OPERATORS:
                condition: Any = CompareFields("number", op, "amount")
                assert await hands.rows(Everything).count(condition) == sum(holds(condition, row) for row in rows)


async def test_what_has_no_order_with_a_field_equals_nothing_and_is_refused_as_a_bound(url: str) -> None:
    async with opened(MongoStore(url), (Everything,)) as world:
        await world.add(Everything(text="a", maybe="b"))
        async with world.query() as hands:
            rows = hands.rows(Everything)
            for field, value in (("number", "x"), ("text", 1), ("flag", "x"), ("real", math.nan), ("text", "\ud800")):
                assert await rows.count(Compare(field, "eq", value)) == 0
                assert await rows.count(Compare(field, "ne", value)) == 1
                with pytest.raises(NotComparable):
                    await rows.count(Compare(field, "lt", value))
            with pytest.raises(TypeError, match="tags is a list"):
                await rows.count(Compare("tags", "eq", []))


def _stages(plan: Any) -> Iterator[Any]:
    """Walk a plan of the server."""
    if isinstance(plan, dict):
        yield plan
    for part in plan.values() if isinstance(plan, dict) else plan if isinstance(plan, list) else ():
        yield from _stages(part)


async def test_a_search_looks_into_the_indexes_of_words_and_reads_no_words(url: str) -> None:
    store = MongoStore(url)
    async with opened(store, (Sheet, Book, Shelf)) as world:
        await world.add(*(Sheet(number=f"{n}", title=f"green tea {n}", text="from the hills") for n in range(200)))
        where, layout = spelled(PLANS[Sheet], search("te 17")), store.layout(Sheet)
        with MongoClient(url, uuidRepresentation="standard") as client:
            database = client.get_default_database()
            told = database["library_sheet"].find(filter_of(where, layout.fields)).explain()
            assert "library_sheet_words" not in database.list_collection_names()
        plan = told["queryPlanner"]["winningPlan"]
        scans = [stage["indexName"] for stage in _stages(plan) if stage.get("stage") == "IXSCAN"]
        assert sorted(scans) == ["#words:text_1", "#words:title_1"]
        assert told["executionStats"]["totalDocsExamined"] < 50  # of 200: by the word that is rarer
        for query in (Query(where=where), Query(where=where, sort=(Sort("number"),), per="text", limit=5)):
            found = await reading.fetch(store.collection(layout), layout, query, None)
            assert found
            assert not any("#words" in path for document in found for path in document)


async def test_rows_from_before_a_field_was_searchable_get_their_words_while_others_are_written(url: str) -> None:
    store = MongoStore(url)
    async with Client(Service("texts", modules=[TEXTS]), store=store) as client:
        rows = await client.given(*(Text(words=f"number n{n:03}") for n in range(450)))
        with MongoClient(url) as other:
            stored = other.get_default_database()["texts_text"]
            stored.update_many({}, {"$unset": {"#words:words": ""}})
            assert await client.stored(Text, search("number")) == []
            portion = indexing.index_portion

            async def met(unit: Any, plan: Any, after: Any) -> Any:
                ids: list[Any] = await portion(unit, plan, after)
                if rows[300].id in ids:  # another process writes it between the portion's read and its commit
                    stored.update_one({"words": "number n300"}, {"$set": {"words": "letter"}})
                return ids

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(indexing, "index_portion", met)
                assert await indexing.index(client.bound) == {"Text": 450}
        assert store.statistics()["conflicts"] == 1
        assert len(await client.stored(Text, search("number"))) == 449
        (changed,) = await client.stored(Text, search("letter"))
        assert changed == msgspec.structs.replace(rows[300], words="letter")
