"""Start-up refusals of operations: what would fail, or mean something else, at a call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest

from mainstay import (
    Dto,
    Email,
    Entity,
    Event,
    Find,
    Module,
    Patch,
    RawBody,
    Repository,
    Service,
    Stream,
    Upload,
    anyone,
    authenticated,
    cache,
    field,
    header,
    limit,
    resume_after,
    signed,
)
from mainstay.model.checks import check_service
from mainstay.model.operation import self_authenticated


class Thing(Entity):
    name: str


class Body(Dto):
    number: int


class Happened(Event):
    number: int


class OtherHappened(Event):
    number: int


Slow = Annotated[str, msgspec.Meta(pattern="(a+)+b")]


async def nothing() -> None: ...


def plain() -> int:
    return 1


async def stream_of_its_own() -> AsyncIterator[int]:
    yield 1


async def stream_unsaid() -> int:
    yield 1  # type: ignore[misc]  # that is the fault


async def positional(number: int, /) -> None: ...
async def two_searches(one: Find[Thing], two: Find[Thing]) -> None: ...
async def search_of_nothing(find: Find) -> None: ...  # type: ignore[type-arg]  # that is the fault
async def search_of_a_dto(find: Find[Body]) -> None: ...
async def patch_of_nothing(patch: Patch) -> None: ...  # type: ignore[type-arg]  # that is the fault
async def takes_dto(body: Body) -> None: ...
async def takes_two(body: Body, raw: RawBody) -> None: ...
async def takes_event(event: Happened) -> None: ...
async def resumed_by_nothing(after: Annotated[int | None, resume_after("number")] = None) -> int: ...


class Kept(Dto):
    hidden: str = field(secret=True)
    weight: float


async def resumed_by_a_secret(after: Annotated[str | None, resume_after("hidden")] = None) -> Stream[Kept]: ...
async def resumed_by_a_number(after: Annotated[float | None, resume_after("weight")] = None) -> Stream[Kept]: ...
async def resumed_by_no_field(after: Annotated[int | None, resume_after("text")] = None) -> Stream[Body]: ...
async def resumed_by_a_scalar(after: Annotated[int | None, resume_after("number")] = None) -> Stream[int]: ...
async def resumed_at_once(after: Annotated[int, resume_after("number")]) -> Stream[Body]: ...
async def resumed_as_another(after: Annotated[str | None, resume_after("number")] = None) -> Stream[Body]: ...
async def resumed_twice(
    one: Annotated[int | None, resume_after("number")] = None, two: Annotated[int | None, resume_after("number")] = None
) -> Stream[Body]: ...
async def takes_upload(file: Upload, raw: RawBody) -> None: ...
async def streams() -> Stream[int]: ...
async def path_dto(one: Body) -> None: ...
async def path_list(one: list[int]) -> None: ...
async def path_rows(one: Repository[Thing]) -> None: ...
async def path_one(one: UUID) -> None: ...
async def header_dto(one: Annotated[Body, header("X-One")]) -> None: ...
async def query_dtos(one: list[Body]) -> None: ...
async def slow_parameter(one: Slow) -> None: ...
async def slow_items(one: list[Slow]) -> None: ...


def command(route: str, function: Any, **options: Any) -> Callable[[Module], Any]:
    return lambda module: module.command(route, **{"allow": anyone, **options})(function)


def query(route: str, function: Any, **options: Any) -> Callable[[Module], Any]:
    return lambda module: module.query(route, **{"allow": anyone, **options})(function)


def read_cached(caching: Any) -> Callable[[Module], Any]:
    return lambda module: module.resource(Thing, path="/things", read=anyone, cache=caching)


def consumer(event: Any, function: Any, **options: Any) -> Callable[[Module], Any]:
    return lambda module: module.on(event, **options)(function)


def faults_of(declare: Callable[[Module], Any]) -> list[str]:
    module = Module("things")
    declare(module)
    return [f"{f.subject}: {f.message} {f.hint or ''}" for f in check_service(Service("s", modules=[module])).faults]


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (query("GET /a", plain), "async function"),
        (query("GET /a", stream_unsaid), "an async generator is a stream"),
        (command("POST /a", stream_of_its_own), "a command returns no Stream"),
        (consumer(Happened, stream_of_its_own), "async function"),
        (query("GET /a", resumed_by_nothing), "only a stream can be taken up again"),
        (query("GET /a", resumed_by_no_field), 'Body has no field "text"'),
        (query("GET /a", resumed_by_a_scalar), "names a field of the items"),
        (query("GET /a", resumed_by_a_secret), "not for everybody to read"),
        (query("GET /a", resumed_by_a_number), "names no item"),
        (read_cached(cache(5, keys=["{who}"])), "has no parameter who"),
        (read_cached("60"), "write cache(60), in seconds"),
        (query("GET /a", resumed_at_once), "has a default"),
        (query("GET /a", resumed_as_another), "of another type than number"),
        (query("GET /a", resumed_twice), "one, two: a stream is taken up again from one place"),
        (query("GET /a", positional), "number is positional only"),
        (query("GET /a", nothing, name="a-b"), "no identifier"),
        (query("GET /a/{one}/{one}", path_one), "one stands in it twice"),
        (query("GET /a/x{one}", path_one, name="x"), "neither plain text"),
        (query("GET //a", nothing), "neither plain text"),
        (query("GET /a/", nothing), "neither plain text"),
        (query("GET /a?b=1", nothing), "neither plain text"),
        (query("GET /a b", nothing), "neither plain text"),
        (command("POST /a/{one}", path_dto), "one stands in the route"),
        (query("GET /a/{one}", path_list), "one stands in the route"),
        (query("GET /a/{one}", path_rows), "one stands in the route"),
        (query("GET /a", header_dto), "one comes from a header"),
        (query("GET /a", query_dtos), "one comes from a query"),
        (query("GET /a", slow_parameter), "parameter one: pattern"),
        (query("GET /a", slow_items), "parameter one: pattern"),
        (command("POST /a", slow_parameter), "parameter one: pattern"),
        (query("GET /a", two_searches), "one, two: a call has one search"),
        (query("GET /a", search_of_nothing), "Find[...] names an entity"),
        (query("GET /a", search_of_a_dto), "Find[...] names an entity"),
        (command("PATCH /a", patch_of_nothing), "Patch[...] names an entity"),
        (query("GET /a", takes_dto), "a query takes no body"),
        (query("GET /a", takes_event), "a query takes no body"),
        (command("POST /a", takes_two), "body, raw: a call has one body"),
        (command("POST /a", takes_upload), "file, raw: a call has one body"),
        (command("POST /a", streams), "a command returns no Stream"),
        (command("POST /a", nothing, status=404), "status=404"),
        (command("POST /a", nothing, deadline=0), "deadline=0"),
        (query("GET /a", nothing, deadline=float("nan")), "deadline=nan"),
        (query("GET /a", nothing, deadline=float("inf")), "deadline=inf"),
        (query("GET /a", nothing, sunset=date(2027, 1, 1)), "say since when"),
        (query("GET /a", nothing, successor="/b"), "say since when"),
        (query("GET /a", nothing, deprecated=datetime(2026, 1, 1)), "a time has a zone"),  # noqa: DTZ001 - the fault
        (query("GET /a", nothing, deprecated=date(2026, 2, 1), sunset=date(2026, 1, 1)), "before deprecated="),
        (command("POST /a", nothing, idempotency="sometimes"), 'idempotency="sometimes"'),
        (query("GET /a", nothing, limits=["20/minute"]), "'20/minute' is no limit"),
        (query("GET /a", nothing, allow="anyone"), "allow='anyone' is no policy"),
        (command("POST /a", nothing, allow=signed("s", secret="x") | authenticated), "stands alone"),
        (command("POST /a", takes_dto, allow=signed("s", secret="x")), "needs a RawBody"),
        (command("POST /a", nothing, allow=self_authenticated | authenticated), "self_authenticated stands alone"),
        (consumer(Happened, plain), "async function"),
        (consumer(Happened, nothing, attempts=0), "attempts=0"),
        (consumer(Happened, nothing, concurrency=0), "concurrency=0"),
        (consumer(Happened, nothing, on_dead="stop"), "on_dead='stop'"),
        (consumer(OtherHappened, takes_event), "a consumer of OtherHappened is given that"),
        (consumer(Happened, takes_dto), "a consumer of Happened is given that"),
        (consumer(Thing, nothing), "on(Thing): no event"),
        (consumer(Event, nothing), "on(Event): no event"),
        (consumer(5, nothing), "on(5): no event"),
    ],
)
def test_what_is_refused(declare: Callable[[Module], Any], message: str) -> None:
    faults = faults_of(declare)
    assert len(faults) == 1, faults
    assert message in faults[0]


async def takes_mail(mail: Email, tags: list[str], shop: Annotated[list[str], header("X-Shop")]) -> None: ...
async def takes_both(first: Happened, second: Happened) -> None: ...


@pytest.mark.parametrize(
    "declare",
    [
        query("GET /", nothing),
        query("GET /a", nothing, deprecated=True, successor="/b"),
        query("GET /a", nothing, deprecated=datetime(2026, 1, 1, tzinfo=UTC), sunset=date(2027, 1, 1)),
        query("GET /a.b/~c/{one}", path_one),
        query("GET /a", takes_mail, deadline=0.5, limits=[limit("1/second")]),
        command("POST /a", nothing, status=202, idempotency="required"),
        consumer("things.Happened", takes_event),
        consumer(Happened, nothing),
    ],
)
def test_what_is_sound(declare: Callable[[Module], Any]) -> None:
    assert faults_of(declare) == []


def test_a_consumer_is_given_one_event() -> None:
    assert "one event at a time" in faults_of(consumer(Happened, takes_both))[0]


@pytest.mark.parametrize("function", [partial(nothing), Module, None])
def test_a_use_case_is_a_function(function: Any) -> None:
    with pytest.raises(TypeError, match="async function"):
        command("POST /a", function)(Module("things"))


@pytest.mark.parametrize("route", ["/a", "FETCH /a", "GET a", "GET", ""])
def test_a_route_is_a_method_and_a_path(route: str) -> None:
    with pytest.raises(ValueError, match="expected METHOD /path"):
        query(route, nothing)(Module("things"))


@pytest.mark.parametrize("raised", [ValueError, "Conflict", None])
def test_what_is_raised_is_a_problem(raised: Any) -> None:
    with pytest.raises(TypeError, match="is no Problem class"):
        command("POST /a", nothing, raises=[raised])(Module("things"))


def test_names_on_the_wire_have_one_of_two_forms() -> None:
    service = Service("s", modules=[], case="kebab")  # type: ignore[arg-type]  # that is the fault
    (fault,) = check_service(service).faults
    assert 'case="kebab"' in fault.message
    assert fault.source.file == __file__


def test_a_fault_is_told_once_however_many_meet_it() -> None:
    module = Module("things")
    for name in ("first", "second"):
        command(f"POST /{name}", takes_lost, name=name)(module)
    (fault,) = check_service(Service("s", modules=[module])).faults
    assert fault.subject == "LostBody"


class LostBody(Dto):
    text: Nowhere  # type: ignore[name-defined]  # noqa: F821 - that is the fault


async def takes_lost(body: LostBody) -> None: ...
