"""The simulated database under misfortune: what is lost, what stands, who waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from random import Random
from typing import Any
from uuid import UUID

import pytest

from mainstay import Entity, Module, Service
from mainstay import field as column
from mainstay.kernel.plans import plan_entities
from mainstay.model.blueprint import draw
from mainstay.model.conditions import TRUE, Compare
from mainstay.model.operation import Isolation
from mainstay.model.problem import CommitUnknown, NotCommitted, SerializationConflict, Unavailable, UniqueConflict
from mainstay.ports.encryption import tables_of
from mainstay.ports.rows import Change, Query
from mainstay.ports.store import Transaction
from mainstay.testing.fixed import START
from mainstay.testing.simulation.database import Database, RowChange
from mainstay.testing.simulation.line import Line, Weather
from mainstay.testing.simulation.locks import LOCK_SECONDS
from mainstay.testing.simulation.loop import ProcessEnded, SimulatedLoop, simulated_loop
from mainstay.testing.simulation.store import DETECTION, LATE, SimulatedStore


class Jar(Entity):
    name: str = column(unique=True)
    marbles: int = 0


def tables() -> Any:
    module = Module("kitchen")
    module.entity(Jar)
    return tables_of(plan_entities(draw(Service("kitchen", modules=[module]))).values())


def jar(number: int, marbles: int = 0, name: str = "") -> Jar:
    name = name or f"jar {number}"
    return Jar(id=UUID(int=number), version=1, created_at=START, updated_at=START, name=name, marbles=marbles)


class Fates(Random):
    """Chance that is written down."""

    def __init__(self, fates: Iterable[float]) -> None:
        super().__init__(0)
        self.fates = iter(fates)

    def random(self) -> float:
        return next(self.fates, 0.99)


FOUL = Weather(yields=0.0, lost=0.5)
LOST, CROSSES = 0.1, 0.9

Main = Callable[["World"], Coroutine[Any, Any, None]]


class World:
    """A database with one jar, and stores on it."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self.loop = loop
        self.database = Database()
        self.database.declare(tables())
        self.store = SimulatedStore(self.database)

    async def fill(self) -> None:
        await self.store.start(tables())
        transaction = self.store.begin(write=True)
        transaction.rows(Jar).insert([jar(1, 5)])
        await transaction.commit()

    async def on(self, *fates: float) -> SimulatedStore:
        """Return a store whose crossings have these fates; then all cross."""
        made = SimulatedStore(self.database, Line(weather=FOUL, chance=Fates(fates)))
        await made.start(tables())
        return made

    @property
    def marbles(self) -> dict[str, int]:
        return {row.name: row.marbles for row in self.database.rows(Jar)}

    def write(self, isolation: Isolation = "serializable") -> Transaction:
        return self.store.begin(write=True, isolation=isolation)


def run(main: Main) -> None:
    async def whole() -> None:
        world = World(loop)
        await world.fill()
        await main(world)

    loop = simulated_loop(1)
    loop.run(whole())
    assert loop.complaints == []


async def marbles_in(transaction: Transaction, *, lock: bool = False) -> int:
    row = await transaction.rows(Jar).get(UUID(int=1), TRUE, lock=lock)
    assert row is not None
    return int(row.marbles)


def put(transaction: Transaction, marbles: int) -> None:
    transaction.rows(Jar).enqueue(Change(where=Compare("id", "eq", UUID(int=1)), changes={"marbles": marbles}))


def test_a_read_that_is_lost_is_told_and_ends_the_transaction() -> None:
    async def main(world: World) -> None:
        store = await world.on(LOST, 0.5)
        query = store.begin(write=False)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await query.rows(Jar).count(TRUE)
        await query.rollback()
        again = store.begin(write=False)
        assert await again.rows(Jar).count(TRUE) == 1
        await again.rollback()

    run(main)


def test_a_command_whose_line_is_cut_is_undone_when_the_server_finds_out() -> None:
    async def main(world: World) -> None:
        store = await world.on(CROSSES, CROSSES, LOST, 0.5, 0.9)
        command = store.begin(write=True)
        put(command, 9)
        await command.flush()
        with pytest.raises(NotCommitted):
            await command.rows(Jar).count(TRUE)
        other = world.write()
        begun = world.loop.time()
        with pytest.raises(SerializationConflict):  # it waits for what the server still has open
            await marbles_in(other, lock=True)
        await other.rollback()
        assert world.loop.time() - begun == LOCK_SECONDS
        await asyncio.sleep(DETECTION)
        last = world.write()
        assert await marbles_in(last, lock=True) == 5
        await last.rollback()

    run(main)


@pytest.mark.parametrize(
    ("fates", "committed"),
    [
        pytest.param((CROSSES, CROSSES, CROSSES, LOST, 0.5), True, id="its answer"),
        pytest.param((CROSSES, CROSSES, LOST, 0.5, 0.9, 0.5), False, id="its request"),
        pytest.param((CROSSES, CROSSES, LOST, 0.5, 0.1, 0.1, 0.9), True, id="for a while"),
    ],
)
def test_a_commit_that_is_lost_is_unknown(fates: tuple[float, ...], committed: bool) -> None:
    async def main(world: World) -> None:
        store = await world.on(*fates)
        command = store.begin(write=True)
        put(command, 9)
        await command.flush()
        with pytest.raises(CommitUnknown):
            await command.commit()
        await command.rollback()
        await asyncio.sleep(LATE + DETECTION)
        assert world.marbles == {"jar 1": 9 if committed else 5}

    run(main)


