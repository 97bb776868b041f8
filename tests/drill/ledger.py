"""The service that the drills break. It is copied into a folder of its own and served from there.

Nothing in it is unique that need not be: what was done twice is to be seen, not refused.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from mainstay import (
    Bulk,
    Conflict,
    Dto,
    Entity,
    Event,
    Events,
    Module,
    Repository,
    Service,
    anyone,
    contains,
    field,
    limit,
    resume_after,
)

ledger = Module("ledger")


class Refused(Conflict):
    """The call asked to be refused after it had written."""


# --- entries: a row, a total, a place in a lane and an event in one transaction; two consumers


class Entry(Entity):
    mark: str = field(max_length=80, index=True)
    keyed: bool


class Total(Entity):
    name: str = field(unique=True, max_length=40)
    n: int = 0


class Lane(Entity):
    name: str = field(unique=True, max_length=40)
    n: int = 0  # entries written
    arrived: int = 0  # the last that the consumer saw
    disorder: int = 0  # how often it was not the next one


class Effect(Entity):
    consumer: str = field(max_length=20)
    mark: str = field(max_length=80, index=True)


class Written(Event):
    mark: str
    lane: str
    n: int


class Write(Dto):
    mark: str = field(max_length=80)
    lane: str = field(max_length=40)
    keyed: bool = False
    refuse: bool = False


@ledger.command("POST /entries", status=201, allow=anyone, raises=[Refused])
async def write(
    wanted: Write, entries: Repository[Entry], totals: Repository[Total], lanes: Repository[Lane], events: Events
) -> Entry:
    entry = await entries.add(Entry(mark=wanted.mark, keyed=wanted.keyed))
    total = await totals.one(name="entries")
    await totals.update(total, n=total.n + 1)
    lane = await lanes.one(name=wanted.lane)
    await lanes.update(lane, n=lane.n + 1)
    events.emit(Written(mark=wanted.mark, lane=wanted.lane, n=lane.n + 1), key=wanted.lane)
    if wanted.refuse:
        raise Refused
    return entry


class Jot(Dto):
    mark: str = field(max_length=80)
    keyed: bool = False


@ledger.command("POST /jottings", status=201, allow=anyone)
async def jot(wanted: Jot, entries: Repository[Entry]) -> Entry:
    """Write a row, and read nothing: a store may do so by one statement that commits itself."""
    return await entries.add(Entry(mark=wanted.mark, keyed=wanted.keyed))


@ledger.on(Written)
async def tally(event: Written, effects: Repository[Effect]) -> None:
    await effects.add(Effect(consumer="tally", mark=event.mark))


@ledger.on(Written)
async def follow(event: Written, effects: Repository[Effect], lanes: Repository[Lane]) -> None:
    lane = await lanes.one(name=event.lane)
    await lanes.update(lane, arrived=event.n, disorder=lane.disorder + (event.n != lane.arrived + 1))
    await effects.add(Effect(consumer="follow", mark=event.mark))


# --- lists and accounts: what a history is made of


class Item(Entity):
    list: int = field(index=True)
    place: int
    value: int


class Account(Entity):
    number: int = field(unique=True)
    money: int = field(ge=0)


class Move(Dto):
    """Append ``value + i`` to the i-th list, having read it; move money; be refused at the end if that is wanted."""

    lists: list[int]
    value: int
    source: int
    target: int
    amount: int
    refuse: bool = False


class Seen(Dto):
    lists: list[list[int]]
    sum: int = 0


async def read_list(items: Repository[Item], number: int) -> list[int]:
    return [item.value async for item in items.stream(list=number, sort="place")]


@ledger.command("POST /moves", allow=anyone, raises=[Refused])
async def move(wanted: Move, items: Repository[Item], accounts: Repository[Account]) -> Seen:
    seen = []
    for number, which in enumerate(wanted.lists):
        values = await read_list(items, which)
        seen.append(values)
        if wanted.amount % 3 == 0:
            await asyncio.sleep(0)
        await items.add(Item(list=which, place=len(values), value=wanted.value + number))
    source = await accounts.one(number=wanted.source)
    amount = min(wanted.amount, source.money)
    await accounts.update(source, money=source.money - amount)
    target = await accounts.one(number=wanted.target)
    await accounts.update(target, money=target.money + amount)
    if wanted.refuse:
        raise Refused
    return Seen(lists=seen)


@ledger.query("GET /looks", allow=anyone)
async def look(items: Repository[Item], accounts: Repository[Account], first: int, second: int) -> Seen:
    seen = []
    for which in (first, second):
        seen.append(await read_list(items, which))
        await asyncio.sleep(0.001)
    page = await accounts.page(limit=100)
    return Seen(lists=seen, sum=sum(account.money for account in page.items))


# --- counters: read over HTTP, and changed over HTTP in the version that was read


class Counter(Entity):
    name: str = field(unique=True, max_length=40)
    n: int = 0


ledger.resource(Counter, path="/counters", read=anyone, create=anyone, update=anyone, precondition=True)


# --- neighbours: slow ones, quick ones, limited ones


class Filler(Entity):
    text: str = field(max_length=800)


class Fill(Dto):
    rows: int


@ledger.command("POST /fillers", allow=anyone)
async def fill(wanted: Fill, fillers: Bulk[Filler]) -> int:
    await fillers.add_all([Filler(text=f"{n:0>800}") for n in range(wanted.rows)])
    return wanted.rows


@ledger.query("GET /search", allow=anyone)
async def search(fillers: Repository[Filler]) -> int:
    """Look at every row: there is no index for it."""
    return await fillers.count(text=contains("no row has this"))


class Hold(Dto):
    mark: str = field(max_length=80)
    seconds: float


@ledger.command("POST /holds", status=201, allow=anyone)
async def hold(wanted: Hold, entries: Repository[Entry]) -> Entry:
    """Hold the writer's turn over a wait: what nobody should do."""
    entry = await entries.add(Entry(mark=wanted.mark, keyed=False))
    await entries.count(mark=wanted.mark)
    await asyncio.sleep(wanted.seconds)
    await entries.count(mark=wanted.mark)
    return entry


