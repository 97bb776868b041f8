"""The edges of an invocation: streams and their snapshots, clean-up, cancellation, and being run again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from kernel_world import Build, World

from mainstay import Ask, Clock, Entity, Event, Events, Module, Repository, Stream, UnitOfWork, anyone
from mainstay.kernel.bound import BoundOperation, Media
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.dispatch import dispatch
from mainstay.kernel.invoke import frame_of
from mainstay.kernel.scope import Scope
from mainstay.model.operation import Operation, OperationKind, Source
from mainstay.model.problem import Conflict, Internal, Kind, NotFound, Problem, SerializationConflict
from mainstay.model.signature import Signature


class Row(Entity):
    number: int


class Made(Event):
    number: int


class Tool:
    def __init__(self, name: str = "tool") -> None:
        self.name = name


def streaming(closed: list[str] | None = None) -> Module:
    module = Module("rows")
    closed = [] if closed is None else closed

    @module.command("POST /rows", allow=anyone)
    async def add(number: int, rows: Repository[Row]) -> None:
        await rows.add(Row(number=number))

    @module.query("GET /rows", allow=anyone)
    async def every(rows: Repository[Row], tool: Tool) -> Stream[Row]:
        async def items() -> AsyncIterator[Row]:
            try:
                async for row in rows.stream():
                    if row.number < 0:
                        raise Conflict
                    yield row
            finally:
                closed.append("items")

        return Stream(items())

    @module.query("GET /asked", allow=anyone)
    async def asked(ask: Ask) -> None:
        await ask(every)

    return module


def tools(heard: list[str], *, broken: bool = False) -> Any:
    async def tool() -> AsyncIterator[Tool]:
        heard.append("open")
        yield Tool()
        heard.append("close")
        if broken:
            raise OSError("cannot close")

    return lambda service: service.provide(Tool, tool, scope="call", outside=False)


async def stream_of(world: World) -> Any:
    for number in (1, 2, 3):
        await world.send("add", body=msgspec.json.encode({"number": number}))
    reply = await world.send("every")
    assert isinstance(reply, Reply)
    assert reply.stream is not None
    return reply.stream


async def test_a_snapshot_lives_as_long_as_its_stream(build: Build) -> None:
    closed: list[str] = []
    heard: list[str] = []
    world = await build(streaming(closed), provide=tools(heard))
    stream = await stream_of(world)
    first = await anext(stream)
    await world.send("add", body=b'{"number": 4}')
    assert (heard, closed) == (["open"], [])
    rest = [part async for part in stream]
    assert [msgspec.json.decode(item.text)["number"] for item in (first, *rest)] == [1, 2, 3]
    assert (heard, closed) == (["open", "close"], ["items"])
    await stream.aclose()
    assert [part async for part in stream] == []
    assert heard == ["open", "close"]


@pytest.mark.parametrize("begun", [False, True])
async def test_a_stream_that_is_closed_early_lets_all_go(build: Build, begun: bool) -> None:
    closed: list[str] = []
    heard: list[str] = []
    world = await build(streaming(closed), provide=tools(heard))
    stream = await stream_of(world)
    if begun:
        await anext(stream)
    await stream.aclose()
    assert heard == ["open", "close"]
    assert closed == (["items"] if begun else [])
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_a_stream_that_fails_lets_all_go(build: Build) -> None:
    heard: list[str] = []
    world = await build(streaming(), provide=tools(heard))
    await world.send("add", body=b'{"number": -1}')
    stream = await stream_of(world)
    with pytest.raises(Conflict):
        [part async for part in stream]
    assert heard == ["open", "close"]


async def test_a_stream_is_no_answer_to_a_question(build: Build) -> None:
    world = await build(streaming(), provide=tools([]))
    assert isinstance(await world.send("asked"), Internal)
    assert "answers with a stream" in str(world.ear.calls[-1].error)


def failing() -> Module:
    module = Module("failing")

    @module.command("POST /write", allow=anyone)
    async def write(how: str, tool: Tool, rows: Repository[Row], events: Events) -> int:
        await rows.add(Row(number=1))
        events.emit(Made(number=1))
        if how == "refuse":
            raise NotFound
        return 1

    @module.query("GET /count", allow=anyone)
    async def count(rows: Repository[Row], tool: Tool, fail: bool = False) -> int:
        found = await rows.count()
        if fail:
            raise NotFound
        return found

    @module.on(Made)
    async def heard(event: Made) -> None: ...

    return module


def told(outcome: Reply | Problem) -> Any:
    return outcome.code if isinstance(outcome, Problem) else msgspec.json.decode(outcome.body)


@pytest.mark.parametrize("broken", [False, True])
async def test_what_was_made_for_a_call_is_cleaned_up_whatever_becomes_of_it(build: Build, broken: bool) -> None:
    heard: list[str] = []
    world = await build(failing(), provide=tools(heard, broken=broken))
    assert told(await world.send("write", body=b'{"how": "refuse"}')) == "not_found"
    assert told(await world.send("write", body=b'{"how": "well"}')) == 1
    assert told(await world.send("count")) == 1
    assert told(await world.send("count", query=[("fail", "true")])) == "not_found"
    assert heard == ["open", "close"] * 4
    notices = [n for n in world.ear.notices if n.event == "cleanup_failed"]
    assert len(notices) == (4 if broken else 0)
    assert all(isinstance(n.error, OSError) and n.facts["request_id"] == "r-1" for n in notices)


async def test_a_clean_up_that_fails_takes_back_nothing_that_was_committed(build: Build) -> None:
    """A conflict raised behind the commit is none: the command is not run again."""
    module = failing()
    runs: list[int] = []

    async def tool() -> AsyncIterator[Tool]:
        runs.append(1)
        yield Tool()
        raise SerializationConflict

    world = await build(module, provide=lambda s: s.provide(Tool, tool, scope="call", outside=False))
    rung: list[int] = []
    world.bound.bell.listen(lambda _: rung.append(1))
    assert told(await world.send("write", body=b'{"how": "well"}')) == 1
    assert (runs, rung) == ([1], [1])
    assert told(await world.send("count")) == 1


async def test_a_cancelled_command_leaves_nothing(build: Build) -> None:
    module = Module("slow")
    reached = asyncio.Event()

    @module.command("POST /slow", allow=anyone)
    async def slow(rows: Repository[Row]) -> None:
        await rows.add(Row(number=1))
        reached.set()
        await asyncio.Event().wait()

    @module.query("GET /count", allow=anyone)
    async def count(rows: Repository[Row]) -> int:
        return await rows.count()

    world = await build(module)
    task = asyncio.create_task(world.send("slow", idempotency_key="k"))
    await reached.wait()
    assert world.names["slow"].running == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told(await world.send("count")) == 0
    (seen, _) = world.ear.calls
    assert seen.kind not in (None, Kind.DEADLINE)
    assert isinstance(seen.error, asyncio.CancelledError)
    assert world.names["slow"].running == 0
    reached.clear()
    again = asyncio.create_task(world.send("slow", idempotency_key="k"))  # the key was let go
    await reached.wait()
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)


async def test_a_call_that_is_dropped_is_no_success(build: Build) -> None:
    module = Module("slow")

    @module.query("GET /slow", allow=anyone)
    async def slow() -> None:
        await asyncio.Event().wait()

    world = await build(module)
    running = dispatch(world.call("slow"))
    running.send(None)
    running.close()
    (seen,) = world.ear.calls
    assert seen.kind is not None
    assert isinstance(seen.error, GeneratorExit)
    assert world.names["slow"].running == 0


async def test_a_claim_that_cannot_be_let_go_takes_back_nothing(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await build(failing(), provide=tools([]))

    async def broken(key: bytes) -> None:
        raise OSError("gone")

    monkeypatch.setattr(world.store.claims, "drop", broken)
    assert told(await world.send("write", body=b'{"how": "well"}', idempotency_key="k")) == 1
    assert [n.event for n in world.ear.notices] == ["claim_kept"]
    assert world.ear.calls[-1].kind is None


async def test_time_passes_by_the_clock_between_attempts(build: Build) -> None:
    module = Module("contended")
    times: list[float] = []

    @module.command("POST /contended", allow=anyone)
    async def contended(clock: Clock) -> None:
        times.append(clock.monotonic())
        raise SerializationConflict

    world = await build(module)
    assert told(await world.send("contended")) == "serialization_conflict"
    waits = [later - sooner for sooner, later in pairwise(times)]
    assert len(waits) == 4
    assert all(0.5 <= wait / (0.005 * 2**n) <= 1.5 for n, wait in enumerate(waits))


async def test_an_operation_that_is_not_bound_says_so(build: Build) -> None:
    world = await build(Module("empty"))

    async def function() -> None: ...

    operation = Operation(
        name="lost", kind=OperationKind.QUERY, module="empty", function=function, source=Source("x.py", 1)
    )
    bound = BoundOperation(
        operation=operation,
        signature=Signature(parameters=(), returns=None),
        name="lost",
        status=200,
        media=Media(),
        index=0,
        inline=False,
        deadline=1.0,
        ports=world.bound.ports,
        plans={},
    )
    assert isinstance(await dispatch(Call(operation=bound)), Internal)
    assert "lost is not bound yet" in str(world.ear.calls[-1].error)


async def test_what_iterates_may_have_nothing_to_close(build: Build) -> None:
    class Numbers(AsyncIterator[int]):
        def __init__(self) -> None:
            self.left = 2

        async def __anext__(self) -> int:
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return self.left

    module = Module("numbers")

    @module.query("GET /numbers", allow=anyone)
    async def numbers() -> Stream[int]:
        return Stream(Numbers())

    world = await build(module)
    reply = await world.send("numbers")
    assert isinstance(reply, Reply)
    assert reply.stream is not None
    assert [item.text async for item in reply.stream] == [b"1", b"0"]


async def test_a_question_has_the_defaults_of_what_it_asks(build: Build) -> None:
    asked, asking = Module("asked"), Module("asking")

    @asked.query("GET /sum", allow=anyone)
    async def added(one: int, two: int = 2) -> int:
        return one + two

    @asking.query("GET /ask", allow=anyone)
    async def ask_for_it(ask: Ask) -> int:
        return int(await ask(added, one=1)) + int(await ask("asked.added", one=1, two=3))

    world = await build(asked, asking)
    assert told(await world.send("ask_for_it")) == 7


async def test_a_scope_that_opened_nothing_has_nothing_to_close(build: Build) -> None:
    world = await build(failing(), provide=tools([]))
    call = world.call("count")
    scope = Scope(call, UnitOfWork(frame_of(call), write=False))
    await scope.close()
    assert scope.emitted == []


async def test_a_query_may_read_anew_and_a_command_may_not(build: Build) -> None:
    module = streaming()
    seen: list[int] = []

    @module.query("GET /anew", allow=anyone)
    async def anew(rows: Repository[Row], work: UnitOfWork) -> int:
        seen.append(await rows.count())
        await work.refresh()
        await work.refresh()
        seen.append(await rows.count())
        return len(seen)

    @module.command("POST /anew", allow=anyone)
    async def command_anew(work: UnitOfWork) -> None:
        await work.refresh()

    world = await build(module, provide=tools([]))
    assert isinstance(await world.send("anew"), Reply)
    assert seen == [0, 0]
    assert isinstance(await world.send("command_anew"), Internal)
    assert "reads and writes in one transaction" in str(world.ear.calls[-1].error)
