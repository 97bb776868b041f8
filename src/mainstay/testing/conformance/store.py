"""A store as a whole: opened, closed, and what it tells of itself."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from mainstay.kernel.flow.records import IdempotencyRecord, OutboxMessage
from mainstay.model.conditions import Compare
from mainstay.model.inputs import Sort
from mainstay.model.problem import NotFound, StaleVersion
from mainstay.ports.rows import Change, Query
from mainstay.ports.store import Capabilities
from mainstay.testing.conformance.model import Reader, Shelf
from mainstay.testing.conformance.world import StoreSuite, World, opened


class StoreConformance(StoreSuite):
    """start, stop, begin, and the rows below the doorway."""

    async def test_it_says_what_it_can_do_and_how_it_is(self, world: World) -> None:
        assert isinstance(world.store.capabilities, Capabilities)
        assert world.store.health() is None
        await world.add(Reader(name="a"))
        told = world.store.statistics()
        assert told
        assert all(isinstance(name, str) and isinstance(figure, int | float) for name, figure in told.items())

    async def test_it_tells_in_words_what_it_lacks(self, world: World) -> None:
        capabilities = world.store.capabilities
        assert Capabilities().lacks() == ()
        no_matter = Capabilities(merges=capabilities.merges, words=capabilities.words)  # what use cases need not know
        whole = msgspec.structs.replace(capabilities, inline=False, durable=True, shared=True, settles=False)
        assert (whole == no_matter) == (capabilities.lacks() == ())
        assert all(text for text in capabilities.lacks())

    async def test_what_was_committed_is_there_after_a_restart_where_it_is_durable(self, tmp_path: Path) -> None:
        async with opened(self.make_store(tmp_path)) as world:
            (row,) = await world.add(Reader(name="a"))
            async with world.abandoned() as hands:
                await hands.rows(Reader).add(Reader(name="b"))
                await hands.unit.flush()
        second = self.make_store(tmp_path)
        if second.capabilities.durable:
            async with opened(second) as again:
                assert await again.all(Reader) == [row]

    async def test_the_kernel_s_own_rows_are_kept_too(self, world: World) -> None:
        now = world.clock.now()
        message = OutboxMessage(
            id=world.ids.next(),
            version=1,
            created_at=now,
            updated_at=now,
            event="e",
            payload="{}",
            principal="p",
            place=7,
        )
        record = IdempotencyRecord(
            id=world.ids.next(), version=1, scope="s", fingerprint="f", reply=b"\x00\xff", expires_at=now
        )
        transaction = world.store.begin(write=True)
        transaction.rows(OutboxMessage).insert([message])
        transaction.rows(IdempotencyRecord).insert([record])
        await transaction.commit()
        reading = world.store.begin(write=False, single=True)
        assert await reading.rows(OutboxMessage).get(message.id, Compare("key", "eq", None)) == message
        await reading.rollback()
        reading = world.store.begin(write=False, single=True)
        due = Query(where=Compare("place", "le", 7), sort=(Sort("place"),), limit=10)
        assert await reading.rows(OutboxMessage).fetch(due) == [message]
        await reading.rollback()
        transaction = world.store.begin(write=True)
        expired = Compare("expires_at", "lt", now + timedelta(seconds=1))
        transaction.rows(IdempotencyRecord).enqueue(Change(where=expired, changes=None))
        await transaction.commit()
        reading = world.store.begin(write=False)
        assert await reading.rows(IdempotencyRecord).count(expired) == 0
        await reading.rollback()

    async def test_a_change_says_how_many_rows_it_must_meet(self, world: World) -> None:
        made = await world.add(Reader(name="a"), Reader(name="a"))
        for expected, version, fault in ((3, None, NotFound), (1, None, NotFound), (2, 5, StaleVersion)):
            transaction = world.store.begin(write=True)
            change = Change(where=Compare("name", "eq", "a"), changes={"name": "b"}, version=version, expected=expected)
            with pytest.raises(fault):
                await transaction.rows(Reader).apply(change)
            await transaction.rollback()
        assert await world.all(Reader) == made

    async def test_a_limit_may_be_one_for_each_value_of_a_field(self, world: World) -> None:
        made = await world.add(*(Reader(name=name) for name in "abacab"))
        transaction = world.store.begin(write=False)
        query = Query(sort=(Sort("name"), Sort("id", True)), limit=2, per="name")
        found = await transaction.rows(Reader).fetch(query)
        await transaction.rollback()
        assert found == [made[4], made[2], made[5], made[1], made[3]]

    async def test_a_transaction_for_reading_refuses_writes(self, world: World) -> None:
        transaction = world.store.begin(write=False)
        rows = transaction.rows(Shelf)
        with pytest.raises((TypeError, RuntimeError)):
            rows.insert([Shelf(id=UUID(int=1), name="a")])
        with pytest.raises((TypeError, RuntimeError)):
            rows.enqueue(Change(where=Compare("name", "eq", "a"), changes=None))
        with pytest.raises((TypeError, RuntimeError)):
            await rows.apply(Change(where=Compare("name", "eq", "a"), changes=None))
        await transaction.rollback()