@ledger.query("GET /entries/{entry_id}", allow=anyone)
async def get_entry(entry_id: UUID, entries: Repository[Entry]) -> Entry:
    return await entries.get(entry_id)


@ledger.query("GET /pid", allow=anyone)
async def get_pid() -> int:
    return os.getpid()


@ledger.query("GET /nap", allow=anyone)
async def nap(seconds: float = 0.05) -> str:
    await asyncio.sleep(seconds)
    return "slept"


class Tick(Dto):
    number: int


@ledger.query("GET /ticks", allow=anyone)
async def ticks(after: Annotated[int | None, resume_after("number")] = None) -> AsyncIterator[Tick]:
    number = after or 0
    while True:
        number += 1
        yield Tick(number=number)
        await asyncio.sleep(0.1)


@ledger.query("GET /bucket", allow=anyone, limits=[limit("100/day", by="operation")])
async def bucket() -> str:
    return "admitted"


@ledger.query("GET /window", allow=anyone, limits=[limit("70/day", by="operation", algorithm="sliding-window")])
async def window() -> str:
    return "admitted"


ACCOUNTS, MONEY, LANES = 6, 1000, 32


@ledger.command("POST /prepare", allow=anyone)
async def prepare(totals: Repository[Total], lanes: Repository[Lane], accounts: Repository[Account]) -> int:
    """Make the rows that the others change; once."""
    await totals.add(Total(name="entries"))
    for number in range(LANES):
        await lanes.add(Lane(name=str(number)))
    for number in range(ACCOUNTS):
        await accounts.add(Account(number=number, money=MONEY))
    return LANES


service = Service("ledger", version="1.0.0", modules=[ledger])
