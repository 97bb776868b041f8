"""Random histories of a store: clients at the same time, and a record of what each of their transactions saw and did.

Some transactions go through the port of the store and are given up where they meet another; some are commands and
queries of a service, which the kernel runs again. Lists are rows found by a unique name or an id, sets are rows found
by looking for them, so that both what is read and what is not there is written to by others. What came of it is judged
by ``anomalies``.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID

from anomalies import Level, Op, Transaction, Version

from mainstay import Bulk, Conflict, Entity, Module, Principal, Repository, Service, anyone, in_
from mainstay import field as column
from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.local.entropy import SystemEntropy
from mainstay.adapters.local.ids import SystemIds
from mainstay.adapters.local.recent_writes import MappedRecentWrites
from mainstay.adapters.memory.limiter import MemoryLimiter
from mainstay.kernel.bind import Bound, bind
from mainstay.kernel.bound import Ports
from mainstay.kernel.call import Call
from mainstay.kernel.dispatch import dispatch
from mainstay.model.conditions import all_of
from mainstay.model.operation import Isolation
from mainstay.model.problem import Internal, NotFound, Problem, SerializationConflict
from mainstay.ports.recent_writes import RecentWrites
from mainstay.ports.store import Store
from mainstay.ports.unit_of_work import Frame, UnitOfWork
from mainstay.testing.fixed import ClearSealer
from mainstay.testing.recorder import Recorder

SESSIONS, LISTS, SETS = 5, 3, 2
ATTEMPTS = 5
AT_ONCE = 20  # rows that are cleared away in one command, where a store bounds that
LEVELS: dict[Isolation, Level] = {
    "serializable": "serializable",
    "repeatable_read": "snapshot",
    "read_committed": "read_committed",
}
MET = ("serialization_conflict", "stale_version", "unique_conflict", "changed_my_mind", "read_at_two_moments")
"""How a command may end that was undone: it met another one, or asked for it."""


class Cell(Entity):
    """A list, in one row."""

    name: str = column(unique=True, max_length=40)
    values: list[int] = column(default_factory=list)


class Mark(Entity):
    """A member of a set."""

    bag: str = column(index=True, max_length=40)
    value: int


class ChangedMyMind(Conflict):
    """The transaction asked to be undone."""


class ReadAtTwoMoments(Conflict):
    """The transaction cannot be committed any more, and the store has not said so yet."""


class Step(NamedTuple):
    """One thing to do: ``read``, ``append``, ``overwrite``, ``scan`` or ``add``, and in which way."""

    verb: str
    key: str
    way: str


@dataclass(frozen=True)
class Plan:
    """A transaction to be made. ``isolation`` None: a query."""

    number: int
    session: int
    isolation: Isolation | None
    steps: tuple[Step, ...]
    undone: bool = False
    kernel: bool = False


class Doorways(NamedTuple):
    """What a transaction works with."""

    cells: Repository[Cell]
    marks: Repository[Mark]
    cells_at_once: Bulk[Cell]
    marks_at_once: Bulk[Mark]


@dataclass
class History:
    """What is made and recorded. ``keys`` are those of the lists, then of the sets."""

    lists: tuple[str, ...]
    sets: tuple[str, ...]
    chance: random.Random
    queries: Level
    transactions: list[Transaction] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    plans: dict[int, Plan] = field(default_factory=dict)
    values: count[int] = field(default_factory=lambda: count(1))
    ids: dict[str, UUID] = field(default_factory=dict)

    def begun(self, plan: Plan) -> Transaction:
        """Note the begin of an attempt; it is undone until it is said to be committed."""
        level = self.queries if plan.isolation is None else LEVELS[plan.isolation]
        door = "kernel" if plan.kernel else "port"
        name = f"{len(self.transactions)} ({plan.isolation or 'query'}, {door}, session {plan.session})"
        made = Transaction(name, level, plan.session, time.monotonic(), undone=True)
        self.transactions.append(made)
        return made

    def committed(self, one: Transaction) -> None:
        """Note that the caller was told so."""
        one.undone, one.end = False, time.monotonic()
        self.answers["committed"] += 1


def planned(history: History, number: int, session: int, *, mixed: bool, kernel: bool) -> Plan:
    """Draw a transaction; ``kernel``: no other way is taken."""
    chance = history.chance
    isolation: Isolation | None = None
    if chance.random() < 0.7:
        isolation = chance.choice(tuple(LEVELS)) if mixed else "serializable"
    steps = tuple(_step(history, isolation is not None) for _ in range(chance.randint(1, 4)))
    undone = isolation is not None and chance.random() < 0.1
    plan = Plan(number, session, isolation, steps, undone, kernel=kernel or chance.random() < 0.5)
    history.plans[number] = plan
    return plan


def _step(history: History, write: bool) -> Step:
    chance = history.chance
    reads, writes = (("read", "scan"), ("append", "overwrite", "add")) if write else (("read", "scan"), ())
    verb = chance.choice(reads + writes)
    if verb == "scan":
        return Step(verb, chance.choice(history.sets), chance.choice(("page", "stream")))
    if verb == "add":
        return Step(verb, chance.choice(history.sets), chance.choice(("one", "many")))
    ways = ("name", "id", "search", "lock") if write else ("name", "id", "search")
    return Step(verb, chance.choice(history.lists), chance.choice(ways))


async def perform(history: History, plan: Plan, one: Transaction, doors: Doorways) -> None:
    """Do what is planned, and record it. Raises what the store raises, and ``ChangedMyMind``."""
    for step in plan.steps:
        if history.chance.random() < 0.5:
            await asyncio.sleep(history.chance.random() * 0.002)
        if step.verb == "scan":
            one.ops.append(Op("scan", step.key, await _members(doors, step)))
        elif step.verb == "add":
            one.ops.append(Op("add", step.key, await _added(history, doors, step)))
        else:
            found = await _found(history, one, doors, step)
            if step.verb != "read":
                await _written(history, one, doors, step, found)
    if plan.undone:
        raise ChangedMyMind


async def _members(doors: Doorways, step: Step) -> Version:
    if step.way == "page":
        rows = (await doors.marks.page(bag=step.key, limit=200)).items
    else:
        rows = [row async for row in doors.marks.stream(bag=step.key)]
    return tuple(sorted(row.value for row in rows))


async def _added(history: History, doors: Doorways, step: Step) -> Version:
    made = tuple(next(history.values) for _ in range(1 if step.way == "one" else 2))
    rows = [Mark(bag=step.key, value=value) for value in made]
    if step.way == "one":
        await doors.marks.add(rows[0])
    else:
        await doors.marks_at_once.add_all(rows)
    return made


async def _found(history: History, one: Transaction, doors: Doorways, step: Step) -> Cell | None:
    """Read a list, or all of them, and record what was found."""
    if step.way == "search":
        rows = {row.name: row for row in (await doors.cells.page(name=in_(history.lists))).items}
        one.ops += [Op("read", key, tuple(rows[key].values) if key in rows else ()) for key in history.lists]
        return rows.get(step.key)
    row = await _named(doors, step.key, history.ids.get(step.key), step.way)
    one.ops.append(Op("read", step.key, () if row is None else tuple(row.values)))
    return row


async def _named(doors: Doorways, name: str, id_: UUID | None, way: str) -> Cell | None:
    """Return a list by its id, where that is known and of a row that is there, or else by its name."""
    if way != "name" and id_ is not None:
        with suppress(NotFound):
            return await doors.cells.get(id_, lock=way == "lock")
    with suppress(NotFound):
        return await doors.cells.one(name=name)
    return None


async def _written(history: History, one: Transaction, doors: Doorways, step: Step, row: Cell | None) -> None:
    """Write a list with one more value at its end: in the version that was read, or whatever there is meanwhile."""
    version = (*(() if row is None else row.values), next(history.values))
    if row is None:
        row = await doors.cells.add(Cell(name=step.key, values=list(version)))
        history.ids[step.key] = row.id
    elif step.verb == "append":
        await doors.cells.update(row, values=list(version))
    elif await doors.cells_at_once.update(name=step.key, set={"values": list(version)}) != 1:
        if history.queries == "snapshot":
            raise AssertionError(f"{one.name}: {step.key} was read, and then not there to be written")
        raise ReadAtTwoMoments  # where only the commit tells that reads do not fit each other
    one.ops.append(Op("write", step.key, version))


class Process:
    """One process of a service on a store: its operations, and its doorways to the store itself."""

    def __init__(self, store: Store, history: Callable[[], History], recent: RecentWrites | None) -> None:
        self.store = store
        self._history = history
        self._recorder = Recorder()
        self._ports = Ports(
            store=store,
            limiter=MemoryLimiter(SystemClock()),
            clock=SystemClock(),
            ids=SystemIds(),
            entropy=SystemEntropy(),
            sealer=ClearSealer(),
            observer=self._recorder,
            recent=recent,
        )
        self.bound: Bound = bind(Service("history", modules=[_module(history)]), self._ports)
        assert not self.bound.faults, self.bound.faults
        self._operations = {each.name: each for each in self.bound.operations}

    async def call(self, plan: Plan) -> None:
        """Make a planned transaction by the operation of its isolation."""
        history, before = self._history(), len(self._history().transactions)
        operation = self._operations["look" if plan.isolation is None else plan.isolation]
        who = Principal(id=UUID(int=100 + plan.session))
        arguments = {"number": str(plan.number)}
        request = Call(operation=operation, request_id="r", peer="p", arguments=arguments, principal=who)
        told = await dispatch(request)
        attempts = [one for one in history.transactions[before:] if one.session == plan.session]
        if isinstance(told, Problem):
            history.answers[told.code] += 1
            if isinstance(told, Internal):
                raise RuntimeError(f"{operation.name} failed") from self._recorder.unexpected()
        else:
            history.committed(attempts[-1])

    async def run(self, plan: Plan) -> None:
        """Make a planned transaction by the port of the store, again where it met another one."""
        history = self._history()
        for _ in range(ATTEMPTS):
            one = history.begun(plan)
            unit = self.unit(plan.isolation, single=plan.isolation is None and len(plan.steps) == 1)
            try:
                await perform(history, plan, one, self.doorways(unit))
                if plan.isolation is not None:
                    await unit.commit()
            except Problem as problem:
                history.answers[problem.code] += 1
                if not isinstance(problem, SerializationConflict):
                    return
            else:
                history.committed(one)
                return
            finally:
                await unit.rollback()

    def unit(self, isolation: Isolation | None, *, single: bool = False) -> UnitOfWork:
        """Return a unit of work that has not begun."""
        ports = self._ports
        frame = Frame(Principal.system, "history", ports.clock, ports.ids, ports.sealer, self.bound.plans, self.store)
        write = isolation is not None
        return UnitOfWork(frame, write=write, single=single, isolation=isolation or "serializable", latest=not write)

    def doorways(self, unit: UnitOfWork) -> Doorways:
        """Return what a transaction works with."""
        cells, marks = self.bound.plans[Cell], self.bound.plans[Mark]
        return Doorways(Repository(unit, cells), Repository(unit, marks), Bulk(unit, cells), Bulk(unit, marks))

    async def clear(self) -> None:
        """Take all rows away."""
        bounded = self.store.capabilities.max_writes is not None
        left = True
        while left:
            unit = self.unit("serializable")
            doors = self.doorways(unit)
            try:
                left = await _fewer(doors) if bounded else await _none(doors)
                await unit.commit()
            finally:
                await unit.rollback()


async def _none(doors: Doorways) -> bool:
    await doors.cells_at_once.delete(all_of())
    await doors.marks_at_once.delete(all_of())
    return False


async def _fewer(doors: Doorways) -> bool:
    cells, marks = await doors.cells.page(limit=AT_ONCE), await doors.marks.page(limit=AT_ONCE)
    for cell in cells.items:
        await doors.cells.delete(cell.id)
    for mark in marks.items:
        await doors.marks.delete(mark.id)
    return bool(cells.next or marks.next)


def _module(history: Callable[[], History]) -> Module:
    """Return operations that make a planned transaction, one for each isolation and one query."""
    module = Module("histories")
    module.entity(Cell, Mark)

    async def work(number: int, *doors: Any) -> int:
        now = history()
        plan = now.plans[number]
        await perform(now, plan, now.begun(plan), Doorways(*doors))
        return number

    def declare(isolation: Isolation) -> None:
        async def command(number: int, a: Repository[Cell], b: Repository[Mark], c: Bulk[Cell], d: Bulk[Mark]) -> int:
            return await work(number, a, b, c, d)

        command.__name__ = isolation
        module.command(f"POST /{isolation}/{{number}}", allow=anyone, isolation=isolation)(command)

    for isolation in LEVELS:
        declare(isolation)

    @module.query("GET /look/{number}", allow=anyone)
    async def look(number: int, a: Repository[Cell], b: Repository[Mark]) -> int:
        return await work(number, a, b, None, None)

    return module


class Maker:
    """Makes histories on the stores of some processes, one history after another."""

    def __init__(self, stores: Sequence[Store], chance: random.Random, *, replicated: bool = False) -> None:
        self._chance = chance
        self._now: History | None = None
        self._replicated = replicated  # who has written is noted by the kernel: all goes through it
        recent = MappedRecentWrites(SystemClock().monotonic) if replicated else None  # for both, in one process
        self._processes = [Process(store, self._history, recent) for store in stores]
        self._stack = AsyncExitStack()

    def _history(self) -> History:
        assert self._now is not None
        return self._now

    async def __aenter__(self) -> Maker:
        for process in self._processes:
            await process.store.start(process.bound.tables)
            self._stack.push_async_callback(process.store.stop)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def make(self, number: int, transactions: int) -> History:
        """Make one: so many transactions by all sessions together, and a last look at everything."""
        snapshots = self._processes[0].store.capabilities.snapshots
        lists = tuple(f"h{number}.list{each}" for each in range(LISTS))
        sets = tuple(f"h{number}.set{each}" for each in range(SETS))
        history = self._now = History(lists, sets, self._chance, "snapshot" if snapshots else "read_committed")
        mixed = self._chance.random() < 0.4
        left = iter(range(transactions))
        await asyncio.gather(*(self._session(history, each, left, mixed) for each in range(SESSIONS)))
        steps = (Step("read", lists[0], "search"), *(Step("scan", key, "page") for key in sets))
        await self._processes[0].run(Plan(-1, -1, None, steps))
        await self._processes[0].clear()
        return history

    async def _session(self, history: History, session: int, left: Any, mixed: bool) -> None:
        process = self._processes[session % len(self._processes)]
        for number in left:
            plan = planned(history, number, session, mixed=mixed, kernel=self._replicated)
            await (process.call(plan) if plan.kernel else process.run(plan))
