"""The contract of files, forms and streams."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
import pytest

from mainstay import Blobs, Dto, File, Module, Service, Upload, anyone, field, resume_after
from mainstay.app.documents import documents_of
from mainstay.testing.client import Client


class Caption(Dto):
    title: str = field(max_length=20)


class Tick(Dto):
    number: int


def declare() -> Service:
    files = Module("files")

    @files.command("POST /one", allow=anyone)
    async def put_one(file: Upload) -> None: ...

    @files.command("POST /described", allow=anyone)
    async def put_described(file: Upload, title: str, rank: int = 1) -> None: ...

    @files.command("POST /captioned", allow=anyone)
    async def put_captioned(pictures: list[Upload], caption: Caption, note: Upload | None = None) -> None: ...

    @files.query("GET /film", allow=anyone)
    async def get_film(blobs: Blobs) -> File:
        return File(content=b"")

    @files.query("GET /ticks", allow=anyone)
    async def ticks(after: Annotated[int | None, resume_after("number")] = None) -> AsyncIterator[Tick]:
        yield Tick(number=1)

    return Service("files", modules=[files])


@pytest.fixture(scope="module")
def operations() -> dict[str, Any]:
    document = documents_of(Client(declare()).bound)["/openapi.json"]
    paths = msgspec.json.decode(document.body)["paths"]
    return {one["operationId"]: one for path in paths.values() for one in path.values()}


def content_of(operation: dict[str, Any]) -> dict[str, Any]:
    return operation["requestBody"]["content"]  # type: ignore[no-any-return]  # JSON


def test_a_lone_file_comes_as_it_is_or_in_a_form(operations: dict[str, Any]) -> None:
    content = content_of(operations["put_one"])
    assert set(content) == {"application/octet-stream", "multipart/form-data"}
    assert list(content["multipart/form-data"]["schema"]["properties"]) == ["file"]


def test_fields_stand_beside_the_file(operations: dict[str, Any]) -> None:
    schema = content_of(operations["put_described"])["multipart/form-data"]["schema"]
    assert list(schema["properties"]) == ["file", "title", "rank"]
    assert schema["required"] == ["file", "title"]
    assert set(content_of(operations["put_described"])) == {"multipart/form-data"}
    codes = operations["put_described"]["responses"]["400"]["content"]["application/problem+json"]["schema"]["allOf"][1]
    assert {"part_missing", "form_malformed"} <= set(codes["properties"]["code"]["enum"])


def test_a_dto_stands_beside_several_files(operations: dict[str, Any]) -> None:
    dto, files = content_of(operations["put_captioned"])["multipart/form-data"]["schema"]["allOf"]
    assert dto == {"$ref": "#/components/schemas/Caption"}
    assert files["properties"]["pictures"]["type"] == "array"
    assert files["required"] == ["pictures"]


def test_a_file_can_be_asked_for_in_parts(operations: dict[str, Any]) -> None:
    film = operations["get_film"]
    assert [one["name"] for one in film["parameters"]] == ["Range"]
    assert {"200", "206", "304", "404", "412", "416"} <= set(film["responses"])
    assert "multipart/byteranges" in film["responses"]["206"]["content"]
    assert {"Accept-Ranges", "ETag", "Last-Modified"} <= set(film["responses"]["200"]["headers"])


def test_a_stream_is_lines_or_events_and_is_taken_up_again(operations: dict[str, Any]) -> None:
    ticks = operations["ticks"]
    assert [(one["in"], one["name"]) for one in ticks["parameters"]] == [
        ("query", "after"),
        ("header", "Last-Event-ID"),
    ]
    content = ticks["responses"]["200"]["content"]
    assert content == {
        media: {"schema": {"$ref": "#/components/schemas/Tick"}}
        for media in ("application/x-ndjson", "text/event-stream")
    }
