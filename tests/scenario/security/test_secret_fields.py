"""Secret fields are set by bodies and shown by no answer; read-only ones are set by no body, however deep."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from mainstay import Dto, Entity, Module, Patch, Repository, Service, anyone, field
from mainstay.testing.client import Client


class Frame(Dto):
    colour: str = ""
    approved: bool = field(default=False, read_only=True)
    codes: list[str] = field(default_factory=list, read_only=True)


class Locker(Entity):
    label: str = ""
    pin: str = field(default="", max_length=8, secret=True)
    sealed: str = field(default="kept", secret=True, read_only=True)
    frame: Frame | None = None
    frames: dict[str, Frame] = field(default_factory=dict)


class Wish(Dto):
    label: str
    approved: bool = field(default=False, read_only=True)
    frames: list[Frame] = field(default_factory=list)


def lockers(case: Any) -> Service:
    module = Module("lockers")
    module.resource(Locker, path="/lockers", read=anyone, create=anyone, update=anyone)

    @module.command("PATCH /own/{id}", allow=anyone)
    async def change(id: UUID, patch: Patch[Locker], rows: Repository[Locker]) -> Locker:
        return await rows.update(await rows.get(id), patch)

    @module.command("POST /wishes", allow=anyone)
    async def wish(wanted: Wish) -> Wish:
        return wanted

    return Service("lockers", modules=[module], case=case)


@pytest_asyncio.fixture(params=["snake", "camel"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with Client(lockers(request.param)) as made:
        yield made


async def test_a_secret_field_is_set_and_changed_by_bodies_and_never_shown(client: Client) -> None:
    made = await client.post("/lockers", json={"label": "one", "pin": "marked-1"})
    assert (made.status, "marked" in made.text) == (201, False)
    place = f"/lockers/{made.json['id']}"
    for path, pin in ((place, "marked-2"), (f"/own/{made.json['id']}", "marked-3")):
        answer = await client.request("PATCH", path, json={"pin": pin})
        assert (answer.status, "marked" in answer.text) == (200, False)
        (stored,) = await client.stored(Locker)
        assert (stored.pin, "marked" in repr(stored)) == (pin, False)
    refused = await client.request("PATCH", place, json={"pin": "marked-too-long"})
    assert (refused.status, "marked" in refused.text) == (422, False)
    for query in ("pin=marked-3", "sort=pin", "fields=pin"):
        assert (await client.get(f"/lockers?{query}")).status == 400, query
    assert "marked" not in (await client.get("/lockers")).text


async def test_a_secret_field_that_is_read_only_is_set_by_no_body(client: Client) -> None:
    (locker,) = await client.given(Locker(label="one"))
    for method, path in (("POST", "/lockers"), ("PATCH", f"/lockers/{locker.id}"), ("PATCH", f"/own/{locker.id}")):
        answer = await client.request(method, path, json={"sealed": "forged"})
        assert (answer.status, codes(answer)) == (422, [("read_only", "/sealed")])
    assert await client.stored(Locker) == [locker]


@pytest.mark.parametrize("forged", [{"approved": True}, {"codes": ["x"]}], ids=str)
async def test_what_is_read_only_in_a_struct_of_a_body_is_set_by_no_body(client: Client, forged: Any) -> None:
    (locker,) = await client.given(Locker(label="one", frame=Frame(), frames={"a": Frame()}))
    (name,) = forged
    own = f"/own/{locker.id}"
    for method, path, body, pointer in (
        ("POST", "/lockers", {"frame": forged}, f"/frame/{name}"),
        ("POST", "/lockers", {"frames": {"b": forged}}, f"/frames/b/{name}"),
        ("PATCH", f"/lockers/{locker.id}", {"frame": forged}, f"/frame/{name}"),
        ("PATCH", own, {"frames": {"a": forged}}, f"/frames/a/{name}"),
        ("POST", "/wishes", {"label": "x", "frames": [{}, forged]}, f"/frames/1/{name}"),
    ):
        answer = await client.request(method, path, json=body)
        assert (answer.status, codes(answer)) == (422, [("read_only", pointer)]), (method, path)
    assert await client.stored(Locker) == [locker]


async def test_a_body_that_leaves_it_alone_is_taken(client: Client) -> None:
    """Whoever sends back what they were shown may say what holds anyway."""
    plain = {"label": "x", "approved": False, "frames": [{"colour": "red", "approved": False}]}
    answer = await client.post("/wishes", json=plain)
    assert (answer.status, answer.json["frames"]) == (200, [{"colour": "red", "approved": False, "codes": []}])
    refused = await client.post("/wishes", json={**plain, "approved": True})
    assert codes(refused) == [("read_only", "/approved")]


def codes(answer: Any) -> list[tuple[str, str]]:
    return [(fault["code"], fault["pointer"]) for fault in answer.json["faults"]]
