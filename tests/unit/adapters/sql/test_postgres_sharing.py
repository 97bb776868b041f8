"""Commands that share a statement: what is wrong with one of them is told to that one alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from postgres_world import Replica, World, clean, opened
from sql_samples import Sample, table

from mainstay import Dto, Entity, Event, Events, Module, Repository, anyone, field
from mainstay.adapters.sql.catalog import catalog_of
from mainstay.adapters.sql.dialects.postgres import PostgresDialect
from mainstay.adapters.sql.faults import StatementFailed
from mainstay.adapters.sql.outages import ConnectionLost, PoolExhausted
from mainstay.adapters.sql.server_writing import Group, Merged
from mainstay.adapters.sql.sharing import LANES, MOST_ROWS, Sharing
from mainstay.adapters.sql.writes import Alteration, Insert, Steps, Write
from mainstay.kernel.call import Reply
from mainstay.model.conditions import TRUE
from mainstay.model.problem import CommitUnknown, DeadlineExceeded, Problem
from mainstay.ports.rows import Change

shelf = Module("shelf")


class Jar(Entity):
    label: str = field(unique=True, max_length=40)


class Filled(Event):
    label: str


class Fill(Dto):
    label: str = field(max_length=40)


@shelf.command("POST /jars", status=201, allow=anyone)
async def fill(wanted: Fill, jars: Repository[Jar], events: Events) -> Jar:
    """A row and its event: one statement, in which others may go too."""
    events.emit(Filled(label=wanted.label))
    return await jars.add(Jar(label=wanted.label))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(shelf, tmp_path) as one:
        yield one


def body(label: str) -> bytes:
    return b'{"label": "%s"}' % label.encode()


async def fill_all(one: Replica, labels: list[str], key: str | None = None) -> list[Reply | Problem]:
    """Send all at once."""
    keys = [None if key is None else f"{key}{n}" for n in range(len(labels))]
    calls = (one.send("fill", body(label), k) for label, k in zip(labels, keys, strict=True))
    return list(await asyncio.gather(*calls))


async def stored(world: World) -> tuple[list[str], int]:
    """Return the labels that are there, and how many events are."""
    labels = await world.direct("SELECT label FROM shelf_jar ORDER BY label")
    events = await world.direct("SELECT count(*) FROM mainstay_outbox")
    return [row[0] for row in labels], int(events[0][0])


def codes(answers: list[Reply | Problem]) -> list[str | int]:
    return [one.code if isinstance(one, Problem) else one.status for one in answers]


async def test_many_at_once_are_committed_together(world: World) -> None:
    here = await world.replica()
    labels = [f"jar {n:02}" for n in range(40)]
    assert codes(await fill_all(here, labels)) == [201] * 40
    assert await stored(world) == (labels, 40)
    assert here.store.statistics()["commits_shared"] > 20
    await clean(here.store)


@pytest.mark.parametrize("key", [None, "k"])
async def test_one_that_is_refused_refuses_no_other(world: World, key: str | None) -> None:
    here = await world.replica()
    await here.send("fill", body("there"))
    labels = [f"jar {n:02}" for n in range(20)]
    answers = codes(await fill_all(here, [*labels[:10], "there", *labels[10:], "twice", "twice"], key))
    assert (answers[:10], answers[11:21]) == ([201] * 10, [201] * 10)
    assert answers[10] == "unique_conflict"
    assert sorted(map(str, answers[21:])) == ["201", "unique_conflict"]
    assert await stored(world) == ([*labels, "there", "twice"], 22)
    await clean(here.store)


async def test_a_connection_that_is_lost_leaves_all_of_a_statement_in_doubt(world: World) -> None:
    here = await world.replica()
    await fill_all(here, [f"warm {n:02}" for n in range(20)])
    met = world.proxy.on("S", "unnest", "swallow")
    answers = codes(await fill_all(here, [f"jar {n:02}" for n in range(20)]))
    assert met.is_set()
    assert set(answers) == {201, "commit_unknown"}
    labels, events = await stored(world)
    assert (len(labels), events) == (40, 40)  # it was carried out: only its answer was lost
    await clean(here.store)


@pytest.mark.parametrize("act", ["before", "swallow"])
async def test_with_a_key_each_is_carried_out_once(world: World, act: Any) -> None:
    here = await world.replica()
    await fill_all(here, [f"warm {n:02}" for n in range(20)], "warm")
    labels = [f"jar {n:02}" for n in range(20)]
    met = world.proxy.on("S", "unnest", act)
    answers = codes(await fill_all(here, labels, "k"))
    assert met.is_set()
    for _ in range(3):
        if set(answers) == {201}:
            break
        assert set(answers) <= {201, "not_committed", "database_away", "pool_exhausted"}
        await asyncio.sleep(0.3)
        answers = codes(await fill_all(here, labels, "k"))
    assert set(answers) == {201}
    there, events = await stored(world)
    assert [one for one in there if one.startswith("jar")] == labels
    assert events == 40
    await clean(here.store)


class Line:
    """A pool of one connection and the writer on it, which does as it is told."""

    def __init__(self) -> None:
        self.carried: list[Merged] = []
        self.gate = asyncio.Event()
        self.failure: BaseException | None = None
        self.ended = 0

    async def take(self) -> Line:
        return self

    def give(self, _: Line) -> None: ...

    def terminate(self) -> None:
        self.ended += 1

    async def carry_out_merged(self, group: Merged) -> bool:
        self.carried.append(group)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return True


def _fits(write: Write) -> bool:
    return isinstance(write, Insert) or write.change.shared


class Stage:
    """Commands that are told when to go on."""

    def __init__(self, **options: Any) -> None:
        self.line = Line()
        self.gate = asyncio.Event()
        self.alone = 0
        line: Any = self.line
        given: dict[str, Any] = {"queue_limit": 100, "wait_seconds": 5.0, **options}
        self.sharing: Sharing[Any] = Sharing(lambda: line, lambda link, _: link, _fits, **given)
        self.statements = catalog_of([table(Sample)], PostgresDialect())[Sample]

    @property
    def sizes(self) -> list[int]:
        """The rows of each statement that was shared."""
        return [len(one.rows) for group in self.line.carried for one in group if isinstance(one, Insert)]

    def insert(self, count: int = 1, text: str = "x") -> Group:
        return [Insert(self.statements, [(text,)] * count)]

    def send(
        self,
        group: Group | None = None,
        patience: float | None = None,
        act: Callable[[], Awaitable[None]] | None = None,
    ) -> asyncio.Task[None]:
        """Begin a command; by itself it waits for the gate."""

        async def alone() -> None:
            self.alone += 1
            await self.gate.wait()

        return asyncio.ensure_future(self.sharing.commit(group or self.insert(), act or alone, patience))

    async def fill(self) -> list[asyncio.Task[None]]:
        """Use up the lanes."""
        tasks = [self.send() for _ in range(LANES)]
        await asyncio.sleep(0)
        return tasks


async def test_who_waits_goes_together_when_a_lane_is_free() -> None:
    stage = Stage()
    tasks = [*await stage.fill(), *(stage.send() for _ in range(5))]
    await asyncio.sleep(0.01)
    assert stage.sharing.delay > 0
    assert stage.alone == LANES
    stage.gate.set()
    stage.line.gate.set()
    await asyncio.gather(*tasks)
    assert stage.sizes == [5]
    assert (stage.alone, stage.sharing.shared, stage.sharing.delay) == (LANES, 5, 0.0)


async def test_where_statements_differ_by_their_rows_there_are_few_different_ones() -> None:
    stage = Stage(doubling=True)
    tasks = [*await stage.fill(), *(stage.send() for _ in range(31))]
    await asyncio.sleep(0)
    stage.gate.set()
    stage.line.gate.set()
    await asyncio.gather(*tasks)
    assert stage.sizes == [16, 8, 4, 2]
    assert stage.alone == LANES + 1


async def test_one_that_waits_goes_by_itself_and_gives_its_lane_back() -> None:
    stage = Stage()
    tasks = [*await stage.fill(), stage.send()]
    await asyncio.sleep(0)
    stage.gate.set()
    await asyncio.gather(*tasks)
    await asyncio.gather(*await stage.fill())
    assert (stage.alone, stage.line.carried) == (2 * LANES + 1, [])


async def test_changes_and_great_insertions_go_by_themselves() -> None:
    stage = Stage()
    tasks = await stage.fill()
    change = Change(where=TRUE, changes=None)
    tasks += [stage.send(stage.insert(MOST_ROWS + 1))]
    tasks += [stage.send([*stage.insert(), Alteration(stage.statements, change, "", ())])]
    await asyncio.sleep(0)
    assert stage.alone == LANES + 2
    stage.gate.set()
    await asyncio.gather(*tasks)


async def test_changes_that_may_be_shared_go_as_lists_of_what_they_change() -> None:
    stage = Stage(lanes=1)
    tasks = [stage.send()]
    await asyncio.sleep(0)
    for key, names in (("a", "state"), ("b", "state"), ("c", "place")):
        change = Change(where=TRUE, changes={names: 1}, shared=True)
        tasks.append(stage.send([*stage.insert(), Alteration(stage.statements, change, "", (1, key, 7))]))
    await asyncio.sleep(0)
    stage.gate.set()
    stage.line.gate.set()
    await asyncio.gather(*tasks)
    assert (stage.alone, stage.sharing.shared) == (1, 3)
    assert stage.line.carried == [
        [
            Insert(stage.statements, [("x",)] * 3),
            Steps(stage.statements, ("place",), [(1, "c", 7)]),
            Steps(stage.statements, ("state",), [(1, "a", 7), (1, "b", 7)]),
        ]
    ]


async def test_a_statement_has_a_bound() -> None:
    stage = Stage()
    tasks = [*await stage.fill(), *(stage.send(stage.insert(MOST_ROWS)) for _ in range(40))]
    tasks += [stage.send(stage.insert(1, "x" * 600_000)) for _ in range(4)]
    await asyncio.sleep(0)
    stage.gate.set()
    stage.line.gate.set()
    await asyncio.gather(*tasks)
    assert stage.sizes[0] == max(stage.sizes) == 512
    assert stage.sharing.shared + stage.alone - LANES == 44


@pytest.mark.parametrize("failure", [StatementFailed("22012", "x"), ConnectionLost("x", sent=False)])
async def test_what_fails_is_carried_out_one_by_one(failure: Exception) -> None:
    stage = Stage()
    stage.line.failure = failure
    tasks = [*await stage.fill(), *(stage.send() for _ in range(3))]
    await asyncio.sleep(0)
    stage.gate.set()
    stage.line.gate.set()
    await asyncio.gather(*tasks)
    assert (stage.alone, stage.sharing.shared, stage.line.ended) == (LANES + 3, 0, 0)


async def test_one_that_spoils_a_statement_is_found_by_halves() -> None:
    stage = Stage()

    async def carry_out_merged(group: Merged) -> bool:
        (insert,) = group
        assert isinstance(insert, Insert)
        stage.line.carried.append(group)
        return ("bad",) not in insert.rows

    stage.line.carry_out_merged = carry_out_merged  # type: ignore[method-assign]  # a double
    tasks = [*await stage.fill(), *(stage.send(stage.insert(1, "bad" if n == 21 else "good")) for n in range(32))]
    await asyncio.sleep(0)
    stage.gate.set()
    await asyncio.gather(*tasks)
    assert stage.sizes == [32, 16, 16, 8, 4, 4, 2, 2, 8]
    assert (stage.alone, stage.sharing.shared) == (LANES + 2, 30)


async def test_what_is_in_doubt_is_carried_out_by_nobody() -> None:
    stage = Stage()
    stage.line.failure = ConnectionLost("x")
    tasks = [*await stage.fill(), *(stage.send() for _ in range(3))]
    await asyncio.sleep(0)
    stage.gate.set()
    stage.line.gate.set()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in ended] == [type(None)] * LANES + [CommitUnknown] * 3
    assert (stage.alone, stage.line.ended) == (LANES, 1)


async def test_a_statement_that_is_given_up_is_in_doubt() -> None:
    stage = Stage()
    tasks = [*await stage.fill(), *(stage.send() for _ in range(2))]
    await asyncio.sleep(0)
    stage.gate.set()
    await asyncio.gather(*tasks[:LANES])
    await asyncio.sleep(0)
    (under_way,) = stage.sharing._tasks
    under_way.cancel()
    ended = await asyncio.gather(*tasks[LANES:], return_exceptions=True)
    assert [type(one) for one in ended] == [CommitUnknown] * 2
    assert stage.alone == LANES


async def test_patience_and_the_queue_have_an_end() -> None:
    stage = Stage(queue_limit=2, wait_seconds=0.05)
    tasks = await stage.fill()
    late, tired = stage.send(patience=0.01), stage.send(patience=1.0)
    await asyncio.sleep(0)
    with pytest.raises(PoolExhausted):
        await stage.send()
    with pytest.raises(DeadlineExceeded):
        await late
    with pytest.raises(PoolExhausted):
        await tired
    stage.gate.set()
    await asyncio.gather(*tasks)
    assert stage.alone == LANES


async def test_who_has_left_is_not_carried_out() -> None:
    stage = Stage()
    tasks = await stage.fill()
    left, *others = [stage.send() for _ in range(3)]
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.wait([left])
    stage.gate.set()
    stage.line.gate.set()
    await asyncio.gather(*tasks, *others)
    assert stage.sharing.shared == 2


async def test_who_leaves_under_way_is_carried_out_all_the_same() -> None:
    stage = Stage()
    tasks = await stage.fill()
    left, *others = [stage.send() for _ in range(3)]
    await asyncio.sleep(0)
    stage.gate.set()
    await asyncio.gather(*tasks)
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.wait([left])
    stage.line.gate.set()
    await asyncio.gather(*others)
    assert stage.sizes == [3]


async def test_a_lane_that_came_to_one_who_was_leaving_goes_to_the_next() -> None:
    stage = Stage()
    tasks = await stage.fill()
    left = stage.send()
    await asyncio.sleep(0)
    tasks[0].cancel()  # its lane goes to the one that waits
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.wait([left, tasks[0]])
    stage.gate.set()
    await asyncio.gather(*tasks[1:])
    await asyncio.gather(*await stage.fill())
    assert stage.sharing._under_way == 0
