"""A file from its sender to a store of objects, and from there to whoever asks for it, in parts."""

from __future__ import annotations

from typing import Any

import pytest

from mainstay import Blobs, Dto, File, Module, Service, Upload, anyone
from mainstay.testing.client import Client

CONTENT = bytes(range(253)) * 4000


class Stored(Dto):
    key: str
    size: int


def declare(*, external: bool = True) -> Service:
    films = Module("films")

    @films.command("POST /films/{name}", allow=anyone, status=201, external=external)
    async def put_film(name: str, file: Upload, blobs: Blobs) -> Stored:
        blob = await blobs.put(f"films/{name}", file)
        return Stored(key=blob.key, size=blob.size)

    @films.query("GET /films/{name}", allow=anyone)
    async def get_film(name: str, blobs: Blobs) -> File:
        return File(content=await blobs.get(f"films/{name}"), media_type="video/mp4", inline=True)

    return Service("films", modules=[films])


def test_what_was_sent_can_be_seen_in_parts(serve: Any) -> None:
    door = serve(declare())
    sent = door.ask("POST", "/films/a.mp4", {"Content-Type": "video/mp4"}, CONTENT)
    assert sent.json == {"key": "films/a.mp4", "size": len(CONTENT)}
    got = door.ask("GET", "/films/a.mp4")
    assert got.body == CONTENT
    part = door.ask("GET", "/films/a.mp4", {"Range": "bytes=500000-", "If-Range": got["ETag"]})
    assert (part.status, part.body) == (206, CONTENT[500_000:])
    several = door.ask("GET", "/films/a.mp4", {"Range": "bytes=0-9,700000-700009"})
    assert several.status == 206
    assert CONTENT[700_000:700_010] in several.body
    assert door.ask("GET", "/films/a.mp4", {"If-None-Match": got["ETag"]}).status == 304


def test_what_is_not_there_and_what_leads_elsewhere(serve: Any) -> None:
    door = serve(declare())
    assert door.ask("GET", "/films/none").json["code"] == "blob_missing"
    assert door.ask("GET", "/films/..%2F..%2Fetc").json["code"] == "blob_key_invalid"


def test_a_command_that_reaches_the_store_says_so() -> None:
    with pytest.raises(Exception, match="external=True"):
        Client(declare(external=False))
