"""What a load asks, made of a contract: bodies and queries that the contract allows, of rows that there are."""

from __future__ import annotations

import random
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest
from contracts import contract_bytes, faults
from msgspec import json

from mainstay import (
    Dto,
    Entity,
    Find,
    Module,
    Page,
    Repository,
    Service,
    Stream,
    Upload,
    anyone,
    authenticated,
    field,
    role,
    scope,
)
from mainstay.testing.rollout.contract import Contract, Endpoint
from mainstay.testing.rollout.known import Known
from mainstay.testing.rollout.requests import Asking, Request
from mainstay.testing.rollout.values import NONE, matching

DRAWS = 400
zoo = Module("zoo")


class Diet(StrEnum):
    GRASS = "grass"
    MEAT = "meat"


class Cage(Entity):
    code: str = field(unique=True, pattern=r"[A-Z]{2}-[0-9]{3}")
    size: Decimal = field(ge=0, digits=6, places=2)


class Animal(Entity):
    name: str = field(min_length=3, max_length=12)
    cage_id: UUID = field(references=Cage)
    diet: Diet = Diet.GRASS
    legs: int = field(ge=0, le=8, default=4)
    weight: float | None = field(default=None, gt=0, le=9000)
    born: datetime | None = None
    marks: list[str] = field(default_factory=list, max_length=3)
    keeper: str | None = field(default=None, max_length=30, read=role("keeper"))


class Move(Dto):
    code: str = field(max_length=10)
    hours: int = field(ge=1, le=9)


zoo.resource(Cage, path="/cages", read=anyone, create=role("keeper"), update=scope("build"), delete=role("keeper"))
zoo.resource(Animal, path="/animals", read=anyone, create=role("keeper"), update=role("keeper"), delete=role("keeper"))


@zoo.command("POST /animals/{animal_id}/move", allow=authenticated)
async def move(animal_id: UUID, wanted: Move, animals: Repository[Animal]) -> Animal:
    return await animals.get(animal_id)


@zoo.query("GET /cages/by/{code}", allow=authenticated)
async def by_code(code: str, find: Find[Cage], cages: Repository[Cage]) -> Page[Cage]:
    return await cages.page(find)


@zoo.query("GET /watch", allow=anyone)
async def watch(animals: Repository[Animal]) -> Stream[Animal]:
    raise NotImplementedError


@zoo.command("POST /pictures", allow=anyone, external=True)
async def keep_picture(file: Upload) -> int:
    return file.size


SERVICE = Service("zoo", modules=[zoo])
CAGE = {"id": "0199c0de-0000-7000-8000-00000000000a", "code": "AB-123", "size": "4.50", "version": 1}
ANIMAL = {"id": "0199c0de-0000-7000-8000-00000000000b", "name": "Bess", "cage_id": CAGE["id"], "legs": 4}


@pytest.fixture(scope="module")
def document() -> bytes:
    return contract_bytes(SERVICE)


@pytest.fixture
def contract(document: bytes) -> Contract:
    return Contract(document)


@pytest.fixture
def known(contract: Contract) -> Known:
    known = Known(random.Random(1))
    for entity, row in (("Cage", CAGE), ("Animal", ANIMAL)):
        known.learn(contract, {"$ref": f"#/components/schemas/{entity}"}, row, "ann")
    return known


@pytest.fixture
def asking(contract: Contract, known: Known) -> Asking:
    return Asking(contract, known, {"ann": "token-of-ann", "bob": "token-of-bob"}, random.Random(2))


def named(contract: Contract, name: str) -> Endpoint:
    return next(one for one in contract.endpoints if one.name == name)


def drawn(asking: Asking) -> list[Request]:
    return [request for _ in range(DRAWS) if (request := asking.draw()) is not None]


def test_a_contract_tells_whom_it_knows_and_what_is_left_out(contract: Contract) -> None:
    assert contract.roles == {"keeper"}
    assert contract.scopes == {"build"}
    assert contract.left_out == {"watch": "it gives files or streams", "keep_picture": "it takes files"}
    assert named(contract, "move").entity == "Animal"
    assert named(contract, "by_code").entity == "Cage"
    getter = contract.getter("Animal")
    assert getter is not None
    assert getter.path == "/animals/{id}"


def test_bodies_are_what_the_contract_allows(document: bytes, contract: Contract, asking: Asking) -> None:
    told = json.decode(document)
    seen = set()
    for request in drawn(asking):
        if request.body:
            assert request.endpoint.body is not None
            assert faults(told, dict(request.endpoint.body), json.decode(request.body)) == []
            seen.add(request.endpoint.name)
    assert {"create_animal", "create_cage", "update_animal", "move"} <= seen