def test_a_killed_process_leaves_nothing_but_what_it_has_committed() -> None:
    async def main(world: World) -> None:
        process = world.loop.process("victim")
        store = SimulatedStore(world.database, Line(process))
        await store.start(tables())
        assert await store.claims.take(b"claim")

        async def live() -> None:
            command = store.begin(write=True)
            try:
                put(command, 9)
                await command.flush()
                await asyncio.sleep(1000)
            finally:
                await command.rollback()

        world.loop.spawn(process, live())
        await asyncio.sleep(1)
        world.loop.kill(process)
        store.lose()
        with pytest.raises(ProcessEnded):
            await store.claims.take(b"another")
        assert not await world.store.claims.take(b"claim")
        await asyncio.sleep(DETECTION)
        assert world.marbles == {"jar 1": 5}
        assert await world.store.claims.take(b"claim")
        command = world.write()
        put(command, 6)
        await command.commit()
        assert world.marbles == {"jar 1": 6}

    run(main)


@pytest.mark.parametrize(
    ("isolation", "lock", "sum_"),
    [
        ("read_committed", False, 6),  # one of two is lost: so weak is it, and so strong must who uses it be
        ("read_committed", True, 7),
        ("repeatable_read", False, None),
        ("serializable", False, None),
    ],
)
def test_two_commands_that_add_to_what_they_have_read(isolation: Isolation, lock: bool, sum_: int | None) -> None:
    async def main(world: World) -> None:
        async def add() -> None:
            command = world.write(isolation)
            try:
                found = await marbles_in(command, lock=lock)
                await asyncio.sleep(1)
                put(command, found + 1)
                await command.commit()
            finally:
                await command.rollback()

        ended = await asyncio.gather(add(), add(), return_exceptions=True)
        if sum_ is None:
            assert [type(one) for one in ended if one is not None] == [SerializationConflict]
        assert world.marbles == {"jar 1": sum_ or 6}

    run(main)


def test_a_command_that_looked_for_what_another_added_is_undone() -> None:
    async def main(world: World) -> None:
        async def add_one_more(number: int) -> None:
            command = world.write()
            try:
                count = await command.rows(Jar).count(Compare("marbles", "eq", 0))
                await asyncio.sleep(1)
                command.rows(Jar).insert([jar(number, 0, f"{count}{number}")])
                await command.commit()
            finally:
                await command.rollback()

        ended = await asyncio.gather(add_one_more(2), add_one_more(3), return_exceptions=True)
        assert [type(one) for one in ended if one is not None] == [SerializationConflict]

    run(main)


def test_who_waits_for_each_other_does_not_wait_for_ever() -> None:
    async def main(world: World) -> None:
        async def take(*numbers: int) -> None:
            command = world.write("read_committed")
            try:
                for number in numbers:
                    await command.rows(Jar).get(UUID(int=number), TRUE, lock=True)
                    await asyncio.sleep(0.1)
            finally:
                await command.rollback()

        first = world.write()
        first.rows(Jar).insert([jar(2)])
        await first.commit()
        begun = world.loop.time()
        ended = await asyncio.gather(take(1, 2), take(2, 1), return_exceptions=True)
        assert [type(one) for one in ended if one is not None] == [SerializationConflict]
        assert world.loop.time() - begun < 1

    run(main)


@pytest.mark.parametrize(("row", "field"), [(jar(1, name="new"), "id"), (jar(8, name="jar 7"), "name")])
@pytest.mark.parametrize("isolation", ["serializable", "read_committed"])
def test_of_two_that_add_the_same_one_waits_and_is_refused(isolation: Isolation, row: Jar, field: str) -> None:
    async def main(world: World) -> None:
        first, second = world.write(isolation), world.write(isolation)
        await second.rows(Jar).count(Compare("marbles", "eq", 99))
        first.rows(Jar).insert([jar(7, name="jar 7")])
        await first.flush()
        second.rows(Jar).insert([row])
        waiting = asyncio.ensure_future(second.flush())
        await asyncio.sleep(1)
        assert waiting.done() == (field == "id")
        await first.commit()
        with pytest.raises(UniqueConflict) as met:
            await waiting
        assert met.value.members["field"] == field
        await second.rollback()

    run(main)


def test_who_is_idle_is_undone_and_learns_it() -> None:
    async def main(world: World) -> None:
        command = world.write()
        put(command, 9)
        await command.flush()
        world.store.interrupt()
        with pytest.raises(NotCommitted):
            await command.commit()
        assert world.marbles == {"jar 1": 5}

    run(main)


def test_who_watches_is_told_of_what_was_committed() -> None:
    async def main(world: World) -> None:
        heard: list[RowChange] = []
        world.database.watchers.append(heard.extend)
        command = world.write()
        put(command, 6)
        command.rows(Jar).insert([jar(2), jar(3)])
        await command.rows(Jar).apply(Change(where=Compare("name", "eq", "jar 3"), changes=None))
        await command.commit()
        told = [(one.old and one.old.marbles, one.new and one.new.marbles) for one in heard]
        assert told == [(5, 6), (None, 0)]
        assert [row.name for row in await world.store.begin(write=False).rows(Jar).fetch(Query())] == ["jar 1", "jar 2"]

    run(main)


def test_rings_are_heard_by_the_others() -> None:
    async def main(world: World) -> None:
        heard: list[str] = []
        other = await world.on(CROSSES)
        other.listen(lambda: heard.append("other"))
        world.store.listen(lambda: heard.append("own"))
        for _ in range(10):
            world.store.ring()
        await asyncio.sleep(1)
        assert set(heard) == {"other"}
        await other.stop()
        assert other.health() is not None
        with pytest.raises(RuntimeError, match="not open"):
            other.begin(write=False)

    run(main)
