"""Security events of a call: committed with it, kept where it is refused, and forgotten with an attempt."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest
from kernel_world import ANN, Build, World

from mainstay import Conflict, Entity, Forbidden, Module, Repository, Service, anyone, authenticated, field, role
from mainstay.inbound.http.drive import drive
from mainstay.kernel.call import Reply
from mainstay.kernel.dispatch import dispatch
from mainstay.kernel.guard.notes import REFUSALS
from mainstay.model.conditions import TRUE
from mainstay.model.problem import CommitUnknown, SerializationConflict, Unavailable
from mainstay.ports.observer import Notice
from mainstay.ports.rows import Query
from mainstay.ports.security_log import SecurityEvent, SecurityLog, SecurityRecord


class Door(Entity):
    name: str = field(unique=True)


class Warden:
    """Notes for a use case, as a part of its own."""

    def __init__(self, log: SecurityLog) -> None:
        self.log = log


def doors(conflicts: list[int] | None = None) -> Module:
    module = Module("doors")
    module.entity(SecurityRecord)
    waiting = conflicts or []

    @module.command("POST /doors", allow=anyone)
    async def open_door(name: str, rows: Repository[Door], log: SecurityLog) -> None:
        await rows.add(Door(name=name))
        log.note(SecurityEvent(kind="access.refused", subject=ANN.id, facts={"door": name, "tries": len(waiting)}))
        if waiting:
            waiting.pop()
            raise SerializationConflict
        if name == "locked":
            raise Conflict("the door is locked")

    @module.query("GET /doors", allow=authenticated)
    async def look(log: SecurityLog, refuse: bool = False) -> int:
        log.note(SecurityEvent(kind="api_key.used", actor=ANN.id))
        if refuse:
            raise Conflict
        return 1

    @module.command("POST /wards", allow=anyone)
    async def ward(warden: Warden, log: SecurityLog) -> None:
        assert warden.log is log
        warden.log.note(SecurityEvent(kind="access.refused", outcome="denied"))
        raise Conflict

    return module


def with_warden(service: Service) -> None:
    service.provide(Warden, Warden, scope="call", outside=False)


async def made(build: Build, *args: Any, **more: Any) -> World:
    return await build(doors(*args), provide=with_warden, **more)


async def kept(world: World) -> list[SecurityRecord]:
    transaction = world.store.begin(write=False)
    found = await transaction.rows(SecurityRecord).fetch(Query(where=TRUE))
    await transaction.rollback()
    return found


async def test_what_a_command_notes_is_committed_with_it(build: Build) -> None:
    world = await made(build)
    await world.send("open_door", body=b'{"name": "front"}', credentials=b"ann")
    record = (await kept(world))[0]
    assert (record.kind, record.outcome, record.subject) == ("access.refused", "success", ANN.id)
    assert (record.address, record.operation, record.request_id) == ("192.0.2.1", "open_door", "r-1")
    assert record.facts == {"door": "front", "tries": "0"}
    assert record.created_at == world.clock.now()


async def test_what_a_refused_command_notes_is_kept_and_nothing_else_of_it(build: Build) -> None:
    world = await made(build)
    outcome = await world.send("open_door", body=b'{"name": "locked"}')
    assert isinstance(outcome, Conflict)
    assert [one.facts["door"] for one in await kept(world)] == ["locked"]
    transaction = world.store.begin(write=False)
    assert await transaction.rows(Door).count(TRUE) == 0
    await transaction.rollback()


async def test_an_attempt_that_is_run_again_leaves_no_note(build: Build) -> None:
    world = await made(build, [1, 2])
    outcome = await world.send("open_door", body=b'{"name": "front"}')
    assert isinstance(outcome, Reply)
    assert [one.facts["tries"] for one in await kept(world)] == ["0"]
    told = [notice.facts["tries"] for notice in world.ear.notices if notice.event == "security"]
    assert told == ["2", "1", "0"]  # the log says what happened, when it happens


@pytest.mark.parametrize("refuse", [False, True])
async def test_what_a_query_notes_is_kept_however_it_ends(build: Build, refuse: bool) -> None:
    world = await made(build)
    await world.send("look", query=[("refuse", str(refuse).lower())], credentials=b"ann")
    assert [one.kind for one in await kept(world)] == ["api_key.used"]


async def test_what_a_part_of_the_call_notes_is_kept_too(build: Build) -> None:
    world = await made(build)
    await world.send("ward")
    assert [one.outcome for one in await kept(world)] == ["denied"]


async def test_each_note_is_an_observation(build: Build) -> None:
    world = await made(build)
    await world.send("ward")
    await world.send("open_door", body=b'{"name": "front"}')
    told = [notice for notice in world.ear.notices if notice.event == "security"]
    assert [notice.level for notice in told] == ["warning", "info"]
    assert told[1].facts["kind"] == "access.refused"
    assert told[1].facts["address"] == "192.0.2.1"


async def test_a_call_that_notes_nothing_writes_nothing(build: Build) -> None:
    module = Module("quiet")
    module.entity(SecurityRecord)

    @module.command("POST /quiet", allow=anyone)
    async def quiet(log: SecurityLog) -> None:
        raise Conflict

    world = await build(module)
    await world.send("quiet")
    assert await kept(world) == []


async def test_a_store_that_is_away_changes_no_outcome(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await made(build)
    begin = world.store.begin
    begun: list[int] = []

    def away(**how: Any) -> Any:
        begun.append(1)
        if len(begun) > 1:
            transaction = begin(**how)

            async def commit() -> None:
                raise Unavailable

            monkeypatch.setattr(transaction, "commit", commit, raising=False)
            return transaction
        return begin(**how)

    monkeypatch.setattr(world.store, "begin", away)
    outcome = await world.send("open_door", body=b'{"name": "locked"}')
    assert isinstance(outcome, Conflict)
    lost = [notice for notice in world.ear.notices if notice.event == "security_record_lost"]
    assert lost[0].facts == {"kinds": ["access.refused"], "request_id": "r-1"}
    assert isinstance(lost[0].error, Unavailable)


async def test_notes_that_were_committed_after_all_are_not_written_twice(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await made(build)
    begin = world.store.begin
    transactions: list[Any] = []

    def doubtful(**how: Any) -> Any:
        transaction = begin(**how)
        transactions.append(transaction)
        if len(transactions) == 1:
            commit = transaction.commit

            async def commit_and_lose() -> None:
                await commit()
                raise CommitUnknown

            monkeypatch.setattr(transaction, "commit", commit_and_lose, raising=False)
        return transaction

    monkeypatch.setattr(world.store, "begin", doubtful)
    outcome = await world.send("open_door", body=b'{"name": "front"}')
    assert isinstance(outcome, CommitUnknown)
    assert len(await kept(world)) == 1
    assert not [n for n in world.ear.heard if isinstance(n, Notice) and n.event == "security_record_lost"]


async def test_a_kind_that_is_not_listed_is_a_fault_of_the_code() -> None:
    with pytest.raises(ValueError, match="no kind of security event"):
        SecurityEvent(kind="something.else")


async def test_without_a_place_for_records_there_is_no_security_log(build: Build) -> None:
    module = Module("bare")

    @module.command("POST /bare", allow=anyone)
    async def bare(log: SecurityLog) -> None:
        return None

    world = await build(module)
    assert "nothing keeps security events" in str(world.bound.faults[0])


def guarded(*, records: bool = True) -> Module:
    module = Module("guarded")
    if records:
        module.entity(SecurityRecord)

    @module.query("GET /safe", allow=role("manager"))
    async def look_into_safe() -> int:
        return 1

    @module.query("GET /lawn", allow=anyone)
    async def walk_on_lawn() -> int:
        raise Forbidden

    return module


async def test_a_known_caller_that_a_policy_refuses_is_on_record(build: Build) -> None:
    world = await build(guarded())
    assert isinstance(await world.send("look_into_safe", credentials=b"ann"), Forbidden)
    record = (await kept(world))[0]
    assert (record.kind, record.outcome, record.actor) == ("access.refused", "denied", ANN.id)
    assert (record.operation, record.address, record.facts) == ("look_into_safe", "192.0.2.1", {"code": "forbidden"})


async def test_a_stranger_that_is_refused_is_not(build: Build) -> None:
    world = await build(guarded())
    await world.send("look_into_safe")
    await world.send("walk_on_lawn")
    await world.send("look_into_safe", credentials=b"max")
    assert await kept(world) == []


async def test_a_refusal_of_a_call_that_was_begun_without_a_task_is_kept_in_one(build: Build) -> None:
    """Drivers of databases bind what they do to the Task, and to the context, that they are begun in."""
    world, steps = await build(guarded()), list[bool]()
    whole = world.store.begin

    def begin(**given: Any) -> Any:
        transaction: Any = whole(**given)
        commit = transaction.commit

        async def wait_and_commit() -> None:
            context.set("of the call")
            steps.append(asyncio.current_task() is not None)
            await asyncio.sleep(0)
            steps.append(context.get() == "of the call")
            await commit()

        transaction.commit = wait_and_commit
        return transaction

    context: ContextVar[str] = ContextVar("context", default="of nobody")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.store, "begin", begin)
        call, loop = world.call("look_into_safe", credentials=b"ann"), asyncio.get_running_loop()
        assert call.operation.inline
        outcome: Any = None

        def begun() -> None:
            nonlocal outcome
            outcome = drive(dispatch, call, world.clock.monotonic(), loop, lambda *_: None)

        loop.call_soon(begun)
        await asyncio.sleep(0)
        assert isinstance(await outcome, Forbidden)
    assert steps == [True, True]
    assert len(await kept(world)) == 1


@pytest.mark.parametrize("later", [False, True])
async def test_so_many_refusals_of_one_caller_are_kept(
    build: Build, monkeypatch: pytest.MonkeyPatch, later: bool
) -> None:
    world = await build(guarded())
    if later:
        limiter = world.bound.ports.limiter
        charge = limiter.charge

        async def waited(charges: Any) -> Any:
            return charge(charges)

        monkeypatch.setattr(limiter, "charge", waited)
    for _ in range(REFUSALS.quota + 3):
        assert isinstance(await world.send("look_into_safe", credentials=b"ann"), Forbidden)
    assert len(await kept(world)) == REFUSALS.quota


async def test_where_nothing_is_kept_a_refusal_is_what_it_was(build: Build) -> None:
    world = await build(guarded(records=False))
    assert isinstance(await world.send("look_into_safe", credentials=b"ann"), Forbidden)
