"""In a service of camelCase names a problem found behind the validation points to members as the caller wrote them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from kernel_world import Build

from mainstay import Dto, Entity, Fault, Invalid, Module, NotFound, Repository, Service, anyone, field
from mainstay.kernel.bind import bind
from mainstay.kernel.call import Call
from mainstay.kernel.dispatch import dispatch
from mainstay.kernel.render.naming import rename
from mainstay.model.problem import Conflict


class Row(Entity):
    short_name: str = field(unique=True, max_length=5)


class Name(Dto):
    short_name: str


def rows() -> Module:
    module = Module("rows")

    @module.command("POST /rows", allow=anyone)
    async def add(body: Name, rows: Repository[Row]) -> Row:
        return await rows.add(Row(short_name=body.short_name))

    return module


async def test_faults_of_a_repository_are_told_in_the_callers_names(build: Build) -> None:
    world = await build(rows())
    bound = bind(Service("camel", modules=[rows()], case="camel"), world.bound.ports)
    operation = bound.operations[0]

    async def send(name: str) -> Any:
        return await dispatch(Call(operation=operation, body=msgspec.json.encode({"shortName": name})))

    assert msgspec.json.decode((await send("a")).body)["shortName"] == "a"
    assert [f.pointer for f in (await send("too long")).faults] == ["/shortName"]
    taken = await send("a")
    assert (taken.code, taken.members["field"]) == ("unique_conflict", "shortName")
    assert "short_name" not in taken.detail


@pytest.mark.parametrize(
    ("problem", "detail", "members"),
    [
        (NotFound(), NotFound.title, {}),
        (Conflict("short_name is taken", field="short_name"), "shortName is taken", {"field": "shortName"}),
        (Conflict("another detail", field="short_name"), "another detail", {"field": "shortName"}),
        (Conflict("x", field=5), "x", {"field": 5}),
    ],
)
def test_the_field_that_a_problem_names(problem: Any, detail: str, members: dict[str, Any]) -> None:
    rename(problem)
    assert (problem.detail, problem.members) == (detail, members)


def test_pointers_and_parameters() -> None:
    problem = Invalid(faults=[Fault("a", "b", pointer="/a_b/0/c_d"), Fault("a", "b", parameter="x_y")])
    rename(problem)
    assert [(f.pointer, f.parameter) for f in problem.faults] == [("/aB/0/cD", None), (None, "x_y")]
