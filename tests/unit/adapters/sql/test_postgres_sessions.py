"""What a server ends by itself: sessions, statements, transactions; and what becomes of claims and of two replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from postgres_world import Replica, World, clean, opened

from mainstay import Conflict, Dto, Entity, Module, Repository, anyone, field
from mainstay.adapters.sql.faults import StatementFailed
from mainstay.adapters.sql.outages import ConnectionLost, DatabaseAway, in_doubt
from mainstay.adapters.sql.postgres.link import Link
from mainstay.kernel.call import Reply
from mainstay.model.conditions import TRUE
from mainstay.model.problem import DeadlineExceeded, NotCommitted, Problem
from mainstay.ports.store import Claims

store = Module("store")
GATE: dict[str, asyncio.Event] = {}


class Piece(Entity):
    name: str = field(max_length=40)
    left: int = 1


class Buy(Dto):
    name: str = field(max_length=40)


class SoldOut(Conflict):
    """None is left."""


@store.command("POST /pieces", status=201, allow=anyone)
async def make(wanted: Buy, pieces: Repository[Piece]) -> Piece:
    return await pieces.add(Piece(name=wanted.name))


@store.command("POST /bought", allow=anyone, raises=[SoldOut])
async def buy(wanted: Buy, pieces: Repository[Piece]) -> int:
    """Take the one piece there is, after waiting at the gate where there is one."""
    if wanted.name in GATE:
        GATE[wanted.name + " waits"].set()
        await GATE[wanted.name].wait()
    piece = await pieces.one(name=wanted.name)
    if piece.left == 0:
        raise SoldOut
    await pieces.update(piece, left=piece.left - 1)
    return piece.left - 1


@store.query("GET /pieces", allow=anyone)
async def every(pieces: Repository[Piece]) -> AsyncIterator[Piece]:
    async for piece in pieces.stream():
        yield piece


@store.query("GET /named", allow=anyone)
async def named(pieces: Repository[Piece], name: str) -> int:
    return await pieces.count(name=name)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(store, tmp_path) as one:
        yield one
    GATE.clear()


@pytest.fixture
async def here(world: World) -> Replica:
    one = await world.replica(statement_seconds=1.0, idle_seconds=0.3)
    assert isinstance(await one.send("make", b'{"name": "tea"}'), Reply)
    return one


async def writer(one: Replica) -> Link:
    return await one.store.engine.writers.take()


async def test_a_session_that_an_administrator_ends_is_not_lent(world: World, here: Replica) -> None:
    busy = await writer(here)
    rows = await busy.fetch("SELECT pg_backend_pid()", ())
    running = asyncio.create_task(busy.fetch("SELECT pg_sleep(5)", ()))
    await asyncio.sleep(0.1)
    await world.direct(f"SELECT pg_terminate_backend({rows[0][0]})")
    with pytest.raises(ConnectionLost) as lost:
        await running
    assert in_doubt(lost.value)
    here.store.engine.writers.give(busy)
    idle = await writer(here)
    pid = (await idle.fetch("SELECT pg_backend_pid()", ()))[0][0]
    here.store.engine.writers.give(idle)
    await world.direct(f"SELECT pg_terminate_backend({pid})")
    await asyncio.sleep(0.05)
    await clean(here.store)
    assert isinstance(await here.send("buy", b'{"name": "tea"}', "k"), Reply)


async def test_a_transaction_in_which_nothing_happens_is_ended(world: World, here: Replica) -> None:
    transaction = here.store.begin(write=True)
    rows = transaction.rows(Piece)
    assert await rows.count(TRUE) == 1
    await asyncio.sleep(0.6)
    with pytest.raises(NotCommitted):
        await rows.count(TRUE)
    with pytest.raises(NotCommitted):
        await transaction.commit()
    await transaction.rollback()
    await clean(here.store)


async def test_a_statement_that_the_server_ends_is_late_and_its_session_stays(here: Replica) -> None:
    link = await writer(here)
    with pytest.raises(DeadlineExceeded) as late:
        await link.fetch("SELECT pg_sleep(3)", ())
    assert not in_doubt(late.value)
    assert not link.closed
    here.store.engine.writers.give(link)
    assert await writer(here) is link
    here.store.engine.writers.give(link)
    await clean(here.store)


@pytest.mark.parametrize("name", ["make", "buy"])
async def test_a_server_that_takes_no_changes_any_more_is_left(here: Replica, name: str) -> None:
    link = await writer(here)
    await link.execute("SET default_transaction_read_only = on")
    here.store.engine.writers.give(link)
    problem = await here.send(name, b'{"name": "tea"}')
    assert isinstance(problem, Problem)
    assert problem.code == "not_committed"
    assert link.closed
    assert isinstance(await here.send(name, b'{"name": "tea"}'), Reply)
    await clean(here.store)


async def test_statements_that_were_prepared_for_an_older_schema_are_prepared_anew(world: World, here: Replica) -> None:
    links = [await here.store.engine.readers.take() for _ in range(3)]
    for link in links:
        assert await link.fetch(f"SELECT * FROM {world.schema}.store_piece LIMIT 0", ()) == []
        here.store.engine.readers.give(link)
    held = here.store.begin(write=True)
    assert await held.rows(Piece).count(TRUE) == 1
    await held.rollback()
    await world.direct("ALTER TABLE store_piece ADD COLUMN colour text")
    for link in [await here.store.engine.readers.take() for _ in range(3)]:
        assert await link.fetch(f"SELECT * FROM {world.schema}.store_piece LIMIT 0", ()) == []
        here.store.engine.readers.give(link)
    assert isinstance(await here.send("make", b'{"name": "tea"}'), Reply)
    await clean(here.store)


async def test_a_statement_is_parsed_once_and_then_run_by_its_name(here: Replica) -> None:
    """The driver names none by itself, once its own cache is off: the server would plan each of them anew."""
    link = await here.store.engine.readers.take()
    asked = "SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE statement = 'SELECT $1::bigint + 1'"
    for _ in range(7):
        assert [tuple(row) for row in await link.fetch("SELECT $1::bigint + 1", (1,))] == [(2,)]
    assert [row[0] for row in await link.fetch(asked, ())] == [7]
    here.store.engine.readers.give(link)
    await clean(here.store)


async def test_a_value_that_cannot_be_sent_is_a_fault_of_ours_and_no_lost_connection(here: Replica) -> None:
    link = await writer(here)
    with pytest.raises(StatementFailed):
        await link.fetch("SELECT $1::int", ("not a number",))
    assert not link.closed
    here.store.engine.writers.give(link)
    await clean(here.store)


@pytest.mark.parametrize("turns", range(0, 16, 2))
async def test_a_call_that_leaves_in_any_moment_leaves_no_open_transaction(here: Replica, turns: int) -> None:
    """BEGIN too may be given up, and be carried out all the same."""
    transaction = here.store.begin(write=True)
    task = asyncio.create_task(transaction.rows(Piece).count(TRUE))  # type: ignore[arg-type]
    for _ in range(turns):
        await asyncio.sleep(0)
    await asyncio.sleep(0.0002 * turns)
    task.cancel()
    await asyncio.wait((task,))
    await transaction.rollback()
    assert isinstance(await here.send("make", b'{"name": "cup"}'), Reply)
    rows = await here.send("named", query=[("name", "cup")])
    assert isinstance(rows, Reply)
    assert rows.body == b"1"
    await clean(here.store)


async def test_what_was_given_up_in_the_midst_is_not_committed_in_part(world: World, here: Replica) -> None:
    transaction = here.store.begin(write=True)
    rows = transaction.rows(Piece)
    assert await rows.count(TRUE) == 1
    await world.direct("SELECT 1")
    await here.store.engine.readers.start()
    blocker = await writer(here)
    await blocker.execute("BEGIN")
    await blocker.execute("LOCK TABLE store_piece")
    task = asyncio.create_task(rows.count(TRUE))  # type: ignore[arg-type]
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait((task,))
    await blocker.execute("ROLLBACK")
    here.store.engine.writers.give(blocker)
    with pytest.raises(NotCommitted):
        await transaction.commit()
    await transaction.rollback()
    await clean(here.store)


async def test_a_stream_whose_connection_ends_says_so(world: World, here: Replica) -> None:
    reply = await here.send("every")
    assert isinstance(reply, Reply)
    assert reply.stream is not None
    world.proxy.cut()
    with pytest.raises(Problem) as told:
        async for _ in reply.stream:
            pass
    assert told.value.code == "database_away"
    await clean(here.store)


async def taken(claims: Claims, key: bytes) -> bool:
    try:
        return await claims.take(key)
    except DatabaseAway:  # its connection was cut in that moment
        return True


async def test_claims_stand_in_their_process_and_are_taken_anew(world: World, here: Replica) -> None:
    there = await world.replica()
    ours, theirs = here.store.claims, there.store.claims
    assert await ours.take(b"a")
    assert not await theirs.take(b"a")
    world.proxy.cut()
    assert not await ours.take(b"a")
    await clean(there.store)
    async with asyncio.timeout(2):
        while await taken(theirs, b"a"):  # the server has freed it, and it was not taken anew yet
            await theirs.drop(b"a")
            await asyncio.sleep(0.01)
    await ours.drop(b"a")
    async with asyncio.timeout(2):
        while not await taken(theirs, b"a"):
            await asyncio.sleep(0.01)
    await clean(here.store)
    await clean(there.store)


async def test_services_in_schemas_of_their_own_do_not_share_claims(here: Replica, tmp_path: Path) -> None:
    """Locks are of the whole database."""
    async with opened(store, tmp_path / "other") as elsewhere:
        there = await elsewhere.replica()
        assert await here.store.claims.take(b"a")
        assert await there.store.claims.take(b"a")


async def test_claims_are_refused_while_the_database_is_away_and_no_stop_waits_for_it(
    world: World, here: Replica
) -> None:
    claims = here.store.claims
    assert await claims.take(b"a")
    world.proxy.refusing = True
    world.proxy.cut()
    with pytest.raises(Problem) as told:
        await claims.take(b"b")
    assert told.value.code == "database_away"
    async with asyncio.timeout(2):
        await here.store.stop()
    world.proxy.refusing = False


@pytest.mark.parametrize("name", ["buy", "make"])
async def test_two_replicas_that_run_one_key_have_one_effect_and_one_answer(
    world: World, here: Replica, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim of the first was lost with its connection: the second runs too, and finds what the first has done."""
    there = await world.replica()
    always: Any = _yes
    monkeypatch.setattr(here.store.claims, "take", always)
    monkeypatch.setattr(there.store.claims, "take", always)
    replies = await asyncio.gather(*(one.send(name, b'{"name": "tea"}', "k") for one in (here, there, here, there)))
    assert all(isinstance(reply, Reply) for reply in replies), replies
    assert len({reply.body for reply in replies if isinstance(reply, Reply)}) == 1
    rows = await world.direct("SELECT count(*), sum(store_piece.left) FROM store_piece")
    assert tuple(rows[0]) == ((1, 0) if name == "buy" else (2, 2))


