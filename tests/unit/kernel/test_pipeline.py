"""The pipeline: what each stage refuses, what the use case meets, what is observed at the end."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
import pytest
from kernel_world import ANN, Build

from mainstay import (
    Ask,
    Dto,
    Entity,
    Find,
    Module,
    Page,
    Principal,
    Repository,
    UnitOfWork,
    anyone,
    authenticated,
    certificate,
    field,
    limit,
    owner,
    role,
)
from mainstay.kernel.call import Reply
from mainstay.kernel.dispatch import dispatch
from mainstay.model.problem import (
    Conflict,
    DeadlineExceeded,
    Internal,
    Kind,
    NotFound,
    Problem,
    SerializationConflict,
    TooMany,
)


class Note(Entity, rows=owner("owner_id") | role("manager")):
    owner_id: UUID = field(immutable=True)
    text: str = field(max_length=20)
    rank: int = field(default=0)


class Write(Dto):
    text: str = field(max_length=20)


class Full(Conflict):
    """There is no room."""


def notes() -> Module:
    module = Module("notes")

    @module.command("POST /notes", status=201, allow=authenticated, raises=[Full])
    async def write(body: Write, who: Principal, rows: Repository[Note]) -> Note:
        if body.text == "full":
            raise Full(room=0)
        if body.text == "bug":
            raise RuntimeError("inside")
        return await rows.add(Note(owner_id=who.id, text=body.text))

    @module.query("GET /notes/{note_id}", allow=authenticated)
    async def read(note_id: UUID, rows: Repository[Note]) -> Note:
        return await rows.get(note_id)

    @module.query("GET /notes", allow=authenticated)
    async def search(find: Find[Note], rows: Repository[Note]) -> Page[Note]:
        return await rows.page(find)

    return module


def code(outcome: Reply | Problem) -> str:
    return outcome.code if isinstance(outcome, Problem) else "ok"


def body(outcome: Reply | Problem) -> Any:
    assert isinstance(outcome, Reply), outcome
    return msgspec.json.decode(outcome.body)


async def test_a_call_goes_through_and_is_observed_once(build: Build) -> None:
    world = await build(notes())
    outcome = await world.send("write", credentials=b"ann", body=b'{"text": "hello"}')
    assert body(outcome)["text"] == "hello"
    assert isinstance(outcome, Reply)
    assert (outcome.status, outcome.version) == (201, 1)
    (seen,) = world.ear.calls
    assert (seen.operation, seen.kind, seen.principal, seen.request_id) == ("write", None, ANN, "r-1")
    assert seen.attempts == 1


@pytest.mark.parametrize("later", [False, True])
async def test_credentials(build: Build, later: bool) -> None:
    world = await build(notes())
    world.tokens.later = later
    given = {"body": b'{"text": "x"}'}
    assert code(await world.send("write", **given)) == "credentials_missing"
    assert code(await world.send("write", credentials=b"eve", **given)) == "unauthenticated"
    assert code(await world.send("write", scheme="Basic", **given)) == "scheme_refused"
    assert code(await world.send("write", credentials=b"ann", **given)) == "ok"
    assert [c.kind for c in world.ear.calls] == [Kind.UNAUTHENTICATED] * 3 + [None]


async def test_refused_credentials_are_charged_to_the_address(build: Build) -> None:
    world = await build(notes())
    for _ in range(30):
        assert code(await world.send("search", credentials=b"eve")) == "unauthenticated"
    refused = await world.send("search", credentials=b"eve")
    assert isinstance(refused, TooMany)
    assert refused.retry_after
    assert code(await world.send("search", credentials=b"eve", peer="192.0.2.2")) == "unauthenticated"
    assert code(await world.send("search", credentials=b"ann")) == "ok"
    world.clock.advance(refused.retry_after)
    assert code(await world.send("search", credentials=b"eve")) == "unauthenticated"


async def test_a_role_is_needed_and_who_has_it_may(build: Build) -> None:
    module = Module("admin")

    @module.command("POST /reset", allow=role("manager"))
    async def reset() -> None: ...

    world = await build(module)
    assert code(await world.send("reset")) == "credentials_missing"
    assert code(await world.send("reset", credentials=b"ann")) == "forbidden"
    outcome = await world.send("reset", credentials=b"max")
    assert isinstance(outcome, Reply)
    assert (outcome.status, outcome.body) == (204, b"")


async def test_limits_by_address_principal_operation_and_all(build: Build) -> None:
    module = Module("limited")

    @module.query("GET /mine", allow=anyone, limits=[limit("2/minute")])
    async def mine() -> int:
        return 1

    @module.query("GET /ours", allow=anyone, limits=[limit("3/minute", by="operation")])
    async def ours() -> int:
        return 1

    world = await build(module, limits=[limit("50/minute", by="address"), limit("60/minute", by="global")])
    assert [code(await world.send("mine", credentials=b"ann")) for _ in range(3)] == ["ok", "ok", "rate_limited"]
    assert code(await world.send("mine", credentials=b"bob")) == "ok"
    assert [code(await world.send("mine", peer="a")) for _ in range(3)] == ["ok", "ok", "rate_limited"]
    assert code(await world.send("mine", peer="b")) == "ok"
    assert [code(await world.send("ours", peer=str(i))) for i in range(4)] == ["ok", "ok", "ok", "rate_limited"]
    call = world.call("mine", peer="c")
    await dispatch(call)
    assert [v.limit.by for v in call.verdicts] == ["address", "global", "principal"]
    world.clock.advance(60)
    assert code(await world.send("mine", credentials=b"ann")) == "ok"


async def test_a_bug_is_told_to_the_log_and_not_to_the_caller(build: Build) -> None:
    world = await build(notes())
    outcome = await world.send("write", credentials=b"ann", body=b'{"text": "bug"}')
    assert isinstance(outcome, Internal)
    assert "inside" not in repr(outcome.members) + outcome.detail
    assert outcome.members == {"request_id": "r-1"}
    assert isinstance(world.ear.calls[0].error, RuntimeError)


async def test_a_problem_of_the_team_is_part_of_the_answer(build: Build) -> None:
    world = await build(notes())
    outcome = await world.send("write", credentials=b"ann", body=b'{"text": "full"}')
    assert isinstance(outcome, Full)
    assert outcome.members == {"room": 0}


async def test_what_a_failed_command_did_is_undone(build: Build) -> None:
    module = notes()

    @module.command("POST /twice", allow=authenticated)
    async def twice(who: Principal, rows: Repository[Note], unit: UnitOfWork) -> None:
        await rows.add(Note(owner_id=who.id, text="first"))
        await unit.flush()
        raise Full

    world = await build(module)
    assert code(await world.send("twice", credentials=b"ann")) == "full"
    assert body(await world.send("search", credentials=b"ann"))["items"] == []


async def test_anothers_row_is_not_there(build: Build) -> None:
    world = await build(notes())
    made = body(await world.send("write", credentials=b"ann", body=b'{"text": "mine"}'))
    given = {"arguments": {"note_id": made["id"]}}
    assert body(await world.send("read", credentials=b"ann", **given))["text"] == "mine"
    assert body(await world.send("read", credentials=b"max", **given))["text"] == "mine"
    hidden = await world.send("read", credentials=b"bob", **given)
    absent = await world.send("read", credentials=b"bob", arguments={"note_id": str(UUID(int=999))})
    assert isinstance(hidden, NotFound)
    assert isinstance(absent, NotFound)
    assert (hidden.detail, hidden.members) == (absent.detail, absent.members)


async def test_a_serialisation_conflict_is_run_again_bounded(build: Build) -> None:
    module = notes()
    tries: list[int] = []

    @module.command("POST /contended", allow=anyone)
    async def contended(times: int) -> int:
        tries.append(1)
        if len(tries) < times:
            raise SerializationConflict
        return len(tries)

    @module.command("POST /outside", allow=anyone, external=True)
    async def outside() -> None:
        tries.append(1)
        raise SerializationConflict

    world = await build(module)
    assert body(await world.send("contended", body=b'{"times": 3}')) == 3
    assert world.ear.calls[-1].attempts == 3
    tries.clear()
    assert code(await world.send("contended", body=b'{"times": 99}')) == "serialization_conflict"
    assert len(tries) == 5
    tries.clear()
    assert code(await world.send("outside")) == "serialization_conflict"
    assert len(tries) == 1


async def test_a_deadline_that_has_passed_is_told_as_one(build: Build) -> None:
    module = Module("slow")
    waiting = asyncio.Event()

    @module.query("GET /slow", allow=anyone, deadline=2.5)
    async def slow() -> None:
        waiting.set()
        await asyncio.sleep(60)

    world = await build(module)
    assert world.names["slow"].deadline == 2.5
    for advance, expected in ((3.0, DeadlineExceeded), (0.0, asyncio.CancelledError)):
        call = world.call("slow", deadline=world.clock.monotonic() + 2.5)
        task = asyncio.create_task(dispatch(call))
        await waiting.wait()
        waiting.clear()
        world.clock.advance(advance)
        task.cancel()
        if expected is DeadlineExceeded:
            assert isinstance(await task, DeadlineExceeded)
        else:
            with pytest.raises(asyncio.CancelledError):
                await task
    assert [c.kind for c in world.ear.calls] == [Kind.DEADLINE, Kind.LEFT]
    assert world.names["slow"].running == 0


async def test_a_body_that_has_not_arrived_is_waited_for_after_the_head(build: Build) -> None:
    world = await build(notes())
    reads: list[int] = []

    async def read() -> bytes:
        reads.append(1)
        return b'{"text": "late"}'

    assert code(await world.send("write", read=read)) == "credentials_missing"
    assert reads == []
    assert body(await world.send("write", credentials=b"ann", read=read))["text"] == "late"
    assert reads == [1]


async def test_asking_another_module(build: Build) -> None:
    asked, asking = notes(), Module("asking")

    @asking.query("GET /ask/{note_id}", allow=anyone)
    async def question(note_id: UUID, ask: Ask) -> str:
        note = await ask("notes.read", note_id=note_id)
        assert isinstance(note, Note)
        return note.text

    @asking.query("GET /wrong/{what}", allow=anyone)
    async def wrong(what: str, ask: Ask) -> None:
        given: dict[str, Any] = {"note_id": UUID(int=1), "other": 1} if what == "more" else {}
        await ask("notes.nothing" if what == "unknown" else "notes.read", **given)

    @asking.query("GET /deep", allow=anyone)
    async def deep(ask: Ask) -> None:
        await ask(deep)

    world = await build(asked, asking)
    made = body(await world.send("write", credentials=b"ann", body=b'{"text": "asked"}'))
    given = {"arguments": {"note_id": made["id"]}}
    assert body(await world.send("question", credentials=b"ann", **given)) == "asked"
    assert code(await world.send("question", credentials=b"bob", **given)) == "not_found"
    assert code(await world.send("question", **given)) == "credentials_missing"
    for what, message in (
        ("unknown", "notes.nothing is no query"),
        ("more", "takes no other"),
        ("less", "needs note_"),
    ):
        assert code(await world.send("wrong", credentials=b"ann", arguments={"what": what})) == "internal_error"
        assert message in str(world.ear.calls[-1].error)
    assert code(await world.send("deep")) == "internal_error"
    assert isinstance(world.ear.calls[-1].error, RecursionError)


async def test_a_faulty_service_is_told_of_and_bound_no_further(build: Build) -> None:
    module = notes()
    module.resource(Note, path="/things", read=owner("nobody"))
    world = await build(module)
    assert [f.subject for f in world.bound.faults] == ["resource /things read="]


async def test_binding_twice_is_free_of_traces(build: Build) -> None:
    module = notes()
    first = await build(module)
    second = await build(module)
    assert code(await first.send("write", credentials=b"ann", body=b'{"text": "x"}')) == "ok"
    assert body(await second.send("search", credentials=b"ann"))["items"] == []


@pytest.mark.parametrize("later", [False, True])
async def test_a_certificate_stays_beside_a_token(build: Build, later: bool) -> None:
    module = Module("machines")

    @module.query("GET /name", allow=authenticated & certificate("till"))
    async def name(who: Principal) -> str:
        return f"{who.subject} by {who.certificate}"

    world = await build(module)
    world.tokens.later = later
    till = Principal.anonymous.connected_by("till")
    assert code(await world.send("name", principal=till)) == "credentials_missing"
    assert code(await world.send("name", credentials=b"ann")) == "forbidden"
    assert body(await world.send("name", credentials=b"ann", principal=till)) == "ann by till"