def test_queries_name_parameters_of_the_contract_with_values_that_it_allows(
    document: bytes, contract: Contract, asking: Asking
) -> None:
    told = json.decode(document)
    given = 0
    for request in drawn(asking):
        parameters = {one["name"]: one for one in request.endpoint.parameters if one["in"] == "query"}
        for name, text in parse_qsl(urlsplit(request.target).query):
            schema = parameters[name]["schema"]
            value: Any = text.split(",") if schema.get("type") == "array" else text
            if {schema.get("type"), schema.get("items", {}).get("type", "string")} <= {"string", "array"}:
                assert faults(told, schema, value) == [], (name, text)
            given += 1
    assert given > 20


def test_requests_are_about_rows_that_there_are(asking: Asking) -> None:
    requests = drawn(asking)
    assert {one.id for one in requests if one.endpoint.path == "/animals/{id}"} == {ANIMAL["id"]}
    assert {one.id for one in requests if one.endpoint.name == "by_code"} == {"AB-123"}
    bodies = [json.decode(one.body) for one in requests if one.endpoint.name == "create_animal"]
    assert {body["cage_id"] for body in bodies} == {CAGE["id"]}
    codes = [json.decode(one.body)["code"] for one in requests if one.endpoint.name == "move"]
    assert codes.count("AB-123") > len(codes) / 3, "a value that another entity has by this name"
    made = [json.decode(one.body)["code"] for one in requests if one.endpoint.name == "create_cage"]
    assert len(set(made)) > 0.9 * len(made), "what may have to be unique is new nearly each time"


def test_callers_have_tokens_and_commands_have_keys(asking: Asking) -> None:
    requests = drawn(asking)
    tokens = {one.fields.get("Authorization") for one in requests}
    assert tokens == {"Bearer token-of-ann", "Bearer token-of-bob", None}
    assert all(one.endpoint.open for one in requests if "Authorization" not in one.fields)
    keys = [one.fields["Idempotency-Key"] for one in requests if one.endpoint.name == "create_cage"]
    assert len(keys) == len(set(keys)) > 5


def test_few_rows_are_left_alone_by_deletions(contract: Contract, known: Known, asking: Asking) -> None:
    assert not [one for one in drawn(asking) if one.endpoint.method == "DELETE"]
    for number in range(20):
        row = {**ANIMAL, "id": f"0199c0de-0000-7000-8000-0000000001{number:02}"}
        known.learn(contract, {"$ref": "#/components/schemas/Animal"}, row, "ann")
    deleted = [one for one in drawn(asking) if one.endpoint.method == "DELETE"]
    assert {one.endpoint.path for one in deleted} == {"/animals/{id}"}
    known.forget(deleted[0].id)
    assert deleted[0].id not in {one.id for one in drawn(asking)}


def test_without_a_row_nothing_is_asked_of_one(contract: Contract) -> None:
    nothing = Asking(contract, Known(random.Random(1)), {"ann": "t"}, random.Random(2))
    assert {one.endpoint.path for one in drawn(nothing)} <= {"/cages", "/animals", "/cages/by/{code}"}


@pytest.mark.parametrize(
    ("status", "media_type", "body", "complaint"),
    [
        (500, "application/problem+json", b'{"code": "internal"}', "500"),
        (503, "", b"", "503"),
        (302, "", b"", "does not name"),
        (200, "text/html", b"<p>", "text/html"),
        (200, "application/json", b"{", "no JSON"),
        (200, "application/json", b'{"id": 4}', "/id is no string"),
        (200, "application/json", b"{}", None),
        (404, "application/problem+json", b'{"title": "x", "status": 404, "code": "not_found"}', None),
        (404, "application/problem+json", b'{"title": "x", "status": 404, "code": "odd"}', "/code"),
        (304, "", b"", None),
    ],
)
def test_answers_are_judged_by_the_contract(
    contract: Contract, status: int, media_type: str, body: bytes, complaint: str | None
) -> None:
    getter = contract.getter("Animal")
    assert getter is not None
    found = contract.complaint(getter, status, media_type, body)
    assert found is None if complaint is None else complaint in (found or "")


def test_texts_are_made_of_patterns() -> None:
    chance = random.Random(3)
    assert {len(matching("^(?:[a-z]+(-[a-z]+)*)$", chance, more)) > 0 for more in range(9)} == {True}
    assert matching("^(?=x)y$", chance, 3) is NONE