async def _yes(key: bytes) -> bool:
    return True


async def test_a_refusal_that_rests_on_the_effect_of_the_same_key_is_not_told(world: World, here: Replica) -> None:
    there = await world.replica()
    GATE["tea"], GATE["tea waits"] = asyncio.Event(), asyncio.Event()
    late = asyncio.create_task(here.send("buy", b'{"name": "tea"}', "k"))
    await GATE["tea waits"].wait()
    world.proxy.cut()  # with it the claim of the key ends
    gate = GATE.pop("tea")
    async with asyncio.timeout(5):
        while not isinstance(reply := await there.send("buy", b'{"name": "tea"}', "k"), Reply):
            await asyncio.sleep(0.01)
            if reply.code == "idempotency_in_flight":
                break  # it was taken anew: nobody else runs it
    gate.set()
    mine = await late
    assert isinstance(mine, Reply), mine
    rows = await world.direct("SELECT store_piece.left FROM store_piece")
    assert rows[0][0] == 0
    again = await there.send("buy", b'{"name": "tea"}', "k")
    assert isinstance(again, Reply)
    assert again.body == mine.body


@pytest.mark.parametrize(
    ("name", "kind", "text", "attempts"),
    [("buy", "Q", "COMMIT", 1), ("make", "S", "INSERT", 1), ("make", "B", "INSERT", 2)],
    ids=["COMMIT", "the end of what commits itself", "all of what commits itself"],
)
async def test_an_attempt_that_ends_late_has_the_one_effect_or_none(
    world: World, here: Replica, name: str, kind: str, text: str, attempts: int
) -> None:
    """The connection is lost, and what was sent over it comes to the server later.

    Where its record stands there already, not committed, it is waited for; where it comes after all else, it is undone.
    """
    one = await world.replica()
    await one.send(name, b'{"name": "%s"}' % (b"tea" if name == "make" else b"none"), "w")  # prepared from now on
    met = world.proxy.on(kind, text, "late")
    reply = await one.send(name, b'{"name": "tea"}', "k")
    assert met.is_set()
    assert isinstance(reply, Reply), reply
    assert one.ear.calls[-1].attempts == attempts
    await asyncio.sleep(1.0)
    rows = await world.direct("SELECT count(*), sum(store_piece.left) FROM store_piece")
    assert tuple(rows[0]) == ((1, 0) if name == "buy" else (3, 3))
    again = await one.send(name, b'{"name": "tea"}', "k")
    assert isinstance(again, Reply)
    assert (again.body, again.replayed) == (reply.body, True)
    await clean(one.store)
