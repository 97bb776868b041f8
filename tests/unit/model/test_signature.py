"""Signatures: what is input, where it comes from, and what is a dependency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import pytest

from mainstay import (
    Clock,
    Dto,
    Entity,
    Event,
    File,
    Find,
    Module,
    Page,
    Patch,
    RawBody,
    Repository,
    Stream,
    Upload,
    anyone,
    header,
)
from mainstay.model.operation import Operation
from mainstay.model.signature import Source, path_names, signature_of

if TYPE_CHECKING:
    from pathlib import Path as OnlyForTypes


class Thing(Entity):
    name: str


class Body(Dto):
    number: int


class Happened(Event):
    number: int


def declared(route: str, function: Any) -> Operation:
    module = Module("things")
    (module.query if route.startswith("GET") else module.command)(route, allow=anyone)(function)
    return module.operations[0]


def sources(operation: Operation) -> dict[str, Source]:
    return {p.name: p.source for p in signature_of(operation).parameters}


async def everything(
    thing_id: UUID,
    shop: Annotated[str, header("X-Shop")],
    find: Find[Thing],
    number: int | None,
    tags: list[str],
    rows: Repository[Thing],
    clock: Clock,
    other: Thing,
    word: str = "w",
) -> None: ...


def test_parameters_of_a_query() -> None:
    operation = declared("GET /things/{thing_id}", everything)
    assert sources(operation) == {
        "thing_id": Source.PATH,
        "shop": Source.HEADER,
        "find": Source.FIND,
        "number": Source.QUERY,
        "tags": Source.QUERY,
        "rows": Source.DEPENDENCY,
        "clock": Source.DEPENDENCY,
        "other": Source.DEPENDENCY,
        "word": Source.QUERY,
    }
    by_name = {p.name: p for p in signature_of(operation).parameters}
    assert (by_name["shop"].header, by_name["find"].target, by_name["rows"].target) == (
        "X-Shop",
        Thing,
        Repository[Thing],
    )
    assert [p.name for p in by_name.values() if not p.required] == ["word"]
    assert signature_of(operation).body is None


def test_scalars_of_a_command_are_members_of_its_body() -> None:
    async def use(thing_id: UUID, number: int, word: str = "w") -> None: ...

    assert sources(declared("POST /things/{thing_id}", use)) == {
        "thing_id": Source.PATH,
        "number": Source.MEMBER,
        "word": Source.MEMBER,
    }


@pytest.mark.parametrize(
    ("annotation", "source", "target"),
    [
        (Body, Source.BODY, Body),
        (Patch[Thing], Source.PATCH, Thing),
        (Upload, Source.UPLOAD, Upload),
        (RawBody, Source.RAW, RawBody),
        (Happened, Source.EVENT, Happened),
    ],
)
def test_the_body_is_taken_by_one_parameter(annotation: Any, source: Source, target: Any) -> None:
    async def use(one: Any) -> None: ...

    use.__annotations__["one"] = annotation
    body = signature_of(declared("POST /a", use)).body
    assert body is not None
    assert (body.name, body.source, body.target) == ("one", source, target)


def test_scalars_of_a_consumer_are_no_input() -> None:
    module = Module("things")

    @module.on(Happened)
    async def heard(event: Happened, number: int) -> None: ...

    assert sources(module.operations[0]) == {"event": Source.EVENT, "number": Source.DEPENDENCY}


@pytest.mark.parametrize(
    ("returns", "answer"),
    [
        (None, ("none", None)),
        (Page[Thing], ("page", Thing)),
        (Page, ("page", Any)),
        (Stream[Thing], ("stream", Thing)),
        (Stream, ("stream", Any)),
        (list[Thing], ("list", Thing)),
        (list, ("value", list)),
        (File, ("file", File)),
        (Thing, ("value", Thing)),
        (Thing | None, ("value", Thing | None)),
        (int, ("value", int)),
    ],
)
def test_what_comes_back(returns: Any, answer: Any) -> None:
    async def use() -> None: ...

    use.__annotations__["return"] = returns
    assert signature_of(declared("GET /a", use)).answer == answer


async def lost_parameter(fine: int, path: OnlyForTypes) -> None: ...
async def lost_return() -> OnlyForTypes: ...
async def bare(one) -> None: ...  # type: ignore[no-untyped-def]  # that is the fault
async def many(*numbers: int) -> None: ...
async def words(**words: int) -> None: ...
async def not_in_route() -> None: ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lost_parameter, "parameter path: 'OnlyForTypes' does not resolve at run time"),
        (lost_return, "the return type: 'OnlyForTypes' does not resolve at run time"),
        (bare, "parameter one: it has no annotation"),
        (many, "parameter numbers: a use case names its parameters"),
        (words, "parameter words: a use case names its parameters"),
        (not_in_route, "thing_id in braces is no parameter"),
    ],
)
def test_what_does_not_resolve_is_named(function: Any, message: str) -> None:
    with pytest.raises((NameError, TypeError), match=message):
        signature_of(declared("GET /a/{thing_id}" if function is not_in_route else "GET /a", function))


def test_a_fault_that_no_parameter_has_is_told_as_it_is() -> None:
    async def use(one: int) -> None: ...

    use.__annotations__["elsewhere"] = "Lost"
    with pytest.raises(NameError, match="name 'Lost' is not defined"):
        signature_of(declared("GET /a", use))


def test_names_in_braces() -> None:
    assert path_names("/a/{b}/c/{d_e}") == ("b", "d_e")
    assert path_names("/a") == ()
